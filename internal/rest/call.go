package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"

	"github.com/mirrorfly-go/sdk/internal/httpguard"
	"github.com/mirrorfly-go/sdk/internal/plain"
	"github.com/mirrorfly-go/sdk/internal/seal"
	"github.com/mirrorfly-go/sdk/internal/unsent"
)

// Bounds of what is read of an answer.
const (
	maxJSON  = 4 << 20
	maxError = 64 << 10
)

// request is one call, independent of how often it is sent.
type request struct {
	// for the log
	op     string
	method string
	// below the base URL
	path string
	// absolute, with query; set from path when empty
	url    string
	header http.Header
	// what is asked for of a file; nil: all of it
	span *span
	// nil: none
	body payload
	// with the token, and with a re-login when it has expired
	auth bool
	// may be repeated after the server may have seen it
	idempotent bool
	// goes to an object store, where a 500 means "try again"
	storage bool
	// its data may come without the envelope
	bare bool
	// moves a file: bounded by standing still, not by duration
	transfer bool
	attempt  int
	// the attempt under way: its transport has asked for a connection
	asked atomic.Bool
	// some attempt had a connection to write on: the service may have seen it
	given atomic.Bool
	// the attempt under way was answered with a redirect
	redirected atomic.Bool
	// the attempt under way has a connection that was used before
	reused atomic.Bool
}

// requestKey is what a redirect finds its request by.
type requestKey struct{}

// unreached reports whether err proves that the attempt had no connection: the transport has asked
// for one and got none, or says so. One that knows no traces proves nothing else.
func (r *request) unreached(err error) bool {
	return err != nil && !r.redirected.Load() && (r.asked.Load() || reach(err) == failedUnreached)
}

// payload is a request body that can be sent more than once, unless its source
// can not be rewound.
type payload interface {
	// open returns the body from its start, its length (-1: unknown) and its type.
	// The body ends with ctx.
	open(ctx context.Context) (body io.ReadCloser, size int64, contentType string, err error)
	repeatable() bool
	// settle waits until nothing reads the source of an earlier body any more.
	settle(ctx context.Context) error
	// sourceError is why the source of the body last opened failed; nil: it did not.
	sourceError() error
}

// jsonBody is a body in memory that is never changed.
type jsonBody []byte

func newJSONBody(v any) (jsonBody, error) {
	text, err := seal.JSON(v)
	if err != nil {
		return nil, &Error{Status: http.StatusBadRequest, Message: "Request can not be written as JSON", Err: err}
	}
	return jsonBody(text), nil
}

func (b jsonBody) open(context.Context) (io.ReadCloser, int64, string, error) {
	return io.NopCloser(bytes.NewReader(b)), int64(len(b)), "application/json", nil
}
func (jsonBody) repeatable() bool             { return true }
func (jsonBody) settle(context.Context) error { return nil }
func (jsonBody) sourceError() error           { return nil }

// json makes the call and decodes the data of its answer into out (nil: there is
// nothing to decode).
func (c *Client) json(ctx context.Context, r *request, out any) error {
	var answer *envelope
	err := c.call(ctx, r, func(ctx context.Context, token string) (err error) {
		answer, err = c.exchange(ctx, r, token)
		return err
	})
	if err != nil || out == nil {
		return err
	}
	data := answer.Data
	switch {
	case data == nil && !answer.Status.told && r.bare:
		data = answer.whole
	case isEmptyList(data):
		data = json.RawMessage("null")
	}
	if json.Unmarshal(data, out) != nil {
		return unexpected("no usable data")
	}
	return nil
}

// post is json with a JSON body.
func (c *Client) post(ctx context.Context, r *request, body, out any) error {
	b, err := newJSONBody(body)
	if err != nil {
		return err
	}
	r.method, r.body = http.MethodPost, b
	return c.json(ctx, r, out)
}

// call resolves the address, runs once with the repetitions that r allows and,
// when the token has expired, once more after a re-login (protocol.md 1.4). If the
// re-login or the repetition fails on that too, the first error is the answer. The error
// of a request of which the service has seen nothing is marked as unsent.
func (c *Client) call(ctx context.Context, r *request, once func(ctx context.Context, token string) error) error {
	err := c.attempt(ctx, r, once)
	if !r.given.Load() && err != nil {
		return unsent.Mark(err)
	}
	return err
}

func (c *Client) attempt(ctx context.Context, r *request, once func(ctx context.Context, token string) error) error {
	if r.url == "" {
		s, err := c.locate(ctx)
		if err != nil {
			return err
		}
		r.url = s.base + r.path
	}
	used, err := c.current(ctx, r.auth)
	if err != nil {
		return err
	}
	err = c.repeat(ctx, r, func() error { return once(ctx, used.token) })
	if !r.auth || !expired(err) {
		return err
	}
	fresh, ok := c.renew(ctx, used)
	switch {
	// the next call has the new token
	case !r.repeatable():
		return err
	case ctx.Err() != nil:
		return contextError(ctx)
	case !ok:
		return err
	}
	again := c.repeat(ctx, r, func() error { return once(ctx, fresh) })
	if expired(again) {
		return err
	}
	return again
}

func (r *request) repeatable() bool { return r.body == nil || r.body.repeatable() }

// exchange sends r once and reads its envelope. The error is nil only for status 200.
func (c *Client) exchange(ctx context.Context, r *request, token string) (*envelope, error) {
	ctx, watch := c.watch(ctx, r)
	defer watch.stop()
	resp, err := c.send(ctx, r, token, watch)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return c.readEnvelope(ctx, resp, watch)
}

