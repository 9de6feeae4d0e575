package sdk_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// resuming starts a server with stream management, and alice on it.
func resuming(
	t *testing.T, transport sdk.Transport, change func(*sdk.Config),
) (*sdktest.Server, *sdk.Client, *events[sdk.ConnectionEvent]) {
	t.Helper()
	srv := sdktest.New(t, sdktest.Options{ResumeTimeout: time.Minute})
	cfg := quick(srv.Config())
	cfg.Transport = transport
	if change != nil {
		change(&cfg)
	}
	client, credentials := register(t, cfg, "alice")
	connection := collect(client.OnConnection)
	connect(t, client, credentials)
	managed(t, client)
	return srv, client, connection
}

// managed waits until the server has answered the first stanzas, that is, until it counts.
func managed(t *testing.T, client *sdk.Client) {
	t.Helper()
	_, err := client.GetUsersIBlocked(soon(t))
	require.NoError(t, err)
}

// numbered is a presence that is told apart by who sends it.
func numbered(n int) string {
	return fmt.Sprintf("<presence xmlns='jabber:client' from='%s/x'/>", number(n))
}

func number(n int) string { return fmt.Sprintf("n%d@xmpp.mirrorfly.test", n) }

// resumption waits for the nth loss to be mended.
func resumption(t *testing.T, connection *events[sdk.ConnectionEvent], n int) sdk.ConnectionEvent {
	t.Helper()
	count := 0
	return connection.until(t, func(e sdk.ConnectionEvent) bool {
		if isBack(e) {
			count++
		}
		return count == n
	})
}

// A login of somebody else while the client reconnects is a fresh one: neither does it ask for the
// stream of who was there before, nor has it missed anything.
func TestConnectOfAnotherUserTakesNoStream(t *testing.T) {
	for _, transport := range []sdk.Transport{sdk.TransportWebSocket, sdk.TransportTCP} {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			srv, client, connection := resuming(t, transport, func(cfg *sdk.Config) {
				// Nobody waits for that: Connect comes first.
				cfg.Reconnect = sdk.ReconnectPolicy{MinDelay: 10000 * time.Hour, MaxDelay: 10000 * time.Hour}
			})
			_, bob := register(t, srv.Config(), "bob")
			var told []any
			client.OnMissed(func(e sdk.MissedEvent) { told = append(told, e) })
			client.OnConnection(func(e sdk.ConnectionEvent) { told = append(told, e.Status, e.Resumed) })
			srv.DropConnections()
			connection.until(t, hasStatus(sdk.StatusReconnecting))
			connect(t, client, bob)
			profiles := collect(client.OnUserProfile)
			_, err := client.GetUserProfile(t.Context(), "bob")
			require.NoError(t, err)
			// What was told before has reached the listeners when this has.
			profiles.until(t, func(p sdk.Profile) bool { return p.UserID == "bob" })
			require.Equal(t, []any{
				sdk.StatusDisconnected, false, sdk.StatusReconnecting, false,
				sdk.StatusDisconnected, false, sdk.StatusConnected, false,
			}, told)
			require.Len(t, srv.Resources("bob"), 1)
			jid, err := client.GetCurrentUserJID()
			require.NoError(t, err)
			require.Equal(t, "bob@"+srv.Domain(), jid.Data)
		})
	}
}

func TestResume(t *testing.T) {
	for _, transport := range []sdk.Transport{sdk.TransportWebSocket, sdk.TransportTCP} {
		t.Run(string(transport), func(t *testing.T) {
			t.Parallel()
			srv, client, connection := resuming(t, transport, nil)
			presence, missed := collect(client.OnPresence), collect(client.OnMissed)
			resource := srv.Resources("alice")
			const losses, each = 5, 40
			for loss := range losses {
				for i := range each {
					if i == each/2 {
						srv.DropConnections() // what is on its way, and what follows, arrives later
					}
					require.Equal(t, 1, srv.Push("alice", numbered(loss*each+i)))
				}
				require.True(t, resumption(t, connection, loss+1).Resumed)
				_, err := client.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "a@example.com"})
				require.NoError(t, err, "the resumed session works")
			}
			presence.until(t, func(e sdk.PresenceEvent) bool { return e.FromUserJID == number(losses*each-1) })
			for i, e := range presence.list() {
				require.Equal(t, number(i), e.FromUserJID, "once each, and in order")
			}
			require.Len(t, presence.list(), losses*each)
			require.Empty(t, missed.list())
			require.Equal(t, resource, srv.Resources("alice"), "it is the same session")
			legalOrder(t, statuses(connection))
		})
	}
}

