package xmpp

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"

	"github.com/mirrorfly-go/sdk/internal/prompt"
)

// framer is the seam between a session and its transport: whole elements, one
// per frame, in the form that RFC 7395 gives them on either transport.
//
// A context that ends during a call breaks the connection: what was half read
// or half written cannot be taken up again.
type framer interface {
	// Header is what starts a stream, anew after SASL, and has what is read next taken
	// for the start of the server's. That comes as a frame: <open/>.
	Header(to string) []byte
	// ReadFrame returns the next element. The end of the stream comes as a frame:
	// <close/>. Not for concurrent use.
	ReadFrame(ctx context.Context) (string, error)
	// WriteFrames writes elements, together where the transport can. Safe for concurrent use.
	WriteFrames(ctx context.Context, frames ...[]byte) error
	// Heard and Wrote are when bytes have last come, and gone out, by clock: also of what is not whole yet.
	Heard() time.Duration
	Wrote() time.Duration
	// Prompt is the connection below, if writing to it leaves the waiting for the server to it, else nil.
	Prompt() *prompt.Conn
	// End writes the end of the stream.
	End(ctx context.Context) error
	// Close closes the connection politely, but no later than ctx ends.
	Close(ctx context.Context) error
	// Cut breaks the connection at once and wakes who waits for it. Idempotent.
	Cut()
}

// buffers are what frames are gathered in: a connection holds one only while a frame is on its way.
// It is a free list and nothing else: what comes out of it is empty.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keptBuffer is the largest buffer, in bytes, that is used again.
const keptBuffer = 64 << 10

func newBuffer() *bytes.Buffer { return buffers.Get().(*bytes.Buffer) }

func release(buf *bytes.Buffer) {
	if buf.Cap() <= keptBuffer {
		buf.Reset()
		buffers.Put(buf)
	}
}

// maxWrite is how many bytes are written at a time, so that progress shows: as many as a TLS record has.
const maxWrite = 16 << 10

// writeNoting writes p to w in steps, and notes each.
func writeNoting(w io.Writer, p []byte, wrote *moment) (n int, err error) {
	for len(p) > n && err == nil {
		var step int
		step, err = w.Write(p[n:min(n+maxWrite, len(p))])
		n += step
		wrote.note()
	}
	return n, err
}
