// Quickstart walks through the whole Profile API with two users and prints every call: what was called, the
// status, what came back and how long it took.
//
//	go run ./examples/quickstart                 on the server in the box
//	go run ./examples/quickstart -transport tcp  the same over TCP instead of WebSocket
//
// With MIRRORFLY_API_BASE_URL, MIRRORFLY_LICENSE_KEY and MIRRORFLY_TRIAL (true or false) set it
// does the same on the real service, with two users whose names start with "quickstart-". MIRRORFLY_CA_FILE (PEM) says whom to
// trust when the certificate is none that the system trusts.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func main() {
	transport := flag.String("transport", string(sdk.TransportWebSocket), "how XMPP travels: websocket or tcp")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second one ends the program at once
	err := checkArguments(sdk.Transport(*transport))
	if err == nil {
		err = run(ctx, sdk.Transport(*transport))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart failed:", err)
		os.Exit(1)
	}
}

func checkArguments(transport sdk.Transport) error {
	if flag.NArg() > 0 {
		return fmt.Errorf("%q is not understood; see -help", flag.Arg(0))
	}
	if transport != sdk.TransportWebSocket && transport != sdk.TransportTCP {
		return fmt.Errorf("-transport is %s or %s, not %q", sdk.TransportWebSocket, sdk.TransportTCP, transport)
	}
	return nil
}

func run(ctx context.Context, transport sdk.Transport) error {
	place, err := findService()
	if err != nil {
		return err
	}
	defer place.close()
	place.cfg.Transport = transport
	fmt.Printf("%s, XMPP over %s\n\n", place.name, transport)

	t := &tour{printer: newPrinter(os.Stdout, isTerminal(os.Stdout)), cfg: place.cfg, suffix: place.suffix, inTheBox: place.inTheBox}
	defer t.close()
	if err := t.walk(ctx); err != nil {
		return err
	}
	fmt.Printf("\nEverything worked. Each line above is one call of package sdk; the code is in examples/quickstart/tour.go.\n")
	return nil
}

// service is where the tour takes place.
type service struct {
	name     string
	cfg      sdk.Config
	suffix   string // makes user names unique
	inTheBox bool
	close    func()
}

// findService is the real service when the environment names one, else the server in the box.
func findService() (*service, error) {
	base := os.Getenv("MIRRORFLY_API_BASE_URL")
	if base == "" {
		srv, err := sdktest.Start(sdktest.Options{})
		if err != nil {
			return nil, err
		}
		return &service{name: "Server in the box at " + srv.URL(), cfg: srv.Config(), inTheBox: true, close: srv.Close}, nil
	}
	key := os.Getenv("MIRRORFLY_LICENSE_KEY")
	if key == "" {
		return nil, errors.New("MIRRORFLY_API_BASE_URL is set, but MIRRORFLY_LICENSE_KEY is not: set both, or none for the server in the box")
	}
	trial, err := strconv.ParseBool(os.Getenv("MIRRORFLY_TRIAL"))
	if err != nil {
		return nil, errors.New("set MIRRORFLY_TRIAL to true (trial licence) or false")
	}
	trusted, err := trust(os.Getenv("MIRRORFLY_CA_FILE"))
	if err != nil {
		return nil, fmt.Errorf("MIRRORFLY_CA_FILE: %w", err)
	}
	return &service{
		name: "Service at " + base, cfg: sdk.Config{LicenseKey: key, APIBaseURL: base, TrialLicense: trial, TLSConfig: trusted},
		suffix: "-" + strings.ToLower(rand.Text()[:8]), close: func() {},
	}, nil
}

// trust reads the certificate authorities in a file; without one the system decides.
func trust(file string) (*tls.Config, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	if !cfg.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s, it must be PEM", file)
	}
	return cfg, nil
}
