// Devserver is the emulator of the service: the server of package sdktest as a program, for apps
// and tools in any language. It has a page that shows what the emulator holds and what is sent, and
// on which one can make it fail, and write to users in a chat window.
//
//	go run ./examples/devserver                 prints to standard error how to reach it
//	go run ./examples/devserver -data ./data    keeps accounts, messages and the certificate
//
// README.md in this folder says how a program drives it.
//
// Its first line on standard output is a JSON object with the addresses at which it listens. SIGINT
// and SIGTERM end it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mirrorfly-go/sdk/sdktest"
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
		fmt.Fprintln(os.Stderr, "devserver:", err)
		os.Exit(1)
	}
}

// errUsage: the user was already told what is wrong.
var errUsage = errors.New("wrong arguments")

// settings are the flags of the command line.
type settings struct {
	options sdktest.Options
	// listen: an address was given.
	listen bool
	caOut  string
	data   string
	cert   string
	key    string
	page   audience
}

func parse(args []string, stderr io.Writer) (s settings, err error) {
	fs := flag.NewFlagSet("devserver", flag.ContinueOnError)
	fs.SetOutput(stderr)
	o := &s.options
	fs.StringVar(&o.Listen, "listen", "127.0.0.1:0", "`address` for REST, WebSocket, signalling and the page (TLS)")
	fs.StringVar(&o.Domain, "domain", "", "XMPP `domain`; the certificate is for it and for names beside it")
	fs.StringVar(&o.LicenseKey, "license", "", "licence `key` that is accepted")
	fs.BoolVar(&o.Trial, "trial", true, "trial licence; -trial=false for a licensed one")
	fs.StringVar(&s.caOut, "ca-out", "", "`file` to write the certificate authority to (PEM)")
	fs.StringVar(&s.data, "data", "", "`directory` that keeps accounts, messages, media, the certificate authority "+
		"and the ports across restarts")
	fs.StringVar(&s.cert, "cert", "", "PEM `file` with your own certificate, and then with those of who signed it; "+
		"needs -key")
	fs.StringVar(&s.key, "key", "", "PEM `file` with the private key of -cert")
	fs.DurationVar(&o.ResumeTimeout, "resume", 30*time.Second, "how `long` a lost stream can be resumed (XEP-0198); "+
		"what a client has not handled then comes again. 0: never")
	fs.Func("contacts", "`who` gets presence and profile pushes of whom: all (default); messages, those who "+
		"have exchanged one, as the service documents it; or none", func(who string) error {
		o.NoContacts, o.ContactsByMessage = who == "none", who == "messages"
		if who != "all" && !o.NoContacts && !o.ContactsByMessage {
			return errors.New("it is all, messages or none")
		}
		return nil
	})
	fs.TextVar(&s.page, "page", audienceLocal, "`who` may open the page: local (this machine), all or none")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return s, err
	case err != nil:
		return s, errUsage
	case fs.NArg() > 0:
		fmt.Fprintf(stderr, "devserver: unexpected argument %q\n", fs.Arg(0))
		return s, errUsage
	case o.ResumeTimeout < 0:
		fmt.Fprintf(stderr, "devserver: -resume %s is negative; 0 is never\n", o.ResumeTimeout)
		return s, errUsage
	case s.cert != "" && s.key == "":
		fmt.Fprintln(stderr, "devserver: -cert needs -key, the file with the private key of the certificate")
		return s, errUsage
	case s.cert == "" && s.key != "":
		fmt.Fprintln(stderr, "devserver: -key needs -cert, the file with the certificate of the key")
		return s, errUsage
	}
	fs.Visit(func(f *flag.Flag) { s.listen = s.listen || f.Name == "listen" })
	return s, nil
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	s.options.Logger = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if s.cert != "" {
		if s.options.Certificate, err = ownCertificate(s.cert, s.key); err != nil {
			return err
		}
	}
	if s.data == "" {
		return serve(ctx, s, nil, stdout, stderr)
	}
	db, err := openDatabase(s.data)
	if err != nil {
		return err
	}
	s.options.StateStore, s.options.MediaDir = db, filepath.Join(s.data, mediaFolder)
	last, err := db.ports()
	if err != nil {
		return errors.Join(err, db.close())
	}
	_, _ = io.WriteString(stderr, s.listenAgain(last)) // it fails when nobody reads standard error
	return errors.Join(serve(ctx, s, db, stdout, stderr), db.close())
}

// serve serves with the data of db. nil: there is none.
func serve(ctx context.Context, s settings, db *database, stdout, stderr io.Writer) error {
	p := newPage(s)
	defer p.close()
	if s.page != audienceNone {
		s.options.Handler, s.options.OnTraffic = p.handler(), p.history.record
	}
	srv, err := sdktest.Start(s.options)
	if err != nil {
		return err
	}
	defer srv.Close()
	caFile, err := writeCA(srv, s)
	if err == nil && db != nil {
		err = db.keepPorts(portsOf(srv))
	}
	if err != nil {
		return err
	}
	how := howToReach(srv, s, caFile)
	p.open(srv, how)
	if err := json.NewEncoder(stdout).Encode(how.endpoints); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	_, _ = io.WriteString(stderr, how.text()) // it fails when nobody reads standard error
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.restart: // it cannot be done in the page's handler, for which Restart waits
			if err := srv.Restart(); err != nil {
				return err
			}
		}
	}
}
