package xmpp

import (
	"context"
	"io"
	"net"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
)

func TestInsecure(t *testing.T) {
	cfg := testConfig("ws://127.0.0.1:1/websocket")
	_, err := Dial(t.Context(), cfg)
	require.ErrorIs(t, err, ErrInsecure)

	// A server, or somebody on the way, that takes STARTTLS out of the features.
	stripped := pipeServer(t, func(p *peer) {
		p.Open(scripted.PlainFeatures)
		if n, err := p.Read(); err == nil {
			t.Errorf("client went on: %s", n)
		}
	})
	stripped.AllowInsecure = false
	_, err = Dial(t.Context(), stripped)
	require.ErrorIs(t, err, ErrInsecure)

	// ws:// with permission.
	srv := httptest.NewServer(scripted.WebSocketHandler(t, func(p *peer) { p.Login(); p.Drain() }))
	defer srv.Close()
	cfg = testConfig("ws://" + srv.Listener.Addr().String())
	cfg.AllowInsecure = true
	cfg.HTTPClient = srv.Client()
	s, err := Dial(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, s.Close(done()))
}

func TestChecksBeforeDialing(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no address":   func(c *Config) { c.Addresses = nil },
		"no domain":    func(c *Config) { c.Domain = "" },
		"no user":      func(c *Config) { c.Username = "" },
		"no resource":  func(c *Config) { c.Resource = "" },
		"NUL in user":  func(c *Config) { c.Username = "a\x00b" },
		"user is a JD": func(c *Config) { c.Username = "a@b" },
	} {
		cfg := testConfig("xmpp://x:1")
		cfg.DialContext = func(context.Context, string, string) (net.Conn, error) {
			t.Error(name, "dialled")
			return nil, io.EOF
		}
		change(&cfg)
		_, err := Dial(t.Context(), cfg)
		require.Error(t, err, name)
	}
	cfg := pipeServer(t, func(p *peer) { p.Open(scripted.PlainFeatures); p.Drain() })
	cfg.Password = "a\x00b"
	_, err := Dial(t.Context(), cfg)
	require.ErrorContains(t, err, "NUL in the password")
}
