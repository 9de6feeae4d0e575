package frames

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// connected is a prompt connection and its peer, with little room on the way.
func connected(t *testing.T) (c *promptConn, peer *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	ours, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = ours.Close() })
	theirs, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = theirs.Close() })
	peer = theirs.(*net.TCPConn)
	require.NoError(t, ours.(*net.TCPConn).SetWriteBuffer(64<<10))
	require.NoError(t, peer.SetReadBuffer(256<<10))
	conn, _ := promptOver(ours)
	c = conn.(*promptConn)
	c.promptly(time.Minute)
	return c, peer
}

// noise is n bytes that show any change of their order.
func noise(t *testing.T, n int) []byte {
	t.Helper()
	p := make([]byte, n)
	_, err := rand.Read(p)
	require.NoError(t, err)
	return p
}

// fill writes until something is late.
func fill(t *testing.T, c *promptConn) (written []byte) {
	t.Helper()
	for !c.out.isLate() {
		p := noise(t, 100_000)
		n, err := c.Write(p)
		require.NoError(t, err)
		require.Equal(t, len(p), n)
		written = append(written, p...)
		require.Less(t, len(written), maxLate)
	}
	return written
}

// overfill writes more than the system can hold, however its buffers grow: something stays late.
func overfill(t *testing.T, c *promptConn) {
	t.Helper()
	fill(t, c)
	_, err := c.Write(make([]byte, maxLate-200_000))
	require.NoError(t, err)
}

func TestWriteArrivesInOrder(t *testing.T) {
	c, peer := connected(t)
	small := []byte("at once")
	n, err := c.Write(small)
	require.NoError(t, err)
	require.Equal(t, len(small), n)
	require.False(t, c.out.isLate())
	require.NoError(t, c.out.catchUp())

	want := append(small, fill(t, c)...)
	// Behind what is late.
	for range 20 {
		p := noise(t, 1000)
		_, err := c.Write(p)
		require.NoError(t, err)
		want = append(want, p...)
	}
	got := make([]byte, len(want))
	_, err = io.ReadFull(peer, got)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got))
	require.NoError(t, c.out.catchUp())
	require.False(t, c.out.isLate())

	// It is as at the beginning.
	_, err = c.Write(small)
	require.NoError(t, err)
	require.False(t, c.out.isLate())
	_, err = io.ReadFull(peer, got[:len(small)])
	require.NoError(t, err)
	require.Equal(t, small, got[:len(small)])
}

// What several write at once is not mixed.
func TestWritersAtOnce(t *testing.T) {
	const writers, writes, size = 8, 200, 700
	c, peer := connected(t)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			p := bytes.Repeat([]byte{byte('a' + i)}, size)
			for range writes {
				if n, err := c.Write(p); err != nil || n != size {
					t.Errorf("%d, %v", n, err)
				}
			}
		})
	}
	seen := map[byte]int{}
	block := make([]byte, size)
	for range writers * writes {
		_, err := io.ReadFull(peer, block)
		require.NoError(t, err)
		require.Equal(t, bytes.Repeat(block[:1], size), block)
		seen[block[0]]++
	}
	wg.Wait()
	require.Len(t, seen, writers)
	for _, n := range seen {
		require.Equal(t, writes, n)
	}
}

func TestPeerThatDoesNotRead(t *testing.T) {
	c, _ := connected(t)
	p := make([]byte, 1<<20)
	var err error
	for written := 0; err == nil; written += len(p) {
		require.Less(t, written, 2*maxLate)
		_, err = c.Write(p)
	}
	require.ErrorIs(t, err, ErrStuck)
	c.out.mu.Lock()
	late := len(c.out.late)
	c.out.mu.Unlock()
	require.LessOrEqual(t, late, maxLate)
	_, err = c.Write(p[:1])
	require.ErrorIs(t, err, ErrStuck, "it would come after a gap")

	caughtUp := make(chan error)
	go func() { caughtUp <- c.out.catchUp() }()
	require.NoError(t, c.Close())
	require.ErrorIs(t, <-caughtUp, ErrStuck)
	_, err = c.Write(p[:1])
	require.ErrorIs(t, err, ErrStuck)
	require.True(t, c.out.isLate(), "there is an error to be fetched")
}

