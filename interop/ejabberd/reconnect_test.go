package ejabberd

import (
	"testing"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/tour"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/stretchr/testify/require"
)

func reconnectAfterKick(t *testing.T, s *tour.Service) {
	u := s.Login(t, "anna", tour.Quickly)
	before := s.Node.API("user_resources", s.Account(u))
	require.JSONEq(t, `{"num_resources": 1}`, s.Node.API("kick_user", s.Account(u)))
	u.AwaitStatus(t, sdk.StatusDisconnected)
	require.Equal(t, 1, u.AwaitStatus(t, sdk.StatusReconnecting).Attempt)
	u.RequireBack(t)
	require.JSONEq(t, before, s.Node.API("user_resources", s.Account(u)), "the device keeps its resource")
}

// noReconnectAfterConflict: a session that another one has replaced must not take it back: the two
// would replace each other for ever. On a node that allows one session.
func noReconnectAfterConflict(t *testing.T, s *tour.Service) {
	first := s.Login(t, "anna", tour.Quickly)
	second := first.Again(t, s.Config(tour.Quickly))
	lost := nextConnection(t, first)
	require.Equal(t, sdk.StatusDisconnected, lost.Status)
	require.ErrorContains(t, lost.Err, "conflict")
	// While the replaced session is still in its table, ejabberd replaces that again instead of the
	// other.
	require.Eventually(t, func() bool {
		return s.Node.API("num_resources", s.Account(first)) == `{"resources":1}`
	}, users.Patience, 20*time.Millisecond)
	// The next event is that of this Connect, so there was no attempt in between.
	_, err := first.Connect(t.Context(), first.ID(), first.Account.Password)
	require.NoError(t, err)
	require.Equal(t, sdk.StatusConnected, nextConnection(t, first).Status)
	require.Equal(t, sdk.StatusDisconnected, nextConnection(t, second).Status)
}

func nextConnection(t *testing.T, u *users.User) sdk.ConnectionEvent {
	t.Helper()
	return users.Await(t, u.Connections, func(sdk.ConnectionEvent) bool { return true })
}
