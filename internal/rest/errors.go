package rest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/mirrorfly-go/sdk/internal/httpguard"
	"github.com/mirrorfly-go/sdk/internal/plain"
)

// Statuses of requests that never got an answer (protocol.md 1.4).
const (
	statusCancelled = 499
	statusNetwork   = 599
)

// Error is the failure of a call as the JavaScript SDK would return it. Message is one printable
// line. Status is the one in the body, whatever the HTTP status was, or else the HTTP status. It is
// 599 when there was no answer, and 499 when the caller gave up.
type Error struct {
	Status  int
	Message string
	// RetryAfter is how long the service asked to wait; 0: it did not.
	RetryAfter time.Duration
	// Err is the cause, without the query of a URL. It may be nil.
	Err error

	// answered is the HTTP status of the answer; 0: there was none.
	answered int
	// failure is how far the request got when there was no answer.
	failure failure
	// enveloped: the body had a status.
	enveloped bool
	// told: it had a text, too, as the service's envelope has and a gateway's answer has not.
	told bool
	// page: the body is a page for people, as proxies and login pages of networks answer.
	page bool
	kind Kind
	// clock is what ClockOff returns.
	clock time.Duration
}

// failure says what is known about a request that got no complete answer.
type failure int

const (
	// failedHere: it was refused on this side, or to send it again would fail in the same way.
	failedHere failure = iota
	// failedUnreached: there was no connection, so the server has seen nothing.
	failedUnreached
	// failedBroken: the connection broke. The server may have acted on the request.
	failedBroken
)

// Error reads "Message (Status): cause".
func (e *Error) Error() string {
	text := fmt.Sprintf("%s (%d)", e.Message, e.Status)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Answered reports whether the error is an answer of the service, or of the storage behind it.
func (e *Error) Answered() bool { return e.answered != 0 }

// Told reports whether the service itself has answered this, in its envelope (protocol.md 1.4). A
// proxy or a firewall before the service answers with codes of the same numbers and knows nothing
// of accounts.
func (e *Error) Told() bool { return e.told }

// Away reports whether e is of [KindAway].
func (e *Error) Away() bool { return e.Kind() == KindAway }

// AnsweredWith is the HTTP status of the answer; 0: there was none.
func (e *Error) AnsweredWith() int { return e.answered }

// Foreign reports whether something else than the service has answered: another server, a login
// page of the network, a proxy. A gateway that says "later", and a bare 401, leave that open. A 401
// with a page does not: the service speaks JSON (protocol.md 1.4).
func (e *Error) Foreign() bool {
	if e.Kind() != KindAway {
		return false
	}
	pageAs401 := e.page && e.answered == http.StatusUnauthorized
	return errors.Is(e.Err, httpguard.ErrRedirect) || pageAs401 || IsForeign(e.answered) && !e.enveloped
}

// IsForeign reports whether an answer with this HTTP status, which is not what was asked for, comes
// from something else than the service.
func IsForeign(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusProxyAuthRequired, http.StatusRequestTimeout,
		http.StatusTooManyRequests:
		return false
	}
	return status/100 >= 2 && status/100 <= 4
}

// Refused reports whether the answer says that the request had no effect. A 408 and a 5xx leave
// that open.
func (e *Error) Refused() bool {
	return e.Answered() && e.Status/100 == 4 && e.Status != http.StatusRequestTimeout
}

// ContextError is the error of a call that ends because ctx has ended. Call it only when it has.
func ContextError(ctx context.Context) error { return contextError(ctx) }

// expired reports whether err says that the token has expired. Whether the service says so by the
// HTTP status alone is not known (protocol.md 12.3), so a 401 in the body counts as well.
func expired(err error) bool {
	e := asError(err)
	return e != nil && (e.answered == http.StatusUnauthorized || e.answered != 0 && e.Status == http.StatusUnauthorized)
}

func asError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// unexpected is the error for an answer that the protocol does not permit. Its text says what kind
// of thing came, never what was in it.
func unexpected(format string, args ...any) *Error {
	what := plain.Clip(fmt.Sprintf(format, args...), httpguard.MaxText)
	return &Error{Status: http.StatusInternalServerError, Message: "Unexpected answer: " + what}
}

// insecure is the error for something that would not be encrypted; where says what that is.
func insecure(where string) *Error {
	return &Error{
		Status: http.StatusBadRequest, Message: "Unencrypted connection refused",
		Err: httpguard.Opaque(where, ErrInsecure), kind: KindInsecure,
	}
}

// contextError says why ctx has ended. Call it only when it has.
func contextError(ctx context.Context) *Error {
	err, cause := ctx.Err(), context.Cause(ctx)
	switch {
	case errors.Is(cause, errStalled):
		// Nobody has cancelled: context.Canceled is only how the transfer was ended.
		err = cause
	case !errors.Is(cause, err):
		err = fmt.Errorf("%w: %w", err, cause)
	}
	switch {
	case errors.Is(cause, ErrClosed):
		return &Error{Status: http.StatusInternalServerError, Message: "Client is closed", Err: err, kind: KindClosed}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errStalled):
		return &Error{
			Status: statusNetwork, Message: "Request timed out", Err: err, failure: failedBroken, kind: KindTimeout,
		}
	}
	return &Error{Status: statusCancelled, Message: "API cancelled by user", Err: err, kind: KindCancelled}
}

// networkError maps an error of http.Client, or of reading a body.
func networkError(ctx context.Context, err error) *Error {
	if e := asError(err); e != nil {
		return e
	}
	if ctx.Err() != nil {
		return contextError(ctx)
	}
	err = httpguard.Cause(err)
	switch {
	case errors.Is(err, ErrInsecure):
		return insecure("redirect from https to http")
	case errors.Is(err, ErrForeign):
		return foreign("redirect to a URL of somebody else")
	case errors.Is(err, httpguard.ErrRedirect):
		return &Error{Status: http.StatusInternalServerError, Message: "Redirect refused", Err: err, kind: KindAway}
	}
	message, kind := "Network Error", KindNetwork
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		message, kind = "Request timed out", KindTimeout
	}
	return &Error{
		Status: statusNetwork, Message: message, Err: httpguard.WithoutQueries(err), failure: reach(err), kind: kind,
	}
}

// reach says how far a request got that failed with err.
func reach(err error) failure {
	var (
		dns     *net.DNSError
		op      *net.OpError
		cert    *tls.CertificateVerificationError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
		alert   tls.AlertError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &dns) && dns.IsNotFound,
		errors.As(err, &cert), errors.As(err, &name), errors.As(err, &invalid), errors.As(err, &unknown),
		errors.As(err, &alert), errors.As(err, &record):
		// To ask again would give the same.
		return failedHere
	case errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect"):
		return failedUnreached
	}
	return failedBroken
}
