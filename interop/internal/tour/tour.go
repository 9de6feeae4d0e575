package tour

import (
	"bytes"
	"image"
	"image/png"
	"testing"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/stretchr/testify/require"
)

// Profile is the tour itself: two users log in, one sets profiles, the other reads them, one logs
// out.
func Profile(t *testing.T, s *Service) {
	anna, ben := s.Friends(t)
	require.Equal(t, sdk.StatusConnected, anna.State())
	require.Equal(t, s.Name("anna")+"@"+s.Node.Domain, anna.JID())
	_, err := anna.Connect(t.Context(), anna.ID(), anna.Account.Password)
	require.ErrorIs(t, err, sdk.ErrAlreadyLoggedIn)

	picture := pngPicture(t)
	want := sdk.ProfileUpdate{
		Name: "Anna Ünal & Co. <1>", Status: "“here” <b>&amp;</b>", MobileNumber: "+49 170 1234567",
		Email: "anna@example.com",
		Image: sdk.ImageReader("anna.png", "image/png", bytes.NewReader(picture), int64(len(picture))),
	}
	set, err := anna.SetUserProfile(t.Context(), want)
	require.NoError(t, err)
	require.NotEmpty(t, set.Data.FileToken)
	ben.RequireProfile(t, anna, want, set.Data)
	anna.RequireProfile(t, anna, want, set.Data)

	// A second update replaces all of the first (protocol.md 5.2).
	want = sdk.ProfileUpdate{Name: "A", Email: "a@example.com"}
	set, err = anna.SetUserProfile(t.Context(), want)
	require.NoError(t, err)
	ben.RequireProfile(t, anna, want, set.Data)

	_, err = anna.Logout(t.Context())
	require.NoError(t, err)
	ben.AwaitPresence(t, anna, "unavailable")
	anna.AwaitStatus(t, sdk.StatusDisconnected)
	_, err = anna.SetUserProfile(t.Context(), want)
	require.ErrorIs(t, err, sdk.ErrNotRegistered)
	ben.RequireProfile(t, anna, want, set.Data)
}

// TwoResources: an account may be in use on two devices.
func TwoResources(t *testing.T, s *Service) {
	first, ben := s.Friends(t)
	second := first.Again(t, s.Config())
	// once more
	ben.AwaitPresence(t, first, "online")
	require.JSONEq(t, `{"resources": 2}`, s.Node.API("num_resources", s.Account(first)))
	for _, u := range []*users.User{first, second} {
		require.Equal(t, sdk.StatusConnected, u.State(), "a login elsewhere ended this one")
		_, err := u.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "anna@example.com"})
		require.NoError(t, err)
	}
}

// Refusals: passwords that the XMPP server does not take. What it offers differs with the way to
// store them, and so does what is chosen: this is for a node of each.
func Refusals(t *testing.T, s *Service) {
	t.Run("password changed on the XMPP server", func(t *testing.T) {
		u := s.Register(t, "anna")
		s.Node.API("change_password", s.Account(u, "newpass", "another"))
		_, err := u.Connect(t.Context(), u.ID(), u.Account.Password)
		RequireInvalidCredentials(t, err)
		u.AwaitStatus(t, sdk.StatusAuthFail)
	})
	t.Run("account gone from the XMPP server", func(t *testing.T) {
		u := s.Register(t, "ben")
		s.Node.API("unregister", s.Account(u))
		_, err := u.Connect(t.Context(), u.ID(), u.Account.Password)
		RequireInvalidCredentials(t, err)
	})
	t.Run("good password", func(t *testing.T) {
		s.Login(t, "carl")
	})
}

// RequireInvalidCredentials checks that a login failed because the XMPP server did not take the
// password.
func RequireInvalidCredentials(t testing.TB, err error) {
	t.Helper()
	require.ErrorIs(t, err, sdk.ErrInvalidCredentials)
	var refused *sdk.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 401, refused.StatusCode)
	require.Equal(t, "Invalid Credentials", refused.Message)
	require.Equal(t, "not-authorized", refused.Condition)
}

// UnknownHost asks for a domain, elsewhere.example.com, that the server does not serve. It says so
// itself, except over direct TLS: there onDirectTLS checks the error. With STARTTLS that comes
// before TLS, so it is told and nothing follows from it (protocol.md 13).
func UnknownHost(t *testing.T, s *Service, onDirectTLS func(error)) {
	u := s.Register(t, "anna", func(cfg *sdk.Config) { cfg.XMPPHost = "elsewhere.example.com" })
	_, err := u.Connect(t.Context(), u.ID(), u.Account.Password)
	require.NotErrorIs(t, err, sdk.ErrInvalidCredentials)
	if s.Way.Name == "direct TLS" {
		require.ErrorIs(t, err, sdk.ErrNetwork)
		onDirectTLS(err)
		return
	}
	require.ErrorContains(t, err, "host-unknown")
	want := "host-unknown"
	if s.Way.Name == "STARTTLS" {
		want = ""
	}
	var failed *sdk.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, want, failed.Condition)
}

// BlocksAndEnd runs what is left of the Profile page on a server with the optional module.
// blocked is the condition that somebody who is blocked meets.
func BlocksAndEnd(t *testing.T, s *Service, blocked string) {
	anna, ben := s.Login(t, "anna"), s.Login(t, "ben")
	// No subscription is needed here.
	ben.RequireOnline(t, anna)
	ben.RequireBlockedBy(t)
	anna.RequireIBlocked(t)

	anna.Block(t, ben)
	ben.AwaitBlockedBy(t, anna, true)
	// This comes before the block itself (protocol.md 6.4).
	ben.AwaitPresence(t, anna, "unavailable")
	anna.AwaitMyBlock(t, ben, true)
	anna.RequireIBlocked(t, ben)
	ben.RequireBlockedBy(t, anna)
	anna.RequireBlockedBy(t)
	_, err := ben.GetLastSeen(t.Context(), anna.JID())
	users.RequireRefused(t, err, blocked)

	anna.Unblock(t, ben)
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
	_, err = ben.GetLastSeen(t.Context(), "nobody@"+s.Node.Domain)
	users.RequireRefused(t, err, "item-not-found")

	_, err = ben.DeleteMyAccount(t.Context(), "tour is over", "")
	require.NoError(t, err)
	require.JSONEq(t, "1", s.Node.API("check_account", s.Account(ben)), "still there")
	ben.AwaitStatus(t, sdk.StatusDisconnected)
}

// pngPicture is a small picture of a kind that the service accepts.
func pngPicture(t testing.TB) []byte {
	t.Helper()
	var buf bytes.Buffer
	require.NoError(t, png.Encode(&buf, image.NewRGBA(image.Rect(0, 0, 32, 32))))
	return buf.Bytes()
}
