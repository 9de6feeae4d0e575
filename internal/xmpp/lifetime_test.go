package xmpp

import (
	"context"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// What a hostile or broken server sends after the login, and how the session
// ends. The error names it; a waiting request fails with the same.
func TestHostileInput(t *testing.T) {
	const bob = ` from="bob@xmpp.example.com" xmlns="jabber:client"`
	for name, tc := range map[string]struct {
		in   string
		want error
	}{
		"10 MiB stanza":        {`<message` + bob + `><body>` + strings.Repeat("x", 10<<20) + `</body></message>`, errTooLarge},
		"10 MiB attribute":     {`<message x="` + strings.Repeat("x", 10<<20) + `"` + bob + `/>`, errTooLarge},
		"10 MiB tag name":      {`<` + strings.Repeat("x", 10<<20) + `/>`, errTooLarge},
		"depth bomb":           {`<message` + bob + `>` + strings.Repeat("<a>", 100_000), errMalformed},
		"depth 65":             {`<message` + bob + `>` + strings.Repeat("<a>", 64) + strings.Repeat("</a>", 64) + `</message>`, errMalformed},
		"doctype":              {`<!DOCTYPE x [<!ENTITY a "b">]><message` + bob + `/>`, errMalformed},
		"doctype inside":       {`<message` + bob + `><!DOCTYPE x></message>`, errMalformed},
		"entity":               {`<message` + bob + `><body>&a;</body></message>`, errMalformed},
		"instruction":          {`<message` + bob + `><?php x?></message>`, errMalformed},
		"declaration":          {`<?xml version="1.0"?><message` + bob + `/>`, errMalformed},
		"comment":              {`<message` + bob + `><!-- x --></message>`, errMalformed},
		"text":                 {`hello`, errMalformed},
		"text after":           {`<message` + bob + `/>hello`, errMalformed},
		"wrong end tag":        {`<message` + bob + `></body>`, errMalformed},
		"wrong end inside":     {`<iq id="x" type="result"` + bob + `><a></b></iq>`, errMalformed},
		"wrong end, ignored":   {`<r xmlns="u"><a></b></r>`, errMalformed},
		"wrong end, presence":  {`<presence` + bob + `><a></b></presence>`, errMalformed},
		"attribute unquoted":   {`<message a=b` + bob + `/>`, errMalformed},
		"not UTF-8":            {"<message" + bob + "><body>\xff\xfe</body></message>", errMalformed},
		"NUL":                  {"<message" + bob + "><body>\x00</body></message>", errMalformed},
		"control character":    {"<message" + bob + "><body>&#1;</body></message>", errMalformed},
		"tag in a tag":         {`<message <body/>`, errMalformed},
		"space before name":    {`< message/>`, errMalformed},
		"stream error":         {`<stream:error xmlns:stream="http://etherx.jabber.org/streams"><reset xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error>`, &StreamError{Condition: "reset"}},
		"stream error, prefix": {`<s:error xmlns:s="http://etherx.jabber.org/streams"><conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/><text xmlns="urn:ietf:params:xml:ns:xmpp-streams">Replaced by new connection</text></s:error>`, &StreamError{Condition: "conflict", Text: "Replaced by new connection"}},
		"sent elsewhere":       {`<stream:error xmlns:stream="http://etherx.jabber.org/streams"><see-other-host xmlns="urn:ietf:params:xml:ns:xmpp-streams">evil:1</see-other-host></stream:error>`, &StreamError{Condition: "see-other-host", Text: "evil:1"}},
		"end of the stream":    {"END", errServerClosed},
	} {
		for transport, serve := range transports {
			t.Run(name+" "+transport, func(t *testing.T) {
				c := dial(t, serve(t, func(p *peer) {
					p.login()
					p.recv()
					if tc.in == "END" {
						p.sendEnd()
					} else {
						p.send(tc.in)
					}
					p.drain()
				}))
				err := c.Ping(soon(t))
				require.ErrorIs(t, err, ErrNotConnected)
				got := c.ended()
				require.ErrorIs(t, err, got)
				if want, ok := tc.want.(*StreamError); ok {
					require.Equal(t, want, got)
				} else {
					require.ErrorIs(t, got, tc.want)
				}
				require.Less(t, len(got.Error()), 1000)
				require.Zero(t, c.pending())
			})
		}
	}
}

// A WebSocket frame that is not one element.
func TestHostileFrames(t *testing.T) {
	for name, frame := range map[string]string{
		"two stanzas":   `<presence xmlns="jabber:client"/><presence xmlns="jabber:client"/>`,
		"cut short":     `<presence xmlns="jabber:client">`,
		"cut in a tag":  `<presence xmlns="jab`,
		"end without":   `</a></b>`,
		"cut in a data": `<a><![CDATA[`,
	} {
		c := dial(t, webSocketServer(t, func(p *peer) { p.login(); p.send(frame); p.drain() }))
		require.ErrorIs(t, c.ended(), errMalformed, name)
	}
	c := dial(t, webSocketServer(t, func(p *peer) {
		p.login()
		_ = p.ws.Write(p.ctx, websocket.MessageBinary, []byte(`<presence xmlns="jabber:client"/>`))
		p.drain()
	}))
	require.ErrorContains(t, c.ended(), "binary")

	// White space around the element is fine, and so is all of a megabyte.
	c = dial(t, webSocketServer(t, func(p *peer) {
		p.login()
		p.send(" \n<presence xmlns=\"jabber:client\" from=\"bob@x.example\"/>\r\n")
		big := `<presence xmlns="jabber:client" from="big@x.example"><status></status></presence>`
		p.send(strings.Replace(big, "<status>", "<status>"+strings.Repeat("x", maxFrame-len(big)), 1))
		p.drain()
	}))
	require.Equal(t, "bob", c.event().(Presence).From.Local)
	require.Equal(t, "big", c.event().(Presence).From.Local)
	require.NoError(t, c.Err())
}

// The server hangs up without a word.
func TestConnectionLost(t *testing.T) {
	eachTransport(t, func(t *testing.T, serve func(testing.TB, script) Config) {
		c := dial(t, serve(t, func(p *peer) { p.login(); p.recv(); p.send("<mess") }))
		err := c.Ping(soon(t))
		require.ErrorIs(t, err, ErrNotConnected)
		require.Error(t, c.ended())
		require.NotErrorIs(t, c.Err(), ErrClosed)
	})
}

// We answer the server's end of the stream with ours.
func TestServerCloses(t *testing.T) {
	eachTransport(t, func(t *testing.T, serve func(testing.TB, script) Config) {
		answered := make(chan struct{})
		c := dial(t, serve(t, func(p *peer) {
			p.login()
			p.sendEnd()
			p.expectEnd()
			close(answered)
			p.drain()
		}))
		require.ErrorIs(t, c.ended(), errServerClosed)
		<-answered
	})
}

func TestCloseFromHandler(t *testing.T) {
	eachTransport(t, func(t *testing.T, serve func(testing.TB, script) Config) {
		cfg := serve(t, func(p *peer) {
			p.login()
			p.expect(`<presence xmlns="jabber:client"><priority>1</priority></presence>`)
			p.recv()
			p.send(`<presence from="bob@xmpp.example.com" xmlns="jabber:client"/>`)
			p.expect(`<presence type="unavailable" xmlns="jabber:client"/>`)
			p.expectEnd()
			p.sendEnd()
			p.drain()
		})
		var c *client
		ready := make(chan struct{})
		closed := make(chan time.Duration, 1)
		cfg.Handle = func(Event) {
			<-ready
			start := time.Now()
			if err := c.Close(context.Background()); err != nil {
				t.Error(err)
			}
			closed <- time.Since(start)
		}
		c = dial(t, cfg)
		require.NoError(t, c.Start(t.Context()))
		close(ready)
		require.ErrorIs(t, c.ended(), ErrClosed)
		require.Zero(t, <-closed, "the server ended its side at once")
	})
}

// Close is bounded by its context and by closeTimeout, whatever the server does.
func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, s := range map[string]script{
			"reads and is silent": func(p *peer) { p.login(); p.drain() },
			"does not read":       func(p *peer) { p.login(); <-t.Context().Done() },
		} {
			ctx, cancel := context.WithCancel(t.Context())
			blocked := func(p *peer) {
				if name == "does not read" {
					p.login()
					<-ctx.Done()
					return
				}
				s(p)
			}
			for _, bound := range []time.Duration{0, time.Second, time.Hour} {
				c := dial(t, pipeServer(t, blocked))
				closing := done()
				if bound > 0 {
					var stop context.CancelFunc
					closing, stop = context.WithTimeout(t.Context(), bound)
					defer stop()
				}
				start := time.Now()
				twice := make(chan error, 1)
				go func() { twice <- c.Close(context.Background()) }() // ends with the other
				_ = c.Close(closing)
				require.LessOrEqual(t, time.Since(start), min(bound, closeTimeout), name)
				require.ErrorIs(t, <-c.served, ErrClosed)
				require.NoError(t, <-twice)
			}
			cancel()
		}
	})
}

