package prosody

import (
	"strings"
	"testing"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/stretchr/testify/require"
)

// quickly keeps the waiting between attempts short.
func quickly(cfg *sdk.Config) {
	cfg.Reconnect = sdk.ReconnectPolicy{MinDelay: 50 * time.Millisecond, MaxDelay: 500 * time.Millisecond}
}

func TestReconnectAfterKick(t *testing.T) {
	t.Parallel()
	node := start(t, xmppserver.Options{})
	overEach(t, node, func(t *testing.T, s *service) {
		u := s.login(t, "anna", quickly)
		require.JSONEq(t, `{"num_resources": 1}`, node.API("kick_user", s.account(u)))
		require.ErrorContains(t, u.AwaitStatus(t, sdk.StatusDisconnected).Err, "policy-violation")
		requireBack(t, u)
	})
}

func TestReconnectAfterRestart(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*xmppserver.Server){
		"stopped": (*xmppserver.Server).Stop,
		"killed":  (*xmppserver.Server).Kill,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := start(t, xmppserver.Options{})
			var all []*users.User
			for _, way := range transports {
				s := newService(t, node, way)
				all = append(all, s.login(t, "anna", quickly), s.login(t, "ben", quickly))
			}
			end(node)
			for _, u := range all {
				u.AwaitStatus(t, sdk.StatusDisconnected) // with stream management even a Prosody that stops says no more
				u.AwaitStatus(t, sdk.StatusConnectionFailed)
				_, err := u.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "a@example.com"})
				users.RequireLost(t, err)
			}
			node.Start()
			for _, u := range all {
				requireBack(t, u)
			}
		})
	}
}

// TestResume: what is pushed while the connection is away arrives later.
func TestResume(t *testing.T) {
	t.Parallel()
	node := start(t, xmppserver.Options{})
	overEach(t, node, func(t *testing.T, s *service) {
		var line users.Line
		desk := s.login(t, "anna", quickly, func(cfg *sdk.Config) { cfg.DialContext = line.Dial })
		desk.RequireResumed(t, &line, desk.Again(t, s.config()), s.register(t, "ben"))
	})
}

// TestRemovedAccount: a session whose account the server has removed ends, and nobody tries
// to bring it back.
func TestRemovedAccount(t *testing.T) {
	t.Parallel()
	node := start(t, xmppserver.Options{})
	overEach(t, node, func(t *testing.T, s *service) {
		u := s.login(t, "anna", quickly)
		node.API("unregister", s.account(u))
		lost := users.Await(t, u.Connections, func(sdk.ConnectionEvent) bool { return true })
		require.Equal(t, sdk.StatusDisconnected, lost.Status)
		var cause *sdk.Error
		require.ErrorAs(t, lost.Err, &cause)
		require.Equal(t, "not-authorized", cause.Condition)
		// The next event is that of this Connect, so there was no attempt in between.
		_, err := u.Connect(t.Context(), u.ID(), u.Account.Password)
		requireInvalidCredentials(t, err)
		require.Equal(t, sdk.StatusAuthFail, users.Await(t, u.Connections, func(sdk.ConnectionEvent) bool { return true }).Status)
	})
}

// TestOversized: a stanza above the server's limit costs the connection, and the call says so.
func TestOversized(t *testing.T) {
	t.Parallel()
	node := start(t, xmppserver.Options{Env: map[string]string{"MAX_STANZA": "20000"}})
	overEach(t, node, func(t *testing.T, s *service) {
		u := s.login(t, "anna", quickly)
		_, err := u.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "a@example.com", Status: strings.Repeat("long ", 10_000)})
		users.RequireLost(t, err)
		u.AwaitStatus(t, sdk.StatusDisconnected)
		requireBack(t, u)
		u.RequireProfile(t, u, sdk.ProfileUpdate{Email: "a@example.com"}, sdk.ProfileImage{})
	})
}

// requireBack waits until a lost connection has been made again, and uses it.
func requireBack(t *testing.T, u *users.User) {
	t.Helper()
	u.AwaitStatus(t, sdk.StatusConnected)
	_, err := u.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "a@example.com"})
	require.NoError(t, err)
}
