package rest

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/mirrorfly-go/sdk/internal/observe"
)

var errStalled = errors.New("no data moved")

// watch bounds one attempt. A JSON call gets the Timeout of the caller's HTTP client. A transfer
// ends when nothing has moved for RequestTimeout.
type watch struct {
	cancel context.CancelFunc
	// timer is nil when the request is not a transfer.
	timer *time.Timer
	idle  time.Duration

	observer *observe.Observer
	// told is what a hook will be told of this attempt; nil: there is none.
	told *told
}

func (c *Client) watch(ctx context.Context, r *request) (context.Context, *watch) {
	if r.transfer {
		ctx, cancel := context.WithCancelCause(ctx)
		idle := c.cfg.RequestTimeout
		timer := time.AfterFunc(idle, func() { cancel(errStalled) })
		return ctx, &watch{cancel: func() { cancel(nil) }, timer: timer, idle: idle, observer: c.cfg.Observer}
	}
	timeout := c.timeout
	if _, bounded := ctx.Deadline(); !bounded && timeout == 0 {
		// A call that belongs to a transfer has no deadline of its own.
		timeout = c.cfg.RequestTimeout
	}
	if timeout > 0 {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		return ctx, &watch{cancel: cancel, observer: c.cfg.Observer}
	}
	return ctx, &watch{cancel: func() {}, observer: c.cfg.Observer}
}

// stop ends the watch, and the attempt with err. It may be called again.
func (w *watch) stop(err error) {
	if w.timer != nil {
		w.timer.Stop()
	}
	w.cancel()
	w.told.end(err)
}

// request returns the body of a request. Each byte that the transport reads of it shows that the
// transfer moves.
func (w *watch) request(rc io.ReadCloser) io.ReadCloser {
	if w.timer == nil {
		return rc
	}
	return &watchedRequest{ReadCloser: rc, watch: w}
}

type watchedRequest struct {
	io.ReadCloser
	watch *watch
}

func (b *watchedRequest) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.watch.timer.Reset(b.watch.idle)
		b.watch.moved(n, 0)
	}
	return n, err
}

// answer returns the body of an answer. A transfer stands still only while a Read waits: the caller
// may take any time between two of them.
func (w *watch) answer(rc io.ReadCloser) io.ReadCloser {
	if w.timer == nil {
		return rc
	}
	w.timer.Stop()
	return &watchedAnswer{ReadCloser: rc, watch: w}
}

type watchedAnswer struct {
	io.ReadCloser
	watch *watch
}

func (b *watchedAnswer) Read(p []byte) (int, error) {
	b.watch.timer.Reset(b.watch.idle)
	defer b.watch.timer.Stop()
	n, err := b.ReadCloser.Read(p)
	b.watch.moved(0, n)
	return n, err
}
