// Package media moves files to and from the service, encrypted or not (protocol.md 8 and 9). Files
// are streamed: a few MiB of memory are enough for any size.
package media

import (
	"context"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/mirrorfly-go/sdk/internal/rest"
)

// partSize is the length of every part of a chunked upload but the last.
const partSize = 5 << 20

// Source is a file to upload.
type Source struct {
	// To is toUser on the wire.
	To string
	// Type is "chat" or "groupchat".
	Type      string
	MessageID string
	Name      string
	// ContentType is taken from the first 512 bytes when it is empty or malformed.
	ContentType string
	Reader      io.Reader
	// Size is how many bytes Reader delivers, no more and no less.
	Size int64
	// Progress is called after each 5 MiB that has arrived and at the end, in the goroutine of
	// Upload. It may be nil.
	Progress func(sent, total int64)
}

// File is an uploaded file.
type File struct {
	Token string
	// Key is empty when the file is not encrypted.
	Key         string
	Name        string
	ContentType string
	// Size is the length of the content in bytes; 0: not known. Messages of the
	// service carry the stored length instead, see StoredSize.
	Size int64
	// Large: the file was uploaded in parts.
	Large bool
}

// StoredSize is the length of the file as it is stored, which messages of the service carry as
// file_size. It is longer than Size when the file is encrypted.
func (f File) StoredSize() int64 {
	switch {
	case f.Key == "":
		return f.Size
	case f.Large:
		return (f.Size + block - 1) / block * block
	}
	padded := f.Size/block*block + block
	// base64.StdEncoding.EncodedLen takes an int, which has 32 bits on some systems.
	return (padded + 2) / 3 * 4
}

// Upload uploads s. When encrypt is set it encrypts s under a new key, with the chat IV iv.
//
// A file that fits one part goes in one request, a larger one in parts of 5 MiB. File.Large says
// which, and every client reads both. When the length of the source is not Size, the upload fails
// with rest.ErrSource and is never completed.
func Upload(ctx context.Context, c *rest.Client, s Source, encrypt bool, iv string) (File, error) {
	if s.Reader == nil || s.Size < 0 {
		return File{}, &rest.Error{
			Status: http.StatusBadRequest, Message: "File is not valid or required", Err: rest.ErrSource,
		}
	}
	if ctx.Err() != nil {
		return File{}, rest.ContextError(ctx)
	}
	u := &upload{client: c, source: s, iv: iv}
	if err := u.inspect(ctx); err != nil {
		return File{}, err
	}
	if encrypt {
		u.key = newKey()
	}
	f := File{Key: u.key, Name: s.Name, ContentType: u.source.ContentType, Size: s.Size, Large: s.Size > partSize}
	var err error
	if f.Large {
		f.Token, err = u.chunked(ctx, f.StoredSize())
	} else {
		f.Token, err = u.single(ctx, f.StoredSize())
	}
	if err != nil {
		return File{}, err
	}
	return f, nil
}

// upload is one upload under way.
type upload struct {
	client *rest.Client
	source Source
	// rewind is nil when the source can be read only once.
	rewind func() (io.Reader, error)
	// key is empty when the file is not encrypted.
	key string
	iv  string
}

// inspect finds out whether the source can be rewound, and the type of its content.
func (u *upload) inspect(ctx context.Context) error {
	return rest.Within(ctx, func() (err error) {
		u.rewind = rest.Rewinder(u.source.Reader)
		u.source.ContentType, u.source.Reader, err = rest.Sniff(u.source.ContentType, u.source.Reader)
		return err
	})
}

func (u *upload) progress(sent int64) {
	if u.source.Progress != nil {
		u.source.Progress(min(sent, u.source.Size), u.source.Size)
	}
}

// single uploads in one request. An encrypted file goes as the base64 text of its ciphertext.
func (u *upload) single(ctx context.Context, stored int64) (string, error) {
	text := func(r io.Reader) (io.Reader, error) {
		r = rest.Exactly(r, u.source.Size)
		if u.key == "" {
			return r, nil
		}
		e, err := newEncrypter(r, u.key, u.iv, false)
		return &textReader{src: e}, badIV(err)
	}
	first, err := text(u.source.Reader)
	if err != nil {
		return "", err
	}
	f := rest.File{Name: u.source.Name, ContentType: u.source.ContentType, Reader: first, Size: stored}
	if u.rewind != nil {
		f.Rewind = func() (io.Reader, error) {
			r, err := u.rewind()
			if err != nil {
				return nil, err
			}
			return text(r)
		}
	}
	done, err := u.client.PostMedia(
		ctx, rest.Form{Type: u.source.Type, ToUser: u.source.To, MessageID: u.source.MessageID, File: f},
	)
	if err != nil {
		return "", err
	}
	u.progress(u.source.Size)
	return done.Token, nil
}

// chunked uploads in parts. There are always several, so the upload is always committed.
func (u *upload) chunked(ctx context.Context, stored int64) (string, error) {
	r := rest.Exactly(u.source.Reader, u.source.Size)
	if u.key != "" {
		e, err := newEncrypter(r, u.key, u.iv, true)
		if err != nil {
			return "", badIV(err)
		}
		r = e
	}
	parts := int((stored + partSize - 1) / partSize)
	to, err := u.client.StartUpload(ctx, rest.UploadStart{
		ContentType: u.source.ContentType, Extension: strings.TrimPrefix(path.Ext(u.source.Name), "."),
		Parts: parts, MessageID: u.source.MessageID, ToUser: u.source.To, Type: u.source.Type,
	})
	if err != nil {
		return "", err
	}
	if err := to.CheckStorage(); err != nil {
		return "", err
	}
	etags, err := u.putParts(ctx, r, stored, to.URLs)
	if err != nil {
		return "", err
	}
	return to.FileToken, u.client.CommitUpload(ctx, to, etags)
}

// putParts sends the parts one after the other from one buffer.
func (u *upload) putParts(ctx context.Context, r io.Reader, stored int64, urls []string) ([]string, error) {
	buf := make([]byte, partSize)
	etags := make([]string, 0, len(urls))
	for i, url := range urls {
		sent := int64(i) * partSize
		part := buf[:min(partSize, stored-sent)]
		err := rest.Within(ctx, func() error {
			_, err := io.ReadFull(r, part)
			if err == nil && i == len(urls)-1 {
				err = atEnd(r)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		etag, err := u.client.PutPart(ctx, url, part, u.source.ContentType)
		if err != nil {
			return nil, err
		}
		etags = append(etags, etag)
		u.progress(sent + int64(len(part)))
	}
	return etags, nil
}

// atEnd fails when r has more. It makes r find out whether the source has more.
func atEnd(r io.Reader) error {
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		return err
	}
	return nil
}

// badIV maps the error of a cipher whose IV is not valid. nil stays nil.
func badIV(err error) error {
	if err == nil {
		return nil
	}
	return &rest.Error{
		Status: http.StatusInternalServerError, Message: "Media cannot be encrypted or decrypted", Err: err,
	}
}
