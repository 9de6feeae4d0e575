package media

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"

	"github.com/mirrorfly-go/sdk/internal/rest"
)

// Download writes the content of f to w. Whether it is decrypted, with the chat IV
// iv, is up to f.Key. A profile picture is a File with nothing but a token; a token
// may also be an absolute URL, see [rest.Client.GetMedia].
//
// It writes as it reads: after an error w holds the beginning of the file, and
// whoever must not see half a file writes to a temporary one. When f.Size is set,
// content of another length is an error. The service's refusal has status 500.
func Download(ctx context.Context, c *rest.Client, f File, iv string, w io.Writer) error {
	src, err := open(ctx, c, f)
	if err != nil {
		return refusal(err)
	}
	defer src.Close()
	content, err := decoded(src, f, iv)
	if err != nil {
		return err
	}
	if f.Size > 0 {
		content = &sizedReader{r: content, left: f.Size}
	}
	// A writer that reads for itself might do so in small pieces.
	_, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{content}, make([]byte, 256<<10))
	return refusal(err)
}

// open returns the file as it is stored.
func open(ctx context.Context, c *rest.Client, f File) (io.ReadCloser, error) {
	if f.Large {
		url, err := c.DownloadURL(ctx, f.Token)
		if err != nil {
			return nil, err
		}
		return &rangeReader{ctx: ctx, client: c, token: f.Token, url: url, total: -1}, nil
	}
	return c.GetMedia(ctx, f.Token)
}

func decoded(src io.Reader, f File, iv string) (io.Reader, error) {
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
	return d, badIV(err)
}

// refusal gives what went wrong the form that the JavaScript SDK gives it: the
// service's own refusal is a 500 with its text (protocol.md 9).
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

var errSize = errors.New("media: length is not the one that was given")

// sizedReader fails when r has not exactly left bytes, and passes on no more.
type sizedReader struct {
	r    io.Reader
	left int64
}

func (s *sizedReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if s.left -= int64(n); s.left < 0 {
		return n + int(s.left), errSize
	}
	if err == io.EOF && s.left > 0 {
		err = errSize
	}
	return n, err
}

var errTooLong = errors.New("media: longer than what may be downloaded")

// AtMost returns a writer that passes on no more than most bytes to w and then fails: who chose the
// file is not who has room for it.
func AtMost(w io.Writer, most int64) io.Writer { return &boundedWriter{w: w, left: most} }

type boundedWriter struct {
	w    io.Writer
	left int64
}

func (b *boundedWriter) Write(p []byte) (int, error) {
	fits := p[:min(int64(len(p)), b.left)]
	n, err := b.w.Write(fits)
	b.left -= int64(n)
	if err == nil && len(fits) < len(p) {
		err = errTooLong
	}
	return n, err
}
