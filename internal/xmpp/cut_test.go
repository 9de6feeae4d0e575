package xmpp

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

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

// answerUpgrade answers the upgrade that comes over conn, and says what takes a client through the login, without waiting for it.
func answerUpgrade(t *testing.T, conn net.Conn) {
	in := bufio.NewReader(conn)
	r, err := http.ReadRequest(in)
	if err != nil {
		t.Error(err)
		return
	}
	go func() { _, _ = io.Copy(io.Discard, in) }() // whatever the client says; ends with the connection
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Protocol: xmpp\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	for _, frame := range []string{serverOpen, plainFeatures, saslSuccess, serverOpen, bindFeatures, bindResult} {
		_, _ = conn.Write(message(0x81, frame))
	}
}

// rawWebSocket is a server over net.Pipe that has taken a client through the login, then does what f does, and is gone.
func rawWebSocket(t *testing.T, f func(net.Conn)) Config {
	cfg := testConfig("ws://pipe")
	cfg.AllowInsecure = true
	cfg.HTTPClient = &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		done := make(chan struct{})
		t.Cleanup(func() { _ = client.Close(); <-done })
		go func() { // ends with f
			defer close(done)
			defer server.Close()
			answerUpgrade(t, server)
			f(server)
		}()
		return client, nil
	}}}
	return cfg
}

// Wherever the connection ends, the session is lost: that is not the server's mistake, and the stream may be resumed.
func TestCutAnywhere(t *testing.T) {
	const stanza = `<message from="bob@xmpp.example.com" xmlns="jabber:client"><body>hello, and a little more of the same: hello</body></message>`
	whole := message(0x81, stanza)
	parts := append(append(message(0x01, stanza[:40]), message(0x00, stanza[40:60])...), message(0x80, stanza[60:])...)
	lost := func(t *testing.T, cfg Config, cut int) {
		t.Helper()
		s, err := Dial(soon(t), cfg)
		require.NoError(t, err)
		err = s.Serve()
		require.ErrorContains(t, err, "connection lost", cut)
		require.NotErrorIs(t, err, errMalformed, cut)
		require.False(t, s.endTaken, "cut after %d: the end of the stream was told, so it cannot be resumed", cut)
	}
	for name, bytes := range map[string][]byte{"whole": whole, "in parts": parts} {
		t.Run("websocket, "+name, func(t *testing.T) {
			for cut := range len(bytes) + 1 {
				lost(t, rawWebSocket(t, func(c net.Conn) { _, _ = c.Write(bytes[:cut]) }), cut)
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
		require.NoError(t, c.Ping(soon(t)))
		require.Zero(t, c.Ignored())
	})
}

// A read deadline that the connection has from somebody else, as one that allows so much silence, ends the session.
func TestDeadlineOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := pipeServer(t, func(p *peer) { p.login(); p.answer(1); p.drain() })
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
