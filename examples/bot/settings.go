package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"time"
)

// settings are the flags of the command line.
type settings struct {
	accounts string
	register string
	listen   string
	email    string
	starts   int
	interval time.Duration
	grace    time.Duration
	log      string
	debug    bool

	pace pace
}

// pace are times that need no flag.
type pace struct {
	// settle is the time between an event and the look at the profile, so that a burst of events
	// costs one look.
	settle time.Duration
	// minRetry and maxRetry are the bounds of the time between attempts to log in. The client
	// reconnects by itself.
	minRetry, maxRetry time.Duration
}

// errUsage: the user was already told what is wrong.
var errUsage = errors.New("wrong arguments")

func parse(args []string, stderr io.Writer) (settings, error) {
	s := settings{pace: pace{settle: time.Second, minRetry: time.Second, maxRetry: time.Minute}}
	fs := flag.NewFlagSet("bot", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&s.accounts, "accounts", "", "JSON `file` with the accounts: [{\"username\": ..., \"password\": ...}]")
	fs.StringVar(&s.register, "register", "",
		"register these `users` (comma separated), write them into the new file -accounts (without it: print them)")
	fs.StringVar(&s.listen, "listen", "127.0.0.1:8080", "`address` of /readyz, /healthz and /stats; empty: none")
	fs.StringVar(&s.email, "email", "", "email `address` for profiles that have none: the service requires one")
	fs.IntVar(&s.starts, "starts", 10, "how many accounts log in at once, at most")
	fs.DurationVar(&s.interval, "interval", time.Minute, "how often a profile is checked when nothing happens")
	fs.DurationVar(&s.grace, "grace", 5*time.Second, "how long the last profile update may take when the program ends")
	fs.StringVar(&s.log, "log", "text", "how to log to standard error: text or json")
	fs.BoolVar(&s.debug, "debug", false, "log presence and requests, too")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return s, err
	} else if err != nil {
		return s, errUsage
	}
	if wrong := s.check(fs.Args()); wrong != "" {
		fmt.Fprintln(stderr, "bot:", wrong)
		return s, errUsage
	}
	return s, nil
}

// check says what is wrong with the command line, or "".
func (s settings) check(rest []string) string {
	switch {
	case len(rest) > 0:
		return fmt.Sprintf("unexpected argument %q; see -help", rest[0])
	case s.starts < 1:
		return "-starts must be at least 1"
	case s.interval <= 0 || s.grace <= 0:
		return "-interval and -grace must be positive, e.g. 30s"
	case s.log != "text" && s.log != "json":
		return fmt.Sprintf("-log is text or json, not %q", s.log)
	}
	return ""
}

func (s settings) logger(out io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: slog.LevelInfo}
	if s.debug {
		o.Level = slog.LevelDebug
	}
	if s.log == "json" {
		return slog.New(slog.NewJSONHandler(out, o))
	}
	return slog.New(slog.NewTextHandler(out, o))
}
