package xmpp

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// message is a WebSocket frame of a server (RFC 6455 5.2): 0x81 is a whole text message, 0x01 begins one, 0x80 ends one.
func message(head byte, text string) []byte {
	if len(text) < 126 {
		return append([]byte{head, byte(len(text))}, text...)
	}
	return append([]byte{head, 126, byte(len(text) >> 8), byte(len(text))}, text...)
}

// rawWebSocket is a server that says what takes a client through the login, without waiting for it, then more, and is gone.
func rawWebSocket(t *testing.T, more []byte) Config {
	login := []byte{}
	for _, frame := range []string{serverOpen, plainFeatures, saslSuccess, serverOpen, bindFeatures, bindResult} {
		login = append(login, message(0x81, frame)...)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Protocol: xmpp\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
		_, _ = rw.Write(append(login, more...))
		_ = rw.Flush()
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
		_, _ = io.Copy(io.Discard, rw) // what the client says must not turn the end into a reset
	}))
	t.Cleanup(srv.Close)
	cfg := testConfig("ws://" + srv.Listener.Addr().String())
	cfg.AllowInsecure = true
	cfg.HTTPClient = srv.Client()
	return cfg
}

// Wherever the connection ends, the session is lost: that is not the server's mistake, and the stream may be resumed.
func TestCutAnywhere(t *testing.T) {
	const stanza = `<message from="bob@xmpp.example.com" xmlns="jabber:client"><body>hello, and a little more of the same: hello</body></message>`
	whole := message(0x81, stanza)
	parts := append(append(message(0x01, stanza[:40]), message(0x00, stanza[40:60])...), message(0x80, stanza[60:])...)
	lost := func(t *testing.T, cfg Config, cut int) {
		t.Helper()
		s, err := Dial(within(t, minute), cfg)
		require.NoError(t, err)
		err = s.Serve()
		require.ErrorContains(t, err, "connection lost", cut)
		require.NotErrorIs(t, err, errMalformed, cut)
		require.False(t, s.endTaken, "cut after %d: the end of the stream was told, so it cannot be resumed", cut)
	}
	for name, bytes := range map[string][]byte{"whole": whole, "in parts": parts} {
		t.Run("websocket, "+name, func(t *testing.T) {
			for cut := range len(bytes) + 1 {
				lost(t, rawWebSocket(t, bytes[:cut]), cut)
			}
		})
	}
	t.Run("tcp", func(t *testing.T) {
		for cut := range len(stanza) + 1 {
			lost(t, pipeServer(t, func(p *peer) { p.login(); p.send(stanza[:cut]) }), cut)
		}
	})
}

// Servers send white space between stanzas over TCP (RFC 6120 4.6.1), and the same, or nothing, over WebSocket, to keep
// the connection up. It is skipped, also during the login.
func TestWhiteSpaceKeepalive(t *testing.T) {
	eachTransport(t, func(t *testing.T, serve func(testing.TB, script) Config) {
		blank := func(p *peer) {
			for _, text := range []string{" ", "\n", " \t\r\n", ""} {
				p.send(text)
			}
			if p.ws != nil {
				_ = p.ws.Write(p.ctx, websocket.MessageBinary, nil)
			}
		}
		c := dial(t, serve(t, func(p *peer) {
			p.open(plainFeatures)
			p.expect(plainAuth)
			blank(p)
			p.send(saslSuccess)
			p.open(bindFeatures)
			p.recv()
			blank(p)
			p.send(bindResult)
			blank(p)
			p.send(online)
			blank(p)
			answerAll(p)
		}))
		require.IsType(t, Presence{}, c.event())
		require.NoError(t, c.Ping(within(t, minute)))
		require.Zero(t, c.Ignored())
	})
}
