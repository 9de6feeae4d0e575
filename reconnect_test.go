package sdk_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// quick makes reconnection fast enough for a test.
func quick(cfg sdk.Config) sdk.Config {
	cfg.Reconnect.MinDelay = 10 * time.Millisecond
	cfg.Reconnect.MaxDelay = 40 * time.Millisecond
	return cfg
}

// legalOrder checks the order that ConnectionEvent promises.
func legalOrder(t *testing.T, got []sdk.ConnectionStatus) {
	t.Helper()
	follows := map[sdk.ConnectionStatus][]sdk.ConnectionStatus{
		"":                  {sdk.StatusConnected, sdk.StatusConnectionFailed, sdk.StatusAuthFail},
		sdk.StatusConnected: {sdk.StatusDisconnected, sdk.StatusLoggedOut},
		sdk.StatusLoggedOut: {sdk.StatusDisconnected},
		sdk.StatusDisconnected: {
			sdk.StatusReconnecting, sdk.StatusConnected, sdk.StatusConnectionFailed,
			sdk.StatusAuthFail,
		},
		sdk.StatusReconnecting: {
			sdk.StatusConnected, sdk.StatusConnectionFailed, sdk.StatusAuthFail,
			sdk.StatusDisconnected,
		},
		sdk.StatusConnectionFailed: {
			sdk.StatusReconnecting, sdk.StatusConnected, sdk.StatusConnectionFailed,
			sdk.StatusAuthFail, sdk.StatusDisconnected,
		},
		sdk.StatusAuthFail: {
			sdk.StatusConnected, sdk.StatusConnectionFailed, sdk.StatusAuthFail,
			sdk.StatusDisconnected,
		},
	}
	last := sdk.ConnectionStatus("")
	for i, status := range got {
		require.Contains(t, follows[last], status, "event %d of %v", i, got)
		last = status
	}
}

func TestReconnect(t *testing.T) {
	forEachMode(t, func(t *testing.T, srv *sdktest.Server, cfg sdk.Config) {
		client, credentials := register(t, quick(cfg), "alice")
		connection := collect(client.OnConnection)
		connect(t, client, credentials)
		resources := map[string]bool{srv.Resources("alice")[0]: true}
		const losses = 3
		for n := range losses {
			srv.DropConnections()
			count := 0
			connection.until(t, func(e sdk.ConnectionEvent) bool {
				if e.Status == sdk.StatusConnected {
					count++
				}
				return count == n+2
			})
			resources[srv.Resources("alice")[0]] = true
			_, err := client.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "a@example.com"})
			require.NoError(t, err, "the new session works")
		}
		require.Len(t, resources, 1, "one for the life of the client")
		for r := range resources {
			require.True(t, strings.HasPrefix(r, "Web-"), r)
		}
		legalOrder(t, statuses(connection))
		for _, event := range connection.list() {
			switch event.Status {
			case sdk.StatusDisconnected:
				require.ErrorIs(t, event.Err, sdk.ErrNotConnected)
			case sdk.StatusReconnecting:
				require.GreaterOrEqual(t, event.Attempt, 1)
				require.LessOrEqual(t, event.RetryIn, 40*time.Millisecond)
			}
		}
	})
}

func TestReconnectSurvivesAServerThatIsAway(t *testing.T) {
	srv := sdktest.New(t)
	client, credentials := register(t, quick(srv.Config()), "alice")
	connection := collect(client.OnConnection)
	connect(t, client, credentials)
	srv.SetFault(sdktest.StepUpgrade, sdktest.FaultError)
	srv.DropConnections()
	connection.until(t, func(e sdk.ConnectionEvent) bool {
		return e.Status == sdk.StatusConnectionFailed && e.Attempt == 4
	})
	srv.ClearFaults()
	connection.until(t, func(e sdk.ConnectionEvent) bool { return e.Status == sdk.StatusConnected && e.Attempt > 4 })
	legalOrder(t, statuses(connection))
	attempt := 0
	for _, e := range connection.list() {
		if e.Status == sdk.StatusReconnecting {
			attempt++
			require.Equal(t, attempt, e.Attempt)
		}
	}
}

