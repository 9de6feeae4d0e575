package ejabberd

import (
	"bytes"
	"crypto/x509"
	"image"
	"image/png"
	"testing"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/stretchr/testify/require"
)

func TestTour(t *testing.T) {
	t.Parallel()
	node := xmppserver.Ejabberd(t, xmppserver.Options{})
	overEach(t, node, func(t *testing.T, s *service) {
		anna, ben := s.login(t, "anna"), s.login(t, "ben")
		require.Equal(t, sdk.StatusConnected, anna.State())
		require.Equal(t, "anna-"+s.way.suffix+"@"+node.Domain, anna.jid())
		_, err := anna.Connect(t.Context(), anna.id(), anna.credentials.Password)
		require.ErrorIs(t, err, sdk.ErrAlreadyLoggedIn)

		s.befriend(anna, ben) // which tells each that the other is there
		anna.awaitPresence(t, ben, "online")
		ben.awaitPresence(t, anna, "online")

		picture := pngPicture(t)
		want := sdk.ProfileUpdate{
			Name: "Anna Ünal & Co. <1>", Status: "“here” <b>&amp;</b>", MobileNumber: "+49 170 1234567", Email: "anna@example.com",
			Image: sdk.ImageReader("anna.png", "image/png", bytes.NewReader(picture), int64(len(picture))),
		}
		set, err := anna.SetUserProfile(t.Context(), want)
		require.NoError(t, err)
		require.NotEmpty(t, set.Data.FileToken)
		requireProfile(t, ben, anna, want, set.Data)
		requireProfile(t, anna, anna, want, set.Data)

		// A second update replaces all of the first (protocol.md 5.2).
		want = sdk.ProfileUpdate{Name: "A", Email: "a@example.com"}
		set, err = anna.SetUserProfile(t.Context(), want)
		require.NoError(t, err)
		requireProfile(t, ben, anna, want, set.Data)

		_, err = anna.Logout(t.Context())
		require.NoError(t, err)
		ben.awaitPresence(t, anna, "unavailable")
		anna.awaitStatus(t, sdk.StatusDisconnected)
		_, err = anna.SetUserProfile(t.Context(), want)
		require.ErrorIs(t, err, sdk.ErrNotRegistered)
		requireProfile(t, ben, anna, want, set.Data)
	})
}

func TestTwoResources(t *testing.T) {
	t.Parallel()
	node := xmppserver.Ejabberd(t, xmppserver.Options{})
	overEach(t, node, func(t *testing.T, s *service) {
		first, ben := s.login(t, "anna"), s.login(t, "ben")
		second := s.loginAgain(t, first)
		s.befriend(first, ben)
		ben.awaitPresence(t, first, "online")
		require.JSONEq(t, `{"resources": 2}`, node.API("num_resources", s.account(first)))
		for _, u := range []*user{first, second} {
			require.Equal(t, sdk.StatusConnected, u.State(), "a login elsewhere ended this one")
			_, err := u.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "anna@example.com"})
			require.NoError(t, err)
		}
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, passwords := range []string{"scram", "plain"} { // what is offered differs, and so does what is chosen
		t.Run(passwords, func(t *testing.T) {
			t.Parallel()
			node := xmppserver.Ejabberd(t, xmppserver.Options{Passwords: passwords})
			overEach(t, node, func(t *testing.T, s *service) {
				t.Run("password changed on the XMPP server", func(t *testing.T) {
					u := s.register(t, "anna")
					node.API("change_password", s.account(u, "newpass", "another"))
					_, err := u.Connect(t.Context(), u.id(), u.credentials.Password)
					requireRefused(t, err)
					u.awaitStatus(t, sdk.StatusAuthFail)
				})
				t.Run("account gone from the XMPP server", func(t *testing.T) {
					u := s.register(t, "ben")
					node.API("unregister", s.account(u))
					_, err := u.Connect(t.Context(), u.id(), u.credentials.Password)
					requireRefused(t, err)
				})
				t.Run("good password", func(t *testing.T) {
					s.login(t, "carl")
				})
			})
		})
	}
}

func requireRefused(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, sdk.ErrInvalidCredentials)
	var refused *sdk.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 401, refused.StatusCode)
	require.Equal(t, "Invalid Credentials", refused.Message)
}

// TestUnknownHost asks the node for a domain that it does not serve. It says so
// itself, except over direct TLS: there its certificate, which must be for the
// domain (RFC 6120 13.7.2.1), tells before.
func TestUnknownHost(t *testing.T) {
	t.Parallel()
	node := xmppserver.Ejabberd(t, xmppserver.Options{})
	overEach(t, node, func(t *testing.T, s *service) {
		u := s.register(t, "anna", func(cfg *sdk.Config) { cfg.XMPPHost = "elsewhere.example.com" })
		_, err := u.Connect(t.Context(), u.id(), u.credentials.Password)
		require.NotErrorIs(t, err, sdk.ErrInvalidCredentials)
		var failed *sdk.Error
		require.ErrorAs(t, err, &failed)
		if s.way.name != "direct TLS" {
			require.Equal(t, "host-unknown", failed.Condition)
			return
		}
		require.ErrorIs(t, err, sdk.ErrNetwork)
		var wrongName x509.HostnameError
		require.ErrorAs(t, err, &wrongName)
		require.Equal(t, "elsewhere.example.com", wrongName.Host)
	})
}

// pngPicture is a small picture of a kind that the service takes.
func pngPicture(t *testing.T) []byte {
	t.Helper()
	var buf bytes.Buffer
	require.NoError(t, png.Encode(&buf, image.NewRGBA(image.Rect(0, 0, 32, 32))))
	return buf.Bytes()
}

// requireProfile reads owner's profile as reader, and checks that the listener was told the same.
func requireProfile(t *testing.T, reader, owner *user, want sdk.ProfileUpdate, picture sdk.ProfileImage) {
	t.Helper()
	for _, id := range []string{owner.jid(), owner.id()} {
		res, err := reader.GetUserProfile(t.Context(), id)
		require.NoError(t, err)
		got := res.Data
		require.Equal(t, owner.id(), got.UserID)
		require.Equal(t, owner.jid(), got.UserJID)
		require.Equal(t, []string{want.Name, want.Status, want.MobileNumber, want.Email}, []string{got.NickName, got.Status, got.MobileNumber, got.Email})
		require.Equal(t, picture, sdk.ProfileImage{FileToken: got.Image, FileTokenThumb: got.ThumbImage})
		await(t, reader.profiles, func(p sdk.Profile) bool { return p == got })
	}
}