// A polite end closes the WebSocket with status 1000, whoever began.
func TestWebSocketStatus(t *testing.T) {
	for name, clientFirst := range map[string]bool{"client": true, "server": false} {
		still(t, func(t *testing.T) {
			status := make(chan websocket.StatusCode, 1)
			c := dial(t, webSocketServer(t, func(p *peer) {
				p.login()
				if clientFirst {
					p.recv()
				} else {
					p.sendEnd()
				}
				p.expectEnd()
				if clientFirst {
					p.sendEnd()
				}
				_, err := p.read()
				status <- websocket.CloseStatus(err)
			}))
			if clientFirst {
				require.NoError(t, c.Close(t.Context()))
			}
			c.ended()
			require.Equal(t, websocket.StatusNormalClosure, <-status, name)
		})
	}
}

// Close before Serve, and Serve after Close.
func TestCloseWithoutServe(t *testing.T) {
	eachTransport(t, func(t *testing.T, serve func(testing.TB, script) Config) {
		cfg := serve(t, func(p *peer) {
			p.login()
			p.expect(`<presence type="unavailable" xmlns="jabber:client"/>`)
			p.expectEnd()
			p.sendEnd()
			p.drain()
		})
		s, err := Dial(soon(t), cfg)
		require.NoError(t, err)
		require.NoError(t, s.Close(context.Background()))
		require.ErrorIs(t, s.Serve(), ErrClosed)
		require.ErrorIs(t, s.Ping(t.Context()), ErrClosed)
	})
}