func TestReconnectLimits(t *testing.T) {
	t.Run("disabled", func(t *testing.T) {
		srv := sdktest.New(t)
		cfg := srv.Config()
		cfg.Reconnect.Disabled = true
		client, credentials := register(t, cfg, "alice")
		connection := collect(client.OnConnection)
		connect(t, client, credentials)
		srv.DropConnections()
		connection.until(t, hasStatus(sdk.StatusDisconnected))
		connect(t, client, credentials)
		require.NoError(t, client.Close())
		require.NotContains(t, statuses(connection), sdk.StatusReconnecting)
	})
	t.Run("attempts", func(t *testing.T) {
		srv := sdktest.New(t)
		cfg := quick(srv.Config())
		cfg.Reconnect.MaxAttempts = 3
		client, credentials := register(t, cfg, "alice")
		connection := collect(client.OnConnection)
		connect(t, client, credentials)
		srv.SetFault(sdktest.StepUpgrade, sdktest.FaultError)
		srv.DropConnections()
		connection.until(t, func(e sdk.ConnectionEvent) bool {
			return e.Status == sdk.StatusConnectionFailed && e.Attempt == 3
		})
		require.Equal(t, sdk.StatusConnectionFailed, client.State())
		srv.ClearFaults()
		connect(t, client, credentials)
		legalOrder(t, statuses(connection))
	})
}

func TestNoReconnectAfter(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(t *testing.T, srv *sdktest.Server, client *sdk.Client)
		last sdk.ConnectionStatus
	}{
		"logout": {func(t *testing.T, _ *sdktest.Server, client *sdk.Client) {
			_, err := client.Logout(t.Context())
			require.NoError(t, err)
		}, sdk.StatusDisconnected},
		"close": {func(t *testing.T, _ *sdktest.Server, client *sdk.Client) {
			require.NoError(t, client.Close())
		}, sdk.StatusDisconnected},
		"conflict": {func(_ *testing.T, srv *sdktest.Server, _ *sdk.Client) {
			srv.Push("alice", `<stream:error xmlns:stream="http://etherx.jabber.org/streams">`+
				`<conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error>`)
		}, sdk.StatusDisconnected},
		"account deleted": {func(t *testing.T, _ *sdktest.Server, client *sdk.Client) {
			_, err := client.DeleteMyAccount(t.Context(), "done", "")
			require.NoError(t, err)
		}, sdk.StatusDisconnected},
	} {
		t.Run(name, func(t *testing.T) {
			srv := sdktest.New(t)
			client, credentials := register(t, quick(srv.Config()), "alice")
			connection := collect(client.OnConnection)
			connect(t, client, credentials)
			c.end(t, srv, client)
			connection.until(t, hasStatus(c.last))
			require.NoError(t, client.Close()) // waits for whatever still runs
			require.Equal(t, []sdk.ConnectionStatus{sdk.StatusConnected, c.last}, statuses(connection))
		})
	}
}

func TestWrongCredentialsEndReconnection(t *testing.T) {
	srv := sdktest.New(t)
	client, credentials := register(t, quick(srv.Config()), "alice")
	connection := collect(client.OnConnection)
	connect(t, client, credentials)
	srv.SetFault(sdktest.StepAuth, sdktest.FaultError)
	srv.DropConnections()
	event := connection.until(t, hasStatus(sdk.StatusAuthFail))
	require.ErrorIs(t, event.Err, sdk.ErrInvalidCredentials)
	require.Equal(t, []sdk.ConnectionStatus{
		sdk.StatusConnected, sdk.StatusDisconnected, sdk.StatusReconnecting, sdk.StatusAuthFail,
	}, statuses(connection))
	res, err := client.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "a@example.com"})
	answered(t, 500, "Connection Error", sdk.ErrNotConnected, res, err)
	srv.ClearFaults()
	connect(t, client, credentials)
}

// Close, Logout and Connect at any moment of a reconnection: no deadlock, events in order, nothing
// left.
func TestEverythingAtOnce(t *testing.T) {
	srv := sdktest.New(t)
	client, credentials := register(t, quick(srv.Config()), "alice")
	connection := collect(client.OnConnection)
	var wg sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	for _, do := range []func(){
		srv.DropConnections,
		func() { _, _ = client.Connect(ctx, credentials.Username, credentials.Password) },
		func() { _, _ = client.Connect(ctx, credentials.Username, credentials.Password) },
		func() { _, _ = client.Logout(ctx) },
		func() { _, _ = client.SetUserProfile(ctx, sdk.ProfileUpdate{Email: "a@example.com"}) },
		func() { _, _ = client.Register(ctx, "alice") },
	} {
		wg.Go(func() {
			for ctx.Err() == nil {
				do()
			}
		})
	}
	wg.Wait()
	var closing sync.WaitGroup
	for range 3 {
		closing.Go(func() { require.NoError(t, client.Close()) })
	}
	closing.Wait()
	legalOrder(t, statuses(connection))
	res, err := client.Connect(t.Context(), "alice", "any")
	answered(t, 500, "Client is closed", sdk.ErrClosed, res, err)
}

