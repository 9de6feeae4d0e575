package frames

import (
	"bytes"
	"sync"
)

// buffers are what frames are gathered in: a connection holds one only while a frame is on its way.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxKeptBuffer is the largest buffer, in bytes, that is used again.
const maxKeptBuffer = 64 << 10

// newBuffer returns an empty buffer, to be given to freeBuffer.
func newBuffer() *bytes.Buffer { return buffers.Get().(*bytes.Buffer) }

func freeBuffer(buf *bytes.Buffer) {
	if buf.Cap() <= maxKeptBuffer {
		buf.Reset()
		buffers.Put(buf)
	}
}