// What is on its way out counts too.
func TestPeerThatReadsALittle(t *testing.T) {
	c, peer := connected(t)
	written := len(fill(t, c))
	p := make([]byte, 64<<10)
	room := func() bool {
		c.out.mu.Lock()
		defer c.out.mu.Unlock()
		return len(c.out.late)+len(p) <= maxLate
	}
	for room() {
		_, err := c.Write(p)
		require.NoError(t, err)
		written += len(p)
	}
	const reads = 2 << 20
	read, err := io.ReadFull(peer, make([]byte, reads))
	require.NoError(t, err)
	// As much as was read has made room, but for a step that is under way.
	require.Eventually(t, func() bool {
		c.out.mu.Lock()
		defer c.out.mu.Unlock()
		return len(c.out.late) <= maxLate-reads+maxStep
	}, time.Minute, time.Millisecond)
	for err == nil {
		_, err = c.Write(p)
		written += len(p)
	}
	require.ErrorIs(t, err, ErrStuck)
	// What it takes at most for buffers of the sizes that connected asks for.
	const inTheSystem = 5 << 20
	require.LessOrEqual(t, written-read, maxLate+inTheSystem)
}

// A step of what is late may not take longer than it was said.
func TestPatience(t *testing.T) {
	c, _ := connected(t)
	c.promptly(50 * time.Millisecond)
	fill(t, c)
	// More than the system has room for, a moment later; fails when the time is over already.
	_, _ = c.Write(make([]byte, maxLate/2))
	require.ErrorIs(t, c.out.catchUp(), ErrStuck)
	_, err := c.Write([]byte("more"))
	require.ErrorIs(t, err, ErrStuck)
	require.True(t, c.out.isLate(), "there is an error to be fetched")
}

// deadlines keeps the deadlines that are set for writes.
type deadlines struct {
	net.Conn
	mu  sync.Mutex
	all []time.Time
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.mu.Lock()
	d.all = append(d.all, t)
	d.mu.Unlock()
	return d.Conn.SetWriteDeadline(t)
}

// What is late may take longer than that altogether: every step has its time. At the end the
// deadline of the last step is removed.
func TestPatienceIsForAStep(t *testing.T) {
	const steps = 24
	c, peer := connected(t)
	set := &deadlines{Conn: c.Conn}
	c.Conn, c.out.to = set, set
	written := len(fill(t, c))
	for range steps {
		n, err := c.Write(make([]byte, maxStep))
		require.NoError(t, err)
		written += n
	}
	start := time.Now()
	_, err := io.ReadFull(peer, make([]byte, written))
	require.NoError(t, err)
	require.NoError(t, c.out.catchUp())
	require.True(t, set.all[len(set.all)-1].IsZero())
	// There are others when the system had room for all after all, for a moment.
	given := slices.DeleteFunc(set.all, time.Time.IsZero)
	require.GreaterOrEqual(t, len(given), steps/2, "the rest was in the system")
	require.True(t, given[len(given)-1].After(start.Add(c.out.patience)), "it counts from the beginning of the step")
}

// A connection whose descriptor was made to wait, as File().Fd() does, does not.
func TestDescriptorThatWaits(t *testing.T) {
	c, _ := connected(t)
	conn := c.Conn.(*net.TCPConn)
	f, err := conn.File()
	require.NoError(t, err)
	f.Fd()
	require.NoError(t, f.Close())
	again, _ := promptOver(conn)
	c = again.(*promptConn)
	c.promptly(time.Minute)
	// A write that waits would not end.
	overfill(t, c)
	require.NoError(t, c.Close())
	require.ErrorIs(t, c.out.catchUp(), net.ErrClosed)
}

func TestPeerThatIsGone(t *testing.T) {
	t.Run("with something late", func(t *testing.T) {
		c, peer := connected(t)
		overfill(t, c)
		require.NoError(t, peer.SetLinger(0))
		require.NoError(t, peer.Close())
		require.Error(t, c.out.catchUp())
		n, err := c.Write([]byte("more"))
		require.Error(t, err)
		require.Zero(t, n)
	})
	t.Run("with nothing late", func(t *testing.T) {
		c, peer := connected(t)
		require.NoError(t, peer.SetLinger(0))
		require.NoError(t, peer.Close())
		// The reset is here.
		_, err := c.Read(make([]byte, 1))
		require.Error(t, err)
		_, err = c.Write([]byte("more"))
		require.ErrorContains(t, err, "write")
		require.False(t, c.out.isLate())
	})
	t.Run("closed by us", func(t *testing.T) {
		c, _ := connected(t)
		require.NoError(t, c.Close())
		_, err := c.Write([]byte("more"))
		require.ErrorIs(t, err, net.ErrClosed)
		require.NoError(t, c.out.catchUp())
	})
}

