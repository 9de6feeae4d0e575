// Doctor finds out why a program does not get to the service. It goes the way of a first connect
// step by step, prints a line for each, and says of the first one that fails why it does and what
// to do. Then it ends with exit code 1.
//
//	go run ./examples/doctor                    on a test server (sdktest): every step works
//	go run ./examples/doctor -transport tcp     XMPP over TCP instead of WebSocket
//
// The service is named by MIRRORFLY_API_BASE_URL, MIRRORFLY_LICENSE_KEY and MIRRORFLY_TRIAL (true
// or false). MIRRORFLY_CA_FILE (PEM) is the authority of its certificate, if the system does not
// trust it. With MIRRORFLY_USERNAME and MIRRORFLY_PASSWORD, as Register returned them, doctor logs
// in with that account. Without, it registers a user whose name starts with "doctor-", and deletes
// it at the end.
//
// It prints no licence key, no password and no token, so its output can be shown to others.
//
// network.go and account.go have the steps, report.go prints them, advice.go says what to do, and
// service.go finds the service.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mirrorfly-go/sdk"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl+C ends the program at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		os.Exit(1)
	}
}

var (
	// errUsage: the user was already told what is wrong.
	errUsage = errors.New("wrong arguments")
	// errSick: a step has failed, which is printed.
	errSick = errors.New("a step has failed")
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("doctor", flag.ContinueOnError)
	fs.SetOutput(stderr)
	transport := fs.String("transport", string(sdk.TransportWebSocket), "how XMPP is carried: websocket or tcp")
	patience := fs.Duration("timeout", 15*time.Second, "how long a step may take")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return err
	} else if err != nil {
		return errUsage
	}
	if fs.NArg() > 0 || *patience <= 0 {
		fmt.Fprintln(stderr, "doctor: it takes no arguments, and -timeout must be positive; see -help")
		return errUsage
	}
	c := &checkup{transport: sdk.Transport(*transport), lookup: net.DefaultResolver.LookupHost}
	defer c.close()
	if !examine(ctx, stdout, *patience, c.steps(), step{"clean-up", c.cleanUp}) {
		return errSick
	}
	return nil
}
