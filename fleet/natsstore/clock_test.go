package natsstore_test

import (
	"bufio"
	"fmt"
	"net"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/fleet/natsstore"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// wrongClock is between members and a server of NATS, and sets the times of all records that it
// tells to another year.
type wrongClock struct {
	net.Listener
	server string
	all    sync.WaitGroup

	mu     sync.Mutex
	ends   []net.Conn
	closed bool
	year   int
	told   int // by watches
}

var (
	// A record of a watch comes with its time in the address to acknowledge it to, in nanoseconds.
	ackTime = regexp.MustCompile(`(\$JS\.ACK\.\S+\.)(\d{19})(\.\d+ )`)
	// One that was asked for has it in a header.
	headerTime = regexp.MustCompile(`(Nats-Time-Stamp: )(\d{4})(-)`)
)

func newWrongClock(t *testing.T, server *natsstore.Server) *wrongClock {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &wrongClock{Listener: listener, server: server.URL()[len("nats://"):], year: 1990}
	w.all.Go(w.accept) // ends with the listener
	t.Cleanup(func() {
		_ = w.Close()
		w.mu.Lock()
		w.closed = true
		for _, end := range w.ends {
			_ = end.Close()
		}
		w.mu.Unlock()
		w.all.Wait()
	})
	return w
}

func (w *wrongClock) accept() {
	for {
		client, err := w.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", w.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		w.mu.Lock()
		w.ends = append(w.ends, client, server)
		if w.closed {
			_, _ = client.Close(), server.Close()
		}
		w.mu.Unlock()
		w.all.Go(func() { w.pass(client, server, false) }) // ends with a connection
		w.all.Go(func() { w.pass(server, client, true) })  // likewise
	}
}

func (w *wrongClock) pass(from, to net.Conn, change bool) {
	defer from.Close()
	defer to.Close()
	lines := bufio.NewReader(from)
	for {
		line, err := lines.ReadBytes('\n') // of the protocol and of records, which are JSON
		if change {
			line = w.change(line)
		}
		if _, failed := to.Write(line); err != nil || failed != nil {
			return
		}
	}
}

// change keeps the length, which the server has told.
func (w *wrongClock) change(line []byte) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := time.Date(w.year, 1, 1, 0, 0, 0, 0, time.UTC)
	if ackTime.Match(line) {
		w.told++
		line = ackTime.ReplaceAll(line, fmt.Appendf(nil, "${1}%019d${3}", at.UnixNano()))
	}
	return headerTime.ReplaceAll(line, fmt.Appendf(nil, "${1}%04d${3}", w.year))
}

func (w *wrongClock) set(year int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.year = year
}

func (w *wrongClock) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.told
}

// No correctness rests on the clock of NATS: it is decades late, and then decades ahead.
func TestClockOfNATS(t *testing.T) {
	srv := sdktest.New(t)
	accounts := register(t, srv, 10)
	clock := newWrongClock(t, embedded(t, t.TempDir()))
	js := connect(t, "nats://"+clock.Addr().String())
	a, b := join(t, srv, js, 1, accounts), join(t, srv, js, 1, accounts)
	shared(t, 5, a, b)
	kv, err := js.KeyValue(t.Context(), bucket)
	require.NoError(t, err)
	found, err := kv.Get(t.Context(), "bucket")
	require.NoError(t, err)
	require.Equal(t, 1990, found.Created().UTC().Year())
	require.Equal(t, 1990, records(t, js)[0].Created().UTC().Year())
	a.losses()
	b.losses()
	clock.set(2090)
	before := clock.count()
	require.Eventually(t, func() bool { return clock.count() > before+6 }, limit, pause, "heartbeats")
	require.Zero(t, a.losses()+b.losses())
	b.leave(t)
	shared(t, 10, a)
	require.Zero(t, a.losses())
	a.leave(t)
}
