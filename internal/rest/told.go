package rest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mirrorfly-go/sdk/internal/observe"
)

// told is what a hook will be told of one attempt. All methods may be called of nil.
type told struct {
	done           func(observe.RequestDone)
	ended          atomic.Bool
	status         atomic.Int32
	sent, received atomic.Int64
}

// begin tells that r is about to be sent once more, and returns what is to be sent.
func (w *watch) begin(r *request, req *http.Request) *http.Request {
	ctx, done := w.observer.StartRequest(req.Context(), observe.Request{
		Kind: observe.HTTP, Name: r.op, Method: r.method, Host: r.host(req), Template: r.template(),
		Attempt: r.attempt,
	})
	if done != nil {
		w.told = &told{done: done}
	}
	if ctx == req.Context() {
		return req // WithContext makes a copy
	}
	return req.WithContext(ctx)
}

// moved notes that so many bytes of bodies have gone out and come in.
func (w *watch) moved(sent, received int) {
	w.observer.Bytes(int64(sent), int64(received))
	if w.told != nil {
		w.told.sent.Add(int64(sent))
		w.told.received.Add(int64(received))
	}
}

func (t *told) answered(status int) {
	if t != nil {
		t.status.Store(int32(status))
	}
}

// errAbandoned is how an attempt ends without an answer and without an error.
var errAbandoned = errors.New("the HTTP transport has panicked")

// end tells how the attempt has ended, once.
func (t *told) end(err error) {
	if t == nil || !t.ended.CompareAndSwap(false, true) {
		return
	}
	if err == nil && t.status.Load() == 0 {
		err = errAbandoned
	}
	t.done(observe.RequestDone{
		Status: int(t.status.Load()), Sent: t.sent.Load(), Received: t.received.Load(), Err: err,
	})
}

// log writes the line for an attempt.
func (c *Client) log(ctx context.Context, r *request, resp *http.Response, err error, took time.Duration) {
	if !c.cfg.Logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	line := append(make([]slog.Attr, 0, 7), slog.String("op", r.op), slog.String("method", r.method))
	if path := r.template(); path != "" {
		line = append(line, slog.String("path", path))
	}
	line = append(line, slog.Int("attempt", r.attempt))
	if resp != nil {
		line = append(line, slog.Int("code", resp.StatusCode))
	}
	if err != nil {
		line = append(line, slog.Any("err", networkError(ctx, err)))
	}
	c.cfg.Logger.LogAttrs(ctx, slog.LevelDebug, "rest: request", append(line, slog.Duration("dur", took))...)
}

// template is the path without what differs from request to request; empty where the service, or a
// user, has said where to go.
func (r *request) template() string {
	if r.route != "" || r.path == "" {
		return r.route
	}
	path, _, _ := strings.Cut(r.path, "?")
	return path
}

// host is where r goes; empty where a user has chosen that. It has a port where HTTPS would have
// another.
func (r *request) host(req *http.Request) string {
	switch to := req.URL; {
	case r.foreign:
		return ""
	case to.Scheme == "http" && to.Port() == "":
		return net.JoinHostPort(to.Hostname(), "80")
	default:
		return to.Host
	}
}
