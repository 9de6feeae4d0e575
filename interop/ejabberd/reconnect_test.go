package ejabberd

import (
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
	node := xmppserver.Ejabberd(t, xmppserver.Options{})
	overEach(t, node, func(t *testing.T, s *service) {
		u := s.login(t, "anna", quickly)
		before := resources(s, u)
		require.JSONEq(t, `{"num_resources": 1}`, node.API("kick_user", s.account(u)))
		u.requireBack(t)
		require.NotEqual(t, before, resources(s, u), "not a fresh resource")
	})
}

// What is pushed while the connection is away arrives later.
func TestResume(t *testing.T) {
	t.Parallel()
	node := xmppserver.Ejabberd(t, xmppserver.Options{})
	overEach(t, node, func(t *testing.T, s *service) {
		var line users.Line
		cfg := s.rest.Config()
		quickly(&cfg)
		cfg.DialContext = line.Dial
		desk := users.Login(t, cfg, "anna-"+s.way.suffix)
		desk.RequireResumed(t, &line, desk.Again(t, s.rest.Config()), users.Register(t, s.rest.Config(), "ben-"+s.way.suffix))
	})
}

// A session that another one has replaced must not take it back: the two would
// replace each other for ever.
func TestNoReconnectAfterConflict(t *testing.T) {
	t.Parallel()
	node := xmppserver.Ejabberd(t, xmppserver.Options{Env: map[string]string{"MAX_SESSIONS": "1"}})
	overEach(t, node, func(t *testing.T, s *service) {
		first := s.login(t, "anna", quickly)
		second := s.loginAgain(t, first, quickly)
		lost := await(t, first.connections, func(sdk.ConnectionEvent) bool { return true })
		require.Equal(t, sdk.StatusDisconnected, lost.Status)
		require.ErrorContains(t, lost.Err, "conflict")
		// While the replaced session is still in its table, ejabberd replaces that again instead of the other.
		require.Eventually(t, func() bool {
			return node.API("num_resources", s.account(first)) == `{"resources":1}`
		}, patience, 20*time.Millisecond)
		// The next event is that of the Connect below, so there was no attempt in between.
		first.mustConnectNext(t)
		require.Equal(t, sdk.StatusDisconnected, await(t, second.connections, func(sdk.ConnectionEvent) bool { return true }).Status)
	})
}

func (u *user) mustConnectNext(t *testing.T) {
	t.Helper()
	_, err := u.Connect(t.Context(), u.id(), u.credentials.Password)
	require.NoError(t, err)
	require.Equal(t, sdk.StatusConnected, await(t, u.connections, func(sdk.ConnectionEvent) bool { return true }).Status)
}

func TestReconnectAfterRestart(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*xmppserver.Server){
		"stopped": (*xmppserver.Server).Stop,
		"killed":  (*xmppserver.Server).Kill,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := xmppserver.Ejabberd(t, xmppserver.Options{})
			var users []*user
			for _, way := range transports {
				s := newService(t, node, way)
				users = append(users, s.login(t, "anna", quickly), s.login(t, "ben", quickly))
			}
			node.Ctl("eval", "mnesia:sync_log().") // a killed node forgets what it has not written yet
			end(node)
			for _, u := range users {
				u.awaitStatus(t, sdk.StatusDisconnected)
				u.awaitStatus(t, sdk.StatusConnectionFailed)
				_, err := u.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "a@example.com"})
				require.ErrorIs(t, err, sdk.ErrNotConnected)
			}
			node.Start()
			for _, u := range users {
				u.awaitStatus(t, sdk.StatusConnected)
				_, err := u.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "a@example.com"})
				require.NoError(t, err)
			}
		})
	}
}

// requireBack waits until a lost connection has been made again, and uses it.
func (u *user) requireBack(t *testing.T) {
	t.Helper()
	u.awaitStatus(t, sdk.StatusDisconnected)
	require.Equal(t, 1, u.awaitStatus(t, sdk.StatusReconnecting).Attempt)
	u.awaitStatus(t, sdk.StatusConnected)
	_, err := u.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "a@example.com"})
	require.NoError(t, err)
}

// resources is what ejabberd knows of the user's resources, as JSON.
func resources(s *service, u *user) string {
	return s.node.API("user_resources", s.account(u))
}
