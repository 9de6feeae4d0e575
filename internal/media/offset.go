package media

import (
	"io"

	"github.com/mirrorfly-go/sdk/internal/rest"
)

// Start says from where on a file is read.
type Start struct {
	// Offset is in bytes of the content.
	Offset int64
	// ETag is that of the file when the bytes before Offset were read, as [Content.ETag] told it;
	// empty: not known.
	ETag string
}

// begin brings m to where start says, or says why it cannot be there.
func begin(m *rest.Media, start Start) error {
	switch {
	case start.ETag != "" && m.ETag != "" && m.ETag != start.ETag:
		return unexpected("a file that changed meanwhile")
	case !m.Partial:
		return skip(m, start.Offset)
	case m.Offset != start.Offset:
		return unexpected("another range than was asked for")
	case m.End == m.Offset && m.Total < m.End:
		// Without a length the file may as well end far before.
		return errBehindEnd()
	case m.End != m.Total:
		return unexpected("a part of the rest that was asked for")
	}
	return nil
}

// restOfFile is the end of a file. It ends where its range does.
type restOfFile struct {
	boundedReader
	io.Closer
}

// skip drops the first n bytes of r, which must have them.
func skip(r io.Reader, n int64) error {
	_, err := io.CopyN(io.Discard, r, n)
	if err == io.EOF {
		return errBehindEnd()
	}
	return err
}

// errBehindEnd: what the caller has cannot be the beginning of this file.
func errBehindEnd() error { return unexpected("a file that ends before the offset") }

// firstBlock is where decryption begins for content from an offset on: a block earlier than the
// offset is in when it is at the beginning of one, see [Open].
func firstBlock(offset int64) int64 { return max(0, offset-1) / block * block }

// storedOffset is where the stored file has to be read from for content from an offset on.
func (f File) storedOffset(offset int64) int64 {
	switch {
	case f.Key == "":
		return offset
	case f.Large:
		return max(0, firstBlock(offset)-block)
	}
	return 0
}
