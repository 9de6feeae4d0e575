package xmpp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/mirrorfly-go/sdk/internal/fips"
	"github.com/mirrorfly-go/sdk/internal/httpguard"
	"github.com/mirrorfly-go/sdk/internal/prompt"
)

// wsFramer carries frames as WebSocket text messages (RFC 7395).
type wsFramer struct {
	conn   *websocket.Conn
	socket *socket      // what conn runs on; closing it wakes conn at once
	prompt *prompt.Conn // below the socket; nil: writes wait
}

// dialWebSocket does the upgrade; ctx bounds only that.
func dialWebSocket(ctx context.Context, cfg *Config, addr Address) (*wsFramer, error) {
	if err := fips.SHA1(); err != nil {
		return nil, fmt.Errorf("websocket upgrade needs SHA-1 (RFC 6455 4.1), TCP does not: %w", err)
	}
	client := http.Client{}
	if cfg.HTTPClient != nil {
		client = *cfg.HTTPClient
	}
	client.Timeout = 0 // it would end the connection, not only the upgrade
	// A redirect could lead to a place without TLS; browsers do not follow it either.
	client.CheckRedirect = httpguard.None
	base, release := boundTLS(client.Transport, cfg.DialTimeout)
	defer release()
	up := &upgrade{base: base}
	client.Transport = up

	header := http.Header{}
	if cfg.UserAgent != "" {
		header.Set("User-Agent", cfg.UserAgent)
	}
	conn, _, err := websocket.Dial(ctx, addr.url(), &websocket.DialOptions{
		HTTPClient: &client, HTTPHeader: header, Subprotocols: []string{"xmpp"},
	})
	if err != nil {
		return nil, fmt.Errorf("websocket upgrade: %w", httpguard.WithoutURL(err))
	}
	w := &wsFramer{prompt: prompt.Below(up.conn, writeTimeout), conn: conn, socket: up.socket}
	if conn.Subprotocol() != "xmpp" {
		w.Cut()
		return nil, errors.New("websocket upgrade: server does not speak the subprotocol xmpp")
	}
	conn.SetReadLimit(maxFrame)
	return w, nil
}

// boundTLS sees to it that a server that does not finish the TLS handshake is
// given up: http.Transport goes on with a dial after its request has been
// cancelled, and without a TLSHandshakeTimeout it does so for ever.
func boundTLS(rt http.RoundTripper, timeout time.Duration) (_ http.RoundTripper, release func()) {
	if rt == nil {
		rt = http.DefaultTransport
	}
	t, ok := rt.(*http.Transport)
	if !ok || t.TLSHandshakeTimeout > 0 {
		return rt, func() {}
	}
	t = t.Clone()
	t.TLSHandshakeTimeout = timeout
	return t, t.CloseIdleConnections
}

// upgrade keeps hold of the connection that the upgrade yields: websocket.Conn
// offers no way to break a close handshake off, but its connection does.
type upgrade struct {
	base   http.RoundTripper
	conn   net.Conn // below the upgrade; nil: not told
	socket *socket
}

func (u *upgrade) RoundTrip(req *http.Request) (*http.Response, error) {
	if _, ok := u.base.(*http.Transport); ok { // others may use several connections at once
		trace := &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { u.conn = got.Conn }}
		req = req.WithContext(httptrace.WithClientTrace(req.Context(), trace))
	}
	resp, err := u.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if rw, ok := resp.Body.(io.ReadWriteCloser); ok { // it is one when the server has agreed
		u.socket = &socket{ReadWriteCloser: rw}
		resp.Body = u.socket
	}
	return resp, nil
}

// socket is a connection that can hold back what is written to it: WebSocket messages that are written together
// go out together, which costs a system call and a TLS record instead of one for each.
type socket struct {
	io.ReadWriteCloser
	heard, wrote moment // when bytes have last come, and gone out

	mu   sync.Mutex
	held *bytes.Buffer // nil: nothing is held back
}

func (s *socket) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = newBuffer()
}

func (s *socket) release() error {
	s.mu.Lock()
	held := s.held
	s.held = nil
	s.mu.Unlock()
	defer release(held)
	_, err := writeNoting(s.ReadWriteCloser, held.Bytes(), &s.wrote)
	return err
}

// Read keeps nothing while it waits: see ReadFrame.
func (s *socket) Read(p []byte) (int, error) { return s.came(s.ReadWriteCloser.Read(p)) }

// came tells the end of the connection from that of a message, which io.EOF stands for in package
// websocket: a WebSocket ends with a frame that says so (RFC 6455 7.1.1), never with io.EOF.
//
//go:noinline
func (s *socket) came(n int, err error) (int, error) {
	if n > 0 {
		s.heard.note()
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (s *socket) Write(p []byte) (int, error) {
	s.mu.Lock()
	if s.held != nil {
		defer s.mu.Unlock()
		return s.held.Write(p)
	}
	s.mu.Unlock()
	return writeNoting(s.ReadWriteCloser, p, &s.wrote)
}

func (w *wsFramer) Header(to string) []byte {
	return markup{space: nsFraming, name: "open", attrs: []string{"to", to, "version", "1.0"}}.frame()
}

// ReadFrame is where a session waits, on a stack that TLS makes deep already: what it does besides is in other functions.
// Messages of white space, or of nothing, are keepalives to some servers, as white space is over TCP (RFC 6120 4.6.1).
func (w *wsFramer) ReadFrame(ctx context.Context) (string, error) {
	for {
		kind, r, err := w.conn.Reader(ctx)
		if err != nil {
			return "", notRead(err)
		}
		if frame, err := gather(kind, r); err != nil || frame != "" {
			return frame, err
		}
	}
}

// gather reads a message. It returns "" for one that says nothing.
func gather(kind websocket.MessageType, r io.Reader) (string, error) {
	buf := newBuffer()
	defer release(buf)
	_, err := buf.ReadFrom(r)
	switch {
	case err != nil:
		return "", notRead(err)
	case len(trimSpace(buf.Bytes())) == 0:
		return "", nil
	case kind != websocket.MessageText:
		return "", malformed("binary WebSocket message")
	}
	return buf.String(), nil
}

func notRead(err error) error {
	if errors.Is(err, websocket.ErrMessageTooBig) {
		return errTooLarge
	}
	return fmt.Errorf("connection lost: %w", err)
}

func (w *wsFramer) WriteFrames(ctx context.Context, frames ...[]byte) (err error) {
	if len(frames) > 1 {
		w.socket.hold()
		defer func() {
			if failed := w.socket.release(); failed != nil && err == nil {
				err = fmt.Errorf("connection lost: %w", failed)
			}
		}()
	}
	for _, frame := range frames {
		if err := w.conn.Write(ctx, websocket.MessageText, frame); err != nil {
			return fmt.Errorf("connection lost: %w", err)
		}
	}
	return nil
}

func (w *wsFramer) Heard() time.Duration { return w.socket.heard.last() }

func (w *wsFramer) Wrote() time.Duration { return w.socket.wrote.last() }

func (w *wsFramer) Prompt() *prompt.Conn { return w.prompt }

func (w *wsFramer) End(ctx context.Context) error { return w.WriteFrames(ctx, []byte(closeFrame)) }

func (w *wsFramer) Close(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = w.socket.Close() })
	defer stop()
	return w.conn.Close(websocket.StatusNormalClosure, "")
}

func (w *wsFramer) Cut() {
	_ = w.socket.Close() // whatever it says, the connection is over
	_ = w.conn.CloseNow()
}
