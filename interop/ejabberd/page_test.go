package ejabberd

import (
	"testing"

	"github.com/mirrorfly-go/sdk/interop/internal/tour"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/stretchr/testify/require"
)

// refusals shows what a server without the service's own module cannot
// do, and that the library says so.
func refusals(t *testing.T, s *tour.Service) {
	anna, ben := s.Login(t, "anna"), s.Login(t, "ben")

	_, err := anna.GetUsersWhoBlockedMe(t.Context())
	users.RequireRefused(t, err, "service-unavailable")
	_, err = anna.GetLastSeen(t.Context(), ben.JID())
	users.RequireRefused(t, err, "subscription-required")
	_, err = anna.GetLastSeen(t.Context(), "nobody@"+s.Node.Domain)
	users.RequireRefused(t, err, "subscription-required")

	tour.Befriend(s.Node, anna, ben)
	anna.RequireOnline(t, ben)
	_, err = ben.Logout(t.Context())
	require.NoError(t, err)
	anna.AwaitPresence(t, ben, "online")
	anna.AwaitPresence(t, ben, "unavailable")
	seen, err := anna.GetLastSeen(t.Context(), ben.JID())
	require.NoError(t, err)
	require.Equal(t, ben.JID(), seen.Data.FromUserJID)
	require.Less(t, seen.Data.Seconds, int64(60))
}

// blocking: block lists are a standard (XEP-0191), so they work everywhere.
func blocking(t *testing.T, s *tour.Service) {
	anna, ben := s.Friends(t)
	anna.RequireIBlocked(t)

	anna.Block(t, ben)
	anna.AwaitMyBlock(t, ben, true)
	anna.RequireIBlocked(t, ben)
	_, err := ben.GetLastSeen(t.Context(), anna.JID())
	users.RequireRefused(t, err, "forbidden")
	_, err = anna.GetLastSeen(t.Context(), ben.JID())
	users.RequireRefused(t, err, "not-acceptable")

	anna.Unblock(t, ben)
	anna.AwaitMyBlock(t, ben, false)
	anna.RequireIBlocked(t)
	ben.RequireOnline(t, anna)
}

func TestWholePage(t *testing.T) {
	t.Parallel()
	node := xmppserver.Ejabberd(t, xmppserver.Options{MirrorFly: true})
	tour.OverEach(t, node, func(t *testing.T, s *tour.Service) { tour.BlocksAndEnd(t, s, "forbidden") })
}

// blockOnAnotherDevice: the change of a list reaches every session of the user, that of
// the change too.
func blockOnAnotherDevice(t *testing.T, s *tour.Service) {
	phone, ben := s.Login(t, "anna"), s.Register(t, "ben")
	desk := phone.Again(t, s.Config())
	phone.Block(t, ben)
	phone.AwaitMyBlock(t, ben, true)
	desk.AwaitMyBlock(t, ben, true)
	desk.RequireIBlocked(t, ben)
	phone.Unblock(t, ben)
	phone.AwaitMyBlock(t, ben, false)
	desk.AwaitMyBlock(t, ben, false)
}
