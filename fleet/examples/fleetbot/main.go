// Fleetbot is a member of a fleet: several of them, on one machine or many, share the accounts of a
// file, each logged in once, and take over from each other. It answers each text with its own
// member's name.
//
//	go -C fleet run ./examples/fleetbot -accounts ../accounts.json
//		the first member, with a NATS server in the process
//	go -C fleet run ./examples/fleetbot -accounts ../accounts.json -nats nats://127.0.0.1:40001
//		the others, with the address that the first one has printed, or that of your own NATS
//
// The service is named by MIRRORFLY_API_BASE_URL, MIRRORFLY_LICENSE_KEY and MIRRORFLY_TRIAL (true
// or false). MIRRORFLY_CA_FILE (PEM) is the authority of its certificate, if the system does not
// trust it. examples/bot -register makes accounts.
//
// On standard output the first line is {"nats":"nats://..."}, without a user and a password. One
// follows for each account that comes up, or that is not up any more:
//
//	{"event":"up","account":"weather","epoch":12,"member":"a"}
//	{"event":"down","account":"weather","epoch":12,"member":"a","reason":"..."}
//
// SIGINT and SIGTERM have it hand over its accounts and end; a second one ends it at once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/fleet"
	"github.com/mirrorfly-go/sdk/fleet/natsstore"
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
		fmt.Fprintln(os.Stderr, "fleetbot:", err)
		os.Exit(1)
	}
}

// run is a member until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	log := s.logger(stderr)
	cfg, err := serviceConfig()
	if err != nil {
		return err
	}
	if _, err := readAccounts(s.accounts); err != nil {
		return err
	}
	watched, err := newMetrics()
	if err != nil {
		return err
	}
	if s.listen != "" { // fleet.New adds hooks of its own
		cfg.Hooks = sdk.JoinHooks(cfg.Hooks, watched.hooks())
	}
	store, url, closeStore, err := openStore(s)
	if err != nil {
		return err
	}
	defer closeStore()
	out := &lines{out: stdout, member: s.name}
	if err := out.write(struct {
		NATS string `json:"nats"`
	}{withoutUser(url)}); err != nil {
		return err
	}
	member, err := fleet.New(fleet.Config{
		Client:   cfg,
		Accounts: func(context.Context) ([]fleet.Account, error) { return readAccounts(s.accounts) },
		Setup: func(ctx context.Context, _ fleet.Account, _ uint64, c *sdk.Client) error {
			s.answer(ctx, c, log)
			return nil
		},
		OnChange:        out.change,
		Store:           store,
		Name:            s.name,
		Max:             s.max,
		TTL:             s.ttl,
		LoginsPerSecond: s.logins,
		Logger:          log,
	})
	if err != nil {
		return err
	}
	stopServing, err := serve(ctx, s.listen, member, watched, log)
	if err != nil {
		return err
	}
	defer stopServing()
	return member.Run(ctx)
}

// withoutUser are addresses without users and passwords: standard output ends in logs.
func withoutUser(urls string) string {
	list := strings.Split(urls, ",")
	for i, one := range list {
		scheme, rest, found := strings.Cut(strings.TrimSpace(one), "://")
		if !found {
			scheme, rest = "nats", scheme
		}
		list[i] = scheme + "://" + rest[strings.LastIndexByte(rest, '@')+1:]
	}
	return strings.Join(list, ",")
}

// openStore connects to NATS. Without an address it starts a server first.
func openStore(s settings) (store fleet.Store, url string, stop func(), err error) {
	url = s.nats
	stopServer := func() {}
	if url == "" {
		server, err := natsstore.Embedded(s.dir)
		if err != nil {
			return nil, "", nil, err
		}
		url, stopServer = server.URL(), server.Close
	}
	conn, js, err := natsstore.Connect(url)
	if err != nil {
		stopServer()
		return nil, "", nil, err
	}
	stop = func() {
		conn.Close()
		stopServer()
	}
	store, err = natsstore.New(js, natsstore.Options{Bucket: s.bucket, Replicas: s.replicas})
	if err != nil {
		stop()
		return nil, "", nil, err
	}
	return store, url, stop, nil
}
