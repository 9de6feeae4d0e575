package signal

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestParseOpen(t *testing.T) {
	for _, tc := range []struct {
		packet            string
		upgrade           bool
		interval, timeout time.Duration
	}{
		{`0{"sid":"a","upgrades":["x","websocket"],"pingInterval":25000,"pingTimeout":5000}`, true, 25 * time.Second, 5 * time.Second},
		{`0{"sid":"a"}`, false, defaultPingInterval, defaultPingTimeout},
		{`0{"sid":"a","pingInterval":0,"pingTimeout":-1}`, false, defaultPingInterval, defaultPingTimeout},
		{`0{"sid":"a","pingInterval":1e300,"pingTimeout":0.001}`, false, maxPing, minPing},
	} {
		hs, err := parseOpen(tc.packet)
		require.NoError(t, err, tc.packet)
		require.Equal(t, handshake{sid: "a", upgrade: tc.upgrade, pingInterval: tc.interval, pingTimeout: tc.timeout}, hs)
	}
	for _, bad := range []string{"", "0", "1", "0{}", `0{"sid":""}`, `0{"sid":1}`, `0{"sid":"a"`, `{"sid":"a"}`, `0{"sid":"` + strings.Repeat("a", 257) + `"}`} {
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
	for _, bad := range []string{"", ":", "1", "1:", "x:a", "+1:a", "2:a", "1:ab", "1:a1", "-0:", "0x1:a", "1:\U0001F600", "4294967297:a", "\xff"} {
		_, err := decodePayload(3, bad)
		require.ErrorIs(t, err, errPacket, "%q", bad)
	}
}

func FuzzPayload(f *testing.F) {
	for _, seed := range []string{"", "2:401:2", "0:", "10:42[\"\U0001F600\u00e9\"]", "1:\U0001F600", "9:4", "40\x1e2", "\x00\x05\xff40", "999999999:4"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, protocol := range []int{3, 4} {
			packets, err := decodePayload(protocol, body)
			if err != nil {
				continue
			}
			total := 0
			for _, p := range packets {
				require.True(t, utf8.ValidString(p))
				total += len(p)
			}
			require.LessOrEqual(t, total, len(body))
			again, err := decodePayload(protocol, encodePayload(protocol, packets))
			require.NoError(t, err)
			require.Equal(t, packets, again)
			if protocol == 3 {
				require.Equal(t, packets, split(3, encodePayload(3, packets)), "as JavaScript counts")
			}
		}
	})
}

func FuzzPacket(f *testing.F) {
	for _, seed := range []string{
		"0", `0{"sid":"a","pingInterval":25000}`, "40", "40/admin,", `42["id","x"]`, `4217["id",{"a":[1]}]`, `42/,["id"]`, `42/admin?x,1["id"]`, "41", `44"no"`,
		`44{"message":"no"}`, `451-["id",{"_placeholder":true,"num":0}]`, "2probe", "3", "6", "b4AA==", `42["id",` + strings.Repeat("[", 100),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, packet string) {
		if hs, err := parseOpen(packet); err == nil {
			require.NotEmpty(t, hs.sid)
			require.True(t, hs.pingInterval >= minPing && hs.pingInterval <= maxPing && hs.pingTimeout >= minPing && hs.pingTimeout <= maxPing)
		}
		if packet == "" {
			return
		}
		m, ok := parseMessage(packet[1:])
		if !ok || m.kind != sioEvent {
			return
		}
		ev, err := parseEvent(m.data)
		if err != nil {
			return
		}
		require.NotEmpty(t, ev.Name)
		require.LessOrEqual(t, len(ev.Args), maxArgs)
		args := make([]any, len(ev.Args))
		for i, arg := range ev.Args {
			args[i] = arg
		}
		written, err := encodeEvent(ev.Name, args)
		require.NoError(t, err)
		again, ok := parseMessage(written[1:])
		require.True(t, ok)
		ev2, err := parseEvent(again.data)
		require.NoError(t, err)
		require.Equal(t, ev.Name, ev2.Name)
		require.Len(t, ev2.Args, len(ev.Args))
	})
}
