package prosody

import (
	"testing"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/stretchr/testify/require"
)

// TestStockServer shows what a server without the service's own module cannot
// do, and that the library says so.
func TestStockServer(t *testing.T) {
	t.Parallel()
	node := start(t, xmppserver.Options{})
	overEach(t, node, func(t *testing.T, s *service) {
		anna, ben := s.login(t, "anna"), s.login(t, "ben")

		_, err := anna.GetUsersWhoBlockedMe(t.Context())
		users.RequireRefused(t, err, "service-unavailable")
		_, err = anna.GetLastSeen(t.Context(), ben.JID())
		users.RequireRefused(t, err, "forbidden")
		_, err = anna.GetLastSeen(t.Context(), "nobody@"+node.Domain)
		users.RequireRefused(t, err, "forbidden")

		s.befriend(anna, ben)
		anna.RequireOnline(t, ben) // who has not logged out yet
		_, err = ben.Logout(t.Context())
		require.NoError(t, err)
		ben.AwaitStatus(t, sdk.StatusDisconnected)
		seen, err := anna.GetLastSeen(t.Context(), ben.JID())
		require.NoError(t, err)
		require.Equal(t, ben.JID(), seen.Data.FromUserJID)
		require.Less(t, seen.Data.Seconds, int64(60))
	})
}

// TestStockBlocking: block lists are a standard (XEP-0191), so they work everywhere. Unlike
// ejabberd, Prosody shows the blocked one that the other has gone, and has come back.
func TestStockBlocking(t *testing.T) {
	t.Parallel()
	node := start(t, xmppserver.Options{})
	overEach(t, node, func(t *testing.T, s *service) {
		anna, ben := s.friends(t)
		anna.RequireIBlocked(t)

		block(t, anna, ben)
		anna.AwaitMyBlock(t, ben, true)
		ben.AwaitPresence(t, anna, "unavailable")
		anna.RequireIBlocked(t, ben)
		_, err := ben.GetLastSeen(t.Context(), anna.JID())
		users.RequireRefused(t, err, "service-unavailable")
		_, err = anna.GetLastSeen(t.Context(), ben.JID())
		users.RequireRefused(t, err, "not-acceptable")

		unblock(t, anna, ben)
		anna.AwaitMyBlock(t, ben, false)
		ben.AwaitPresence(t, anna, "online")
		anna.RequireIBlocked(t)
		ben.RequireOnline(t, anna)
	})
}

// TestBlockTwice: what is so already is no error, here as on ejabberd.
func TestBlockTwice(t *testing.T) {
	t.Parallel()
	node := start(t, xmppserver.Options{})
	overEach(t, node, func(t *testing.T, s *service) {
		anna, ben := s.login(t, "anna"), s.register(t, "ben")
		block(t, anna, ben)
		block(t, anna, ben)
		anna.RequireIBlocked(t, ben)
		unblock(t, anna, ben)
		unblock(t, anna, ben)
		anna.RequireIBlocked(t)
		_, err := anna.BlockUser(t.Context(), "nobody@"+node.Domain)
		require.NoError(t, err)
	})
}

// TestBlockOnAnotherDevice: a change of the list reaches those sessions of the user that
// have asked for the list, and only those.
func TestBlockOnAnotherDevice(t *testing.T) {
	t.Parallel()
	node := start(t, xmppserver.Options{})
	overEach(t, node, func(t *testing.T, s *service) {
		phone, ben := s.login(t, "anna"), s.register(t, "ben")
		desk := phone.Again(t, s.config())
		desk.RequireIBlocked(t)

		block(t, phone, ben)
		desk.AwaitMyBlock(t, ben, true)
		phone.RequireIBlocked(t, ben)
		unblock(t, phone, ben)
		desk.AwaitMyBlock(t, ben, false)
		// The first that the phone is told is the unblock: when it blocked it had not asked yet.
		first := users.Await(t, phone.Blocks, func(sdk.BlockEvent) bool { return true })
		require.Equal(t, sdk.BlockEvent{UserID: ben.ID(), UserJID: ben.JID(), ByMe: true}, first)
	})
}

// TestWholePage runs what is left of the Profile page on a server with the optional module.
func TestWholePage(t *testing.T) {
	t.Parallel()
	node := start(t, xmppserver.Options{MirrorFly: true})
	overEach(t, node, func(t *testing.T, s *service) {
		anna, ben := s.login(t, "anna"), s.login(t, "ben")
		ben.RequireOnline(t, anna) // no subscription needed here
		ben.RequireBlockedBy(t)
		anna.RequireIBlocked(t)

		block(t, anna, ben)
		ben.AwaitBlockedBy(t, anna, true)
		ben.AwaitPresence(t, anna, "unavailable") // told before the block itself, protocol.md 6.4
		anna.AwaitMyBlock(t, ben, true)
		anna.RequireIBlocked(t, ben)
		ben.RequireBlockedBy(t, anna)
		anna.RequireBlockedBy(t)
		_, err := ben.GetLastSeen(t.Context(), anna.JID())
		users.RequireRefused(t, err, "service-unavailable") // by the block list, before the module is asked

		unblock(t, anna, ben)
		ben.AwaitBlockedBy(t, anna, false)
		anna.AwaitMyBlock(t, ben, false)
		anna.RequireIBlocked(t)
		ben.RequireBlockedBy(t)
		ben.RequireOnline(t, anna)

		_, err = anna.Logout(t.Context())
		require.NoError(t, err)
		seen, err := ben.GetLastSeen(t.Context(), anna.JID())
		require.NoError(t, err)
		require.Equal(t, anna.JID(), seen.Data.FromUserJID)
		_, err = ben.GetLastSeen(t.Context(), "nobody@"+node.Domain)
		users.RequireRefused(t, err, "item-not-found")

		_, err = ben.DeleteMyAccount(t.Context(), "tour is over", "")
		require.NoError(t, err)
		require.JSONEq(t, "1", node.API("check_account", s.account(ben)), "still there")
		ben.AwaitStatus(t, sdk.StatusDisconnected)
	})
}

// TestQRLogin: the session of a scanned code is one like any other.
func TestQRLogin(t *testing.T) {
	t.Parallel()
	node := start(t, xmppserver.Options{MirrorFly: true})
	overEach(t, node, func(t *testing.T, s *service) {
		phone := s.login(t, "anna")
		web := users.New(t, s.config())
		login, err := web.GenerateQRCode(t.Context(), sdk.QROptions{SignalServerURL: s.rest.SignalURL()})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, login.Close()) })
		code := users.Await(t, login.Codes(), func(*sdk.QRCode) bool { return true })
		require.NoError(t, s.rest.Phone(phone.ID()).Scan(t.Context(), code.Content()))
		res, err := login.Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, phone.ID(), res.Data.Username)
		web.RequireOnline(t, phone)
		require.JSONEq(t, `{"resources": 2}`, node.API("num_resources", s.account(phone)))
		_, err = web.Logout(t.Context())
		require.NoError(t, err)
	})
}

func block(t *testing.T, by, whom *users.User) {
	t.Helper()
	_, err := by.BlockUser(t.Context(), whom.JID())
	require.NoError(t, err)
}

func unblock(t *testing.T, by, whom *users.User) {
	t.Helper()
	_, err := by.UnblockUser(t.Context(), whom.JID())
	require.NoError(t, err)
}
