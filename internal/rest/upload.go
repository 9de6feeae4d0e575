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

// File is a file to upload. It is sent as it is read, never held in memory.
//
// When Reader is an io.Seeker too, the upload can be repeated (after an expired
// token, or when the service asks to wait); it starts where the reader stood.
// After an error the reader may still be inside one last Read.
type File struct {
	Name string
	// empty or malformed: taken from the first 512 bytes
	ContentType string
	Reader      io.Reader
	// bytes that Reader delivers, no more and no less; negative: not known
	Size int64
	// Rewind, when set, is called for the content from its start, each time.
	// Reader is not used then.
	Rewind func() (io.Reader, error)
}

// Form is what POST /media/ takes.
type Form struct {
	// "profile", "chat", "groupchat"
	Type      string
	ToUser    string
	MessageID string
	File      File
}

// Uploaded are the tokens of an uploaded file.
type Uploaded struct {
	Token string
	// of a picture's thumbnail; may be empty
	Thumb string
}

// UploadProfileImage uploads a profile picture as the user toUser. It is never
// encrypted (protocol.md 5.2). What the service refuses reads "Media Upload Failed".
func (c *Client) UploadProfileImage(ctx context.Context, toUser string, f File) (Uploaded, error) {
	done, err := c.PostMedia(ctx, Form{Type: "profile", ToUser: toUser, File: f})
	if e := asError(err); e != nil && (e.answered != 0 || e.Status == statusNetwork && ctx.Err() == nil) {
		failed := &Error{
			Status: e.Status, Message: "Media Upload Failed", RetryAfter: e.RetryAfter, Err: e, answered: e.answered,
		}
		if unsent.Is(err) {
			return done, unsent.Mark(failed)
		}
		return done, failed
	}
	return done, err
}

// PostMedia uploads a file in one piece (POST /media/, protocol.md 5.2 and 8). An answer
// without a token is an error: nobody could ever fetch the file.
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
	// of the file; negative: not known
	size  int64
	first io.Reader
	// nil: the file can be read once only
	rewind func() (io.Reader, error)
	opened bool
	lent   lent
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
	// The order of the parts is that of the JavaScript SDK. A bytes.Buffer takes every write.
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

// Sniff returns contentType when it is well formed and otherwise the type that the
// first 512 bytes of r look like, with a reader of all of r.
func Sniff(contentType string, r io.Reader) (string, io.Reader, error) {
	_, _, err := mime.ParseMediaType(contentType)
	// a line break would end the header
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

// Within runs read, which may be stuck in the caller's reader, and leaves it alone
// when ctx ends first: what read sets may be used only when Within returned its
// outcome.
func Within(ctx context.Context, read func() error) error {
	done := make(chan error, 1)
	// ends with the Read that is under way
	go func() { done <- guarded(read) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return contextError(ctx)
	}
}

// guarded makes an error of a panic of the caller's reader: in a goroutine of ours
// nobody else could recover it.
func guarded(read func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = sourceFailed(fmt.Errorf("reader panicked: %v", p))
		}
	}()
	return read()
}

// rewound rewinds a file at its first Read: that may get stuck as any Read may, so it is done where
// the file is read.
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

// Rewinder returns how to get back to where r stands, or nil if r can not do it:
// a pipe is an *os.File as well.
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

func (b *formBody) repeatable() bool                 { return b.rewind != nil }
func (b *formBody) settle(ctx context.Context) error { return b.lent.settle(ctx) }

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
	body := io.MultiReader(bytes.NewReader(b.before), b.lent.source(file), bytes.NewReader(b.after))
	return b.lent.lend(ctx, body), size, b.contentType, nil
}

func (b *formBody) sourceError() error { return b.lent.sourceError() }
