// Package ejabberd takes the library on its tour against a real ejabberd: the
// Debian package, started from nothing, with sdktest in front of it as the REST
// half of the service. What ejabberd answers to each stanza is written down in
// interop/servers/README.md.
package ejabberd

import (
	"crypto/x509"
	"testing"

	"github.com/mirrorfly-go/sdk/interop/internal/tour"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestStock: what every ejabberd does as it is installed, on one that all these tests share, and
// that goes at the end.
func TestStock(t *testing.T) {
	t.Parallel()
	node := xmppserver.Ejabberd(t, xmppserver.Options{})
	t.Run("running", func(t *testing.T) {
		for name, scenario := range map[string]func(*testing.T, *tour.Service){
			"tour":                    tour.Profile,
			"two resources":           tour.TwoResources,
			"messages":                tour.Messages,
			"resume":                  tour.Resume,
			"unknown host":            unknownHost,
			"refused passwords":       tour.Refusals,
			"refusals of the page":    refusals,
			"blocking":                blocking,
			"block on another device": blockOnAnotherDevice,
			"reconnect after a kick":  reconnectAfterKick,
			"a fleet loses a machine": fleetLosesAMachine,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				tour.OverEach(t, node, scenario)
			})
		}
	})
	tour.Restart(t, node)
}

// TestOneSession: on an ejabberd that keeps passwords as they are, and one session for each user.
func TestOneSession(t *testing.T) {
	t.Parallel()
	node := xmppserver.Ejabberd(t, xmppserver.Options{Passwords: "plain", Env: map[string]string{"MAX_SESSIONS": "1"}})
	for name, scenario := range map[string]func(*testing.T, *tour.Service){
		"refused passwords":             tour.Refusals,
		"no reconnect after a conflict": noReconnectAfterConflict,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tour.OverEach(t, node, scenario)
		})
	}
}

// unknownHost: over direct TLS the certificate, which must be for the domain (RFC 6120 13.7.2.1),
// tells before.
func unknownHost(t *testing.T, s *tour.Service) {
	tour.UnknownHost(t, s, func(err error) {
		var wrongName x509.HostnameError
		require.ErrorAs(t, err, &wrongName)
		require.Equal(t, "elsewhere.example.com", wrongName.Host)
	})
}
