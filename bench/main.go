// Command bench measures the library against other XMPP clients and against the least that a client
// can cost, on servers that it starts itself. What it measures and how to read it:
// docs/performance.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// a second Ctrl+C ends the program at once
	context.AfterFunc(ctx, stop)
	var err error
	if len(os.Args) == 2 && os.Args[1] == workerFlag {
		err = work(os.Stdin, os.Stdout)
	} else {
		err = run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is the command line.
type bench struct {
	out        io.Writer
	verbose    bool
	scenarios  string
	servers    string
	peers      string
	transports string
	calls      int
	burst      int
	rounds     int
	sessions   int
	settle     time.Duration
	stay       time.Duration
	scripts    string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	b := &bench{out: stdout}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.BoolVar(&b.verbose, "v", false, "show times too, which say something only about this machine")
	fs.StringVar(&b.scenarios, "run", "", "`scenarios`, comma separated: "+strings.Join(b.names(), ", ")+"; empty: all")
	fs.StringVar(&b.servers, "server", "", "comma separated `names`: ejabberd, sdktest; empty: those of the scenario")
	fs.StringVar(
		&b.peers, "peers", "",
		"comma separated `names`: limit, limit-sm, sdk, transport, go-xmpp, mellium; empty: those of the scenario",
	)
	fs.StringVar(
		&b.transports, "transports", "", "comma separated `names`: ws, tcp, wss, tls; empty: those of the scenario",
	)
	fs.IntVar(&b.calls, "calls", 5000, "requests, or messages, of one turn")
	fs.IntVar(&b.burst, "burst", 100_000, "messages of the scenario burst")
	fs.IntVar(&b.rounds, "rounds", 9, "how many turns each peer has; the median counts")
	fs.IntVar(&b.sessions, "sessions", 10000, "sessions of the scenario many; idle has a tenth of it")
	fs.DurationVar(
		&b.settle, "settle", 2*time.Second,
		"how long sessions are left alone before it is measured what they hold; HTTP connections idle for 30s",
	)
	fs.DurationVar(&b.stay, "stay", 10*time.Second, "how long many sessions are watched")
	fs.StringVar(&b.scripts, "scripts", "../interop/servers", "`folder` of start-ejabberd.sh")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if err := b.check(); err != nil {
		return err
	}
	if err := allowFiles(); err != nil {
		return err
	}
	return b.perform(ctx)
}

func (b *bench) check() error {
	var names []string
	for _, p := range peers() {
		names = append(names, p.name)
	}
	for _, list := range []struct {
		of, given string
		known     []string
	}{
		{"scenario", b.scenarios, b.names()},
		{"server", b.servers, []string{"ejabberd", "sdktest"}},
		{"peer", b.peers, names},
		{"transport", b.transports, transports},
	} {
		for _, name := range strings.Split(list.given, ",") {
			if list.given != "" && !slices.Contains(list.known, name) {
				return fmt.Errorf("no %s %q, only %s", list.of, name, strings.Join(list.known, ", "))
			}
		}
	}
	if b.calls < 1 || b.burst < 1 || b.rounds < 1 || b.sessions < 10 || b.settle < 0 || b.stay <= 0 {
		return errors.New(
			"-calls, -burst, -rounds and -stay must be positive, -sessions at least 10, -settle not negative",
		)
	}
	return nil
}
