package users

import (
	"context"
	"net"
	"sync"
)

// Line is a connection that a test can cut: Config.DialContext of a client. What goes over it
// is not changed. The zero value is ready.
type Line struct {
	mu    sync.Mutex
	conns []net.Conn
	// held is closed when dials need not wait any more; nil: they need not.
	held chan struct{}
	// away is an address that cannot be reached.
	away string
}

// Dial is for Config.DialContext.
func (l *Line) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	l.mu.Lock()
	held := l.held
	l.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	l.mu.Lock()
	away := l.away
	l.mu.Unlock()
	if address == away {
		return nil, &net.OpError{Op: "dial", Net: network, Err: net.UnknownNetworkError("cut off from " + address)}
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, conn)
	return conn, nil
}

// Avoid puts an address out of reach of new connections; empty: none.
func (l *Line) Avoid(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away = address
}

// Cut breaks every connection and holds new ones until mend is called.
func (l *Line) Cut() (mend func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	held := make(chan struct{})
	l.held = held
	for _, conn := range l.conns {
		_ = conn.Close()
	}
	l.conns = nil
	return func() {
		l.mu.Lock()
		l.held = nil
		l.mu.Unlock()
		close(held)
	}
}
