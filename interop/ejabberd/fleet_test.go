package ejabberd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mirrorfly-go/sdk/fleet"
	"github.com/mirrorfly-go/sdk/fleet/fleettest"
	"github.com/mirrorfly-go/sdk/interop/internal/tour"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/stretchr/testify/require"
)

// fleetLosesAMachine: a machine loses its power, so that ejabberd does not learn that its sessions
// are gone. The sessions of the member that takes over end them, because they have the same
// resource.
func fleetLosesAMachine(t *testing.T, s *tour.Service) {
	store := fleettest.NewStore()
	var accounts []fleet.Account
	var all []*users.User
	for i := range 6 {
		u := s.Register(t, fmt.Sprintf("fleet%d", i))
		all = append(all, u)
		accounts = append(accounts, fleet.Account{Username: u.ID(), Password: u.Account.Password})
	}
	var power power
	lost := member(t, s, &unplugged{store, &power}, accounts, &power)
	other := member(t, s, store, accounts, nil)
	until(t, "shared", func() bool { return up(lost) == 3 && up(other) == 3 })

	power.off.Store(true)
	until(t, "taken over", func() bool { return up(other) == 6 })
	for _, u := range all {
		until(t, "one session", func() bool {
			return s.Node.API("num_resources", s.Account(u)) == `{"resources":1}`
		})
		require.Contains(t, s.Node.API("user_resources", s.Account(u)), "Web-fleet")
	}
}

// member runs a member until the test ends; with power it is on a machine that can lose that.
func member(
	t *testing.T, s *tour.Service, store fleet.Store, accounts []fleet.Account, power *power,
) *fleet.Fleet {
	t.Helper()
	cfg := s.Config()
	if power != nil {
		next := cfg.DialContext
		cfg.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := next(ctx, network, address)
			if err != nil {
				return nil, err
			}
			t.Cleanup(func() { _ = conn.Close() }) // closed already where there was power
			return &poweredConn{conn, power}, nil
		}
	}
	f, err := fleet.New(fleet.Config{
		Client: cfg, Store: store, TTL: 2 * time.Second,
		Accounts: func(context.Context) ([]fleet.Account, error) { return accounts, nil },
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }() // ends with the test
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	return f
}

// power is that of a machine.
type power struct{ off atomic.Bool }

// poweredConn is a connection of that machine: without power it is not closed either.
type poweredConn struct {
	net.Conn
	power *power
}

func (c *poweredConn) Close() error {
	if c.power.off.Load() {
		return c.SetDeadline(time.Unix(1, 0)) // who reads must end
	}
	return c.Conn.Close()
}

// unplugged is the store as that machine sees it.
type unplugged struct {
	fleet.Store
	power *power
}

var errNoPower = errors.New("the machine has no power")

func (u *unplugged) Get(ctx context.Context, key string) (fleet.Entry, error) {
	if u.power.off.Load() {
		return fleet.Entry{}, errNoPower
	}
	return u.Store.Get(ctx, key)
}

func (u *unplugged) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	if u.power.off.Load() {
		return 0, errNoPower
	}
	return u.Store.Create(ctx, key, value)
}

func (u *unplugged) Update(ctx context.Context, key string, value []byte, last uint64) (uint64, error) {
	if u.power.off.Load() {
		return 0, errNoPower
	}
	return u.Store.Update(ctx, key, value, last)
}

func up(f *fleet.Fleet) int {
	n := 0
	for _, a := range f.Accounts() {
		if a.State == fleet.StateUp {
			n++
		}
	}
	return n
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	require.Eventually(t, done, users.Patience, 20*time.Millisecond, what)
}
