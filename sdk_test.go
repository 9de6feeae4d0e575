package sdk_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for what must come: for one that would hang. Nothing takes so
// long, however busy the machine.
const patience = 2 * time.Minute

// soon is for calls that end by themselves. Their time is not that of Config.RequestTimeout, which
// tests make short.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// forEachMode runs f on every pair of transport and licence mode.
func forEachMode(t *testing.T, f func(t *testing.T, srv *sdktest.Server, cfg sdk.Config)) {
	for _, transport := range []sdk.Transport{sdk.TransportWebSocket, sdk.TransportTCP} {
		for _, trial := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/trial=%v", transport, trial), func(t *testing.T) {
				t.Parallel()
				srv := sdktest.New(t, sdktest.Options{Trial: trial})
				cfg := srv.Config()
				cfg.Transport = transport
				f(t, srv, cfg)
			})
		}
	}
}

// newClient returns a client that ends with the test.
func newClient(t *testing.T, cfg sdk.Config) *sdk.Client {
	t.Helper()
	client, err := sdk.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// register registers user and returns its client and credentials.
func register(t *testing.T, cfg sdk.Config, user string) (*sdk.Client, sdk.Credentials) {
	t.Helper()
	client := newClient(t, cfg)
	res, err := client.Register(soon(t), user)
	require.NoError(t, err)
	return client, res.Data
}

// login registers user and connects.
func login(t *testing.T, cfg sdk.Config, user string) *sdk.Client {
	t.Helper()
	client, credentials := register(t, cfg, user)
	connect(t, client, credentials)
	return client
}

func connect(t *testing.T, client *sdk.Client, credentials sdk.Credentials) {
	t.Helper()
	res, err := client.Connect(soon(t), credentials.Username, credentials.Password)
	require.NoError(t, err)
	require.Equal(t, sdk.Result[sdk.None]{StatusCode: 200, Message: "Login Success"}, res)
}

// events collects what a listener gets.
type events[T any] struct {
	mu   sync.Mutex
	all  []T
	more chan struct{}
}

func collect[T any](on func(func(T)) func()) *events[T] {
	e := &events[T]{more: make(chan struct{}, 1)}
	on(func(event T) {
		e.mu.Lock()
		e.all = append(e.all, event)
		e.mu.Unlock()
		select {
		case e.more <- struct{}{}:
		default:
		}
	})
	return e
}

func (e *events[T]) list() []T {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]T(nil), e.all...)
}

// until waits for an event that matches and returns it.
func (e *events[T]) until(t *testing.T, match func(T) bool) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	seen := 0
	for {
		all := e.list()
		for ; seen < len(all); seen++ {
			if match(all[seen]) {
				return all[seen]
			}
		}
		select {
		case <-e.more:
		case <-ctx.Done():
			t.Fatalf("event did not come; the last of %d: %+v", len(all), all[max(0, len(all)-8):])
		}
	}
}

func statuses(e *events[sdk.ConnectionEvent]) []sdk.ConnectionStatus {
	var out []sdk.ConnectionStatus
	for _, event := range e.list() {
		out = append(out, event.Status)
	}
	return out
}

func hasStatus(s sdk.ConnectionStatus) func(sdk.ConnectionEvent) bool {
	return func(e sdk.ConnectionEvent) bool { return e.Status == s }
}

func TestTour(t *testing.T) {
	forEachMode(t, func(t *testing.T, srv *sdktest.Server, cfg sdk.Config) {
		alice, credentials := register(t, cfg, "alice")
		require.Equal(t, "alice@"+srv.Domain(), credentials.UserJID)
		connection := collect(alice.OnConnection)
		require.Equal(t, sdk.StatusDisconnected, alice.State())
		connect(t, alice, credentials)
		require.Equal(t, sdk.StatusConnected, alice.State())

		presence := collect(alice.OnPresence)
		profiles := collect(alice.OnUserProfile)
		bob := login(t, cfg, "bob")
		presence.until(t, func(e sdk.PresenceEvent) bool {
			return e == sdk.PresenceEvent{FromUserJID: "bob@" + srv.Domain(), Status: "online"}
		})

		set, err := bob.SetUserProfile(t.Context(), sdk.ProfileUpdate{
			Name: "Bob", Email: "bob@example.com", MobileNumber: "123", Status: "<busy> & \"away\"",
			Image: sdk.ImageURL("https://example.com/b.png"),
		})
		require.NoError(t, err)
		require.Equal(t, sdk.ProfileImage{
			FileToken:      "https://example.com/b.png",
			FileTokenThumb: "https://example.com/b.png",
		}, set.Data)
		want := sdk.Profile{
			UserID: "bob", UserJID: "bob@" + srv.Domain(), FromUser: "bob", NickName: "Bob", Email: "bob@example.com",
			MobileNumber: "123", Status: "<busy> & \"away\"", Image: "https://example.com/b.png",
			ThumbImage: "https://example.com/b.png",
		}
		profiles.until(t, func(p sdk.Profile) bool { return p == want })

		got, err := alice.GetUserProfile(t.Context(), "bob@"+srv.Domain())
		require.NoError(t, err)
		require.Equal(t, want, got.Data)

		jid, err := alice.GetCurrentUserJID()
		require.NoError(t, err)
		require.Equal(t, "alice@"+srv.Domain(), jid.Data)

		_, err = bob.Logout(t.Context())
		require.NoError(t, err)
		presence.until(t, func(e sdk.PresenceEvent) bool { return e.Status == "unavailable" })
		_, err = bob.GetCurrentUserJID()
		require.ErrorIs(t, err, sdk.ErrNotRegistered)

		_, err = alice.Logout(t.Context())
		require.NoError(t, err)
		connection.until(t, hasStatus(sdk.StatusDisconnected))
		require.Equal(t, []sdk.ConnectionStatus{sdk.StatusConnected, sdk.StatusDisconnected}, statuses(connection))
		require.Equal(t, sdk.StatusDisconnected, alice.State())
	})
}
