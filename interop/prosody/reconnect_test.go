package prosody

import (
	"strings"
	"testing"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/tour"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/stretchr/testify/require"
)

func reconnectAfterKick(t *testing.T, s *tour.Service) {
	u := s.Login(t, "anna", tour.Quickly)
	require.JSONEq(t, `{"num_resources": 1}`, s.Node.API("kick_user", s.Account(u)))
	require.ErrorContains(t, u.AwaitStatus(t, sdk.StatusDisconnected).Err, "policy-violation")
	u.RequireBack(t)
}

func TestReconnectAfterRestart(t *testing.T) {
	t.Parallel()
	tour.Restart(t, xmppserver.ProsodyWithAPI(t, xmppserver.Options{}))
}

// removedAccount: a session whose account the server has removed ends, and the client does not try
// to bring it back.
func removedAccount(t *testing.T, s *tour.Service) {
	u := s.Login(t, "anna", tour.Quickly)
	s.Node.API("unregister", s.Account(u))
	lost := users.Await(t, u.Connections, func(sdk.ConnectionEvent) bool { return true })
	require.Equal(t, sdk.StatusDisconnected, lost.Status)
	var cause *sdk.Error
	require.ErrorAs(t, lost.Err, &cause)
	require.Equal(t, "not-authorized", cause.Condition)
	// The next event is that of this Connect, so there was no attempt in between.
	_, err := u.Connect(t.Context(), u.ID(), u.Account.Password)
	tour.RequireInvalidCredentials(t, err)
	require.Equal(t,
		sdk.StatusAuthFail, users.Await(t, u.Connections, func(sdk.ConnectionEvent) bool { return true }).Status,
	)
}

// TestOversized: a stanza above the server's limit costs the connection, and the call says so.
func TestOversized(t *testing.T) {
	t.Parallel()
	node := xmppserver.ProsodyWithAPI(t, xmppserver.Options{Env: map[string]string{"MAX_STANZA": "20000"}})
	tour.OverEach(t, node, func(t *testing.T, s *tour.Service) {
		u := s.Login(t, "anna", tour.Quickly)
		_, err := u.SetUserProfile(
			t.Context(), sdk.ProfileUpdate{Email: "a@example.com", Status: strings.Repeat("long ", 10_000)},
		)
		users.RequireLost(t, err)
		u.AwaitStatus(t, sdk.StatusDisconnected)
		u.RequireBack(t)
		u.RequireProfile(t, u, sdk.ProfileUpdate{Email: "a@example.com"}, sdk.ProfileImage{})
	})
}
