package frames

import (
	"io"
	"sync"
	"syscall"
)

const (
	// streamIdle is how many bytes a stream has room for while it waits without raw: enough for
	// many a stanza.
	streamIdle = 256
	// streamBurst is how many bytes it reads at a time while more comes.
	streamBurst = 8 << 10
	// maxEmptyReads is how often a source may return nothing and no error.
	maxEmptyReads = 100
)

// bursts are the buffers of streams on which much comes.
var bursts = sync.Pool{New: func() any { return new([streamBurst]byte) }}

// streamReader reads a stream that is silent most of the time. While it waits it holds no buffer,
// or, where it must wait with one, a small one. When what has come fills that, it takes a large one
// from those of all streams.
type streamReader struct {
	from  io.Reader
	heard moment
	// raw reads what from does, without waiting. nil: it cannot, as with TLS.
	raw syscall.RawConn
	// try is tryRead, made once: made for each await, it would be one more allocation.
	try func(fd uintptr) (done bool)

	// unread is a part of idle or of burst; err comes after it.
	unread []byte
	err    error
	// The last read has filled its buffer: more may have come.
	full  bool
	burst *[streamBurst]byte
	// nil: none was needed yet.
	idle *[streamIdle]byte
}

// init makes r the reader of from, and of raw if that is not nil.
func (r *streamReader) init(from io.Reader, raw syscall.RawConn) {
	r.dropBurst()
	*r = streamReader{from: from, raw: raw}
	if raw != nil {
		r.try = r.tryRead
	}
}

// await waits until something is unread, or nothing will be, if the system can say so. Meanwhile r
// holds no buffer.
func (r *streamReader) await() {
	if r.raw == nil || len(r.unread) > 0 || r.err != nil {
		return
	}
	r.dropBurst()
	// What fails here, fails for who reads.
	_ = r.raw.Read(r.try)
}

// tryRead reads what has come. It reports whether that was something, the end included.
func (r *streamReader) tryRead(fd uintptr) bool {
	r.burst = bursts.Get().(*[streamBurst]byte)
	n, err := tryRead(fd, r.burst[:])
	if err == errNothingYet {
		r.dropBurst()
		return false
	}
	r.came(r.burst[:], n, err)
	return true
}

// peek returns what is unread, a byte at least. It is valid until the next call.
func (r *streamReader) peek() ([]byte, error) {
	for tries := 0; len(r.unread) == 0; tries++ {
		switch {
		case r.err != nil:
			err := r.err
			r.err = nil
			return nil, err
		case tries == maxEmptyReads:
			return nil, io.ErrNoProgress
		}
		r.fill()
	}
	return r.unread, nil
}

// skip marks n bytes as read.
func (r *streamReader) skip(n int) { r.unread = r.unread[n:] }

func (r *streamReader) dropBurst() {
	if r.burst != nil {
		bursts.Put(r.burst)
		r.burst = nil
	}
}

func (r *streamReader) fill() {
	if r.await(); len(r.unread) > 0 || r.err != nil {
		return
	}
	into := r.room()
	n, err := r.from.Read(into)
	r.came(into, n, err)
}

// room is what the next Read may fill.
func (r *streamReader) room() []byte {
	if !r.full {
		r.dropBurst()
		if r.idle == nil {
			r.idle = new([streamIdle]byte)
		}
		return r.idle[:]
	}
	if r.burst == nil {
		r.burst = bursts.Get().(*[streamBurst]byte)
	}
	return r.burst[:]
}

// came notes how a read into a buffer has ended.
func (r *streamReader) came(into []byte, n int, err error) {
	if n > 0 {
		r.heard.note()
	}
	r.unread, r.err, r.full = into[:n], err, n == len(into)
}
