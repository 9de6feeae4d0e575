package ejabberd

import (
	"testing"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/stretchr/testify/require"
)

// TestStockServer shows what a server without the service's own module cannot
// do, and that the library says so.
func TestStockServer(t *testing.T) {
	t.Parallel()
	node := xmppserver.Ejabberd(t, xmppserver.Options{})
	overEach(t, node, func(t *testing.T, s *service) {
		anna, ben := s.login(t, "anna"), s.login(t, "ben")

		_, err := anna.GetUsersWhoBlockedMe(t.Context())
		requireFailure(t, err, "service-unavailable")
		_, err = anna.GetLastSeen(t.Context(), ben.jid())
		requireFailure(t, err, "subscription-required")
		_, err = anna.GetLastSeen(t.Context(), "nobody@"+node.Domain)
		requireFailure(t, err, "subscription-required")

		s.befriend(anna, ben)
		requireOnline(t, anna, ben)
		_, err = ben.Logout(t.Context())
		require.NoError(t, err)
		anna.awaitPresence(t, ben, "online")
		anna.awaitPresence(t, ben, "unavailable")
		seen, err := anna.GetLastSeen(t.Context(), ben.jid())
		require.NoError(t, err)
		require.Equal(t, ben.jid(), seen.Data.FromUserJID)
		require.Less(t, seen.Data.Seconds, int64(60))
	})
}

// TestStockBlocking: block lists are a standard (XEP-0191), so they work everywhere.
func TestStockBlocking(t *testing.T) {
	t.Parallel()
	node := xmppserver.Ejabberd(t, xmppserver.Options{})
	overEach(t, node, func(t *testing.T, s *service) {
		anna, ben := s.login(t, "anna"), s.login(t, "ben")
		s.befriend(anna, ben)
		ben.awaitPresence(t, anna, "online")
		requireIBlocked(t, anna)

		block(t, anna, ben)
		requireIBlocked(t, anna, ben)
		_, err := ben.GetLastSeen(t.Context(), anna.jid())
		requireFailure(t, err, "forbidden")
		_, err = anna.GetLastSeen(t.Context(), ben.jid())
		requireFailure(t, err, "not-acceptable")

		unblock(t, anna, ben)
		requireIBlocked(t, anna)
		requireOnline(t, ben, anna)
	})
}

// TestWholePage runs what is left of the Profile page on a server with the optional module.
func TestWholePage(t *testing.T) {
	t.Parallel()
	node := xmppserver.Ejabberd(t, xmppserver.Options{MirrorFly: true})
	overEach(t, node, func(t *testing.T, s *service) {
		anna, ben := s.login(t, "anna"), s.login(t, "ben")
		requireOnline(t, ben, anna) // no subscription needed here
		requireWhoBlocked(t, ben)

		block(t, anna, ben)
		awaitBlockedBy(t, ben, anna, true)
		ben.awaitPresence(t, anna, "unavailable") // told before the block itself, protocol.md 6.4
		requireIBlocked(t, anna, ben)
		requireWhoBlocked(t, ben, anna)
		requireWhoBlocked(t, anna)
		_, err := ben.GetLastSeen(t.Context(), anna.jid())
		requireFailure(t, err, "forbidden")

		unblock(t, anna, ben)
		awaitBlockedBy(t, ben, anna, false)
		requireIBlocked(t, anna)
		requireWhoBlocked(t, ben)
		requireOnline(t, ben, anna)

		_, err = anna.Logout(t.Context())
		require.NoError(t, err)
		seen, err := ben.GetLastSeen(t.Context(), anna.jid())
		require.NoError(t, err)
		require.Equal(t, anna.jid(), seen.Data.FromUserJID)
		_, err = ben.GetLastSeen(t.Context(), "nobody@"+node.Domain)
		requireFailure(t, err, "item-not-found")

		_, err = ben.DeleteMyAccount(t.Context(), "tour is over", "")
		require.NoError(t, err)
		require.JSONEq(t, "1", node.API("check_account", s.account(ben)), "still there")
		ben.awaitStatus(t, sdk.StatusDisconnected)
	})
}

// TestBlockOnAnotherDevice: the change of a list reaches the user's other sessions.
func TestBlockOnAnotherDevice(t *testing.T) {
	t.Parallel()
	node := xmppserver.Ejabberd(t, xmppserver.Options{})
	overEach(t, node, func(t *testing.T, s *service) {
		phone, ben := s.login(t, "anna"), s.register(t, "ben")
		desk := s.loginAgain(t, phone)
		block(t, phone, ben)
		awaitMyBlock(t, desk, ben, true)
		requireIBlocked(t, desk, ben)
		unblock(t, phone, ben)
		awaitMyBlock(t, desk, ben, false)
	})
}

// block blocks and waits for the push that every resource gets, the sender's too.
func block(t *testing.T, by, whom *user) {
	t.Helper()
	_, err := by.BlockUser(t.Context(), whom.jid())
	require.NoError(t, err)
	awaitMyBlock(t, by, whom, true)
}

func unblock(t *testing.T, by, whom *user) {
	t.Helper()
	_, err := by.UnblockUser(t.Context(), whom.jid())
	require.NoError(t, err)
	awaitMyBlock(t, by, whom, false)
}

func awaitMyBlock(t *testing.T, at, whom *user, blocked bool) {
	t.Helper()
	want := sdk.BlockEvent{UserID: whom.id(), UserJID: whom.jid(), Blocked: blocked, ByMe: true}
	await(t, at.blocks, func(e sdk.BlockEvent) bool { return e == want })
}

func awaitBlockedBy(t *testing.T, at, by *user, blocked bool) {
	t.Helper()
	want := sdk.BlockEvent{UserID: by.id(), UserJID: by.jid(), Blocked: blocked}
	await(t, at.blocks, func(e sdk.BlockEvent) bool { return e == want })
}

func requireIBlocked(t *testing.T, me *user, want ...*user) {
	t.Helper()
	res, err := me.GetUsersIBlocked(t.Context())
	require.NoError(t, err)
	require.Equal(t, jids(want), res.Data)
}

func requireWhoBlocked(t *testing.T, me *user, want ...*user) {
	t.Helper()
	res, err := me.GetUsersWhoBlockedMe(t.Context())
	require.NoError(t, err)
	require.Equal(t, jids(want), res.Data)
}

func jids(users []*user) []sdk.BlockedUser {
	list := []sdk.BlockedUser{}
	for _, u := range users {
		list = append(list, sdk.BlockedUser{JID: u.jid()})
	}
	return list
}

func requireOnline(t *testing.T, reader, other *user) {
	t.Helper()
	res, err := reader.GetLastSeen(t.Context(), other.jid())
	require.NoError(t, err)
	require.Equal(t, sdk.LastSeen{FromUserJID: other.jid(), Seconds: 0}, res.Data)
}
