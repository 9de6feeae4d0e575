package media

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"

	"github.com/mirrorfly-go/sdk/internal/rest"
)

// Download writes the content of f to w. It decrypts it, with the chat IV iv, when f.Key is set. A
// profile picture is a File with nothing but a token. A token may also be an absolute URL, see
// [rest.Client.GetMedia].
//
// It writes while it reads, so after an error w holds the beginning of the file: a caller who must
// not see half a file writes to a temporary one. When f.Size is set, content of another length is
// an error. The service's refusal has status 500.
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
	// Without other methods of reader and writer, such as ReadFrom, which may read in small pieces.
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

var errSize = errors.New("media: length is not the one that was given")

// sizedReader passes on the bytes of r, at most left. It fails when r has fewer or more.
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

// AtMost returns a writer that passes on at most that many bytes to w and then fails. The sender
// chose the file, and does not know how much room there is for it.
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
