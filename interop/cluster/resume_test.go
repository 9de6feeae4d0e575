package cluster

import (
	"testing"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/tour"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/stretchr/testify/require"
)

// TestResumeAtTheOtherNode: a stream that one node has lost is taken up at the other, as long as
// the first runs. When that has died there is a fresh one, and listeners are told of the gap.
func TestResumeAtTheOtherNode(t *testing.T) {
	t.Parallel()
	doomed, left := xmppserver.Cluster(t, xmppserver.Options{})
	var stranded []*users.User
	for _, way := range tour.Ways() {
		s := newService(t, way, left, doomed)
		u, line := s.loginOver(t, "carl", doomed, left)
		u.RequireIBlocked(t) // the stream counts by now
		line.Avoid("")
		stranded = append(stranded, u)
	}
	overEach(t, left, doomed, func(t *testing.T, s *service) {
		u, line := s.loginOver(t, "anna", doomed, left)
		device, ben := s.againAt(t, left, u), s.Register(t, "ben")
		line.Avoid(s.Way.Host(doomed))
		u.RequireResumed(t, line, device, ben, func() int { return left.ResumptionsTimedOut(u.JID()) })
		s.requireAt(t, u, left, left)
	})
	doomed.Kill()
	for _, u := range stranded {
		require.False(t, u.AwaitStatus(t, sdk.StatusConnected).Resumed)
		require.Equal(t, sdk.MissedEvent{Gap: true}, users.Await(t, u.Missed, func(sdk.MissedEvent) bool { return true }))
	}
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
