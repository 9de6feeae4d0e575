package rest

import (
	"io"
	"net/http"
	"strings"
)

// onceTransport keeps net/http from sending a GET again by itself that changes something, which is
// Logout: it does so with every GET whose connection breaks before the answer, if that was used
// before, and the second answer is then told as if it were the first. It does not with a request
// that has a body. This one's is empty, so that over HTTP/1.1 nothing else changes; over HTTP/2 an
// empty frame ends it.
//
// It stands below the client, whose redirects need a request without a body.
type onceTransport struct {
	// nil: http.DefaultTransport
	next http.RoundTripper
}

func (o onceTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	next := o.next
	if next == nil {
		next = http.DefaultTransport
	}
	r, ok := requestOf(req)
	if ok && !r.idempotent && req.Method == http.MethodGet && req.Body == nil {
		// A copy: the request that was given stays as it is.
		req = req.WithContext(req.Context())
		req.Body = io.NopCloser(strings.NewReader(""))
	}
	return next.RoundTrip(req)
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (o onceTransport) CloseIdleConnections() {
	if next, ok := o.next.(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}
