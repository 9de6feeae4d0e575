package frames

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

// boundTLS makes sure that a server that does not finish the TLS handshake is given up:
// http.Transport goes on with a dial after its request has been cancelled, and without a
// TLSHandshakeTimeout it does so for ever.
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

// upgrade keeps the connection that the upgrade yields: websocket.Conn offers no way to break a
// close handshake off, but its connection does.
type upgrade struct {
	base http.RoundTripper
	// conn is the connection that the request went out on. nil: not known.
	conn   net.Conn
	socket *socket
}

func (u *upgrade) RoundTrip(req *http.Request) (*http.Response, error) {
	// Other RoundTrippers may use several connections at once.
	if _, ok := u.base.(*http.Transport); ok {
		trace := &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) { u.conn = got.Conn }}
		req = req.WithContext(httptrace.WithClientTrace(req.Context(), trace))
	}
	resp, err := u.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	// The body is one when the server has agreed.
	if rw, ok := resp.Body.(io.ReadWriteCloser); ok {
		u.socket = newSocket(rw, u.conn)
		resp.Body = u.socket
	}
	return resp, nil
}

// socket is a connection that writes without waiting, and can hold back what is written to it:
// WebSocket messages that are written together go out together, which costs a system call and a TLS
// record instead of one for each.
type socket struct {
	io.ReadWriteCloser
	heard moment

	// out is the promptWriter on the way, to the peer of which to writes.
	out *promptWriter
	to  io.Writer

	mu sync.Mutex
	// held is what is held back. nil: nothing is.
	held *bytes.Buffer
}

// newSocket makes one of what an upgrade yields, over conn if that is known.
func newSocket(rw io.ReadWriteCloser, conn net.Conn) *socket {
	if out := promptBelow(conn); out != nil {
		return &socket{ReadWriteCloser: rw, out: out, to: rw}
	}
	out := &promptWriter{to: rw, patience: patience}
	return &socket{ReadWriteCloser: rw, out: out, to: out}
}

// Close closes the connection, with what was written last.
func (s *socket) Close() error {
	s.out.awaitLastWords()
	return s.ReadWriteCloser.Close()
}

// cut closes the connection at once. That fails where it is closed already.
func (s *socket) cut() { _ = s.ReadWriteCloser.Close() }

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
	defer freeBuffer(held)
	_, err := s.to.Write(held.Bytes())
	return err
}

// Read keeps nothing on the stack while it waits: see wsConn.ReadFrame.
func (s *socket) Read(p []byte) (int, error) { return s.came(s.ReadWriteCloser.Read(p)) }

// came distinguishes the end of the connection from that of a message, which io.EOF stands for in
// package websocket: a WebSocket ends with a frame that says so (RFC 6455 7.1.1), never with
// io.EOF.
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
	return s.to.Write(p)
}
