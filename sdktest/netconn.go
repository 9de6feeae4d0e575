package sdktest

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const maxConns = 20000

// conn is an accepted TCP connection whose writes can be made to fail.
type conn struct {
	net.Conn
	// mode is a FaultKind.
	mode atomic.Value
	// stranger is true when TLS has the certificate of another authority.
	stranger atomic.Bool
	// spared is true while the connection serves Options.Handler.
	spared atomic.Bool
	once   sync.Once
	closed chan struct{}
	gone   func(*conn)
}

func (c *conn) Write(p []byte) (int, error) {
	mode, _ := c.mode.Load().(FaultKind)
	switch mode {
	case FaultSilent:
		<-c.closed
		return 0, net.ErrClosed
	case FaultClose, FaultError, FaultHuge:
		_ = c.Close()
		return 0, net.ErrClosed
	case FaultMalformed:
		_, _ = c.Conn.Write([]byte(garbage))
		_ = c.Close()
		return 0, net.ErrClosed
	case FaultSlow:
		return c.dribble(p)
	}
	return c.Conn.Write(p)
}

func (c *conn) dribble(p []byte) (int, error) {
	tick := time.NewTicker(slowInterval)
	defer tick.Stop()
	for i := range p {
		select {
		case <-c.closed:
			return i, net.ErrClosed
		case <-tick.C:
		}
		if _, err := c.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func (c *conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		close(c.closed)
		c.gone(c)
		err = c.Conn.Close()
	})
	return err
}

// listener accepts connections as conn, and applies the faults of its steps.
type listener struct {
	net.Listener
	run    *run
	accept Step
	// tls is the step of the TLS handshake. Empty: there is no handshake at the beginning.
	tls Step
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := l.run.adopt(raw)
		if c == nil {
			continue
		}
		switch l.run.srv.fault(l.accept, subject{}) {
		case FaultSilent:
			continue // it stays open until the connections are dropped
		case FaultClose, FaultError:
			_ = c.Close()
			continue
		case FaultMalformed, FaultHuge:
			_, _ = c.Conn.Write([]byte(garbage)) // it cannot block: the buffer is empty
			_ = c.Close()
			continue
		case FaultSlow:
			c.mode.Store(FaultSlow)
		}
		if l.tls != "" {
			c.misbehave(l.run.srv.fault(l.tls, subject{}))
		}
		return c, nil
	}
}

// misbehave is the fault of the TLS handshake that comes now. It sets how c writes from now on, or
// with which certificate.
func (c *conn) misbehave(kind FaultKind) {
	switch kind {
	case FaultNone:
	case FaultWrongSender:
		c.stranger.Store(true)
	default:
		c.mode.Store(kind)
	}
}
