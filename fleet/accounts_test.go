package fleet_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/fleet"
	"github.com/mirrorfly-go/sdk/fleet/fleettest"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

const (
	limit = time.Minute
	pause = 10 * time.Millisecond
)

// list is the accounts of a fleet, as a test changes them.
type list struct {
	mu    sync.Mutex
	all   []fleet.Account
	err   error
	asked int // since it was set
}

func (l *list) set(err error, all ...fleet.Account) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all, l.err, l.asked = all, err, 0
}

func (l *list) get(context.Context) ([]fleet.Account, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	return slices.Clone(l.all), l.err
}

// untilAsked waits until what was set last is known.
func (l *list) untilAsked(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.asked > 1
	}, limit, pause)
}

// register registers accounts of the service.
func register(t *testing.T, srv *sdktest.Server, names ...string) []fleet.Account {
	t.Helper()
	client, err := sdk.New(srv.Config())
	require.NoError(t, err)
	defer client.Close()
	var all []fleet.Account
	for _, name := range names {
		found, err := client.Register(t.Context(), name)
		require.NoError(t, err)
		all = append(all, fleet.Account{Username: found.Data.Username, Password: found.Data.Password})
	}
	return all
}

// run runs a member until the test ends.
func run(t *testing.T, srv *sdktest.Server, accounts *list, change func(*fleet.Config)) *fleet.Fleet {
	t.Helper()
	cfg := fleet.Config{
		Client: srv.Config(), Accounts: accounts.get, Refresh: 20 * time.Millisecond, Store: fleettest.NewStore(),
		TTL: time.Second,
	}
	if change != nil {
		change(&cfg)
	}
	f, err := fleet.New(cfg)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }() // ends with the test
	t.Cleanup(func() {
		stop()
		require.NoError(t, patient.Receive(t, ended))
		require.ErrorContains(t, f.Run(context.Background()), "before")
	})
	return f
}

// until waits until the accounts of f are in these states, by name.
func until(t *testing.T, f *fleet.Fleet, want map[string]fleet.State) []fleet.AccountStatus {
	t.Helper()
	var all []fleet.AccountStatus
	require.Eventually(t, func() bool {
		all = f.Accounts()
		if len(all) != len(want) {
			return false
		}
		for _, s := range all {
			if want[s.Username] != s.State {
				return false
			}
		}
		return true
	}, limit, pause)
	return all
}

const (
	up     = fleet.StateUp
	parked = fleet.StateParked
)

func TestAccountsChange(t *testing.T) {
	srv := sdktest.New(t)
	all := register(t, srv, "anna", "ben", "carl")
	accounts := &list{}
	accounts.set(nil, all[0], all[1])
	f := run(t, srv, accounts, nil)
	until(t, f, map[string]fleet.State{"anna": up, "ben": up})
	accounts.set(nil, all[1], all[2], all[2], fleet.Account{Username: "nobody"})
	until(t, f, map[string]fleet.State{"ben": up, "carl": up})
	require.Empty(t, srv.Resources("anna"))
	require.Equal(t, []string{"Web-fleet"}, srv.Resources("carl"))

	accounts.set(errors.New("the database is away"))
	accounts.untilAsked(t)
	until(t, f, map[string]fleet.State{"ben": up, "carl": up})
}

func TestParked(t *testing.T) {
	srv := sdktest.New(t)
	all := register(t, srv, "anna", "ben", "carl")
	accounts := &list{}
	wrong := fleet.Account{Username: "ben", Password: "wrong"}
	accounts.set(nil, all[0], wrong, all[2])
	refusal := errors.New("carl is on holiday")
	f := run(t, srv, accounts, func(cfg *fleet.Config) {
		cfg.Setup = func(_ context.Context, a fleet.Account, epoch uint64, _ *sdk.Client) error {
			if epoch == 0 {
				t.Error("no epoch")
			}
			if a.Username == "carl" {
				return refusal
			}
			return nil
		}
	})
	found := until(t, f, map[string]fleet.State{"anna": up, "ben": parked, "carl": parked})
	require.ErrorIs(t, found[1].Reason, sdk.ErrInvalidCredentials)
	require.ErrorIs(t, found[2].Reason, refusal)
	accounts.set(nil, all...)
	until(t, f, map[string]fleet.State{"anna": up, "ben": up, "carl": parked})
}

// Who replaces a session of the fleet is not fought: it is tried once more after others would have
// taken over, and then left alone.
func TestReplaced(t *testing.T) {
	srv := sdktest.New(t)
	accounts := &list{}
	accounts.set(nil, register(t, srv, "anna")...)
	given := make(chan struct{}, 1)
	f := run(t, srv, accounts, func(cfg *fleet.Config) {
		cfg.Setup = func(ctx context.Context, _ fleet.Account, _ uint64, _ *sdk.Client) error {
			context.AfterFunc(ctx, func() { given <- struct{}{} })
			return nil
		}
	})
	for range 2 {
		until(t, f, map[string]fleet.State{"anna": up})
		srv.Push("anna", `<stream:error xmlns:stream="http://etherx.jabber.org/streams">`+
			`<conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error>`)
		require.Eventually(t, func() bool { return f.Accounts()[0].State != up }, limit, pause)
	}
	found := until(t, f, map[string]fleet.State{"anna": parked})
	require.ErrorIs(t, found[0].Reason, sdk.ErrReplaced)
	require.Empty(t, given, "it is not given up")
}

// A lost connection is the client's to make again.
func TestReconnects(t *testing.T) {
	srv := sdktest.New(t)
	accounts := &list{}
	accounts.set(nil, register(t, srv, "anna")...)
	var mu sync.Mutex
	var told []fleet.AccountStatus
	f := run(t, srv, accounts, func(cfg *fleet.Config) {
		cfg.Client.Reconnect.MinDelay = time.Millisecond
		cfg.OnChange = func(s fleet.AccountStatus) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, s)
		}
	})
	until(t, f, map[string]fleet.State{"anna": up})
	srv.DropConnections()
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(told) == 3
	}, limit, pause)
	mu.Lock()
	defer mu.Unlock()
	for i, want := range []fleet.State{up, fleet.StateDown, up} {
		require.Equal(t, want, told[i].State)
		require.Equal(t, told[0].Epoch, told[i].Epoch)
	}
	require.Error(t, told[1].Reason)
}

// A program's own HTTP client carries what its accounts do.
func TestOwnHTTPClient(t *testing.T) {
	srv := sdktest.New(t)
	accounts := &list{}
	accounts.set(nil, register(t, srv, "anna", "ben")...)
	f := run(t, srv, accounts, func(cfg *fleet.Config) {
		own := &http.Transport{
			TLSClientConfig: cfg.Client.TLSConfig, DialContext: cfg.Client.DialContext, TLSHandshakeTimeout: limit,
		}
		t.Cleanup(own.CloseIdleConnections)
		cfg.Client.HTTPClient = &http.Client{Transport: own}
		cfg.Client.TLSConfig, cfg.Client.DialContext = nil, nil
	})
	until(t, f, map[string]fleet.State{"anna": up, "ben": up})
}
