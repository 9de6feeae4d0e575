package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"
)

// settings are the flags of the command line.
type settings struct {
	accounts string
	nats     string
	dir      string
	bucket   string
	replicas int
	name     string
	max      int
	ttl      time.Duration
	logins   float64
	listen   string
	debug    bool
}

// errUsage: the user was already told what is wrong.
var errUsage = errors.New("wrong arguments")

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	fs := flag.NewFlagSet("fleetbot", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&s.accounts, "accounts", "", "JSON `file` with the accounts: [{\"username\": ..., \"password\": ...}]")
	fs.StringVar(&s.nats, "nats", "", "`URL` of NATS, several with commas; empty: a server in this process")
	fs.StringVar(&s.dir, "dir", "fleetbot-nats", "`directory` in which that server keeps its data")
	fs.StringVar(&s.bucket, "bucket", "", "`name` of the bucket; empty: mirrorfly-fleet")
	fs.IntVar(&s.replicas, "replicas", 1, "how many servers of a NATS cluster keep a new bucket")
	fs.StringVar(&s.name, "name", "", "`name` of this member; empty: host name and process id")
	fs.IntVar(&s.max, "max", 0, "how many accounts this member takes at most; 0: no limit")
	fs.DurationVar(&s.ttl, "ttl", 15*time.Second, "how long a member that is not heard of keeps its accounts")
	fs.Float64Var(&s.logins, "logins", 50, "how many accounts of the whole fleet log in a second")
	fs.StringVar(&s.listen, "listen", "", "`address` of /readyz, /accounts and /metrics; empty: none")
	fs.BoolVar(&s.debug, "debug", false, "log more")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return s, err
	} else if err != nil {
		return s, errUsage
	}
	if wrong := s.check(fs.Args()); wrong != "" {
		fmt.Fprintln(stderr, "fleetbot:", wrong)
		return s, errUsage
	}
	host, _ := os.Hostname() // without one the process id has to do
	s.name = cmp.Or(s.name, cmp.Or(host, "member")+"-"+strconv.Itoa(os.Getpid()))
	return s, nil
}

// check says what is wrong with the command line, or "".
func (s settings) check(rest []string) string {
	switch {
	case len(rest) > 0:
		return fmt.Sprintf("unexpected argument %q; see -help", rest[0])
	case s.accounts == "":
		return "-accounts is missing; examples/bot -register makes such a file"
	}
	return "" // fleet.New checks the rest
}

func (s settings) logger(out io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: slog.LevelInfo}
	if s.debug {
		o.Level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(out, o))
}
