package xmpp

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/fuzz"
)

// SECURITY.md: a stanza costs no more than its share of 256 MiB, whatever is in it. These are a sixteenth of the largest.
func TestLargeStanzasStayWithinMemory(t *testing.T) {
	const size = maxFrame / 16
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
	const server, bob = ` from="` + testDomain + `"`, ` from="bob@` + testDomain + `"`
	jid, err := ParseJID(testFull)
	require.NoError(t, err)
	for name, frame := range map[string]string{
		"elements in a message":     fill(`<message`+server+`>`, `<a/>`, `</message>`),
		"elements in elements":      fill(`<message`+server+`>`, strings.Repeat("<a>", 60)+strings.Repeat("</a>", 60), `</message>`),
		"elements of a profile":     fill(`<iq type="result"`+bob+`><vCard xmlns="vcard-temp">`, `<a/>`, `</vCard></iq>`),
		"elements of an error":      fill(`<iq type="error" id="members"><error>`, `<a/>`, `</error></iq>`),
		"block list":                fill(`<iq type="result" id="list"><blocklist xmlns="urn:xmpp:blocking">`, `<item jid="a"/>`, `</blocklist></iq>`),
		"block list of nobody":      fill(`<iq type="result" id="list"><blocklist xmlns="urn:xmpp:blocking">`, `<item/>`, `</blocklist></iq>`),
		"list of who blocks us":     fill(`<iq type="result" id="members"><blocklist>`, `<members>a</members>`, `</blocklist></iq>`),
		"block push":                fill(`<iq type="set" id="1"><block xmlns="urn:xmpp:blocking">`, `<item/>`, `</block></iq>`),
		"ends of QR sessions":       fill(`<message`+server+`><logout socket_id="`, `a,`, `"/></message>`),
		"attributes":                `<message` + attributes("a") + `/>`,
		"attributes inside":         `<message><a` + attributes("a") + `/></message>`,
		"attributes of a reply":     `<iq type="result" id="members"><blocklist` + attributes("a") + `/></iq>`,
		"namespaces":                `<message><a` + attributes("xmlns:a") + `/></message>`,
		"characters spelt out":      fill(`<message><body>`, `&lt;`, `</body></message>`),
		"stream error of anything":  fill(`<stream:error xmlns:stream="http://etherx.jabber.org/streams">`, `<a/>`, `</stream:error>`),
		"elements of an acceptance": fill(`<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl">`, `<a/>`, `</success>`),
	} {
		t.Run(name, func(t *testing.T) {
			require.LessOrEqual(t, len(frame), size)
			cfg := Config{}
			cfg.setDefaults()
			s := newSession(&cfg, &negotiation{cfg: &cfg, f: nowhere{}, jid: jid})
			defer s.end(ErrClosed)
			replies := make(chan reply, 2)
			s.waiters.add("list", &waiter{reply: replies})
			s.waiters.add("members", &waiter{reply: replies})
			fuzz.Bounded(t, len(frame), maxFrame, func() {
				err := s.receive(frame)
				require.NotErrorIs(t, err, errMalformed)
				select {
				case r := <-replies:
					if r.refused == nil {
						list, _ := blockers(r.element)
						jidsIn(list)
					}
				default:
				}
			})
		})
	}
	t.Run("mechanisms", func(t *testing.T) {
		frame := fill(`<f><mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl">`, `<mechanism/>`, `</mechanisms></f>`)
		fuzz.Bounded(t, len(frame), maxFrame, func() {
			st, err := parse(frame)
			require.NoError(t, err)
			require.NotEmpty(t, readFeatures(st.element).mechanisms)
		})
	})
}

// SECURITY.md: TLS 1.2 or later over TCP, also when the TLSConfig permits less.
func TestTLS12(t *testing.T) {
	cert, pool := testCA(t, testDomain)
	for _, version := range []uint16{tls.VersionTLS11, tls.VersionTLS12} {
		old := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: version}
		for scheme, server := range map[string]func(net.Conn){
			schemeXMPPS: func(conn net.Conn) {
				p := &peer{t: t, conn: tls.Server(conn, old), impatient: true}
				p.login()
				p.drain()
			},
			schemeXMPP: func(conn net.Conn) {
				p := &peer{t: t, conn: conn, impatient: true}
				p.open(tlsFeatures)
				p.recv()
				p.send(`<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>`)
				p.conn = tls.Server(conn, old)
				p.login()
				p.drain()
			},
		} {
			t.Run(scheme+" "+tls.VersionName(version), func(t *testing.T) {
				cfg := testConfig(scheme + "://" + listen(t, server))
				cfg.TLSConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10}
				s, err := Dial(t.Context(), cfg)
				if version < tls.VersionTLS12 {
					require.ErrorContains(t, err, "tls: ")
					require.ErrorContains(t, err, "version")
					return
				}
				require.NoError(t, err)
				require.NoError(t, s.Close(done()))
			})
		}
	}
}

