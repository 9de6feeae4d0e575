package signal

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseOpen(t *testing.T) {
	for _, tc := range []struct {
		packet            string
		upgrade           bool
		interval, timeout time.Duration
	}{
		{
			`0{"sid":"a","upgrades":["x","websocket"],"pingInterval":25000,"pingTimeout":5000}`, true, 25 * time.Second,
			5 * time.Second,
		},
		{`0{"sid":"a"}`, false, defaultPingInterval, defaultPingTimeout},
		{`0{"sid":"a","pingInterval":0,"pingTimeout":-1}`, false, defaultPingInterval, defaultPingTimeout},
		{`0{"sid":"a","pingInterval":1e300,"pingTimeout":0.001}`, false, maxPing, minPing},
	} {
		hs, err := parseOpen(tc.packet)
		require.NoError(t, err, tc.packet)
		require.Equal(t,
			handshake{sid: "a", upgrade: tc.upgrade, pingInterval: tc.interval, pingTimeout: tc.timeout}, hs,
		)
	}
	for _, bad := range []string{
		"", "0", "1", "0{}", `0{"sid":""}`, `0{"sid":1}`, `0{"sid":"a"`, `{"sid":"a"}`,
		`0{"sid":"` + strings.Repeat("a", 257) + `"}`,
	} {
		_, err := parseOpen(bad)
		require.ErrorIs(t, err, errPacket, bad)
	}
}

func TestPayload(t *testing.T) {
	packets := []string{"40", "42[\"\U0001F600\u00e9\"]", "2"}
	require.Equal(t, "2:409:42[\"\U0001F600\u00e9\"]1:2", encodePayload(3, packets), "a smile counts as two")
	require.Equal(t, "40\x1e42[\"\U0001F600\u00e9\"]\x1e2", encodePayload(4, packets))
	for _, protocol := range []int{3, 4} {
		got, err := decodePayload(protocol, encodePayload(protocol, packets))
		require.NoError(t, err)
		require.Equal(t, packets, got)
		require.Equal(t, packets, split(protocol, encodePayload(protocol, packets)), "as a server reads it")
	}
	for _, bad := range []string{
		"", ":", "1", "1:", "x:a", "+1:a", "2:a", "1:ab", "1:a1", "-0:", "0x1:a", "1:\U0001F600", "4294967297:a",
		"\xff",
	} {
		_, err := decodePayload(3, bad)
		require.ErrorIs(t, err, errPacket, "%q", bad)
	}
}
