package frames

import (
	"cmp"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// maxLate is how many bytes may be late. More fails: the peer does not read.
	maxLate = 8 << 20
	// maxStep is how many bytes of what is late are written at a time; maxBlindStep where the
	// connection does not say how far it has come when the time for a step is over.
	maxStep      = 256 << 10
	maxBlindStep = 16 << 10
	// patience is how long the peer may take to make room for a byte of what is late.
	patience = 20 * time.Second
)

// errNothingYet is no error: nothing has come.
var errNothingYet = errors.New("nothing has come yet")

// promptWriter writes to a connection without waiting for the peer, so that whoever has something
// to write need not leave that to another goroutine. What the system has no room for is late: it is
// written later, in order, by a goroutine of its own.
type promptWriter struct {
	to io.WriteCloser
	// raw is for system calls that do not wait. nil: there are none, and all that is written is
	// late.
	raw syscall.RawConn

	// mu is not held while anything waits for the peer.
	mu sync.Mutex
	// patience is for a step of what is late. 0: Write waits, as it does for any other connection.
	patience time.Duration
	late     []byte
	// behind is closed by the goroutine that writes what is late, when it ends. nil: there is none.
	behind chan struct{}
	// err is why nothing can be written any more.
	err error
}

// promptConn is a connection with a promptWriter.
type promptConn struct {
	net.Conn
	out promptWriter
}

// Wrap returns conn as a connection that WebSocket connections over it can write to without
// waiting, if the system can do that, else as it is. Until then it writes like any other.
func Wrap(conn net.Conn) net.Conn {
	// Only a *net.TCPConn itself: what is around one wants to see what is written.
	tcp, ok := conn.(*net.TCPConn)
	if !ok || !canTry {
		return conn
	}
	raw, err := tcp.SyscallConn()
	if err != nil || dontWait(raw) != nil {
		return conn
	}
	return &promptConn{Conn: conn, out: promptWriter{to: conn, raw: raw}}
}

// promptOver returns a connection that is conn, or around it, and the promptWriter of it, whose raw
// is for what conn itself carries, not for what is below it.
func promptOver(conn net.Conn) (net.Conn, *promptWriter) {
	conn = Wrap(conn)
	c, ok := conn.(*promptConn)
	if !ok {
		c = &promptConn{Conn: conn, out: promptWriter{to: conn}}
	}
	return c, c.promptly(patience)
}

// promptBelow finds the promptConn that conn is, or that it is put around, and returns its writer,
// which does not wait from now on. It returns nil when there is none.
func promptBelow(conn net.Conn) *promptWriter {
	// As *tls.Conn has it.
	type wrapper interface{ NetConn() net.Conn }
	for outer, ok := conn.(wrapper); ok; outer, ok = conn.(wrapper) {
		conn = outer.NetConn()
	}
	c, ok := conn.(*promptConn)
	if !ok {
		return nil
	}
	return c.promptly(patience)
}

// promptly has Write return without waiting from now on. What is late may take as long as it does
// while some of it gets out within each patience.
func (c *promptConn) promptly(patience time.Duration) *promptWriter {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.patience = patience
	return &c.out
}

func (c *promptConn) Write(p []byte) (int, error) { return c.out.Write(p) }

// Close closes the connection, with what was written last.
func (c *promptConn) Close() error {
	c.out.awaitLastWords()
	return c.Conn.Close()
}

// Write takes all of p. Its error may be that of an earlier write.
func (w *promptWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	if w.patience == 0 {
		w.mu.Unlock()
		return w.to.Write(p)
	}
	defer w.mu.Unlock()
	n, err := w.tryLocked(p)
	if err != nil || n == len(p) {
		return n, err
	}
	if len(w.late)+len(p)-n > maxLate {
		// A part of p may be on its way: what follows would make no sense.
		w.err = ErrStuck
		return n, ErrStuck
	}
	w.late = append(w.late, p[n:]...)
	if w.behind == nil {
		w.behind = make(chan struct{})
		// Owner: w. It ends when nothing is late, with the connection at the latest.
		go w.writeLate()
	}
	return len(p), nil
}

// tryLocked writes what the system has room for, unless something else goes first.
func (w *promptWriter) tryLocked(p []byte) (n int, err error) {
	if w.behind != nil || w.err != nil || w.raw == nil {
		return 0, w.err
	}
	a := attempts.Get().(*attempt)
	a.p = p
	err = w.raw.Write(a.run)
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

// attempts are made once and used by all connections: run, made for each, would be one more
// allocation a write.
var attempts = sync.Pool{New: func() any {
	a := new(attempt)
	a.run = func(fd uintptr) bool {
		a.n, a.err = tryWrite(fd, a.p)
		// Whatever came of it: do not wait.
		return true
	}
	return a
}}

// writeLate writes what is late.
func (w *promptWriter) writeLate() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.late) > 0 && w.err == nil {
		p, patience := w.late, w.patience
		w.mu.Unlock()
		n, err := w.step(p, patience)
		w.mu.Lock()
		w.late = w.late[n:]
		w.err = cmp.Or(w.err, err)
	}
	if limited, ok := w.deadliner(); ok {
		// It fails where there are no deadlines.
		_ = limited.SetWriteDeadline(time.Time{})
	}
	close(w.behind)
	w.late, w.behind = nil, nil
}

type deadliner interface{ SetWriteDeadline(time.Time) error }

// deadliner returns the connection if it can be written to after a deadline. TLS cannot: a write
// that was broken off is its last.
func (w *promptWriter) deadliner() (deadliner, bool) {
	if _, encrypted := w.to.(*tls.Conn); encrypted {
		return nil, false
	}
	limited, ok := w.to.(deadliner)
	return limited, ok
}

// step writes some of p, as much as gets out within patience.
func (w *promptWriter) step(p []byte, patience time.Duration) (n int, err error) {
	if limited, ok := w.deadliner(); ok && limited.SetWriteDeadline(time.Now().Add(patience)) == nil {
		n, err = w.to.Write(p[:min(len(p), maxStep)])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil
			if n == 0 {
				err = ErrStuck
			}
		}
		return n, err
	}
	timer := time.AfterFunc(patience, func() { _ = w.to.Close() })
	n, err = w.to.Write(p[:min(len(p), maxBlindStep)])
	if !timer.Stop() {
		// The connection is closed, even if the step has ended at the same moment.
		err = ErrStuck
	}
	return n, err
}

// lastWordsTimeout is for what is written right before a connection is closed.
const lastWordsTimeout = 100 * time.Millisecond

// awaitLastWords waits a moment for what was written last, where no write gets out at once.
func (w *promptWriter) awaitLastWords() {
	w.mu.Lock()
	behind := w.behind
	w.mu.Unlock()
	if w.raw != nil || behind == nil {
		return
	}
	timer := time.NewTimer(lastWordsTimeout)
	defer timer.Stop()
	select {
	case <-behind:
	case <-timer.C:
	}
}

// isLate reports whether something is late, or was and never will be written: catchUp has more to
// say.
func (w *promptWriter) isLate() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.behind != nil || w.err != nil
}

// catchUp waits until nothing is late, or never will be written: then it returns why.
func (w *promptWriter) catchUp() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.behind != nil {
		behind := w.behind
		w.mu.Unlock()
		<-behind
		w.mu.Lock()
	}
	return w.err
}
