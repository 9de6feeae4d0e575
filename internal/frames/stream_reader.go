package frames

import (
	"io"
	"sync"
)

const (
	// streamIdle is how many bytes a stream has room for while it waits: enough for many a stanza.
	streamIdle = 256
	// streamBurst is how many bytes it reads at a time while more comes.
	streamBurst = 8 << 10
	// maxEmptyReads is how often a source may return nothing and no error.
	maxEmptyReads = 100
)

// bursts are the buffers of streams on which much comes.
var bursts = sync.Pool{New: func() any { return new([streamBurst]byte) }}

// streamReader reads a stream that is silent most of the time. While it waits it holds a small
// buffer. When what has come fills that, it takes a large one from those of all streams. The zero
// value with a source is ready.
type streamReader struct {
	from  io.Reader
	heard moment

	// unread is a part of idle or of burst; err comes after it.
	unread []byte
	err    error
	// The last read has filled its buffer: more may have come.
	full  bool
	burst *[streamBurst]byte
	idle  [streamIdle]byte
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

// drained reports whether all that has come is read, as far as one can know. Then the reader holds
// its small buffer alone.
func (r *streamReader) drained() bool {
	if len(r.unread) > 0 || r.err != nil || r.full {
		return false
	}
	r.dropBurst()
	return true
}

func (r *streamReader) dropBurst() {
	if r.burst != nil {
		bursts.Put(r.burst)
		r.burst = nil
	}
}

func (r *streamReader) fill() {
	if !r.full {
		r.dropBurst()
	} else if r.burst == nil {
		r.burst = bursts.Get().(*[streamBurst]byte)
	}
	into := r.idle[:]
	if r.burst != nil {
		into = r.burst[:]
	}
	n, err := r.from.Read(into)
	if n > 0 {
		r.heard.note()
	}
	r.unread, r.err, r.full = into[:n], err, n == len(into)
}
