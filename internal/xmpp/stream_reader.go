package xmpp

import (
	"io"
	"sync"
)

const (
	streamIdle  = 352     // bytes that a stream holds while it waits: a stanza, mostly. With it a tcpFramer just fits into 576
	streamBurst = 8 << 10 // bytes that it takes at a time while more comes
)

// bursts are the buffers of streams on which much comes.
var bursts = sync.Pool{New: func() any { return new([streamBurst]byte) }}

// streamReader reads a stream that is silent most of the time. It holds little while it waits, and takes a large buffer from
// those of all streams when what came has filled the small one. The zero value with a source is ready.
type streamReader struct {
	from   io.Reader
	unread []byte // of idle or of burst
	err    error  // comes after unread
	full   bool   // the last read has filled its buffer: more may be there
	burst  *[streamBurst]byte
	heard  moment // when bytes have last come
	idle   [streamIdle]byte
}

// peek returns what is unread, a byte at least. It holds until the next call.
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

// skip takes n bytes as read.
func (r *streamReader) skip(n int) { r.unread = r.unread[n:] }

// maxEmptyReads is how often a source may return nothing and no error.
const maxEmptyReads = 100

func (r *streamReader) fill() {
	if r.full && r.burst == nil {
		r.burst = bursts.Get().(*[streamBurst]byte)
	} else if !r.full && r.burst != nil {
		bursts.Put(r.burst)
		r.burst = nil
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