// With a context that is done, Close says nothing to the server.
func TestCloseAtOnce(t *testing.T) {
	said := make(chan error, 1)
	c := dial(t, pipeServer(t, func(p *peer) {
		p.login()
		_, err := p.read()
		said <- err
	}))
	require.NoError(t, c.Close(done()))
	require.Error(t, <-said)
}

// A silent server is pinged, and given up when it does not answer.
func TestKeepAlive(t *testing.T) {
	const interval, timeout = time.Minute, 20 * time.Second
	synctest.Test(t, func(t *testing.T) {
		pings := make(chan time.Time, 100)
		answers := 3
		cfg := pipeServer(t, func(p *peer) {
			p.login()
			for {
				n, err := p.read()
				if err != nil {
					return
				}
				if n.String() != canon(t, `<iq id="ID" to="xmpp.example.com" type="get" xmlns="jabber:client"><ping xmlns="urn:xmpp:ping"/></iq>`) {
					t.Errorf("got %s", n)
				}
				pings <- time.Now()
				if answers--; answers >= 0 {
					// A refusal is a sign of life too.
					p.send(replyTo(`<iq from="xmpp.example.com" id="%s" type="error" xmlns="jabber:client"><error type="cancel"/></iq>`, n))
				}
			}
		})
		cfg.KeepAliveInterval, cfg.KeepAliveTimeout = interval, timeout
		start := time.Now()
		c := dial(t, cfg)
		require.ErrorIs(t, <-c.served, errNoAnswer)
		// The first three pings are answered and checked timeout later, when
		// the rest of the interval starts.
		require.Len(t, pings, 4)
		for i := range 4 {
			require.Equal(t, time.Duration(i+1)*interval, (<-pings).Sub(start))
		}
		require.Equal(t, 4*interval+timeout, time.Since(start))
		require.Zero(t, c.Ignored())
		require.ErrorIs(t, c.Ping(t.Context()), errNoAnswer)
	})
}

