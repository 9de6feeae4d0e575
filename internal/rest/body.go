package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// sourceGuard keeps request bodies that share one source from reading it at the same time. The
// transport may be done with a body while a Read of its source is still under way. The next body
// cannot use the source until that Read returns.
type sourceGuard struct {
	mu sync.Mutex
	// inUse is how many bodies read the source.
	inUse int
	// idle is closed when inUse gets to 0. waitIdle makes it.
	idle chan struct{}
	// err is the error of the source of the last body.
	err error
}

// acquire returns a body that reads r. It ends with ctx even when a Read of r is stuck, for which
// net/http would wait regardless of the context.
func (g *sourceGuard) acquire(ctx context.Context, r io.Reader) io.ReadCloser {
	g.mu.Lock()
	g.inUse++
	g.err = nil
	g.mu.Unlock()
	body, w := io.Pipe()
	context.AfterFunc(ctx, func() { body.CloseWithError(context.Cause(ctx)) })
	// The transfer owns it. It ends when r is exhausted, or with the first Read of r that returns
	// after the body is closed, which the transport does at the latest when ctx ends.
	go func() {
		_, err := io.Copy(w, r)
		w.CloseWithError(err)
		g.release()
	}()
	return body
}

// waitIdle waits until no body reads the source.
func (g *sourceGuard) waitIdle(ctx context.Context) error {
	g.mu.Lock()
	if g.inUse == 0 {
		g.mu.Unlock()
		return nil
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	idle := g.idle
	g.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return contextError(ctx)
	}
}

func (g *sourceGuard) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inUse--; g.inUse == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

func (g *sourceGuard) sourceError() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// source returns a reader of r that remembers the error that ends it. The HTTP client may report
// the broken connection that follows from it instead.
func (g *sourceGuard) source(r io.Reader) io.Reader { return &source{guard: g, r: r} }

type source struct {
	guard *sourceGuard
	r     io.Reader
}

func (s *source) Read(p []byte) (n int, err error) {
	err = guarded(func() (err error) {
		n, err = s.r.Read(p)
		return err
	})
	if err != nil && err != io.EOF {
		err = sourceFailed(err)
		s.guard.mu.Lock()
		s.guard.err = err
		s.guard.mu.Unlock()
	}
	return n, err
}

// Exactly returns a reader of size bytes of r. It fails with ErrSource when r has fewer or more,
// and it does so before its end: the service does not store a file that it has not got whole.
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
	// The next Read finds out whether r has more.
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
