package httpguard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
)

// ProxyError is a proxy that does not connect us (RFC 9110 9.3.6).
type ProxyError struct {
	// Status is what it has answered: 407 asks for a user and a password.
	Status int
}

// Error names the status.
func (e *ProxyError) Error() string {
	return fmt.Sprintf("the proxy refused to connect: %d %s", e.Status, http.StatusText(e.Status))
}

// CheckProxy is for [http.Transport.OnProxyConnectResponse]: without it, only the text of the
// status is left of a refusal.
func CheckProxy(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	return &ProxyError{Status: answer.StatusCode}
}

// ByProxy reports whether a proxy is why err came: it was not reached, or has refused. status is
// its answer, 0 where there is none.
func ByProxy(err error) (status int, is bool) {
	var refusal *ProxyError
	var op *net.OpError
	switch {
	case errors.As(err, &refusal):
		return refusal.Status, true
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return 0, true
	}
	// A Transport without CheckProxy makes an error of the status alone.
	for ; err != nil; err = errors.Unwrap(err) {
		if err.Error() == http.StatusText(http.StatusProxyAuthRequired) {
			return http.StatusProxyAuthRequired, true
		}
	}
	return 0, false
}
