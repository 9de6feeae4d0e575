// Command devserver runs the service of package sdktest on its own, for apps
// and tools in any language. Its first line on standard output is a JSON object
// that says where it listens. SIGINT and SIGTERM end it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/mirrorfly-go/sdk/sdktest"
)

// endpoints is the first line of output.
type endpoints struct {
	APIBaseURL   string `json:"apiBaseUrl"`
	APIConfigURL string `json:"apiConfigUrl"`
	SignalURL    string `json:"signalUrl"`
	XMPPURL      string `json:"xmppUrl"`
	XMPPAddress  string `json:"xmppAddress"` // host:port, TCP with STARTTLS
	Domain       string `json:"domain"`
	LicenseKey   string `json:"licenseKey"`
	CAFile       string `json:"caFile"`
}

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
		fmt.Fprintln(os.Stderr, "devserver:", err)
		os.Exit(1)
	}
}

// errUsage has been told to the user already.
var errUsage = errors.New("wrong arguments")

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	opts, caOut, err := parse(args, stderr)
	if err != nil {
		return err
	}
	srv, err := sdktest.Start(opts)
	if err != nil {
		return err
	}
	defer srv.Close()
	caFile := srv.CAFile()
	if caOut != "" {
		if err := copyFile(caFile, caOut); err != nil {
			return err
		}
		caFile = caOut
	}
	err = json.NewEncoder(stdout).Encode(endpoints{
		APIBaseURL: srv.URL(), APIConfigURL: srv.ConfigURL(), SignalURL: srv.SignalURL(), XMPPURL: srv.XMPPURL(),
		XMPPAddress: srv.XMPPAddress(), Domain: srv.Domain(), LicenseKey: srv.LicenseKey(), CAFile: caFile,
	})
	if err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	<-ctx.Done()
	return nil
}

func parse(args []string, stderr io.Writer) (o sdktest.Options, caOut string, err error) {
	fs := flag.NewFlagSet("devserver", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.Listen, "listen", "127.0.0.1:0", "`address` of REST, WebSocket and signalling (TLS)")
	fs.StringVar(&o.Domain, "domain", "", "XMPP domain; it and its siblings are in the certificate")
	fs.StringVar(&o.LicenseKey, "license", "", "licence `key` that is accepted")
	fs.BoolVar(&o.Trial, "trial", true, "trial licence; -trial=false for a licensed one")
	fs.StringVar(&caOut, "ca-out", "", "`file` to write the certificate authority to (PEM)")
	fs.StringVar(&o.DataDir, "data", "", "`directory` that keeps accounts and media across restarts")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return o, "", err
	} else if err != nil {
		return o, "", errUsage
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(stderr, "devserver: unexpected argument %q\n", fs.Arg(0))
		return o, "", errUsage
	}
	return o, caOut, nil
}

func copyFile(from, to string) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, raw, 0o644)
}
