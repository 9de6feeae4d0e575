package fleet

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// errGate fails what a client wants to write for an account that this member does not hold.
var errGate = errors.New("fleet: this member does not hold the account")

// errMute is how pass says that what is written goes nowhere.
var errMute = errors.New("fleet: another member holds the account")

// maxWait is how long a write waits while a shard is being handed over. It is then refused.
const maxWait = 20 * time.Second

// gate stands before each write of the clients of one shard.
type gate struct {
	lease *lease

	mu    sync.Mutex
	state gateState
	// changed is closed when state changes.
	changed chan struct{}
	// conns are those that are open.
	conns map[io.Closer]struct{}
}

type gateState int

const (
	// gateOpen: writes pass while the lease is valid.
	gateOpen gateState = iota
	// gateWaiting: writes wait. The record that gives the shard away is being written, which may
	// come to nothing.
	gateWaiting
	// gateMute: what is written goes nowhere. Another member has the shard, and its sessions here
	// stay up until the other member's replace them, so that no account is ever without one.
	gateMute
	// gateShut: what is written fails, connections are closed.
	gateShut
)

func newGate(l *lease) *gate {
	return &gate{lease: l, changed: make(chan struct{}), conns: make(map[io.Closer]struct{})}
}

// set changes the state. A gate that is shut stays so.
func (g *gate) set(state gateState) {
	g.mu.Lock()
	if g.state == gateShut || g.state == state {
		g.mu.Unlock()
		return
	}
	g.state = state
	close(g.changed)
	g.changed = make(chan struct{})
	var cut []io.Closer
	if state == gateShut {
		for c := range g.conns {
			cut = append(cut, c)
		}
	}
	g.mu.Unlock()
	for _, c := range cut {
		_ = c.Close() // nothing can be done about it
	}
}

// pass returns when a write may begin, or why it must not. closed is closed with the connection.
func (g *gate) pass(closed <-chan struct{}) error {
	var limit <-chan time.Time
	for {
		if !g.lease.valid() {
			return errGate
		}
		g.mu.Lock()
		state, changed := g.state, g.changed
		g.mu.Unlock()
		switch state {
		case gateOpen:
			return nil
		case gateMute:
			return errMute
		case gateShut:
			return errGate
		}
		if limit == nil {
			timer := time.NewTimer(maxWait)
			defer timer.Stop()
			limit = timer.C
		}
		select {
		case <-changed:
		case <-closed:
			return net.ErrClosed
		case <-limit:
			return errGate
		}
	}
}

// add notes a connection. It returns false when the gate is not open.
func (g *gate) add(c io.Closer) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state != gateOpen {
		return false
	}
	g.conns[c] = struct{}{}
	return true
}

func (g *gate) remove(c io.Closer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.conns, c)
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// dialer is dial with connections that are behind the gate.
func (g *gate) dialer(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if !g.lease.valid() {
			return nil, errGate
		}
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		guarded := &guardedConn{Conn: conn, guard: newGuard(g)}
		if !g.add(guarded) {
			_ = conn.Close() // nobody has used it
			return nil, errGate
		}
		return guarded, nil
	}
}

// guard is the part of a connection that has to do with the gate.
type guard struct {
	gate   *gate
	once   sync.Once
	closed chan struct{}
}

func newGuard(g *gate) *guard { return &guard{gate: g, closed: make(chan struct{})} }

// write writes to a connection when the gate lets it.
func (g *guard) write(to io.Writer, p []byte) (int, error) {
	switch err := g.gate.pass(g.closed); err {
	case nil:
		return to.Write(p)
	case errMute:
		return len(p), nil // the session would end, were it told that it cannot write
	default:
		return 0, err
	}
}

// close ends what waits to be written.
func (g *guard) close(c io.Closer) {
	g.once.Do(func() {
		close(g.closed)
		g.gate.remove(c)
	})
}

// guardedConn is a connection behind a gate. It has no other way to write than Write.
type guardedConn struct {
	net.Conn
	guard *guard
}

// Write writes when the gate lets it.
func (c *guardedConn) Write(p []byte) (int, error) { return c.guard.write(c.Conn, p) }

// Close closes the connection.
func (c *guardedConn) Close() error {
	c.guard.close(c)
	return c.Conn.Close()
}

// transport is for programs that bring an HTTP client, whose connections the fleet does not make:
// requests, and what is written to a connection after an upgrade, are behind the gate.
type transport struct {
	base http.RoundTripper
	gate *gate
}

// RoundTrip sends the request when the gate lets it.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := t.gate.pass(r.Context().Done()); err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // as a RoundTripper has to
		}
		return nil, err
	}
	resp, err := t.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	stream, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		return resp, nil
	}
	guarded := &guardedStream{ReadWriteCloser: stream, guard: newGuard(t.gate)}
	if !t.gate.add(guarded) {
		_ = stream.Close() // nobody has used it
		return nil, errGate
	}
	resp.Body = guarded
	return resp, nil
}

// guardedStream is what an upgrade has yielded, behind a gate.
type guardedStream struct {
	io.ReadWriteCloser
	guard *guard
}

// Write writes when the gate lets it.
func (s *guardedStream) Write(p []byte) (int, error) { return s.guard.write(s.ReadWriteCloser, p) }

// Close closes the connection.
func (s *guardedStream) Close() error {
	s.guard.close(s)
	return s.ReadWriteCloser.Close()
}
