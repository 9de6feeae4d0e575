package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// lent keeps account of request bodies that share one source. The transport may
// be done with a body while a Read of its source is still under way; until that
// returns the source can not be used for the next body.
type lent struct {
	mu sync.Mutex
	// bodies whose source is in use
	out int
	// made by settle, closed when out gets to 0
	home chan struct{}
	// of the source of the last body
	err error
}

// lend returns a body that reads r. It ends with ctx even when a Read of r is
// stuck: net/http would wait for that, whatever the context says.
func (l *lent) lend(ctx context.Context, r io.Reader) io.ReadCloser {
	l.mu.Lock()
	l.out++
	l.err = nil
	l.mu.Unlock()
	body, w := io.Pipe()
	context.AfterFunc(ctx, func() { body.CloseWithError(context.Cause(ctx)) })
	// Ends when r is exhausted, or with the first Read of r that returns after the
	// body is closed, which the transport does at the latest when ctx ends.
	go func() {
		_, err := io.Copy(w, r)
		w.CloseWithError(err)
		l.giveBack()
	}()
	return body
}

// settle waits until no body is out.
func (l *lent) settle(ctx context.Context) error {
	l.mu.Lock()
	if l.out == 0 {
		l.mu.Unlock()
		return nil
	}
	if l.home == nil {
		l.home = make(chan struct{})
	}
	home := l.home
	l.mu.Unlock()
	select {
	case <-home:
		return nil
	case <-ctx.Done():
		return contextError(ctx)
	}
}

func (l *lent) giveBack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.out--; l.out == 0 && l.home != nil {
		close(l.home)
		l.home = nil
	}
}

func (l *lent) sourceError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// source returns a reader of r that remembers the error that ends it: the HTTP
// client may report the broken connection that comes of it instead.
func (l *lent) source(r io.Reader) io.Reader { return &source{lent: l, r: r} }

type source struct {
	lent *lent
	r    io.Reader
}

func (s *source) Read(p []byte) (n int, err error) {
	err = guarded(func() (err error) {
		n, err = s.r.Read(p)
		return err
	})
	if err != nil && err != io.EOF {
		err = sourceFailed(err)
		s.lent.mu.Lock()
		s.lent.err = err
		s.lent.mu.Unlock()
	}
	return n, err
}

// Exactly returns a reader that passes on size bytes of r and fails with ErrSource
// when there are fewer or more, before its end: what the service never got whole it
// does not store.
func Exactly(r io.Reader, size int64) io.Reader { return &exactReader{r: r, left: size} }

type exactReader struct {
	r    io.Reader
	left int64
}

func (e *exactReader) Read(p []byte) (int, error) {
	if e.left == 0 {
		var one [1]byte
		n, err := e.r.Read(one[:])
		if n > 0 {
			err = sourceFailed(errors.New("longer than its size"))
		}
		return 0, err
	}
	if int64(len(p)) > e.left {
		p = p[:e.left]
	}
	n, err := e.r.Read(p)
	e.left -= int64(n)
	switch {
	case err == nil:
		return n, nil
	case err != io.EOF:
		return n, sourceFailed(err)
	case e.left > 0:
		return n, sourceFailed(fmt.Errorf("%d bytes shorter than its size", e.left))
	}
	// the next Read looks for what is too much
	return n, nil
}

func sourceFailed(err error) *Error {
	if e := asError(err); e != nil {
		return e
	}
	return &Error{
		Status: http.StatusBadRequest, Message: "File could not be read", Err: fmt.Errorf("%w: %w", ErrSource, err),
		kind: KindSource,
	}
}
