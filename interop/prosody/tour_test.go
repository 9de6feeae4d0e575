package prosody

import (
	"bytes"
	"image"
	"image/png"
	"testing"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/stretchr/testify/require"
)

func TestTour(t *testing.T) {
	t.Parallel()
	node := start(t, xmppserver.Options{})
	overEach(t, node, func(t *testing.T, s *service) {
		anna, ben := s.friends(t)
		require.Equal(t, sdk.StatusConnected, anna.State())
		require.Equal(t, "anna-"+s.way.suffix+"@"+node.Domain, anna.JID())
		_, err := anna.Connect(t.Context(), anna.ID(), anna.Account.Password)
		require.ErrorIs(t, err, sdk.ErrAlreadyLoggedIn)

		picture := pngPicture(t)
		want := sdk.ProfileUpdate{
			Name: "Anna Ünal & Co. <1>", Status: "“here” <b>&amp;</b>", MobileNumber: "+49 170 1234567", Email: "anna@example.com",
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
	})
}

// TestLegacyVCards: as Debian ships it, Prosody turns a card into what it knows of, and the
// service's own children of it are lost. The set succeeds all the same.
func TestLegacyVCards(t *testing.T) {
	t.Parallel()
	node := start(t, xmppserver.Options{Env: map[string]string{"VCARD": "vcard_legacy"}})
	overEach(t, node, func(t *testing.T, s *service) {
		anna := s.login(t, "anna")
		_, err := anna.SetUserProfile(t.Context(), sdk.ProfileUpdate{Name: "Anna", Status: "here", Email: "anna@example.com"})
		require.NoError(t, err)
		anna.RequireProfile(t, anna, sdk.ProfileUpdate{}, sdk.ProfileImage{})
	})
}

func TestTwoResources(t *testing.T) {
	t.Parallel()
	node := start(t, xmppserver.Options{})
	overEach(t, node, func(t *testing.T, s *service) {
		first, ben := s.friends(t)
		second := first.Again(t, s.config())
		ben.AwaitPresence(t, first, "online") // once more
		require.JSONEq(t, `{"resources": 2}`, node.API("num_resources", s.account(first)))
		for _, u := range []*users.User{first, second} {
			require.Equal(t, sdk.StatusConnected, u.State(), "a login elsewhere ended this one")
			_, err := u.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "anna@example.com"})
			require.NoError(t, err)
		}
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, passwords := range []string{"scram", "plain"} {
		t.Run(passwords, func(t *testing.T) {
			t.Parallel()
			node := start(t, xmppserver.Options{Passwords: passwords})
			overEach(t, node, func(t *testing.T, s *service) {
				t.Run("password changed on the XMPP server", func(t *testing.T) {
					u := s.register(t, "anna")
					node.API("change_password", s.account(u, "newpass", "another"))
					_, err := u.Connect(t.Context(), u.ID(), u.Account.Password)
					requireInvalidCredentials(t, err)
					u.AwaitStatus(t, sdk.StatusAuthFail)
				})
				t.Run("account gone from the XMPP server", func(t *testing.T) {
					u := s.register(t, "ben")
					node.API("unregister", s.account(u))
					_, err := u.Connect(t.Context(), u.ID(), u.Account.Password)
					requireInvalidCredentials(t, err)
				})
				t.Run("good password", func(t *testing.T) {
					s.login(t, "carl")
				})
			})
		})
	}
}

func requireInvalidCredentials(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, sdk.ErrInvalidCredentials)
	var refused *sdk.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 401, refused.StatusCode)
	require.Equal(t, "Invalid Credentials", refused.Message)
	require.Equal(t, "not-authorized", refused.Condition)
}

// TestUnknownHost asks for a domain that the server does not serve. Over direct TLS it
// refuses the name before there is a stream.
func TestUnknownHost(t *testing.T) {
	t.Parallel()
	node := start(t, xmppserver.Options{})
	overEach(t, node, func(t *testing.T, s *service) {
		u := s.register(t, "anna", func(cfg *sdk.Config) { cfg.XMPPHost = "elsewhere.example.com" })
		_, err := u.Connect(t.Context(), u.ID(), u.Account.Password)
		require.NotErrorIs(t, err, sdk.ErrInvalidCredentials)
		var failed *sdk.Error
		require.ErrorAs(t, err, &failed)
		if s.way.name != "direct TLS" {
			require.Equal(t, "host-unknown", failed.Condition)
			return
		}
		require.ErrorIs(t, err, sdk.ErrNetwork)
		require.ErrorContains(t, err, "unrecognized name")
	})
}

// pngPicture is a small picture of a kind that the service takes.
func pngPicture(t *testing.T) []byte {
	t.Helper()
	var buf bytes.Buffer
	require.NoError(t, png.Encode(&buf, image.NewRGBA(image.Rect(0, 0, 32, 32))))
	return buf.Bytes()
}
