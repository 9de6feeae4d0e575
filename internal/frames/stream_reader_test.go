package frames

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

// bytesOf reads r to its end, in two steps whatever comes together.
func bytesOf(r *streamReader) (all []byte, err error) {
	for {
		p, err := r.peek()
		if err != nil {
			return all, err
		}
		n := (len(p) + 1) / 2
		all = append(all, p[:n]...)
		r.skip(n)
	}
}

func TestStreamReader(t *testing.T) {
	t.Parallel()
	text := bytes.Repeat([]byte("0123456789abcdef"), 3000)
	for name, from := range map[string]io.Reader{
		"as much as fits":      bytes.NewReader(text),
		"by single bytes":      iotest.OneByteReader(bytes.NewReader(text)),
		"by halves":            iotest.HalfReader(bytes.NewReader(text)),
		"end with the rest":    iotest.DataErrReader(bytes.NewReader(text)),
		"as large as its idle": io.MultiReader(bytes.NewReader(text[:streamIdle]), bytes.NewReader(text[streamIdle:])),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := bytesOf(&streamReader{from: from})
			require.Equal(t, io.EOF, err)
			require.True(t, bytes.Equal(text, got))
		})
	}
}

func TestStreamReaderTellsAnError(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	r := &streamReader{from: io.MultiReader(bytes.NewReader([]byte("ab")), iotest.ErrReader(boom))}
	got, err := bytesOf(r)
	require.Equal(t, boom, err)
	require.Equal(t, "ab", string(got))
	_, err = (&streamReader{from: silence{}}).peek()
	require.Equal(t, io.ErrNoProgress, err)
}

// silence is a source that breaks the contract of io.Reader.
type silence struct{}

func (silence) Read([]byte) (int, error) { return 0, nil }

// What waits holds no buffer of the pool, however much has come before, but for what has just
// filled one to its end.
func TestStreamReaderIsSmallWhileItWaits(t *testing.T) {
	t.Parallel()
	pr, pw := io.Pipe()
	defer pr.Close()
	wrote := make(chan struct{})
	// Ends with the pipe.
	go func() {
		_, _ = pw.Write(make([]byte, streamIdle+2*streamBurst+1))
		close(wrote)
		_, _ = pw.Write([]byte("x"))
		pw.Close()
	}()
	r := &streamReader{from: pr}
	read := func(n int) (last byte) {
		for range n {
			p, err := r.peek()
			require.NoError(t, err)
			last = p[0]
			r.skip(1)
		}
		return last
	}
	read(streamIdle + 1)
	require.NotNil(t, r.burst)
	read(2 * streamBurst)
	patient.Receive(t, wrote)
	require.Equal(t, byte('x'), read(1))
	require.Nil(t, r.burst)
}

// While it awaits what comes over a connection of the system, it holds no buffer at all.
func TestStreamReaderAwaits(t *testing.T) {
	t.Parallel()
	if !canTry {
		t.Skip("this system reads only with a buffer that is held")
	}
	conn, peer := connected(t)
	var r streamReader
	r.init(conn, conn.out.raw)
	try := func() (done bool) {
		require.NoError(t, r.raw.Read(func(fd uintptr) bool { done = r.tryRead(fd); return true }))
		return done
	}
	require.False(t, try())
	require.Nil(t, r.burst)
	require.Zero(t, r.heard.last())

	text := noise(t, 2*streamBurst+1)
	_, err := peer.Write(text)
	require.NoError(t, err)
	var got []byte
	for len(got) < len(text) {
		r.await()
		require.NotEmpty(t, r.unread)
		r.await() // it waits for nothing while something is unread
		p, err := r.peek()
		require.NoError(t, err)
		got = append(got, p...)
		r.skip(len(p))
	}
	require.True(t, bytes.Equal(text, got))
	require.NotZero(t, r.heard.last())
	require.False(t, try())
	require.Nil(t, r.burst)
	require.Nil(t, r.idle)

	require.NoError(t, peer.Close())
	r.await()
	_, err = r.peek()
	require.Equal(t, io.EOF, err)
	require.NoError(t, conn.Close())
	r.await()
	_, err = r.peek()
	require.ErrorIs(t, err, net.ErrClosed)
}

// It holds no buffer either while it waits in peek, after a burst as in the middle of a stanza: any
// stanza may be the last for long.
func TestStreamReaderWaitsInPeekWithoutABuffer(t *testing.T) {
	t.Parallel()
	if !canTry {
		t.Skip("this system reads only with a buffer that is held")
	}
	conn, peer := connected(t)
	var r streamReader
	r.init(conn, conn.out.raw)
	text := noise(t, 3*streamBurst)
	waits := make(chan struct{}, 1)
	r.try = func(fd uintptr) bool {
		done := r.tryRead(fd)
		if !done {
			if r.burst != nil || r.idle != nil {
				t.Error("waits with a buffer")
			}
			select {
			case waits <- struct{}{}:
			default:
			}
		}
		return done
	}
	// Ends with what it writes.
	go func() {
		const burst, more = 2 * streamBurst, 2*streamBurst + 7
		for _, part := range [][]byte{text[:burst], text[burst:more], text[more:]} {
			<-waits
			_, _ = peer.Write(part)
		}
		<-waits
		_ = peer.Close()
	}()
	got, err := bytesOf(&r)
	require.Equal(t, io.EOF, err)
	require.True(t, bytes.Equal(text, got))
}