// send sends r once. Any answer, whatever its status, is no error here.
func (c *Client) send(ctx context.Context, r *request, token string, watch *watch) (*http.Response, error) {
	req, err := c.newRequest(ctx, r, token, watch)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if ctx.Err() != nil {
		return nil, contextError(ctx)
	}
	resp, err := c.http.Do(req)
	if !r.unreached(err) {
		r.given.Store(true)
	}
	code := 0
	if resp != nil {
		code = resp.StatusCode
	}
	c.cfg.Logger.LogAttrs(ctx, slog.LevelDebug, "rest: request",
		slog.String("op", r.op), slog.Int("attempt", r.attempt), slog.Int("code", code),
		slog.Duration("dur", time.Since(start)))
	if r.body != nil && ctx.Err() == nil {
		if source := r.body.sourceError(); source != nil {
			if err == nil {
				// the answer to a request that was not complete
				resp.Body.Close()
			}
			return nil, source
		}
	}
	if err != nil {
		return nil, networkError(ctx, err)
	}
	return resp, nil
}

func (c *Client) newRequest(ctx context.Context, r *request, token string, watch *watch) (*http.Request, error) {
	r.asked.Store(false)
	r.redirected.Store(false)
	// GotConn and not WroteHeaders: over HTTP/2 the latter comes when the write is over, and a
	// request that is given up in the middle of it may still arrive.
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { r.asked.Store(true) },
		GotConn: func(info httptrace.GotConnInfo) { r.given.Store(true); r.reused.Store(info.Reused) },
	})
	ctx = context.WithValue(ctx, requestKey{}, r)
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, nil)
	if err != nil {
		// err holds the URL
		return nil, &Error{Status: http.StatusBadRequest, Message: "Invalid URL"}
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if c.cfg.UserAgent != "" {
		req.Header.Set("User-Agent", c.cfg.UserAgent)
	}
	if token != "" {
		// raw: no "Bearer "
		req.Header.Set("Authorization", token)
	}
	if r.body == nil {
		return req, nil
	}
	if err := r.body.settle(ctx); err != nil {
		return nil, err
	}
	body, size, contentType, err := r.body.open(ctx)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	req.ContentLength, req.Body = size, watch.request(body)
	// lets the transport repeat on a connection that proves stale
	if b, ok := r.body.(jsonBody); ok {
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
	}
	return req, nil
}

// envelope is the frame of every JSON answer: {status, message, data}.
type envelope struct {
	Status  status          `json:"status"`
	Message words           `json:"message"`
	Data    json.RawMessage `json:"data"`

	// with the frame
	whole json.RawMessage
}

// readEnvelope reads a bounded answer. The status in the body decides; without one the HTTP status
// does. An error that is not in an envelope is none of the service, unless it asks to wait.
func (c *Client) readEnvelope(ctx context.Context, resp *http.Response, watch *watch) (*envelope, error) {
	limit := int64(maxJSON)
	good := resp.StatusCode/100 == 2
	if !good {
		limit = maxError
	}
	raw, err := io.ReadAll(io.LimitReader(watch.answer(resp.Body), limit+1))
	if err != nil && (good || ctx.Err() != nil) {
		return nil, networkError(ctx, err)
	}
	answer, err := c.readAnswer(resp, raw, int64(len(raw)) > limit)
	if e := asError(err); e != nil && !e.enveloped && e.Status/100 != 2 && e.Status != http.StatusTooManyRequests {
		e.kind = KindAway
	}
	return answer, err
}

func (c *Client) readAnswer(resp *http.Response, raw []byte, tooLong bool) (*envelope, error) {
	e := &Error{
		Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header, time.Now()),
		answered: resp.StatusCode, kind: kindOf(resp.StatusCode), clock: c.clockAhead(resp.Header),
	}
	good := resp.StatusCode/100 == 2
	raw = bytes.TrimPrefix(raw, byteOrderMark)
	answer := envelope{whole: raw}
	switch {
	case tooLong && good:
		e.Status, e.Message = http.StatusInternalServerError, "Unexpected answer: larger than 4 MiB"
		return nil, e
	// nothing but the HTTP status
	case len(bytes.TrimSpace(raw)) == 0:
	case tooLong, bytes.TrimSpace(raw)[0] != '{', json.Unmarshal(raw, &answer) != nil:
		return nil, notEnvelope(resp, e)
	}
	if e.enveloped = answer.Status.told; e.enveloped {
		e.Status = answer.Status.code
	}
	if e.Status == http.StatusOK {
		return &answer, nil
	}
	e.told = e.enveloped && (answer.Message.told || good)
	e.kind = kindOf(e.Status)
	e.Message = plain.Clip(string(answer.Message.text), httpguard.MaxText)
	switch {
	case e.Message != "":
	case !good:
		e.Message = failedWith(resp.StatusCode)
	case !e.enveloped:
		e.Message = fmt.Sprintf("Unexpected answer: HTTP status %d without a body", resp.StatusCode)
	}
	return nil, e
}

// kindOf is the kind of what was answered with this status.
func kindOf(status int) Kind {
	switch {
	case status == http.StatusTooManyRequests:
		return KindRateLimited
	case isAway(status):
		return KindAway
	}
	return KindOther
}

// isAway reports whether status says "later" (RFC 9110 15.6.3 to 15.6.5).
func isAway(status int) bool {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// notEnvelope says what came instead of the service's JSON: often the page of a proxy.
func notEnvelope(resp *http.Response, e *Error) *Error {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		kind = "no content type"
	}
	what := unexpected("%s instead of a JSON object, HTTP status %d", kind, resp.StatusCode)
	if resp.StatusCode/100 == 2 {
		e.Status, e.Message = what.Status, what.Message
		return e
	}
	e.Message, e.Err = failedWith(resp.StatusCode), what
	return e
}
