package sdk

import (
	"context"
	"io"
	"sync"

	"github.com/mirrorfly-go/sdk/internal/media"
)

// OpenMedia opens a file as DownloadMedia does, for a program that passes it on: the reader fetches
// and opens the file as it is read, with a few hundred KiB in memory. ctx ends the reading, too,
// and so do Close of the reader and Close of the Client. Close the reader, also when it was not
// read to its end.
//
// The reader returns io.EOF when the whole file has come, and for nothing else: a file that is cut,
// too long or damaged ends in an *Error behind the last byte that is certain, as far as
// DownloadMedia tells such a file. It may be closed twice, and while it is read. One goroutine at a
// time reads it. Config.RequestTimeout bounds how long a Read may wait for the next byte, not how
// long the reader is open.
//
// MediaInfo has the type and the length of the content, for the headers of an answer. The file is
// what another user has uploaded: serve it with X-Content-Type-Options: nosniff, and nothing that a
// browser runs (such as text/html or image/svg+xml) on an origin of your own.
//
// Errors, also of the reader: those of DownloadMedia. For [Hooks] and Stats the call has ended when
// OpenMedia returns.
func (c *Client) OpenMedia(ctx context.Context, f MediaFile) (io.ReadCloser, MediaInfo, error) {
	bound, release := endingWith(ctx, c.ctx)
	r := &mediaReader{client: c, ctx: bound, release: release}
	res, err := answer(ctx, bound, c, opOpenMedia, success, func(ctx context.Context) (*media.Content, error) {
		l, err := c.registered()
		if err != nil {
			return nil, err
		}
		if err := c.checkFile(f); err != nil {
			return nil, err
		}
		return l.openMedia(ctx, f, media.Start{})
	})
	if err != nil {
		release()
		return nil, MediaInfo{}, err
	}
	r.content = res.Data
	return r, MediaInfo{ContentType: r.content.ContentType, Size: r.content.Size}, nil
}

const opOpenMedia = "OpenMedia"

// mediaReader is what OpenMedia returns.
type mediaReader struct {
	client *Client
	// ctx is that of the transfer. release ends it.
	ctx     context.Context
	release func()
	// content belongs to the Read that is under way, or else to Close.
	content *media.Content

	mu      sync.Mutex
	reading bool
	closed  bool
	// err is what the last Read has ended with; nil: there may be more.
	err error
}

// Read returns the next bytes of the content.
func (r *mediaReader) Read(p []byte) (int, error) {
	if err := r.begin(); err != nil {
		return 0, err
	}
	n, err := r.content.Read(p)
	if err != nil && err != io.EOF {
		e := explain(r.client.deciding(r.ctx), opOpenMedia, err)
		// The caller has the beginning, and another reader would begin anew.
		e.spent = true
		err = e
	}
	return n, r.end(err)
}

// begin keeps Close off the content until end.
func (r *mediaReader) begin() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return misread("the reader is closed")
	case r.reading:
		return misread("another Read is under way")
	case r.err != nil:
		return r.err
	}
	r.reading = true
	return nil
}

// end returns what a Read ends with.
func (r *mediaReader) end(err error) error {
	r.mu.Lock()
	r.reading = false
	r.err = err
	closed := r.closed
	r.mu.Unlock()
	if !closed {
		return err
	}
	// It only ends a transfer that nobody wants any more.
	_ = r.content.Close()
	if err != nil && err != io.EOF {
		return misread("the reader is closed")
	}
	return err
}

// misread is for a Read that cannot be.
func misread(why string) error {
	e := invalid("", "%s", why)
	e.Op = opOpenMedia
	return e
}

// Close ends the transfer. It always returns nil.
func (r *mediaReader) Close() error {
	r.mu.Lock()
	idle := !r.closed && !r.reading
	r.closed = true
	r.mu.Unlock()
	// A Read that is under way fails, and closes the content itself.
	r.release()
	if idle {
		_ = r.content.Close()
	}
	return nil
}
