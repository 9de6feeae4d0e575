package prosody

import (
	"testing"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/tour"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/stretchr/testify/require"
)

// refusals shows what a server without the service's own module cannot
// do, and that the library says so.
func refusals(t *testing.T, s *tour.Service) {
	anna, ben := s.Login(t, "anna"), s.Login(t, "ben")

	_, err := anna.GetUsersWhoBlockedMe(t.Context())
	users.RequireRefused(t, err, "service-unavailable")
	_, err = anna.GetLastSeen(t.Context(), ben.JID())
	users.RequireRefused(t, err, "forbidden")
	_, err = anna.GetLastSeen(t.Context(), "nobody@"+s.Node.Domain)
	users.RequireRefused(t, err, "forbidden")

	tour.Befriend(s.Node, anna, ben)
	anna.RequireOnline(t, ben) // who has not logged out yet
	_, err = ben.Logout(t.Context())
	require.NoError(t, err)
	ben.AwaitStatus(t, sdk.StatusDisconnected)
	seen, err := anna.GetLastSeen(t.Context(), ben.JID())
	require.NoError(t, err)
	require.Equal(t, ben.JID(), seen.Data.FromUserJID)
	require.Less(t, seen.Data.Seconds, int64(60))
}

// blocking: block lists are a standard (XEP-0191), so they work everywhere. Unlike
// ejabberd, Prosody shows the blocked one that the other has gone, and has come back.
func blocking(t *testing.T, s *tour.Service) {
	anna, ben := s.Friends(t)
	anna.RequireIBlocked(t)

	anna.Block(t, ben)
	anna.AwaitMyBlock(t, ben, true)
	ben.AwaitPresence(t, anna, "unavailable")
	anna.RequireIBlocked(t, ben)
	_, err := ben.GetLastSeen(t.Context(), anna.JID())
	users.RequireRefused(t, err, "service-unavailable")
	_, err = anna.GetLastSeen(t.Context(), ben.JID())
	users.RequireRefused(t, err, "not-acceptable")

	anna.Unblock(t, ben)
	anna.AwaitMyBlock(t, ben, false)
	ben.AwaitPresence(t, anna, "online")
	anna.RequireIBlocked(t)
	ben.RequireOnline(t, anna)
}

// blockTwice: what is so already is no error, here as on ejabberd.
func blockTwice(t *testing.T, s *tour.Service) {
	anna, ben := s.Login(t, "anna"), s.Register(t, "ben")
	anna.Block(t, ben)
	anna.Block(t, ben)
	anna.RequireIBlocked(t, ben)
	anna.Unblock(t, ben)
	anna.Unblock(t, ben)
	anna.RequireIBlocked(t)
	_, err := anna.BlockUser(t.Context(), "nobody@"+s.Node.Domain)
	require.NoError(t, err)
}

// blockOnAnotherDevice: a change of the list reaches those sessions of the user that
// have asked for the list, and only those.
func blockOnAnotherDevice(t *testing.T, s *tour.Service) {
	phone, ben := s.Login(t, "anna"), s.Register(t, "ben")
	desk := phone.Again(t, s.Config())
	desk.RequireIBlocked(t)

	phone.Block(t, ben)
	desk.AwaitMyBlock(t, ben, true)
	phone.RequireIBlocked(t, ben)
	phone.Unblock(t, ben)
	desk.AwaitMyBlock(t, ben, false)
	// The first that the phone is told is the unblock: when it blocked it had not asked yet.
	first := users.Await(t, phone.Blocks, func(sdk.BlockEvent) bool { return true })
	require.Equal(t, sdk.BlockEvent{UserID: ben.ID(), UserJID: ben.JID(), ByMe: true}, first)
}

func wholePage(t *testing.T, s *tour.Service) {
	tour.BlocksAndEnd(t, s, "service-unavailable") // by the block list, before the module is asked
}

// qrLogin: the session of a scanned code is one like any other.
func qrLogin(t *testing.T, s *tour.Service) {
	phone := s.Login(t, "anna")
	web := users.New(t, s.Config())
	login, err := web.GenerateQRCode(t.Context(), sdk.QROptions{SignalServerURL: s.REST.SignalURL()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, login.Close()) })
	code := users.Await(t, login.Codes(), func(*sdk.QRCode) bool { return true })
	require.NoError(t, s.REST.Phone(phone.ID()).Scan(t.Context(), code.Content()))
	res, err := login.Wait(t.Context())
	require.NoError(t, err)
	require.Equal(t, phone.ID(), res.Data.Username)
	web.RequireOnline(t, phone)
	require.JSONEq(t, `{"resources": 2}`, s.Node.API("num_resources", s.Account(phone)))
	_, err = web.Logout(t.Context())
	require.NoError(t, err)
}
