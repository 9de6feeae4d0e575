package media

import (
	"errors"
	"io"
)

var (
	errSize = errors.New("media: length is not the one that was given")
	// errTooLong: the sender chose the file, and does not know how much room there is for it.
	errTooLong = errors.New("media: longer than what may be downloaded")
)

// boundedReader passes on the bytes of r, at most left. It fails with long when r has more, and
// with short when it has fewer, unless that is nil.
type boundedReader struct {
	r           io.Reader
	left        int64
	short, long error
}

func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		fits := n + int(b.left)
		b.left = 0
		b.r = failed{b.long}
		return fits, b.long
	}
	if err == io.EOF && b.left > 0 && b.short != nil {
		err = b.short
	}
	return n, err
}

// failed is a reader that has failed.
type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }
