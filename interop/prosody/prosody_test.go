// Package prosody takes the library on its tour against a real Prosody: the
// Debian package, started from nothing, with sdktest in front of it as the REST
// half of the service.
//
// sdktest keeps its accounts on the XMPP server by a few commands of ejabberd's
// HTTP API. modules/mod_ejabberd_api.lua, which these tests load into Prosody,
// answers the same commands from inside the server; everything else, XMPP above
// all, is as Debian ships it. What Prosody answers to each stanza is written down
// in interop/servers/README.md.
package prosody

import (
	"testing"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/tour"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestStock: what every Prosody does, on one that all these tests share.
func TestStock(t *testing.T) {
	t.Parallel()
	node := xmppserver.ProsodyWithAPI(t, xmppserver.Options{})
	for name, scenario := range map[string]func(*testing.T, *tour.Service){
		"tour":                    tour.Profile,
		"two resources":           tour.TwoResources,
		"messages":                tour.Messages,
		"resume":                  tour.Resume,
		"unknown host":            unknownHost,
		"refused passwords":       tour.Refusals,
		"refusals of the page":    refusals,
		"blocking":                blocking,
		"block twice":             blockTwice,
		"block on another device": blockOnAnotherDevice,
		"reconnect after a kick":  reconnectAfterKick,
		"removed account":         removedAccount,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tour.OverEach(t, node, scenario)
		})
	}
}

// TestOptionalModule: the Profile page on a Prosody with the module that answers its stanzas.
func TestOptionalModule(t *testing.T) {
	t.Parallel()
	node := xmppserver.ProsodyWithAPI(t, xmppserver.Options{MirrorFly: true})
	for name, scenario := range map[string]func(*testing.T, *tour.Service){
		"whole page": wholePage,
		"QR login":   qrLogin,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tour.OverEach(t, node, scenario)
		})
	}
}

// TestLegacyVCards: as Debian ships it, Prosody turns a card into what it knows of, and the
// service's own children of it are lost. The set succeeds all the same.
func TestLegacyVCards(t *testing.T) {
	t.Parallel()
	node := xmppserver.ProsodyWithAPI(t, xmppserver.Options{Env: map[string]string{"VCARD": "vcard_legacy"}})
	tour.OverEach(t, node, func(t *testing.T, s *tour.Service) {
		anna := s.Login(t, "anna")
		_, err := anna.SetUserProfile(
			t.Context(), sdk.ProfileUpdate{Name: "Anna", Status: "here", Email: "anna@example.com"},
		)
		require.NoError(t, err)
		anna.RequireProfile(t, anna, sdk.ProfileUpdate{}, sdk.ProfileImage{})
	})
}

func TestPlainPasswords(t *testing.T) {
	t.Parallel()
	tour.OverEach(t, xmppserver.ProsodyWithAPI(t, xmppserver.Options{Passwords: "plain"}), tour.Refusals)
}

// unknownHost: over direct TLS it refuses the name before there is a stream.
func unknownHost(t *testing.T, s *tour.Service) {
	tour.UnknownHost(t, s, func(err error) { require.ErrorContains(t, err, "unrecognized name") })
}
