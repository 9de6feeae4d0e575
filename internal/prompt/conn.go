// Package prompt writes to TCP connections without waiting for the peer, so that who has something to write need not leave that
// to another goroutine.
package prompt

import (
	"cmp"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// maxLate is how many bytes may be late. More fails: the peer does not read.
const maxLate = 8 << 20

// maxStep is how many bytes of what is late are written at a time.
const maxStep = 256 << 10

// ErrStuck is what writing fails with when too much is late, or for too long.
var ErrStuck = errors.New("the peer does not read what is written")

// Conn is a TCP connection that can be told not to wait for the peer when it writes. nil is one that waits.
type Conn struct {
	net.Conn // a *net.TCPConn
	raw      syscall.RawConn

	mu       sync.Mutex    // not held while anything waits for the peer
	patience time.Duration // for the peer to make room for what is late; 0: writes wait
	late     []byte        // written, but the system had no room for it yet
	behind   chan struct{} // closed by the goroutine that writes what is late, at its end; nil: there is none
	err      error         // why nothing can be written any more
}

// Wrap returns conn as a [Conn] if the system can write to it without waiting, else as it is.
func Wrap(conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn) // itself: what is around one wants to see what is written
	if !ok || !canTry {
		return conn
	}
	raw, err := tcp.SyscallConn()
	if err != nil || dontWait(raw) != nil {
		return conn
	}
	return &Conn{Conn: conn, raw: raw}
}

// Below finds the Conn that conn is, or that it is put around, and has its Write return without waiting from now on. What is late
// may take as long as it does while some of it gets out within each patience. It returns nil when there is none.
func Below(conn net.Conn, patience time.Duration) *Conn {
	for over, ok := conn.(interface{ NetConn() net.Conn }); ok; over, ok = conn.(interface{ NetConn() net.Conn }) {
		conn = over.NetConn() // as *tls.Conn has it
	}
	c, ok := conn.(*Conn)
	if !ok {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.patience = patience
	return c
}

// Write takes all of p: what the system has no room for goes out later, in order. Its error may be that of an earlier write.
func (c *Conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.patience == 0 {
		c.mu.Unlock()
		return c.Conn.Write(p)
	}
	defer c.mu.Unlock()
	n, err := c.tryLocked(p)
	if err != nil || n == len(p) {
		return n, err
	}
	if len(c.late)+len(p)-n > maxLate {
		c.err = ErrStuck // a part of p may be on its way: what follows would make no sense
		return n, ErrStuck
	}
	c.late = append(c.late, p[n:]...)
	if c.behind == nil {
		c.behind = make(chan struct{})
		go c.catchUp() // ends when nothing is late, with the connection at the latest
	}
	return len(p), nil
}

// tryLocked writes what the system has room for, unless something else goes first.
func (c *Conn) tryLocked(p []byte) (n int, err error) {
	if c.behind != nil || c.err != nil {
		return 0, c.err
	}
	a := attempts.Get().(*attempt)
	a.p = p
	err = c.raw.Write(a.run)
	n = a.n
	if err == nil {
		err = a.err
	}
	a.p, a.n, a.err = nil, 0, nil
	attempts.Put(a)
	return n, err
}

// attempt is one system call.
type attempt struct {
	run func(fd uintptr) (done bool)
	p   []byte
	n   int
	err error
}

// attempts are made once and used by all connections: run, made for each, would be an allocation more a write.
var attempts = sync.Pool{New: func() any {
	a := new(attempt)
	a.run = func(fd uintptr) bool {
		a.n, a.err = tryWrite(fd, a.p)
		return true // whatever came of it: do not wait
	}
	return a
}}

func (c *Conn) catchUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.late) > 0 && c.err == nil {
		p := c.late[:min(len(c.late), maxStep)]
		c.mu.Unlock()
		_ = c.SetWriteDeadline(time.Now().Add(c.patience)) // fails when the connection is closed, and so does Write
		n, err := c.Conn.Write(p)
		c.mu.Lock()
		c.late = c.late[n:]
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil
			if n == 0 {
				err = ErrStuck
			}
		}
		c.err = cmp.Or(c.err, err)
	}
	_ = c.SetWriteDeadline(time.Time{})
	close(c.behind)
	c.late, c.behind = nil, nil
}

// Behind reports whether something is late, or was and never will be written: CatchUp has more to say.
func (c *Conn) Behind() bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.behind != nil || c.err != nil
}

// CatchUp waits until nothing is late, or never will be written: then it returns why.
func (c *Conn) CatchUp() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.behind != nil {
		behind := c.behind
		c.mu.Unlock()
		<-behind
		c.mu.Lock()
	}
	return c.err
}
