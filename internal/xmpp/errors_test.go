package xmpp

import (
	"crypto/tls"
	"errors"
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

	"github.com/mirrorfly-go/sdk/internal/observe"
	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
)

func TestClip(t *testing.T) {
	require.Equal(t, "x", clip("x"))
	require.Equal(t, strings.Repeat("é", 128)+"...", clip(strings.Repeat("é", 129)))
	require.Equal(t, "a"+strings.Repeat("é", 127)+"...", clip("a"+strings.Repeat("é", 200)))
}

// SECURITY.md: what a server, or whoever pretends to be one, has written fits one line of an error
// and of a log.
func TestServerTextCannotForge(t *testing.T) {
	// XML has no other control characters.
	const forged = "no&#10;level=INFO msg=fine&#13;\u2028\u202e\u0085\u009b2J"
	const stream = ` xmlns:stream="http://etherx.jabber.org/streams"`
	line := func(t *testing.T, text string) {
		require.False(t, strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }), "%q", text)
		require.Contains(t, text, `no\nlevel=INFO`, "it is shown, as what it is")
	}
	t.Run("refused request", func(t *testing.T) {
		c := dial(t, webSocketServer(t, func(p *peer) {
			p.Login()
			id := p.Recv().Attr("id")
			p.Send(`<iq xmlns="jabber:client" type="error" id="` + id + `"><error type="` + forged +
				`"><forbidden xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/><text>` + forged + `</text></error></iq>`)
			p.Drain()
		}))
		_, err := c.BlockList(soon(t))
		line(t, err.Error())
	})
	t.Run("stream error", func(t *testing.T) {
		c := dial(t, webSocketServer(t, func(p *peer) {
			p.Login()
			p.Send(`<stream:error` + stream + `><reset xmlns="urn:ietf:params:xml:ns:xmpp-streams"/><text>` + forged +
				`</text></stream:error>`)
			p.Drain()
		}))
		line(t, c.ended().Error())
	})
	t.Run("refused login", func(t *testing.T) {
		_, err := Dial(t.Context(), webSocketServer(t, func(p *peer) {
			p.Open(scripted.PlainFeatures)
			p.Recv()
			p.Send(`<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><not-authorized/><text>` + forged +
				`</text></failure>`)
			p.Drain()
		}))
		line(t, err.Error())
	})
	t.Run("mechanisms", func(t *testing.T) {
		_, err := Dial(t.Context(), webSocketServer(t, func(p *peer) {
			p.Open(strings.Replace(scripted.PlainFeatures, "PLAIN", forged, 1))
			p.Drain()
		}))
		line(t, err.Error())
	})
	t.Run("log", func(t *testing.T) {
		var seen []string
		var mu sync.Mutex
		log := slog.New(slog.NewTextHandler(io.Discard,
			&slog.HandlerOptions{Level: observe.LevelFrame, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, a.Value.String())
				return a
			}}))
		cfg := webSocketServer(t, func(p *peer) {
			p.Login()
			p.Send(`<presence xmlns="jabber:client" from="` + forged + `"/>`)
			p.Send(`<presence xmlns="jabber:client" from="bob@x.example"/>`)
			p.Drain()
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
		"xmpps": func(t testing.TB, name string) Config {
			cert, _ := scripted.Certificate(t, name)
			return testConfig("xmpps://" + scripted.Listen(t, func(conn net.Conn) {
				_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake()
			}))
		},
		"wss": func(t testing.TB, name string) Config {
			cert, _ := scripted.Certificate(t, name)
			srv := httptest.NewUnstartedServer(http.NotFoundHandler())
			srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
			srv.StartTLS()
			t.Cleanup(srv.Close)
			return testConfig("wss://localhost:" + strings.TrimPrefix(srv.Listener.Addr().String(), "127.0.0.1:"))
		},
	} {
		// Anybody on the way can make one.
		t.Run("certificate "+scheme, func(t *testing.T) {
			_, err := Dial(t.Context(), serve(t, "no\nlevel=INFO\x1b[2J.example"))
			line(t, err.Error())
		})
	}
}

func TestErrorsAreMatched(t *testing.T) {
	require.True(t, errors.Is(&AuthError{Step: "sasl", Err: ErrInsecure}, ErrInsecure))
}
