package rest

import (
	"io"
	"net/http"
	"strings"
)

// onceTransport keeps net/http from sending Logout twice. When a connection that was used before
// breaks, net/http sends a GET once more by itself. Logout is a GET that changes something, so the
// second answer could then be a refusal. net/http does not do that to a request with a body, so
// this one gets an empty one. Nothing else changes over HTTP/1.1; over HTTP/2 an empty frame ends
// the request.
//
// It stands below the client, because redirects need a request without a body.
type onceTransport struct {
	// next is http.DefaultTransport when it is nil.
	next http.RoundTripper
}

func (o onceTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	next := o.next
	if next == nil {
		next = http.DefaultTransport
	}
	r, ok := requestOf(req)
	if ok && !r.idempotent && req.Method == http.MethodGet && req.Body == nil {
		// A transport must not change the request that it gets.
		req = req.WithContext(req.Context())
		req.Body = io.NopCloser(strings.NewReader(""))
	}
	return next.RoundTrip(req)
}

// CloseIdleConnections does what http.Client.CloseIdleConnections asks of its transport.
func (o onceTransport) CloseIdleConnections() {
	if next, ok := o.next.(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}
