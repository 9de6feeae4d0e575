package signal

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/fuzz"
)

// A polling body is cut as another reader cuts it, and what is cut can be put together again.
func FuzzPayload(f *testing.F) {
	for _, seed := range []string{
		"", "2:401:2", "0:", "10:42[\"id\",1]", "1:\U0001F600", "9:4", "40\x1e2", "\x00\x05\xff40", "999999999:4",
		"1:\u00e92:\U0001F600", strings.Repeat("0:", 500), strings.Repeat("\x1e", 500),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, protocol := range []int{3, 4} {
			var packets []string
			var err error
			fuzz.Bounded(t, len(body), maxBody, func() { packets, err = decodePayload(protocol, body) })
			if err != nil {
				require.ErrorIs(t, err, errPacket)
				require.Empty(t, packets)
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

// An open packet has a session and intervals that make sense. An event is what encoding/json reads
// as a list that begins with a name.
func FuzzPacket(f *testing.F) {
	for _, seed := range []string{
		"0", `0{"sid":"a","pingInterval":25000}`, "40", "40/admin,", `42["id","x"]`, `4217["id",{"a":[1]}]`,
		`42/,["id"]`, `42/admin?x,1["id"]`, "41", `44"no"`,
		`44{"message":"no"}`, `451-["id",{"_placeholder":true,"num":0}]`, "2probe", "3", "6", "b4AA==", `42["id",` +
			strings.Repeat("[", 100), `42["\ud800"]`, `42[null,1]`,
		`0{"sid":"a","pingInterval":1e400}`, `0{"SID":"a"}`, `42["id"` + strings.Repeat(",1", 16) + "]", `42["id"` +
			strings.Repeat(",1", 17) + "]", `42["id" ,]`, `42["id"]]`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, packet string) {
		var ev Event
		var evErr error
		var m message
		var ok bool
		fuzz.Bounded(t, len(packet), maxBody, func() {
			if hs, err := parseOpen(packet); err == nil {
				require.NotEmpty(t, hs.sid)
				require.LessOrEqual(t, len(hs.sid), 256)
				require.True(t,
					hs.pingInterval >= minPing && hs.pingInterval <= maxPing && hs.pingTimeout >= minPing &&
						hs.pingTimeout <= maxPing,
				)
			}
			if packet == "" {
				return
			}
			if m, ok = parseMessage(packet[1:]); ok && m.kind == sioEvent {
				ev, evErr = parseEvent(m.data)
			}
		})
		if !ok || m.kind != sioEvent {
			return
		}
		var list []json.RawMessage
		var name *string // null is no name
		isEvent := json.Unmarshal([]byte(m.data), &list) == nil && len(list) > 0 && len(list) <= 1+maxArgs &&
			json.Unmarshal(list[0], &name) == nil && name != nil && *name != ""
		require.Equal(t, isEvent, evErr == nil, "%v", evErr)
		if evErr != nil {
			require.ErrorIs(t, evErr, errPacket)
			return
		}
		require.Equal(t, *name, ev.Name)
		require.Len(t, ev.Args, len(list)-1)
		for i, arg := range ev.Args {
			require.JSONEq(t, string(list[i+1]), string(arg))
		}
		requireRoundTrip(t, ev)
	})
}

func requireRoundTrip(t *testing.T, ev Event) {
	args := make([]any, len(ev.Args))
	for i, arg := range ev.Args {
		args[i] = arg
	}
	written, err := encodeEvent(ev.Name, args)
	require.NoError(t, err)
	m, ok := parseMessage(written[1:])
	require.True(t, ok)
	again, err := parseEvent(m.data)
	require.NoError(t, err)
	require.Equal(t, ev.Name, again.Name)
	require.Len(t, again.Args, len(ev.Args))
}

// playback is a transport that reads prepared packets.
type playback struct {
	packets []string
	written []string
}

func (p *playback) read(context.Context, func()) (string, error) {
	if len(p.packets) == 0 {
		return "", io.EOF
	}
	packet := p.packets[0]
	p.packets = p.packets[1:]
	return packet, nil
}

func (p *playback) write(_ context.Context, packets ...string) error {
	p.written = append(p.written, packets...)
	return nil
}

func (p *playback) close() {}

// Whatever a server says, packet after packet: the session ends at the latest when the server hangs
// up, what waits for the reader is bounded, and we say nothing but what the protocol asks for.
func FuzzSession(f *testing.F) {
	for _, seed := range []string{
		"40\x1e42[\"id\",\"x\"]\x1e42[\"logoutweb" +
			"\"]", "2\x1e40\x1e2probe", "44\"no\\u001b[2J\"", "41", "1", "40\x1e44{}\x1e45",
		strings.Repeat("42[\"id\",1]\x1e", 200) + "40",
	} {
		f.Add(seed, 3)
		f.Add(seed, 4)
	}
	f.Fuzz(func(t *testing.T, in string, protocol int) {
		protocol = 3 + protocol&1
		p := &playback{packets: strings.Split(in, separator)}
		s := &session{
			t: p, queue: newQueue(), log: slog.New(slog.DiscardHandler),
			hs: handshake{sid: "a", protocol: protocol, pingInterval: time.Hour, pingTimeout: time.Hour},
		}
		var err error
		fuzz.Bounded(t, len(in), maxBody, func() {
			if err = s.join(t.Context()); err == nil {
				err = s.run(t.Context())
			}
		})
		require.Error(t, err)
		require.False(t, strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }), "%q", err)
		require.LessOrEqual(t, len(s.queue.events), maxWaiting)
		require.LessOrEqual(t, s.queue.bytes, max(maxWaitingBytes, len(in)))
		for i, written := range p.written {
			switch {
			case protocol == 4 && i == 0:
				require.Equal(t, "40", written)
			default:
				require.Equal(t, 4, protocol)
				require.True(t, strings.HasPrefix(written, string(eioPong)))
			}
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Whatever an HTTP server answers to a polling request: packets, or an error of one line. The
// answers follow one another until they end.
func FuzzPolling(f *testing.F) {
	f.Add(
		`96:0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":5000,"x":"aaaaaaaaaaaaaaaaaaaaaaaaaa"}2:40`,
		`11:42["id","x"]`, 200,
	)
	f.Add(`0{"sid":"a"}`+separator+"40", "2", 200)
	f.Add(`{"code":5,"message":"Unsupported protocol version"}`, "", 400)
	f.Add(`<html>`, "", 502)
	f.Fuzz(func(t *testing.T, first, second string, status int) {
		status = 200 + (status&0x7fffffff)%400
		var answers []string
		var cancel context.CancelFunc
		d, err := newDialer(Config{
			URL: "https://signal.example",
			HTTPClient: &http.Client{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
				if len(answers) == 0 {
					return nil, net.ErrClosed
				}
				body := answers[0]
				if answers = answers[1:]; len(answers) == 0 {
					cancel() // no pause before the next request
				}
				return &http.Response{
					StatusCode: status, Header: http.Header{},
					Body: io.NopCloser(strings.NewReader(body)), Request: req,
				}, nil
			})},
		})
		require.NoError(t, err)
		for _, protocol := range []int{3, 4} {
			var ctx context.Context
			ctx, cancel = context.WithCancel(t.Context())
			answers = []string{first, second}
			fuzz.Bounded(t, len(first)+len(second), 2*maxBody, func() {
				p, hs, err := d.dialPolling(ctx, protocol)
				if err != nil {
					require.False(t, strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' }), "%q", err)
					return
				}
				defer p.close()
				require.Equal(t, 200, status)
				require.NotEmpty(t, hs.sid)
				p.idle = false
				for _, err = p.read(ctx, func() {}); err == nil; _, err = p.read(ctx, func() {}) {
				}
			})
			cancel()
		}
	})
}
