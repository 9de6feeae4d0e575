package rest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

var errRedirect = errors.New("redirect refused")

const maxRedirects = 10

// guardedClient returns a copy of hc (nil: an empty client) that keeps redirects
// from carrying the token or a body away, sends no write twice, and has no overall
// timeout: exchange applies it, so that transfers are not cut.
func guardedClient(hc *http.Client) http.Client {
	var own http.Client
	if hc != nil {
		own = *hc
	}
	own.Timeout = 0
	own.Transport = onceTransport{own.Transport}
	theirs := own.CheckRedirect
	if theirs == nil {
		own.CheckRedirect = checkRedirect
		return own
	}
	own.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if err := theirs(req, via); err != nil {
			return err
		}
		return checkRedirect(req, via)
	}
	return own
}

// checkRedirect runs after the caller's own check, so that nothing that one added
// gets past it.
func checkRedirect(req *http.Request, via []*http.Request) error {
	r, ok := req.Context().Value(requestKey{}).(*request)
	if ok {
		r.redirected.Store(true) // it has been answered, wherever the redirect leads
		r.given.Store(true)
	}
	if len(via) >= maxRedirects {
		return fmt.Errorf("%w: more than %d", errRedirect, maxRedirects)
	}
	// 301, 302 and 303 make a GET of a POST (RFC 9110 15.4.2 to 15.4.4). Whoever answers that has
	// written nothing.
	if sent := via[0].Method; req.Method != sent {
		return fmt.Errorf("%w: it makes a %s of a %s", errRedirect, req.Method, sent)
	}
	req.Header.Del("Referer") // it would repeat the query
	left := false
	for _, before := range via {
		if before.URL.Scheme == "https" && req.URL.Scheme != "https" {
			return ErrInsecure
		}
		left = left || origin(before.URL) != origin(req.URL)
	}
	if !left {
		return nil
	}
	req.Header.Del("Authorization")
	switch {
	case req.Body != nil && req.Body != http.NoBody:
		return fmt.Errorf("%w: to another host with a body", errRedirect)
	case ok && r.auth && !r.idempotent:
		// Logout: without the token nobody there can have done it.
		return fmt.Errorf("%w: to another host with a write", errRedirect)
	}
	return nil
}

// origin is scheme, host and port.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}