func TestWhatCannotBeResumedIsTold(t *testing.T) {
	lost := func(t *testing.T, srv *sdktest.Server, client *sdk.Client, connection *events[sdk.ConnectionEvent]) {
		missed := collect(client.OnMissed)
		before := srv.Resources("alice")
		srv.DropConnections()
		require.False(t, resumption(t, connection, 1).Resumed)
		require.Equal(t, sdk.MissedEvent{Gap: true}, missed.until(t, func(sdk.MissedEvent) bool { return true }))
		require.Subset(t, append(before, srv.Resources("alice")...), srv.Resources("alice"))
		_, err := client.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "a@example.com"})
		require.NoError(t, err, "the fresh session works")
		require.Len(t, missed.list(), 1)
	}
	t.Run("not offered", func(t *testing.T) {
		srv := sdktest.New(t)
		client, credentials := register(t, quick(srv.Config()), "alice")
		connection := collect(client.OnConnection)
		connect(t, client, credentials)
		lost(t, srv, client, connection)
	})
	t.Run("refused", func(t *testing.T) {
		srv, client, connection := resuming(t, sdk.TransportWebSocket, nil)
		srv.SetFault(sdktest.StepResume, sdktest.FaultError)
		lost(t, srv, client, connection)
	})
	t.Run("ended by the server", func(t *testing.T) {
		srv, client, connection := resuming(t, sdk.TransportTCP, nil)
		missed := collect(client.OnMissed)
		require.NoError(t, srv.Restart())
		require.False(t, resumption(t, connection, 1).Resumed)
		missed.until(t, func(e sdk.MissedEvent) bool { return e.Gap })
	})
}

// Whatever happens while the stream is being taken up, the client comes back, and nothing comes
// twice.
func TestFaultsOfResumption(t *testing.T) {
	for _, kind := range []sdktest.FaultKind{
		sdktest.FaultSilent, sdktest.FaultClose, sdktest.FaultMalformed,
		sdktest.FaultHuge,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			failures := 2 // one more, and a fresh stream is asked for
			// Each takes two connections: a server that ends the stream may not like what is
			// written ahead.
			allowed := int32(4)
			var dials atomic.Int32
			cleared := make(chan struct{})
			srv, client, connection := resuming(t, sdk.TransportWebSocket, func(cfg *sdk.Config) {
				if kind == sdktest.FaultSilent { // which ends an attempt only when its time is over
					// and one of them takes it all. The next one has the same time to succeed.
					failures, allowed, cfg.RequestTimeout = 1, 1, 5*time.Second
				}
				dial := cfg.DialContext
				cfg.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
					if dials.Add(1) > allowed {
						select {
						case <-cleared:
						case <-ctx.Done():
							return nil, ctx.Err()
						}
					}
					return dial(ctx, network, address)
				}
				dials.Store(-100) // of logging in
			})
			presence := collect(client.OnPresence)
			srv.SetFault(sdktest.StepResume, kind)
			dials.Store(0)
			srv.DropConnections()
			connection.until(t, func(e sdk.ConnectionEvent) bool {
				return e.Status == sdk.StatusConnectionFailed && e.Attempt == failures
			})
			srv.Push("alice", numbered(0))
			srv.ClearFaults()
			close(cleared)
			require.True(t, resumption(t, connection, 1).Resumed)
			presence.until(t, func(e sdk.PresenceEvent) bool { return e.FromUserJID == number(0) })
			require.Len(t, presence.list(), 1)
			legalOrder(t, statuses(connection))
		})
	}
}

