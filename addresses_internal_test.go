package sdk

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/rest"
)

func TestAddressesHandedOut(t *testing.T) {
	for _, c := range []struct {
		transport Transport
		override  string
		service   rest.Service
		want      string
	}{
		{
			TransportWebSocket, "",
			rest.Service{XMPPHost: "x.example", XMPPPortWeb: "5443"},
			"wss://x.example:5443/websocket",
		},
		{TransportWebSocket, "", rest.Service{XMPPHost: "x.example"}, "wss://x.example:443/websocket"},
		{TransportWebSocket, "", rest.Service{XMPPHost: "::1", XMPPPortWeb: "443"}, "wss://[::1]:443/websocket"},
		{TransportWebSocket, "", rest.Service{XMPPHost: "[::1]", XMPPPortWeb: "443"}, "wss://[::1]:443/websocket"},
		{
			TransportWebSocket, "",
			rest.Service{XMPPHost: "x.example:5280", XMPPPortWeb: "443"},
			"wss://x.example:5280/websocket",
		},
		{TransportWebSocket, "own.example", rest.Service{XMPPHost: "x.example"}, "wss://own.example:443/websocket"},
		{TransportTCP, "", rest.Service{XMPPHost: "x.example"}, "xmpp://x.example:5222"},
		{
			TransportTCP, "",
			rest.Service{XMPPHost: "x.example", XMPPDomain: "c2s.example", XMPPPort: "15222"},
			"xmpp://c2s.example:15222",
		},
		{
			TransportTCP, "own.example",
			rest.Service{XMPPHost: "x.example", XMPPDomain: "c2s.example"},
			"xmpp://own.example:5222",
		},
	} {
		cfg := Config{Transport: c.transport, XMPPHost: c.override}
		got, err := cfg.addressesFor(cfg.overridden(c.service))
		require.NoError(t, err)
		require.Equal(t, c.want, got[0].String())
	}
	cfg := Config{Transport: TransportTCP}
	_, err := cfg.addressesFor(rest.Service{XMPPHost: "x.example", XMPPPort: "no port"})
	require.ErrorContains(t, err, "no port")
}