func TestCloseDuringConnect(t *testing.T) {
	srv := sdktest.New(t)
	client, credentials := register(t, srv.Config(), "alice")
	srv.SetFault(sdktest.StepBind, sdktest.FaultSilent)
	time.AfterFunc(100*time.Millisecond, func() { _ = client.Close() })
	res, err := client.Connect(t.Context(), credentials.Username, credentials.Password)
	answered(t, 500, "Client is closed", sdk.ErrClosed, res, err)
	register, err := client.Register(t.Context(), "alice")
	answered(t, 500, "Client is closed", sdk.ErrClosed, register, err)
}

// Another session has taken this one's place (RFC 6120 4.9.3.3): no network has failed, nothing
// comes back, and whoever asks is told so.
func TestReplaced(t *testing.T) {
	for _, transport := range bothTransports {
		for text, kind := range map[string]error{
			`<conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/>`: sdk.ErrReplaced,
			`<conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/>` +
				`<text xmlns="urn:ietf:params:xml:ns:xmpp-streams">User removed</text>`: nil,
			`<not-authorized xmlns="urn:ietf:params:xml:ns:xmpp-streams"/>`: nil,
		} {
			srv := sdktest.New(t)
			cfg := quick(srv.Config())
			cfg.Transport = transport
			client, credentials := register(t, cfg, "alice")
			connection := collect(client.OnConnection)
			connect(t, client, credentials)
			srv.Push("alice", `<stream:error xmlns:stream="http://etherx.jabber.org/streams">`+text+`</stream:error>`)
			event := connection.until(t, hasStatus(sdk.StatusDisconnected))
			require.True(t, event.Final)
			require.NotErrorIs(t, event.Err, sdk.ErrNetwork)
			require.Equal(t, kind == nil, errors.Is(event.Err, sdk.ErrNotConnected), "%v", event.Err)
			require.Equal(t, kind != nil, errors.Is(event.Err, sdk.ErrReplaced), "%v", event.Err)

			_, err := client.GetUsersIBlocked(t.Context())
			require.ErrorIs(t, err, sdk.ErrNotConnected)
			require.NotErrorIs(t, err, sdk.ErrNetwork)
			require.Equal(t, kind != nil, errors.Is(err, sdk.ErrReplaced), "%v", err)
			require.ErrorContains(t, err, "the client does not reconnect")
			if kind != nil {
				require.ErrorContains(t, err, "Connect would end the other session")
				var e *sdk.Error
				require.ErrorAs(t, err, &e)
				require.False(t, e.Retryable())
			}
			_, err = client.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "a@example.com"})
			require.Equal(t, kind != nil, errors.Is(err, sdk.ErrReplaced), "%v", err)
			require.ErrorContains(t, err, "the client does not reconnect")
			require.Equal(t, kind != nil, errors.Is(client.WaitConnected(t.Context()), sdk.ErrReplaced))

			connect(t, client, credentials)
			require.NoError(t, client.WaitConnected(t.Context()))
		}
	}
}

// A call that is under way when its session is replaced is told that, too.
func TestReplacedDuringACall(t *testing.T) {
	srv := sdktest.New(t)
	client := login(t, srv.Config(), "alice")
	srv.SetFault(sdktest.StepIQ, sdktest.FaultSilent)
	failed := make(chan error, 1)
	go func() {
		_, err := client.GetUsersIBlocked(t.Context())
		failed <- err
	}()
	require.NoError(t, srv.Wait(soon(t), "the request has come", func() bool {
		return slices.ContainsFunc(srv.Requests(), func(r sdktest.Request) bool {
			return strings.Contains(r.Stanza, "blocklist")
		})
	}))
	srv.Push("alice", `<stream:error xmlns:stream="http://etherx.jabber.org/streams">`+
		`<conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error>`)
	err := patient.Receive(t, failed)
	require.ErrorIs(t, err, sdk.ErrReplaced)
	require.ErrorIs(t, err, sdk.ErrNotConnected)
	require.NotErrorIs(t, err, sdk.ErrNetwork)
}