// The server names the place where it wants the stream resumed.
func TestResumeAtTheNamedAddress(t *testing.T) {
	srv := sdktest.New(t, sdktest.Options{ResumeTimeout: time.Minute})
	cfg := quick(srv.Config())
	cfg.Transport = sdk.TransportTCP
	named := srv.XMPPAddress()
	srv.SetResumeLocation(named)
	_, port, err := net.SplitHostPort(named)
	require.NoError(t, err)
	cfg.XMPPAddress = "xmpp://localhost:" + port // another name of it
	dialled := make(chan string, 16)
	dial := cfg.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	cfg.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if _, p, _ := net.SplitHostPort(address); p == port {
			dialled <- address
		}
		return dial(ctx, network, address)
	}
	client, credentials := register(t, cfg, "alice")
	connection := collect(client.OnConnection)
	connect(t, client, credentials)
	managed(t, client)
	require.Equal(t, "localhost:"+port, patient.Receive(t, dialled))
	srv.DropConnections()
	require.True(t, resumption(t, connection, 1).Resumed)
	require.Equal(t, named, patient.Receive(t, dialled))
}

// After Logout and Close nothing is left to be resumed.
func TestAnOrderlyEndIsFinal(t *testing.T) {
	srv, client, _ := resuming(t, sdk.TransportWebSocket, nil)
	require.NoError(t, client.Close())
	require.Empty(t, srv.Resources("alice"))
}

// A Connect that takes over from reconnecting takes up the stream, too.
func TestConnectTakesOver(t *testing.T) {
	srv := sdktest.New(t, sdktest.Options{ResumeTimeout: time.Minute})
	cfg := srv.Config()
	cfg.Reconnect.MinDelay, cfg.Reconnect.MaxDelay = time.Hour, time.Hour
	client, credentials := register(t, cfg, "alice")
	connection, presence, missed := collect(client.OnConnection), collect(client.OnPresence), collect(client.OnMissed)
	connect(t, client, credentials)
	managed(t, client)
	srv.DropConnections()
	connection.until(t, hasStatus(sdk.StatusReconnecting))
	srv.Push("alice", numbered(1)) // the server keeps it for the stream
	connect(t, client, credentials)
	managed(t, client)
	presence.until(t, func(e sdk.PresenceEvent) bool { return e.FromUserJID == number(1) })
	require.Empty(t, missed.list())
	require.Len(t, srv.Resources("alice"), 1)
}

// A server whose resumption is broken does not keep the client away.
func TestBrokenResumption(t *testing.T) {
	srv, _, connection := resuming(t, sdk.TransportWebSocket, nil)
	srv.SetFault(sdktest.StepResume, sdktest.FaultClose) // login and bind work all the time
	srv.DropConnections()
	n := 0
	connection.until(t, func(e sdk.ConnectionEvent) bool {
		if isBack(e) {
			return true
		}
		if e.Status == sdk.StatusConnectionFailed {
			n++
		}
		require.Less(t, n, 30, "a fresh session was never tried: %v", e.Err)
		return false
	})
}

// A place to resume at that does not answer is not tried for ever.
func TestDeadLocation(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and stays silent
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	srv := sdktest.New(t, sdktest.Options{ResumeTimeout: time.Minute})
	cfg := quick(srv.Config())
	cfg.Transport = sdk.TransportTCP
	cfg.RequestTimeout = 2 * time.Second
	srv.SetResumeLocation(ln.Addr().String())
	client, credentials := register(t, cfg, "alice")
	connection := collect(client.OnConnection)
	connect(t, client, credentials)
	managed(t, client)
	srv.DropConnections()
	n := 0
	for {
		e := connection.until(t, func(e sdk.ConnectionEvent) bool {
			return isBack(e) || e.Attempt > n && e.Status == sdk.StatusConnectionFailed
		})
		if isBack(e) {
			return
		}
		n = e.Attempt
		require.Less(t, n, 5, "the other addresses were never tried: %v", e.Err)
	}
}

// What the client has acknowledged does not count against what is kept for it.
func TestManyPushes(t *testing.T) {
	srv, client, connection := resuming(t, sdk.TransportTCP, nil)
	for range 90 {
		for range 100 {
			srv.Push("alice", "<message xmlns='jabber:client' from='x@y'/>")
		}
		managed(t, client) // it has read them all
	}
	srv.DropConnections()
	require.True(t, resumption(t, connection, 1).Resumed)
}