// SECURITY.md: what a server, or whoever pretends to be one, has written fits one line of an error and of a log.
func TestServerTextCannotForge(t *testing.T) {
	const forged = "no&#10;level=INFO msg=fine&#13;\u2028\u202e\u0085\u009b2J" // XML has no other control characters
	const stream = ` xmlns:stream="http://etherx.jabber.org/streams"`
	line := func(t *testing.T, text string) {
		require.False(t, strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }), "%q", text)
		require.Contains(t, text, `no\nlevel=INFO`, "it is shown, as what it is")
	}
	t.Run("refused request", func(t *testing.T) {
		c := dial(t, webSocketServer(t, func(p *peer) {
			p.login()
			id := p.recv().attr("id")
			p.send(`<iq xmlns="jabber:client" type="error" id="` + id + `"><error type="` + forged + `"><forbidden xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/><text>` + forged + `</text></error></iq>`)
			p.drain()
		}))
		_, err := c.BlockList(soon(t))
		line(t, err.Error())
	})
	t.Run("stream error", func(t *testing.T) {
		c := dial(t, webSocketServer(t, func(p *peer) {
			p.login()
			p.send(`<stream:error` + stream + `><reset xmlns="urn:ietf:params:xml:ns:xmpp-streams"/><text>` + forged + `</text></stream:error>`)
			p.drain()
		}))
		line(t, c.ended().Error())
	})
	t.Run("refused login", func(t *testing.T) {
		_, err := Dial(t.Context(), webSocketServer(t, func(p *peer) {
			p.open(plainFeatures)
			p.recv()
			p.send(`<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><not-authorized/><text>` + forged + `</text></failure>`)
			p.drain()
		}))
		line(t, err.Error())
	})
	t.Run("mechanisms", func(t *testing.T) {
		_, err := Dial(t.Context(), webSocketServer(t, func(p *peer) {
			p.open(strings.Replace(plainFeatures, "PLAIN", forged, 1))
			p.drain()
		}))
		line(t, err.Error())
	})
	t.Run("log", func(t *testing.T) {
		var seen []string
		var mu sync.Mutex
		log := slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, a.Value.String())
			return a
		}}))
		cfg := webSocketServer(t, func(p *peer) {
			p.login()
			p.send(`<presence xmlns="jabber:client" from="` + forged + `"/>`)
			p.send(`<presence xmlns="jabber:client" from="bob@x.example"/>`)
			p.drain()
		})
		cfg.Logger = log
		c := dial(t, cfg)
		c.event()
		mu.Lock()
		defer mu.Unlock()
		require.Contains(t, strings.Join(seen, ""), `no\nlevel=INFO`)
		for _, value := range seen {
			require.False(t, strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }), "%q", value)
		}
	})
	for scheme, serve := range map[string]func(testing.TB, string) Config{
		schemeXMPPS: func(t testing.TB, name string) Config {
			cert, _ := testCA(t, name)
			return testConfig("xmpps://" + listen(t, func(conn net.Conn) {
				_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake()
			}))
		},
		schemeWSS: func(t testing.TB, name string) Config {
			cert, _ := testCA(t, name)
			srv := httptest.NewUnstartedServer(http.NotFoundHandler())
			srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
			srv.StartTLS()
			t.Cleanup(srv.Close)
			return testConfig("wss://localhost:" + strings.TrimPrefix(srv.Listener.Addr().String(), "127.0.0.1:"))
		},
	} {
		t.Run("certificate "+scheme, func(t *testing.T) { // anybody on the way can make one
			_, err := Dial(t.Context(), serve(t, "no\nlevel=INFO\x1b[2J.example"))
			line(t, err.Error())
		})
	}
}
