// Command soak uses the client hard and for long: 200 sessions make every call of the API, at
// random, while the service fails in every way that it can, and what the callers were told is
// compared with what the service holds. "make soak" runs it.
//
// What a caller was told to be done is done, once. What was refused or not sent has not taken
// effect. No event comes twice or out of order, and none is missing without OnMissed. The
// connection's own events come in a legal order. In the end nothing keeps running. It prints a
// table, and exits with 1 when one of these does not hold.
//
// The plan follows from the seed alone, see Plan. The course of a run does not: that depends on the
// scheduler and the network.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.uber.org/goleak"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second Ctrl+C ends the program at once.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// settings are the flags.
type settings struct {
	length time.Duration
	plan   Plan
	show   int
}

const (
	exitFailed = 1
	exitUsage  = 2
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "soak:", err)
		return exitUsage
	}
	if s.show > 0 {
		for n := range s.show {
			fmt.Fprint(stdout, s.plan.Round(1, n+1))
		}
		return 0
	}
	fmt.Fprintf(
		stdout, "soak: %v with %d sessions; the same plan again: make soak SEED=%d\n", s.length, s.plan.Sessions,
		s.plan.Seed,
	)
	b := newBook()
	begin := time.Now()
	soak(ctx, s, b, stdout)
	return finish(s.plan, b, time.Since(begin), stdout, stderr)
}

// finish prints the results, and returns the exit code.
func finish(p Plan, b *book, took time.Duration, stdout, stderr io.Writer) int {
	fmt.Fprintf(stdout, "\n%s\n", b.table())
	if report := b.report(p); report != "" {
		fmt.Fprint(stderr, report)
		return exitFailed
	}
	fmt.Fprintf(stdout, "soak: all held, %v, seed %d\n", took.Round(time.Second), p.Seed)
	return 0
}

// soak plays one season after the other until the time is over or a check fails.
func soak(ctx context.Context, s settings, b *book, stdout io.Writer) {
	over, cancel := context.WithTimeout(ctx, s.length)
	defer cancel()
	before := goleak.IgnoreCurrent()
	for n := 1; n == 1 || over.Err() == nil && !b.failed(); n++ {
		if !playSeason(over, s.plan, n, b, stdout) {
			return
		}
		if err := goleak.Find(before); err != nil {
			b.fail(
				violation{
					where: fmt.Sprintf("season %d", n), what: "something keeps running after Close", held: err.Error(),
				},
			)
		}
		b.checked("goroutines")
	}
}

func parse(args []string, stderr io.Writer) (s settings, err error) {
	fs := flag.NewFlagSet("soak", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.DurationVar(&s.length, "t", 5*time.Minute, "how `long`; the round that has begun is finished")
	fs.Uint64Var(&s.plan.Seed, "seed", 0, "what the plan follows from; 0: a random one")
	fs.IntVar(
		&s.plan.Sessions, "sessions", 200, fmt.Sprintf("how many sessions, %d to %d", leastSessions, mostSessions),
	)
	fs.IntVar(&s.show, "plan", 0, "print the plan of so many `rounds` and play none")
	if err := fs.Parse(args); err != nil {
		return s, err
	}
	if s.plan.Seed == 0 {
		s.plan.Seed = rand.Uint64N(1 << 32)
	}
	switch {
	case fs.NArg() > 0:
		return s, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case s.plan.Sessions < leastSessions || s.plan.Sessions > mostSessions:
		return s, fmt.Errorf("%d sessions: not between %d and %d", s.plan.Sessions, leastSessions, mostSessions)
	case s.length < 0:
		return s, fmt.Errorf("negative time %v", s.length)
	}
	return s, nil
}