// The longest times there are do not come round to the shortest.
func TestKeepAliveForEver(t *testing.T) {
	const long = 10 * 365 * 24 * time.Hour
	for name, c := range map[string]struct {
		interval, timeout time.Duration
		pings             int
	}{"interval": {math.MaxInt64, time.Second, 1}, "timeout": {time.Minute, math.MaxInt64, 2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pings := make(chan string, 100)
				cfg := pipeServer(t, func(p *peer) {
					p.login()
					<-time.After(time.Second) // of the bubble
					n, err := p.read()
					p.send(replyTo(`<iq from="xmpp.example.com" id="%s" type="result" xmlns="jabber:client"/>`, n))
					for ; err == nil; n, err = p.read() {
						pings <- n.String()
					}
				})
				cfg.KeepAliveInterval, cfg.KeepAliveTimeout = c.interval, c.timeout
				s := dial(t, cfg)
				require.NoError(t, s.Ping(t.Context())) // its writing has the timer go off
				<-time.After(long)
				require.NoError(t, s.Err())
				require.Len(t, pings, c.pings)
				require.NoError(t, s.Close(done()))
				require.ErrorIs(t, <-s.served, ErrClosed)
			})
		})
	}
}

// A server that talks is not pinged; with interval 0 nobody is.
func TestKeepAliveOfTheTalkative(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, interval := range []time.Duration{time.Minute, 0, -1} {
			silence := 50 * time.Second
			if interval <= 0 {
				silence = 24 * time.Hour
			}
			cfg := pipeServer(t, func(p *peer) {
				p.login()
				go func() { // ends with the connection
					if n, err := p.read(); err == nil {
						t.Errorf("pinged: %s", n)
					}
				}()
				for range 100 {
					<-time.After(silence) // of the bubble
					p.send(` <presence from="bob@xmpp.example.com" xmlns="jabber:client"/>`)
				}
			})
			cfg.KeepAliveInterval = interval
			c := dial(t, cfg)
			for range 100 {
				<-c.events
			}
			require.NoError(t, c.Close(done()))
			<-c.served
		}
	})
}

// An idle session is the goroutine that Serve runs in, and no other.
func TestIdleGoroutines(t *testing.T) {
	const n = 20
	cfg := webSocketServer(t, func(p *peer) { p.login(); p.drain() })
	cfg.KeepAliveInterval = time.Minute
	for range n {
		dial(t, cfg)
	}
	count := func() int {
		buf := make([]byte, 4<<20)
		buf = buf[:runtime.Stack(buf, true)]
		ours := 0
		for g := range strings.SplitSeq(string(buf), "\n\n") {
			// Of net/http, what it would leave behind for a connection of its own.
			if strings.Contains(g, "xmpp.(*Session)") || strings.Contains(g, "http.(*persistConn)") {
				ours++
			}
		}
		return ours
	}
	require.Eventually(t, func() bool { return count() == n }, patience, 10*time.Millisecond)
}
