// Qrlogin is a web page that people log in to by scanning a QR code with the app on their phone.
//
//	go run ./examples/qrlogin             shows the page at http://127.0.0.1:8080
//	go run ./examples/qrlogin -terminal   shows the code in the terminal instead
//
// A terminal of 80 columns and 24 rows is large enough. The program says so where it is not.
//
// Without settings it runs on a test server (sdktest), which has a built-in phone for every user;
// it prints the command that scans with one. When MIRRORFLY_API_BASE_URL, MIRRORFLY_LICENSE_KEY,
// MIRRORFLY_TRIAL (true or false) and MIRRORFLY_SIGNAL_URL are set, it uses that service and real
// phones. MIRRORFLY_CA_FILE (PEM) is the authority of its certificates, if the system does not
// trust it.
//
// There is one login for the whole program: every browser tab shows the same.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
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
		fmt.Fprintln(os.Stderr, "qrlogin:", err)
		os.Exit(1)
	}
}

// errUsage: the user was already told what is wrong.
var errUsage = errors.New("wrong arguments")

// settings are the flags of the command line.
type settings struct {
	listen   string
	terminal bool

	// scan and end name the user whose built-in phone shall do that, in a program that runs
	// already.
	scan, end string
	// at is the URL of that program.
	at string

	// size tells the size of the terminal; nil: nobody knows it.
	size func() (columns, rows int, ok bool)
}

func parse(args []string, stderr io.Writer) (s settings, err error) {
	fs := flag.NewFlagSet("qrlogin", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&s.listen, "listen", "127.0.0.1:8080",
		"`address` of the page; everybody who can reach it sees the code and who is logged in")
	fs.BoolVar(&s.terminal, "terminal", false, "show the code in this terminal instead of a page")
	fs.StringVar(&s.scan, "scan", "", "scan the code of the program at -at with the built-in phone of `user`")
	fs.StringVar(&s.end, "end", "", "end the session of the program at -at with the built-in phone of `user`")
	fs.StringVar(&s.at, "at", "http://127.0.0.1:8080", "`URL` that the running program has printed")
	switch err := fs.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return s, err
	case err != nil:
		return s, errUsage
	case fs.NArg() > 0:
		fmt.Fprintf(stderr, "qrlogin: unexpected argument %q\n", fs.Arg(0))
		return s, errUsage
	case s.scan != "" && s.end != "":
		fmt.Fprintln(stderr, "qrlogin: -scan and -end do not go together")
		return s, errUsage
	}
	return s, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	switch {
	case err != nil:
		return err
	case s.scan != "":
		return usePhone(ctx, stdout, s.at, scanPath, s.scan)
	case s.end != "":
		return usePhone(ctx, stdout, s.at, endPath, s.end)
	}
	place, err := findService(ctx)
	if err != nil {
		return err
	}
	defer place.close()
	fmt.Fprintln(stdout, place.name)
	s.size = sizeOf(stdout)
	return offer(ctx, s, place, stdout, slog.New(slog.NewTextHandler(stderr, nil)))
}

// offer shows codes and who has logged in, until ctx ends.
func offer(ctx context.Context, s settings, place *service, stdout io.Writer, logger *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b := newBoard()
	stopPage := func() error { return nil }
	if !s.terminal || place.phone != nil { // -scan and -end reach the built-in phone over HTTP
		w := &web{board: b, phone: place.phone}
		url, stop, err := w.serve(ctx, s.listen, cancel)
		if err != nil {
			return err
		}
		stopPage = stop
		tellHow(stdout, s, url, place.phone != nil)
	}
	l := &login{
		cfg: place.cfg, signalURL: place.signalURL, logo: drawLogo(),
		board: b, logger: logger, pause: pauseAfterFailure,
	}
	var printing sync.WaitGroup
	if s.terminal {
		l.logo = nil
		t := &terminal{out: stdout, size: s.size, look: pauseForSize}
		printing.Go(func() { t.printViews(ctx, b) }) // ends with ctx
	}
	err := l.run(ctx)
	cancel()
	printing.Wait()
	return errors.Join(err, stopPage())
}

func tellHow(out io.Writer, s settings, url string, phone bool) {
	if !s.terminal {
		fmt.Fprintf(out, "\nOpen %s in a browser. Ctrl+C ends the program.\n", url)
	}
	if phone {
		fmt.Fprintf(out, "\nTo scan the code with the built-in phone of the user alice, "+
			"run this in another terminal:\n\n  %s -scan alice -at %s\n\n", program(), url)
	}
}
