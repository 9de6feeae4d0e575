package rest

import (
	"fmt"
	"net/http"

	"github.com/mirrorfly-go/sdk/internal/httpguard"
)

// guardedClient returns a copy of hc (nil: of an empty client). Its redirects do not carry the
// token or a body to another host, and it sends no write twice. It has no timeout of its own: watch
// applies that of hc, so that it does not cut transfers.
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
			// The request has been answered, wherever the redirect leads.
			r.redirected.Store(true)
			r.maybeSent.Store(true)
		}
		return follow(next, via)
	}
	return own
}

// keepSecrets refuses a redirect that would take a body or a write to another host, or would leave
// encryption. From other redirects it removes what only the first host may see.
func keepSecrets(next *http.Request, via []*http.Request) error {
	// The header would repeat the query.
	next.Header.Del("Referer")
	r, ok := requestOf(next)
	if ok && r.atHome && httpguard.LeavesOrigin(next, via) {
		return ErrForeign
	}
	if httpguard.LeavesTLS(next, via) {
		return ErrInsecure
	}
	if !httpguard.LeavesOrigin(next, via) {
		return nil
	}
	next.Header.Del("Authorization")
	switch {
	case next.Body != nil && next.Body != http.NoBody:
		return fmt.Errorf("%w: to another host with a body", httpguard.ErrRedirect)
	case ok && r.auth && !r.idempotent:
		// This is Logout. The other host cannot have done it, since it does not get the token.
		return fmt.Errorf("%w: to another host with a write", httpguard.ErrRedirect)
	}
	return nil
}

// requestOf returns the call that req belongs to, also when a redirect has made req.
func requestOf(req *http.Request) (*request, bool) {
	r, ok := req.Context().Value(requestKey{}).(*request)
	return r, ok
}
