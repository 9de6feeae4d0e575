// Bot is a start for a back-end service on this API: it logs many accounts in, keeps the status in
// their profiles up to date, reacts to what others do, and ends cleanly.
//
//	go run ./examples/bot
//		on a test server (sdktest), with two accounts and a user who blocks one of them
//	go run ./examples/bot -register weather,news -accounts accounts.json
//		on a service: registers accounts and writes them into a new file that only you can read
//	go run ./examples/bot -accounts accounts.json
//		on a service, with these accounts
//
// The service is named by MIRRORFLY_API_BASE_URL, MIRRORFLY_LICENSE_KEY and MIRRORFLY_TRIAL (true
// or false). MIRRORFLY_CA_FILE (PEM) is the authority of its certificate, if the system does not
// trust it. A single account needs no file: MIRRORFLY_USERNAME and MIRRORFLY_PASSWORD, as Register
// returned them.
//
// To make it your own: profile.go does the work, events.go reacts to events. The rest may stay.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
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
		fmt.Fprintln(os.Stderr, "bot:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends or no account is left.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	log := s.logger(stderr)
	if s.register != "" {
		return register(ctx, s.register, s.accounts, stdout)
	}
	place, err := findService(ctx, &s, log)
	if err != nil {
		return err
	}
	defer place.close()
	f, err := newFleet(place, s, log)
	if err != nil {
		return err
	}
	stopHealth, err := f.serveHealth(ctx, s.listen, log)
	if err != nil {
		return err
	}
	defer stopHealth()
	return f.run(ctx)
}
