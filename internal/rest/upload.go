package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"unicode"

	"github.com/mirrorfly-go/sdk/internal/unsent"
)

// File is a file to upload. It is sent as it is read, and is never whole in memory.
//
// When Reader is also an io.Seeker, the upload can be repeated (after an expired token, or when the
// service asks to wait). It then starts again where the reader stood. After an error, one last Read
// may still be under way.
type File struct {
	Name string
	// ContentType is taken from the first 512 bytes when it is empty or malformed.
	ContentType string
	Reader      io.Reader
	// Size is how many bytes Reader delivers, no more and no less; negative: not known.
	Size int64
	// Rewind returns the content from its start. When it is set, Reader is not used.
	Rewind func() (io.Reader, error)
}

// Form is the body of POST /media/.
type Form struct {
	// Type is "profile", "chat" or "groupchat".
	Type      string
	ToUser    string
	MessageID string
	File      File
}

// Uploaded are the tokens of an uploaded file.
type Uploaded struct {
	Token string
	// Thumb is the token of a picture's thumbnail. It may be empty.
	Thumb string
}

// UploadProfileImage uploads a profile picture as the user toUser. It is never
// encrypted (protocol.md 5.2). When the service refuses it, the text is "Media Upload Failed".
func (c *Client) UploadProfileImage(ctx context.Context, toUser string, f File) (Uploaded, error) {
	done, err := c.PostMedia(ctx, Form{Type: "profile", ToUser: toUser, File: f})
	if e := asError(err); e != nil && (e.answered != 0 || e.Status == statusNetwork && ctx.Err() == nil) {
		failed := &Error{
			Status: e.Status, Message: "Media Upload Failed", RetryAfter: e.RetryAfter, Err: e, answered: e.answered,
			page: e.page,
		}
		if unsent.Is(err) {
			return done, unsent.Mark(failed)
		}
		return done, failed
	}
	return done, err
}

// PostMedia uploads a file in one piece (POST /media/, protocol.md 5.2 and 8). An answer
// without a token is an error: the file could never be fetched.
func (c *Client) PostMedia(ctx context.Context, form Form) (Uploaded, error) {
	var body *formBody
	err := Within(ctx, func() (err error) {
		body, err = newFormBody(form)
		return err
	})
	if err != nil {
		return Uploaded{}, err
	}
	var data struct {
		FileToken      text `json:"fileToken"`
		FileTokenThumb text `json:"fileTokenThumb"`
	}
	r := &request{op: "upload", method: http.MethodPost, path: "/media/", body: body, auth: true, transfer: true}
	if err := c.json(ctx, r, &data); err != nil {
		return Uploaded{}, err
	}
	if data.FileToken == "" {
		return Uploaded{}, unexpected("no file token")
	}
	return Uploaded{Token: string(data.FileToken), Thumb: string(data.FileTokenThumb)}, nil
}

// formBody is a multipart body (RFC 7578) with a file in the middle.
type formBody struct {
	contentType string
	before      []byte
	after       []byte
	// size is that of the file; negative: not known.
	size  int64
	first io.Reader
	// rewind is nil when the file can be read only once.
	rewind func() (io.Reader, error)
	opened bool
	guard  sourceGuard
}

func newFormBody(form Form) (*formBody, error) {
	b := &formBody{size: form.File.Size, first: form.File.Reader, rewind: form.File.Rewind}
	if b.rewind == nil {
		b.rewind = Rewinder(form.File.Reader)
	} else {
		b.first = &rewound{rewind: b.rewind}
	}
	contentType, first, err := Sniff(form.File.ContentType, b.first)
	if err != nil {
		return nil, err
	}
	b.first = first
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	// The order of the parts is that of the JavaScript SDK. A write to a bytes.Buffer never fails.
	_, _ = w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {multipart.FileContentDisposition("file", form.File.Name)},
		"Content-Type":        {contentType},
	})
	head := out.Len()
	_ = w.WriteField("type", form.Type)
	_ = w.WriteField("toUser", form.ToUser)
	_ = w.WriteField("messageId", form.MessageID)
	_ = w.Close()
	b.contentType = w.FormDataContentType()
	b.before, b.after = out.Bytes()[:head], out.Bytes()[head:]
	return b, nil
}

// Sniff returns contentType when it is well formed, and otherwise the type that the first 512 bytes
// of r suggest. The reader that it returns has all of r.
func Sniff(contentType string, r io.Reader) (string, io.Reader, error) {
	_, _, err := mime.ParseMediaType(contentType)
	// A line break would end the header.
	if err == nil && !strings.ContainsFunc(contentType, unicode.IsControl) {
		return contentType, r, nil
	}
	head := make([]byte, 512)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", nil, sourceFailed(err)
	}
	return http.DetectContentType(head[:n]), io.MultiReader(bytes.NewReader(head[:n]), r), nil
}

// Within calls read and returns its outcome. read may be stuck in the caller's reader: when ctx
// ends first, Within returns while read goes on. What read sets may then not be used.
func Within(ctx context.Context, read func() error) error {
	done := make(chan error, 1)
	// The transfer owns it. It ends with the Read that is under way.
	go func() { done <- guarded(read) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return contextError(ctx)
	}
}

// guarded makes an error of a panic of the caller's reader, which the caller could not recover from
// in a goroutine of ours.
func guarded(read func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = sourceFailed(fmt.Errorf("reader panicked: %v", p))
		}
	}()
	return read()
}

// rewound rewinds a file at its first Read. Rewinding can get stuck, as any Read can, so it is done
// where the file is read.
type rewound struct {
	rewind func() (io.Reader, error)
	r      io.Reader
}

func (f *rewound) Read(p []byte) (int, error) {
	if f.r == nil {
		r, err := f.rewind()
		if err != nil {
			return 0, err
		}
		f.r = r
	}
	return f.r.Read(p)
}

// Rewinder returns a function that goes back to where r stands now. It is nil when r cannot do
// that: an
// *os.File is an io.Seeker, but may be a pipe.
func Rewinder(r io.Reader) func() (io.Reader, error) {
	s, ok := r.(io.ReadSeeker)
	if !ok {
		return nil
	}
	start, err := s.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil
	}
	return func() (io.Reader, error) {
		_, err := s.Seek(start, io.SeekStart)
		return s, err
	}
}

func (b *formBody) repeatable() bool                   { return b.rewind != nil }
func (b *formBody) waitIdle(ctx context.Context) error { return b.guard.waitIdle(ctx) }

func (b *formBody) open(ctx context.Context) (io.ReadCloser, int64, string, error) {
	size, file := b.size, b.first
	if b.opened {
		file = &rewound{rewind: b.rewind}
	}
	b.opened = true
	if size >= 0 {
		file = Exactly(file, size)
		size += int64(len(b.before) + len(b.after))
	}
	body := io.MultiReader(bytes.NewReader(b.before), b.guard.source(file), bytes.NewReader(b.after))
	return b.guard.acquire(ctx, body), size, b.contentType, nil
}

func (b *formBody) sourceError() error { return b.guard.sourceError() }
