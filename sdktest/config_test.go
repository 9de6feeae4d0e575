package sdktest

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/mirrorfly-go/sdk"
)

func TestConfig(t *testing.T) {
	s := New(t)
	cfg := s.Config()
	require.Equal(t, s.LicenseKey(), cfg.LicenseKey)
	require.False(t, cfg.TrialLicense)
	require.Empty(t, cfg.XMPPAddress, "Transport alone decides")
	require.NotEqual(t, sdk.TransportTCP, cfg.Transport)

	// The addresses from the service lead to the listeners, by name, for both transports.
	c := register(t, s, "alice")
	for _, at := range [][2]string{{"xmppHost", "xmppPortWeb"}, {"xmppDomain", "xmppPort"}} {
		addr := net.JoinHostPort(c.Config[at[0]].(string), c.Config[at[1]].(string))
		conn, err := cfg.DialContext(t.Context(), "tcp", addr)
		require.NoError(t, err, addr)
		require.Equal(t, c.Config[at[1]], port(conn.RemoteAddr().String()))
		require.NoError(t, conn.Close())
	}
	require.True(t, trial(t).Config().TrialLicense)
}

func TestDialLeavesStrangersAlone(t *testing.T) {
	for domain, names := range map[string]map[string]bool{
		"xmpp.mirrorfly.test": {
			"xmpp.mirrorfly.test": true, "API.mirrorfly.test": true, "mirrorfly.test": true,
			"notmirrorfly.test": false, "example.com": false, "test": false,
		},
		"app.com": {"app.com": true, "example.com": false, "com": false},
	} {
		s := New(t, Options{Domain: domain})
		for name, mine := range names {
			require.Equal(t, mine, s.names(name), name)
		}
	}
}
