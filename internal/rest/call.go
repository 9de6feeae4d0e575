package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
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
	// op is the name of the call in the log.
	op     string
	method string
	// path is below the base URL.
	path string
	// url is absolute and has the query. It is made of path when it is empty.
	url    string
	header http.Header
	// span is the part of a file to fetch; nil: all of it.
	span *span
	// body may be nil.
	body payload
	// auth: the request carries the token, and is repeated after a re-login when that has expired.
	auth bool
	// idempotent: it may be sent again even though the server may have acted on it.
	idempotent bool
	// storage: it goes to an object store, where a 500 means "try again".
	storage bool
	// bare: its data may come without the envelope.
	bare bool
	// route is the path of a file without the token in it; empty: path has no such thing.
	route string
	// foreign: a user has chosen where it goes.
	foreign bool
	// transfer: it moves a file. It ends when nothing moves any more, however long it takes.
	transfer bool
	// atHome: it follows no redirect to another scheme, host or port than it was sent to.
	atHome bool
	// attempt counts how often it was sent.
	attempt int
	// connRequested: in this attempt the transport has asked for a connection.
	connRequested atomic.Bool
	// maybeSent: an attempt had a connection to write on, so the service may have seen the request.
	maybeSent atomic.Bool
	// redirected: this attempt was answered with a redirect.
	redirected atomic.Bool
	// reused: this attempt has a connection that was used before.
	reused atomic.Bool
}

// requestKey is the key of a request in the context of its attempts. Redirects find it there.
type requestKey struct{}

// unreached reports whether err proves that the attempt had no connection: either the transport
// asked for a connection and got none, or err says that it could not dial. A transport that does
// not support httptrace can prove it by err only.
func (r *request) unreached(err error) bool {
	return err != nil && !r.redirected.Load() && (r.connRequested.Load() || reach(err) == failedUnreached)
}

// payload is a request body that can be sent more than once, unless its source cannot be rewound.
type payload interface {
	// open returns the body from its start, its length (-1: unknown) and its type.
	// The body ends with ctx.
	open(ctx context.Context) (body io.ReadCloser, size int64, contentType string, err error)
	repeatable() bool
	// waitIdle waits until nothing reads the source of an earlier body any more.
	waitIdle(ctx context.Context) error
	// sourceError is why the source of the last body failed; nil: it did not.
	sourceError() error
}

// jsonBody is a body in memory. It is immutable.
type jsonBody []byte

func newJSONBody(v any) (jsonBody, error) {
	text, err := seal.JSON(v)
	if err != nil {
		return nil, &Error{Status: http.StatusBadRequest, Message: "Request cannot be written as JSON", Err: err}
	}
	return jsonBody(text), nil
}

func (b jsonBody) open(context.Context) (io.ReadCloser, int64, string, error) {
	return io.NopCloser(bytes.NewReader(b)), int64(len(b)), "application/json", nil
}
func (jsonBody) repeatable() bool               { return true }
func (jsonBody) waitIdle(context.Context) error { return nil }
func (jsonBody) sourceError() error             { return nil }

// json makes the call and decodes the data of its answer into out, unless that is nil.
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
	case data == nil && !answer.Status.present && r.bare:
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

