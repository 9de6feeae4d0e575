// Quickstart goes through the API with two users: profiles, messages, files and the rest. It prints
// every call: its name, the status, what came back and how long it took.
//
//	go run ./examples/quickstart                 on a test server (sdktest) in the same process
//	go run ./examples/quickstart -transport tcp  the same over TCP instead of WebSocket
//
// When MIRRORFLY_API_BASE_URL, MIRRORFLY_LICENSE_KEY and MIRRORFLY_TRIAL (true or false) are set,
// it does the same on that service, with two users whose names start with "quickstart-". It deletes
// both at the end, also when something fails or Ctrl+C ends the tour.
// MIRRORFLY_CA_FILE (PEM) is the authority of the service's certificate, if the system does not
// trust it.
//
// The calls are in tour.go and conversation.go. service.go finds the service, printer.go prints the
// lines, cleanup.go deletes the accounts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/mirrorfly-go/sdk"
)

func main() {
	transport := flag.String("transport", string(sdk.TransportWebSocket), "how XMPP is carried: websocket or tcp")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl+C ends the program at once
	if err := run(ctx, sdk.Transport(*transport)); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart failed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, transport sdk.Transport) error {
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; see -help", flag.Arg(0))
	}
	if transport != sdk.TransportWebSocket && transport != sdk.TransportTCP {
		return fmt.Errorf("-transport is %s or %s, not %q", sdk.TransportWebSocket, sdk.TransportTCP, transport)
	}
	place, err := findService()
	if err != nil {
		return err
	}
	defer place.close()
	place.cfg.Transport = transport
	fmt.Printf("%s, XMPP over %s\n\n", place.name, transport)

	t := &tour{printer: newPrinter(os.Stdout), service: place, events: make(chan string, 100)}
	defer t.close()
	if err := errors.Join(t.walk(ctx), t.cleanUp(ctx)); err != nil {
		return err
	}
	fmt.Println("\nEverything worked. Each line above is one call of package sdk; " +
		"the code is in examples/quickstart.")
	return nil
}
