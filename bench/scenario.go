package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// scenario says what is measured, and where.
type scenario struct {
	name    string
	servers []string
	// without are the transports that are left out unless they are named.
	without  []string
	accounts int
	// ping is how often the server pings an idle client.
	ping time.Duration
	play func(ctx context.Context, st *stage) error
}

// never is longer than any scenario.
const never = time.Hour

func (b *bench) all() []scenario {
	return []scenario{
		{
			name: "requests", servers: []string{"ejabberd", "sdktest"},
			without: []string{"ejabberd wss", "ejabberd tls"}, accounts: len(peers()), ping: never, play: b.requests,
		},
		b.messages("send", bodyMark, 32, false, false),
		b.messages("receive", deliveredMark, 32, true, false),
		b.messages("echo", bodyMark, 1, true, true),
		{name: "burst", servers: []string{"sdktest"}, accounts: 2, ping: never, play: b.bursts},
		{name: "idle", servers: []string{"ejabberd"}, accounts: b.sessions/10 + 1, ping: never, play: b.idle},
		{name: "many", servers: []string{"sdktest"}, accounts: b.sessions + 1, ping: 5 * time.Second, play: b.many},
	}
}

func (b *bench) names() (names []string) {
	for _, s := range b.all() {
		names = append(names, s.name)
	}
	return names
}

// stage is a scenario at a running server.
type stage struct {
	service
	scenario
	accounts   []account
	transports []string
	// peers is as on the command line.
	peers string
}

func (b *bench) perform(ctx context.Context) error {
	for _, s := range b.all() {
		if !chosen(b.scenarios, s.name) {
			continue
		}
		servers := s.servers
		if b.servers != "" {
			servers = strings.Split(b.servers, ",")
		}
		for _, server := range servers {
			if err := b.at(ctx, server, s); err != nil {
				return fmt.Errorf("%s at %s: %w", s.name, server, err)
			}
		}
	}
	return nil
}

func (b *bench) at(ctx context.Context, server string, s scenario) (err error) {
	var running *running
	switch server {
	case "ejabberd":
		running, err = startEjabberd(ctx, b.scripts, s.ping)
	case "sdktest":
		running, err = startSDKTest(ctx, serveJob{Ping: s.ping})
	default:
		return errors.New("no such server")
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, running.stop()) }()
	accounts, err := running.register(ctx, s.accounts)
	if err != nil {
		return err
	}
	return s.play(
		ctx,
		&stage{
			service: running.service, scenario: s, accounts: accounts, transports: b.transportsAt(running.service, s),
			peers: b.peers,
		},
	)
}

func (b *bench) transportsAt(at service, s scenario) []string {
	return slices.DeleteFunc(slices.Clone(transports), func(t string) bool {
		return at.Addresses[t] == "" || !chosen(b.transports, t) || b.transports == "" && slices.Contains(s.without,
			at.Name+" "+t)
	})
}

// peersOver are the peers that know the transport, of those that are named or are in the scenario.
func (st *stage) peersOver(transport string) []peer {
	return slices.DeleteFunc(peers(), func(p peer) bool {
		named := st.peers != "" && chosen(st.peers, p.name) || st.peers == "" && slices.Contains(p.in, st.scenario.name)
		return !named || !slices.Contains(p.transports, transport)
	})
}

func chosen(list, name string) bool {
	return list == "" || slices.Contains(strings.Split(list, ","), name)
}
