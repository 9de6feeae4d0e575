package latency_test

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// chain counts the round trips that had to follow one another, on one connection or on several.
// What is sent may depend on all that was read before; what is read answers what was sent at least
// a round trip before, and makes the chain longer by one. What is sent without waiting, on one
// connection or beside each other on two, does not.
//
// The link never is faster, so no round trip that was waited for is missed. A machine that stands
// still for a round trip may add one: a caller repeats, and takes the least.
type chain struct {
	mu     sync.Mutex
	length int
	sent   map[*wire][]sending // since restart
}

type sending struct {
	at    time.Time
	after int // length of the chain then
}

func (c *chain) restart() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.length, c.sent = 0, map[*wire][]sending{}
}

func (c *chain) trips() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.length
}

func (c *chain) wrote(w *wire) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent[w] = append(c.sent[w], sending{time.Now(), c.length})
}

func (c *chain) read(w *wire) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sent[w] {
		if now.Sub(s.at) >= roundTrip {
			c.length = max(c.length, s.after+1)
		}
	}
}

// wire is a connection whose round trips are counted.
type wire struct {
	net.Conn
	own chain  // of this connection alone, from its beginning
	all *chain // of all connections of a client
	up  time.Time
}

func newWire(conn net.Conn, all *chain) *wire {
	w := &wire{Conn: conn, all: all, up: time.Now()}
	w.own.restart()
	return w
}

func (w *wire) Write(p []byte) (int, error) {
	w.own.wrote(w) // before it is, so that the answer is late enough
	w.all.wrote(w)
	return w.Conn.Write(p)
}

func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.own.read(w)
		w.all.read(w)
	}
	return n, err
}

func TestChain(t *testing.T) {
	address := echo(t)
	var all chain
	all.restart()
	dial := func() *wire {
		conn, err := net.Dial("tcp", address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		return newWire(conn, &all)
	}
	one, other := dial(), dial()
	for range 3 {
		ping(t, one)
	}
	require.Equal(t, 3, one.own.trips(), "one after the other")
	require.Equal(t, 3, all.trips())

	all.restart()
	for _, w := range []*wire{one, one, one, other} {
		_, err := w.Write([]byte{0})
		require.NoError(t, err)
	}
	for _, w := range []*wire{one, one, one, other} {
		_, err := w.Read(make([]byte, 1))
		require.NoError(t, err)
	}
	require.Equal(t, 1, all.trips(), "beside each other")
	ping(t, other)
	require.Equal(t, 2, all.trips(), "and one that has waited for them")
	require.Equal(t, 2, other.own.trips())
}
