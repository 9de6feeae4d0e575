package xmpp

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/frames"
	"github.com/mirrorfly-go/sdk/internal/testing/fuzz"
	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
)

// Wherever the connection ends, the session is lost: that is not the server's mistake, and the
// stream may be resumed.
func TestCutAnywhere(t *testing.T) {
	const stanza = `<message from="bob@xmpp.example.com" xmlns="jabber:client">` +
		`<body>scripted.Hello, and a little more of the same: hello</body></message>`
	whole := scripted.Message(0x81, stanza)
	parts := append(append(scripted.Message(0x01, stanza[:40]), scripted.Message(0x00, stanza[40:60])...),
		scripted.Message(0x80, stanza[60:])...)
	lost := func(t *testing.T, cfg Config, cut int) {
		t.Helper()
		s, err := Dial(soon(t), cfg)
		require.NoError(t, err)
		err = serveToEnd(s)
		require.ErrorContains(t, err, "connection lost", cut)
		require.NotErrorIs(t, err, errMalformed, cut)
		require.False(t, s.closeSent, "cut after %d: the end of the stream was told, so it cannot be resumed", cut)
	}
	for name, bytes := range map[string][]byte{"whole": whole, "in parts": parts} {
		t.Run("websocket, "+name, func(t *testing.T) {
			for cut := range len(bytes) + 1 {
				lost(t, configOf(scripted.RawWebSocket(t, func(c net.Conn) { _, _ = c.Write(bytes[:cut]) })), cut)
			}
		})
	}
	t.Run("tcp", func(t *testing.T) {
		for cut := range len(stanza) + 1 {
			lost(t, pipeServer(t, func(p *peer) { p.Login(); p.Send(stanza[:cut]) }), cut)
		}
	})
}

// Servers send white space between stanzas over TCP (RFC 6120 4.6.1), and the same, or nothing,
// over WebSocket, to keep the connection up. It is skipped, also during the login.
func TestWhiteSpaceKeepalive(t *testing.T) {
	eachTransport(t, func(t *testing.T, serve serverFunc) {
		blank := func(p *peer) {
			for _, text := range []string{" ", "\n", " \t\r\n", ""} {
				p.Send(text)
			}
			if p.WS != nil {
				_ = p.WS.Write(context.Background(), websocket.MessageBinary, nil)
			}
		}
		c := dial(t, serve(t, func(p *peer) {
			p.Open(scripted.PlainFeatures)
			p.Expect(scripted.PlainAuth)
			blank(p)
			p.Send(scripted.SASLSuccess)
			p.Open(scripted.BindFeatures)
			p.Recv()
			blank(p)
			p.Send(scripted.BindResult)
			blank(p)
			p.Send(scripted.Online)
			blank(p)
			answerAll(p)
		}))
		require.IsType(t, Presence{}, c.event())
		require.NoError(t, c.Ping(soon(t)))
		require.Zero(t, c.Ignored())
	})
}

// A read deadline that the connection has from somebody else, as one that allows so much silence,
// ends the session.
func TestDeadlineOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := pipeServer(t, func(p *peer) { p.Login(); p.Answer(1); p.Drain() })
		pipe := cfg.DialContext
		var conn net.Conn
		cfg.DialContext = func(ctx context.Context, network, addr string) (_ net.Conn, err error) {
			conn, err = pipe(ctx, network, addr)
			return conn, err
		}
		c := dial(t, cfg)
		require.NoError(t, c.Ping(t.Context()))
		start := time.Now()
		require.NoError(t, conn.SetReadDeadline(start.Add(time.Second)))
		require.ErrorContains(t, <-c.served, "connection lost")
		require.Equal(t, time.Second, time.Since(start))
	})
}