// A connection that was only wrapped writes as any other does, and heeds deadlines.
func TestNotPrompt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	raw, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	conn := Wrap(raw)
	defer conn.Close()
	require.NoError(t, conn.SetWriteDeadline(time.Now().Add(50*time.Millisecond)))
	// Nobody reads.
	_, err = conn.Write(make([]byte, 64<<20))
	require.ErrorContains(t, err, "timeout")
}

type around struct{ *net.TCPConn }

func TestWrap(t *testing.T) {
	one, other := net.Pipe()
	defer one.Close()
	defer other.Close()
	require.Equal(t, one, Wrap(one))
	require.Nil(t, promptBelow(one))
	require.Nil(t, promptBelow(nil))
	require.Nil(t, promptBelow(tls.Client(one, &tls.Config{})))

	c, _ := connected(t)
	require.Same(t, c, Wrap(c))
	require.Same(t, &c.out, promptBelow(tls.Client(c, &tls.Config{})))
	wrapped := around{c.Conn.(*net.TCPConn)}
	require.Equal(t, wrapped, Wrap(wrapped), "somebody wants to see what is written")
	over, out := promptOver(wrapped)
	require.Same(t, &over.(*promptConn).out, out)
	require.Nil(t, out.raw)
	over, out = promptOver(tls.Client(c, &tls.Config{}))
	require.Same(t, &over.(*promptConn).out, out)
	require.Nil(t, out.raw, "what is below TLS is not what TLS carries")
}

// What is late may take as long as it does, if only some of it gets out within each patience.
// A patience in which nothing gets out ends it.
func TestPatienceIsForBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := net.Pipe()
		c := &promptConn{Conn: conn, out: promptWriter{to: conn, patience: patience}}
		_, err := c.Write(make([]byte, 2*maxStep))
		require.NoError(t, err)
		start := time.Now()
		buf := make([]byte, 1000)
		// More than a step.
		for range 300 {
			_, err := io.ReadFull(peer, buf)
			require.NoError(t, err)
			// This is the time of the bubble.
			<-time.After(time.Second)
		}
		c.out.mu.Lock()
		require.NoError(t, c.out.err)
		require.NotEmpty(t, c.out.late)
		c.out.mu.Unlock()
		require.ErrorIs(t, c.out.catchUp(), ErrStuck)
		require.LessOrEqual(t, time.Since(start), 300*time.Second+2*patience)
	})
}

// blind is a connection without deadlines, as that of an upgrade over HTTP is.
type blind struct{ io.ReadWriteCloser }

// Where a connection has no deadlines, what is late gets out in smaller steps, each of which may
// take as long as any other. A step that takes longer ends the connection.
func TestPatienceWithoutDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := net.Pipe()
		w := &promptWriter{to: blind{conn}, patience: patience}
		text := noise(t, 10*maxBlindStep)
		n, err := w.Write(text)
		require.NoError(t, err)
		require.Equal(t, len(text), n)
		require.True(t, w.isLate())
		start := time.Now()
		got := make([]byte, 9*maxBlindStep)
		for at := 0; at < len(got); at += maxBlindStep {
			<-time.After(patience - time.Second)
			_, err := io.ReadFull(peer, got[at:at+maxBlindStep])
			require.NoError(t, err)
		}
		require.True(t, bytes.Equal(text[:len(got)], got))
		require.ErrorIs(t, w.catchUp(), ErrStuck)
		require.Equal(t, 9*(patience-time.Second)+patience, time.Since(start))
		_, err = w.Write([]byte("more"))
		require.ErrorIs(t, err, ErrStuck)
		_, err = peer.Read(got)
		require.Error(t, err, "the connection is closed")
	})
}
