package media

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"

	"github.com/mirrorfly-go/sdk/internal/rest"
)

// Content is the content of a file. It is read while it comes, in the ranges of rangeReader or in
// one piece. Close it. One goroutine at a time may use it.
type Content struct {
	// ContentType is what the server says, else what File.ContentType says, else what the beginning
	// of the content tells; empty: none of them does.
	ContentType string
	// Size is the length of the whole content in bytes; -1: not known.
	Size int64
	// ETag is as the server wrote it; empty: not known.
	ETag string

	src io.ReadCloser
	r   io.Reader
}

// Open opens f, and decrypts it with the chat IV iv when f.Key is set. A profile picture is a File
// with nothing but a token, which may also be a URL, see [rest.Client.FindMedia].
//
// Content that is longer than most bytes, or that has another length than f.Size when that is set,
// ends in an error. The service's refusal has status 500.
//
// From an offset on only what is missing is fetched: of an encrypted file in parts also the two
// blocks before, one as the IV and one because the offset may be behind the padding. An encrypted
// file in one part is base64 text, in which a line break anywhere would shift all that follows. It
// comes from its beginning, as every file does from a server that does not know ranges, and what is
// before the offset is dropped.
func Open(ctx context.Context, c *rest.Client, f File, iv string, start Start, most int64) (*Content, error) {
	content, err := open(ctx, c, f, iv, start)
	if err != nil {
		return nil, refusal(err)
	}
	b := &boundedReader{r: content.r, left: most - start.Offset, long: errTooLong}
	if f.Size > 0 {
		content.Size = f.Size
		b.left, b.long, b.short = f.Size-start.Offset, errSize, errSize
	}
	content.r = b
	content.tellType(f.ContentType, start.Offset == 0)
	return content, nil
}

func open(ctx context.Context, c *rest.Client, f File, iv string, start Start) (*Content, error) {
	at, err := c.FindMedia(ctx, f.Token)
	if err != nil {
		return nil, err
	}
	stored := f.storedOffset(start.Offset)
	var content *Content
	if f.Large && at.URL == "" {
		content, err = openRanges(ctx, c, at.Token, Start{Offset: stored, ETag: start.ETag})
	} else {
		content, err = openWhole(ctx, c, at, Start{Offset: stored, ETag: start.ETag})
	}
	if err != nil {
		return nil, err
	}
	if content.r, err = decoded(content.src, f, iv, start.Offset); err != nil {
		content.src.Close()
		return nil, err
	}
	if f.Key != "" {
		content.Size = -1
	}
	return content, nil
}

// openWhole opens a file, or all of it from an offset on, with one request.
func openWhole(ctx context.Context, c *rest.Client, at rest.Place, start Start) (*Content, error) {
	m, err := c.GetMedia(ctx, at, start.Offset)
	if err != nil {
		return nil, err
	}
	content := &Content{ContentType: m.ContentType, Size: m.Total, ETag: m.ETag, src: m}
	if err := begin(m, start); err != nil {
		m.Close()
		return nil, err
	}
	if m.Partial {
		content.src = &restOfFile{boundedReader{r: m, left: m.End - m.Offset, short: errCut, long: errSize}, m}
	}
	return content, nil
}

// decoded returns the content from an offset on. src is where storedOffset says.
func decoded(src io.Reader, f File, iv string, offset int64) (io.Reader, error) {
	if f.Key == "" {
		return src, nil
	}
	var t trim = trimAlways
	switch {
	case !f.Large:
		src = base64.NewDecoder(base64.StdEncoding, src)
	case f.Size > 0:
		t = trimTo(f.Size)
	default:
		t = trimGuess
	}
	d, err := newDecrypter(src, f.Key, iv, t)
	if err != nil {
		return nil, badIV(err)
	}
	if at := firstBlock(offset); f.Large && at > 0 {
		if err := d.startAt(at); err != nil {
			return nil, err
		}
		offset -= at
	}
	return d, skip(d, offset)
}

// Read reads on. It fails with a [rest.Error], or with io.EOF at the end of the whole file.
func (c *Content) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.r.Read(p)
	if err != io.EOF {
		err = refusal(err)
	}
	return n, err
}

// Close ends the transfer.
func (c *Content) Close() error { return c.src.Close() }

// CopyTo writes all content to w. What w fails with is in the error. After an error w holds what
// came before.
func (c *Content) CopyTo(w io.Writer) error {
	// Without other methods of reader and writer, such as ReadFrom, which may read in small pieces.
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{c}, make([]byte, 256<<10))
	return refusal(err)
}

// refusal gives an error the form of the JavaScript SDK: the service's refusal is a 500 with the
// service's text (protocol.md 9).
func refusal(err error) error {
	var e *rest.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &e):
		return &rest.Error{
			Status: http.StatusInternalServerError, Message: "Media cannot be read or written", Err: err,
		}
	case !e.Answered(), e.Status == http.StatusTooManyRequests:
		return err
	}
	return &rest.Error{Status: http.StatusInternalServerError, Message: e.Message, RetryAfter: e.RetryAfter, Err: e}
}