// What a hostile or broken server sends after the login, and how the session
// ends. The error names it; a waiting request fails with the same.
func TestHostileInput(t *testing.T) {
	const bob = ` from="bob@xmpp.example.com" xmlns="jabber:client"`
	for name, tc := range map[string]struct {
		in   string
		want error
	}{
		"10 MiB stanza": {`<message` + bob + `><body>` + strings.Repeat("x", 10<<20) +
			`</body></message>`, errTooLarge},
		"10 MiB attribute": {`<message x="` + strings.Repeat("x", 10<<20) + `"` + bob + `/>`, errTooLarge},
		"10 MiB tag name":  {`<` + strings.Repeat("x", 10<<20) + `/>`, errTooLarge},
		"depth bomb":       {`<message` + bob + `>` + strings.Repeat("<a>", 100_000), errMalformed},
		"depth 65": {`<message` + bob + `>` + strings.Repeat("<a>", 64) + strings.Repeat("</a>", 64) +
			`</message>`, errMalformed},
		"doctype":             {`<!DOCTYPE x [<!ENTITY a "b">]><message` + bob + `/>`, errMalformed},
		"doctype inside":      {`<message` + bob + `><!DOCTYPE x></message>`, errMalformed},
		"entity":              {`<message` + bob + `><body>&a;</body></message>`, errMalformed},
		"instruction":         {`<message` + bob + `><?php x?></message>`, errMalformed},
		"declaration":         {`<?xml version="1.0"?><message` + bob + `/>`, errMalformed},
		"comment":             {`<message` + bob + `><!-- x --></message>`, errMalformed},
		"text":                {`hello`, errMalformed},
		"text after":          {`<message` + bob + `/>hello`, errMalformed},
		"wrong end tag":       {`<message` + bob + `></body>`, errMalformed},
		"wrong end inside":    {`<iq id="x" type="result"` + bob + `><a></b></iq>`, errMalformed},
		"wrong end, ignored":  {`<r xmlns="u"><a></b></r>`, errMalformed},
		"wrong end, presence": {`<presence` + bob + `><a></b></presence>`, errMalformed},
		"attribute unquoted":  {`<message a=b` + bob + `/>`, errMalformed},
		"not UTF-8":           {"<message" + bob + "><body>\xff\xfe</body></message>", errMalformed},
		"NUL":                 {"<message" + bob + "><body>\x00</body></message>", errMalformed},
		"control character":   {"<message" + bob + "><body>&#1;</body></message>", errMalformed},
		"tag in a tag":        {`<message <body/>`, errMalformed},
		"space before name":   {`< message/>`, errMalformed},
		"stream error": {`<stream:error xmlns:stream="http://etherx.jabber.org/streams">` +
			`<reset xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error>`, &StreamError{Condition: "reset"}},
		"stream error, prefix": {
			`<s:error xmlns:s="http://etherx.jabber.org/streams">` +
				`<conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/>` +
				`<text xmlns="urn:ietf:params:xml:ns:xmpp-streams">Replaced by new connection</text></s:error>`,
			&StreamError{Condition: "conflict", Text: "Replaced by new connection"},
		},
		"sent elsewhere": {
			`<stream:error xmlns:stream="http://etherx.jabber.org/streams">` +
				`<see-other-host xmlns="urn:ietf:params:xml:ns:xmpp-streams">evil:1</see-other-host></stream:error>`,
			&StreamError{Condition: "see-other-host", Text: "evil:1"},
		},
		"end of the stream": {"END", errServerClosed},
	} {
		for transport, serve := range transports {
			t.Run(name+" "+transport, func(t *testing.T) {
				c := dial(t, serve(t, func(p *peer) {
					p.Login()
					p.Recv()
					if tc.in == "END" {
						p.SendEnd()
					} else {
						p.Send(tc.in)
					}
					p.Drain()
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
		c := dial(t, webSocketServer(t, func(p *peer) { p.Login(); p.Send(frame); p.Drain() }))
		require.ErrorIs(t, c.ended(), errMalformed, name)
	}
	c := dial(t, webSocketServer(t, func(p *peer) {
		p.Login()
		_ = p.WS.Write(context.Background(), websocket.MessageBinary, []byte(`<presence xmlns="jabber:client"/>`))
		p.Drain()
	}))
	require.ErrorContains(t, c.ended(), "binary")

	// White space around the element is fine, and so is all of a megabyte.
	c = dial(t, webSocketServer(t, func(p *peer) {
		p.Login()
		p.Send(" \n<presence xmlns=\"jabber:client\" from=\"bob@x.example\"/>\r\n")
		big := `<presence xmlns="jabber:client" from="big@x.example"><status></status></presence>`
		p.Send(strings.Replace(big, "<status>", "<status>"+strings.Repeat("x", frames.MaxFrame-len(big)), 1))
		p.Drain()
	}))
	require.Equal(t, "bob", c.event().(Presence).From.Local)
	require.Equal(t, "big", c.event().(Presence).From.Local)
	require.NoError(t, c.Err())
}

// The server hangs up without a word.
func TestConnectionLost(t *testing.T) {
	eachTransport(t, func(t *testing.T, serve serverFunc) {
		c := dial(t, serve(t, func(p *peer) { p.Login(); p.Recv(); p.Send("<mess") }))
		err := c.Ping(soon(t))
		require.ErrorIs(t, err, ErrNotConnected)
		require.Error(t, c.ended())
		require.NotErrorIs(t, c.Err(), ErrClosed)
	})
}

// We answer the server's end of the stream with ours.
func TestServerCloses(t *testing.T) {
	eachTransport(t, func(t *testing.T, serve serverFunc) {
		answered := make(chan struct{})
		c := dial(t, serve(t, func(p *peer) {
			p.Login()
			p.SendEnd()
			p.ExpectEnd()
			close(answered)
			p.Drain()
		}))
		require.ErrorIs(t, c.ended(), errServerClosed)
		<-answered
	})
}

// An idle session is the goroutine that Serve runs in, and no other.
func TestIdleGoroutines(t *testing.T) {
	const n = 20
	cfg := webSocketServer(t, func(p *peer) { p.Login(); p.Drain() })
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

// SECURITY.md: a stanza costs no more than its share of 256 MiB, whatever is in it. These are a
// sixteenth of the largest.
func TestLargeStanzasStayWithinMemory(t *testing.T) {
	const size = frames.MaxFrame / 16
	fill := func(open, unit, end string) string {
		return open + strings.Repeat(unit, (size-len(open)-len(end))/len(unit)) + end
	}
	attributes := func(name string) string {
		var b strings.Builder
		for i := 0; b.Len() < size-200; i++ {
			fmt.Fprintf(&b, ` %s%d=""`, name, i)
		}
		return b.String()
	}
	const server, bob = ` from="` + scripted.Domain + `"`, ` from="bob@` + scripted.Domain + `"`
	jid, err := ParseJID(scripted.Full)
	require.NoError(t, err)
	for name, frame := range map[string]string{
		"elements in a message": fill(`<message`+server+`>`, `<a/>`, `</message>`),
		"elements in elements": fill(`<message`+server+`>`, strings.Repeat("<a>", 60)+
			strings.Repeat("</a>", 60), `</message>`),
		"elements of a profile": fill(`<iq type="result"`+bob+
			`><vCard xmlns="vcard-temp">`, `<a/>`, `</vCard></iq>`),
		"elements of an error": fill(`<iq type="error" id="members"><error>`, `<a/>`, `</error></iq>`),
		"block list": fill(`<iq type="result" id="list"><blocklist xmlns="urn:xmpp:blocking">`,
			`<item jid="a"/>`, `</blocklist></iq>`),
		"block list of nobody": fill(`<iq type="result" id="list"><blocklist xmlns="urn:xmpp:blocking">`,
			`<item/>`, `</blocklist></iq>`),
		"list of who blocks us": fill(`<iq type="result" id="members"><blocklist>`, `<members>a</members>`,
			`</blocklist></iq>`),
		"block push": fill(`<iq type="set" id="1"><block xmlns="urn:xmpp:blocking">`, `<item/>`,
			`</block></iq>`),
		"ends of QR sessions":   fill(`<message`+server+`><logout socket_id="`, `a,`, `"/></message>`),
		"attributes":            `<message` + attributes("a") + `/>`,
		"attributes inside":     `<message><a` + attributes("a") + `/></message>`,
		"attributes of a reply": `<iq type="result" id="members"><blocklist` + attributes("a") + `/></iq>`,
		"namespaces":            `<message><a` + attributes("xmlns:a") + `/></message>`,
		"characters spelt out":  fill(`<message><body>`, `&lt;`, `</body></message>`),
		"stream error of anything": fill(`<stream:error xmlns:stream="http://etherx.jabber.org/streams">`, `<a/>`,
			`</stream:error>`),
		"elements of an acceptance": fill(`<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl">`, `<a/>`, `</success>`),
	} {
		t.Run(name, func(t *testing.T) {
			require.LessOrEqual(t, len(frame), size)
			cfg := Config{}
			cfg.setDefaults()
			s := newSession(&cfg, &handshake{cfg: &cfg, conn: nowhere{}, jid: jid})
			defer s.end(ErrClosed)
			replies := make(chan reply, 2)
			s.waiters = map[string]*waiter{
				"list":    {id: "list", reply: replies},
				"members": {id: "members", reply: replies},
			}
			fuzz.Bounded(t, len(frame), frames.MaxFrame, func() {
				err := s.receive(frame)
				require.NotErrorIs(t, err, errMalformed)
				select {
				case r := <-replies:
					if r.refused == nil {
						list, _ := blockers(r.Element)
						jidsIn(list)
					}
				default:
				}
			})
		})
	}
	t.Run("mechanisms", func(t *testing.T) {
		frame := fill(`<f><mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl">`, `<mechanism/>`, `</mechanisms></f>`)
		fuzz.Bounded(t, len(frame), frames.MaxFrame, func() {
			st, err := parse(frame)
			require.NoError(t, err)
			require.NotEmpty(t, readFeatures(st.Element).mechanisms)
		})
	})
}

const lastReply = `<iq from="bob@xmpp.example.com" id="%s" to="` + scripted.Full +
	`" type="result" xmlns="jabber:client"><query seconds="903" xmlns="jabber:iq:last"/></iq>`

// A whole session on every transport, with the frames of protocol.md 4.
func TestSession(t *testing.T) {
	eachTransport(t, func(t *testing.T, serve serverFunc) {
		cfg := serve(t, func(p *peer) {
			p.Login()
			p.Expect(`<presence xmlns="jabber:client"><priority>1</priority></presence>`)
			p.Expect(`<iq id="ID" type="set" xmlns="jabber:client"><enable xmlns="urn:xmpp:carbons:2"/></iq>`)
			p.Send(`<presence from="bob@xmpp.example.com/Web-x" to="` + scripted.Full + `" xmlns="jabber:client"/>`)
			q := p.Expect(`<iq id="ID" to="bob@xmpp.example.com" type="get" xmlns="jabber:client">` +
				`<query xmlns="jabber:iq:last"/></iq>`)
			p.Send(scripted.ReplyTo(lastReply, q))
			p.Expect(`<presence type="unavailable" xmlns="jabber:client"/>`)
			p.ExpectEnd()
			p.SendEnd()
			p.Drain()
		})
		c := dial(t, cfg)
		require.Equal(t, scripted.Full, c.JID().String())
		require.NoError(t, c.Err())
		require.NoError(t, c.Start(context.Background()))
		require.Equal(t, Presence{From: JID{"bob", scripted.Domain, "Web-x"}}, c.event())

		from, seconds, err := c.LastActivity(soon(t), "bob@xmpp.example.com")
		require.NoError(t, err)
		require.Equal(t, "bob@xmpp.example.com", from)
		require.EqualValues(t, 903, seconds)

		start := time.Now()
		require.NoError(t, c.Close(context.Background()))
		require.Zero(t, time.Since(start), "the server ended its side at once")
		require.ErrorIs(t, c.ended(), ErrClosed)
		require.NoError(t, c.Close(context.Background()), "again")

		_, _, err = c.LastActivity(context.Background(), "bob@xmpp.example.com")
		require.ErrorIs(t, err, ErrNotConnected)
		require.ErrorIs(t, err, ErrClosed)
		require.ErrorIs(t, c.Start(context.Background()), ErrNotConnected)
		require.ErrorIs(t, c.Serve(), errServedTwice)
	})
}

// Every recorded frame of the handshake, on a WebSocket.
func TestVectorStream(t *testing.T) {
	still(t, func(t *testing.T) {
		v := loadVectors(t)
		cfg := webSocketServer(t, func(p *peer) {
			for _, f := range v.Stream {
				switch {
				case f.Step == "server ping" || strings.HasPrefix(f.Step, "pong") ||
					strings.HasPrefix(f.Step, "unknown iq"):
					// TestAnswers.
					continue
				case f.Direction == "in":
					p.Send(f.XML)
				case strings.HasPrefix(f.Step, "logout/disconnect 1"):
					p.Send(`<presence from="bob@xmpp.example.com/x" xmlns="jabber:client"/>`)
					p.Expect(f.XML)
				default:
					p.Expect(f.XML)
				}
			}
			p.Send(frames.CloseFrame)
			p.Drain()
		})
		c := dial(t, cfg)
		require.NoError(t, c.Start(t.Context()))
		// The server is at the end of its list.
		c.event()
		require.NoError(t, c.Close(soon(t)))
		require.ErrorIs(t, c.ended(), ErrClosed)
	})
}
