package frames

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// An address is one of four kinds and reads the same when it is written and read again. A server's
// wish to go elsewhere never leads to a worse kind.
func FuzzParseAddresses(f *testing.F) {
	for _, s := range []string{
		"wss://h/p?q", "h:5222,xmpps://[::1]", "xmpp://h:1/", "ws://u:p@h", "h", "wss://h/%2f?a=%zz", ":1", "wss://h#f",
		"://", "h:99999", "[::1%25eth0]:1",
	} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, tcp bool) {
		addresses, err := ParseAddresses(s, tcp)
		if err != nil {
			require.Empty(t, addresses)
		}
		for _, a := range addresses {
			require.Contains(t, []string{schemeWS, schemeWSS, schemeXMPP, schemeXMPPS}, a.Scheme)
			_, _, err := net.SplitHostPort(a.Host)
			require.NoError(t, err)
			if strings.Contains(a.url(), ",") {
				// A comma inside a path or query ends an entry.
				continue
			}
			again, err := ParseAddresses(a.url(), tcp)
			require.NoError(t, err, a.url())
			require.Equal(t, []Address{a}, again)
		}
		for _, here := range []Address{
			{schemeWS, "h:1", "/x", ""},
			{schemeWSS, "h:1", "/x", ""},
			{schemeXMPP, "h:1", "", ""},
			{schemeXMPPS, "h:1", "", ""},
		} {
			if next, err := here.Redirect(s); err == nil {
				require.True(t, next.Scheme == here.Scheme || here.Scheme == schemeWS &&
					next.Scheme == schemeWSS, "%v to %v", here, next)
			}
		}
	})
}

func TestParseAddresses(t *testing.T) {
	for _, tc := range []struct {
		in   string
		tcp  bool
		want []Address
	}{
		{"wss://chat.example.com", false, []Address{{"wss", "chat.example.com:443", "/websocket", ""}}},
		{"ws://h:5280/ws/x?k=v", true, []Address{{"ws", "h:5280", "/ws/x", "k=v"}}},
		{"WSS://h/", false, []Address{{"wss", "h:443", "/", ""}}},
		{"ws://h", false, []Address{{"ws", "h:80", "/websocket", ""}}},
		{"xmpp://h, xmpps://h", false, []Address{{"xmpp", "h:5222", "", ""}, {"xmpps", "h:5223", "", ""}}},
		{"xmpp://h:1/", false, []Address{{"xmpp", "h:1", "", ""}}},
		{"h:5222 ,h2", true, []Address{{"xmpp", "h:5222", "", ""}, {"xmpp", "h2:5222", "", ""}}},
		{"h:5443,h2", false, []Address{{"wss", "h:5443", "/websocket", ""}, {"wss", "h2:443", "/websocket", ""}}},
		{"[::1]:5222,xmpps://[::1]", true, []Address{{"xmpp", "[::1]:5222", "", ""}, {"xmpps", "[::1]:5223", "", ""}}},
	} {
		got, err := ParseAddresses(tc.in, tc.tcp)
		require.NoError(t, err, tc.in)
		require.Equal(t, tc.want, got)
	}
	require.Equal(t, "wss://h:443/p", Address{"wss", "h:443", "/p", "secret"}.String())
	for in, text := range map[string]string{
		"":                      "address 1 of 1: is empty",
		"a:1,":                  "address 2 of 2: is empty",
		"a:1,http://b":          `address 2 of 2: "http://b": unknown scheme "http"`,
		"xmpp://h:0":            `bad port "0"`,
		"h:65536":               `bad port "65536"`,
		"h:x":                   "is not an address",
		"wss://":                "no host",
		":5222":                 "no host",
		"xmpp://h/path":         "host and port only",
		"xmpps://h?x=secret":    "host and port only",
		"wss://u:secret@h/":     "must not carry a user",
		"wss://h/#x":            "must not carry a fragment",
		"wss://h:1:2/":          "is not an address",
		"wss://h\x00/?a=secret": "is not an address",
		"://h":                  "is not an address",
	} {
		_, err := ParseAddresses(in, true)
		require.ErrorContains(t, err, text, in)
		require.NotContains(t, err.Error(), "secret")
	}
}