// call finds the service's address and runs once, with the repetitions that r allows. When the
// token has expired it logs in again and repeats all that (protocol.md 1.4). It returns the first
// error when the re-login fails, or when the new token counts as expired, too. The error of a
// request that the service cannot have seen is marked as unsent.
func (c *Client) call(ctx context.Context, r *request, once func(ctx context.Context, token string) error) error {
	err := c.attempt(ctx, r, once)
	if !r.maybeSent.Load() && err != nil {
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
	case !r.repeatable():
		// The next call has the new token.
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
func (c *Client) exchange(ctx context.Context, r *request, token string) (_ *envelope, err error) {
	ctx, watch := c.watch(ctx, r)
	defer func() { watch.stop(err) }()
	resp, err := c.send(ctx, r, token, watch)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return c.readEnvelope(ctx, resp, watch)
}

// send sends r once. An answer is no error here, whatever its status is.
func (c *Client) send(ctx context.Context, r *request, token string, watch *watch) (*http.Response, error) {
	req, err := c.newRequest(ctx, r, token, watch)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if ctx.Err() != nil {
		return nil, contextError(ctx)
	}
	req = watch.begin(r, req)
	resp, err := c.http.Do(req)
	if !r.unreached(err) {
		r.maybeSent.Store(true)
	}
	if b, ok := r.body.(jsonBody); ok && !r.unreached(err) {
		watch.moved(len(b), 0)
	}
	if resp != nil {
		watch.told.answered(resp.StatusCode)
	}
	c.log(ctx, r, resp, err, time.Since(start))
	if r.body != nil && ctx.Err() == nil {
		if source := r.body.sourceError(); source != nil {
			if err == nil {
				// It answers a request that was not complete.
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
	r.connRequested.Store(false)
	r.redirected.Store(false)
	// GotConn instead of WroteHeaders: over HTTP/2 the latter is called when the write is over, but
	// a request that is given up during the write may still arrive.
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { r.connRequested.Store(true) },
		GotConn: func(info httptrace.GotConnInfo) { r.maybeSent.Store(true); r.reused.Store(info.Reused) },
	})
	ctx = context.WithValue(ctx, requestKey{}, r)
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, nil)
	if err != nil {
		// Without err, which shows the URL.
		return nil, &Error{Status: http.StatusBadRequest, Message: "Invalid URL"}
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if c.cfg.UserAgent != "" {
		req.Header.Set("User-Agent", c.cfg.UserAgent)
	}
	if token != "" {
		// The service wants the token alone, without "Bearer ".
		req.Header.Set("Authorization", token)
	}
	if r.body == nil {
		return req, nil
	}
	if err := r.body.waitIdle(ctx); err != nil {
		return nil, err
	}
	body, size, contentType, err := r.body.open(ctx)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", contentType)
	req.ContentLength, req.Body = size, watch.request(body)
	if b, ok := r.body.(jsonBody); ok {
		// With GetBody the transport repeats the request when an idle connection turns out to be
		// closed.
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
	}
	return req, nil
}

// envelope is the frame of every JSON answer: {status, message, data}.
type envelope struct {
	Status  status          `json:"status"`
	Message words           `json:"message"`
	Data    json.RawMessage `json:"data"`

	// whole is the answer with its frame.
	whole json.RawMessage
}

// readEnvelope reads an answer of bounded length. Its status is the one in the body, or else the
// HTTP status. An error without an envelope does not come from the service, except for a 429.
func (c *Client) readEnvelope(ctx context.Context, resp *http.Response, watch *watch) (*envelope, error) {
	limit := int64(maxJSON)
	good := resp.StatusCode/100 == 2
	if !good {
		limit = maxError
	}
	raw, err := readBody(watch.answer(resp.Body), limit+1, resp.ContentLength)
	if watch.timer == nil {
		watch.moved(0, len(raw)) // else its reader has counted
	}
	if err != nil && (good || ctx.Err() != nil) {
		return nil, networkError(ctx, err)
	}
	answer, err := c.readAnswer(resp, raw, int64(len(raw)) > limit)
	if e := asError(err); e != nil && !e.enveloped && e.Status/100 != 2 && e.Status != http.StatusTooManyRequests {
		e.kind = KindAway
	}
	return answer, err
}

// readBody reads up to limit bytes. announced is how many there are, if that is known.
func readBody(from io.Reader, limit, announced int64) ([]byte, error) {
	const believed = 64 << 10 // more is made room for as it comes
	from = io.LimitReader(from, limit)
	if announced < 0 || announced > believed {
		return io.ReadAll(from)
	}
	body := bytes.NewBuffer(make([]byte, 0, bytes.MinRead+announced))
	_, err := body.ReadFrom(from)
	return body.Bytes(), err
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
	case len(bytes.TrimSpace(raw)) == 0:
		// There is nothing but the HTTP status.
	case tooLong, bytes.TrimSpace(raw)[0] != '{', json.Unmarshal(raw, &answer) != nil:
		return nil, notEnvelope(resp, e)
	}
	if e.enveloped = answer.Status.present; e.enveloped {
		e.Status = answer.Status.code
	}
	if e.Status == http.StatusOK {
		return &answer, nil
	}
	e.told = e.enveloped && (answer.Message.present || good)
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

// kindOf is the kind of an answer with this status.
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

// notEnvelope adds to e what came instead of the service's JSON. Often that is the page of a proxy.
func notEnvelope(resp *http.Response, e *Error) *Error {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		kind = "no content type"
	}
	e.page = kind == "text/html" || kind == "application/xhtml+xml"
	what := unexpected("%s instead of a JSON object, HTTP status %d", kind, resp.StatusCode)
	if resp.StatusCode/100 == 2 {
		e.Status, e.Message = what.Status, what.Message
		return e
	}
	e.Message, e.Err = failedWith(resp.StatusCode), what
	return e
}
