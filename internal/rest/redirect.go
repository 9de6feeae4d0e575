package rest

import (
	"fmt"
	"net/http"

	"github.com/mirrorfly-go/sdk/internal/httpguard"
)

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
	follow := httpguard.Redirects(own.CheckRedirect, keepSecrets)
	own.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if r, ok := requestOf(next); ok {
			// It has been answered, wherever the redirect leads.
			r.redirected.Store(true)
			r.given.Store(true)
		}
		return follow(next, via)
	}
	return own
}

// keepSecrets refuses a redirect that would take a secret, a body or a write to somebody else, and
// takes out of the others what only the first host may see.
func keepSecrets(next *http.Request, via []*http.Request) error {
	// it would repeat the query
	next.Header.Del("Referer")
	if httpguard.LeavesTLS(next, via) {
		return ErrInsecure
	}
	if !httpguard.LeavesOrigin(next, via) {
		return nil
	}
	next.Header.Del("Authorization")
	r, ok := requestOf(next)
	switch {
	case next.Body != nil && next.Body != http.NoBody:
		return fmt.Errorf("%w: to another host with a body", httpguard.ErrRedirect)
	case ok && r.auth && !r.idempotent:
		// This is Logout. Without the token, nobody there can have done it.
		return fmt.Errorf("%w: to another host with a write", httpguard.ErrRedirect)
	}
	return nil
}

// requestOf returns the request that req was made for, also when a redirect made it.
func requestOf(req *http.Request) (*request, bool) {
	r, ok := req.Context().Value(requestKey{}).(*request)
	return r, ok
}
