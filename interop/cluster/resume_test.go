package cluster

import (
	"testing"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/stretchr/testify/require"
)

// resumeAtTheOtherNode: a stream that one node has lost is taken up at the other, as long as the
// first runs.
func (s *service) resumeAtTheOtherNode(t *testing.T) {
	u, line := s.loginOver(t, "anna", s.other, s.Node)
	device, ben := s.againAt(t, s.Node, u), s.Register(t, "ben")
	line.Avoid(s.Way.Host(s.other))
	u.RequireResumed(t, line, device, ben, func() int { return s.Node.ResumptionsTimedOut(u.JID()) })
	s.requireAt(t, u, s.Node, s.Node)
}

// idleAtTheOtherNode is a user there who may go to either node when the stream ends.
func (s *service) idleAtTheOtherNode(t *testing.T) *users.User {
	u, line := s.loginOver(t, "ida", s.other, s.Node)
	u.RequireIBlocked(t) // the stream counts by now
	line.Avoid("")
	return u
}

// requireGap: when the node of a stream has died there is a fresh one, and listeners are told of
// the gap.
func requireGap(t *testing.T, u *users.User) {
	t.Helper()
	require.False(t, u.AwaitStatus(t, sdk.StatusConnected).Resumed)
	require.Equal(t, sdk.MissedEvent{Gap: true}, users.Await(t, u.Missed, func(sdk.MissedEvent) bool { return true }))
}

// loginOver logs a user in at one node, over a line that stays away from the other.
func (s *service) loginOver(t *testing.T, short string, at, away *xmppserver.Server) (*users.User, *users.Line) {
	t.Helper()
	line := new(users.Line)
	line.Avoid(s.Way.Host(away))
	u := s.Register(t, short, withPolicy, func(cfg *sdk.Config) { cfg.DialContext = line.Dial })
	connectWhenKnown(t, u)
	s.requireAt(t, u, at)
	return u, line
}
