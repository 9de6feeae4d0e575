package sdkotel

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/mirrorfly-go/sdk"
)

// sentinels are the errors of package sdk by their names.
var sentinels = []struct {
	err  error
	name string
}{
	{sdk.ErrAlreadyLoggedIn, "ErrAlreadyLoggedIn"},
	{sdk.ErrBlockedByAdmin, "ErrBlockedByAdmin"},
	{sdk.ErrCertificate, "ErrCertificate"},
	{sdk.ErrClock, "ErrClock"},
	{sdk.ErrClosed, "ErrClosed"},
	{sdk.ErrFeatureUnavailable, "ErrFeatureUnavailable"},
	{sdk.ErrForeignURL, "ErrForeignURL"},
	{sdk.ErrInsecure, "ErrInsecure"},
	{sdk.ErrInvalidArgument, "ErrInvalidArgument"},
	{sdk.ErrInvalidCredentials, "ErrInvalidCredentials"},
	{sdk.ErrInvalidLicense, "ErrInvalidLicense"},
	{sdk.ErrLicenseMode, "ErrLicenseMode"},
	{sdk.ErrMaxSessions, "ErrMaxSessions"},
	{sdk.ErrNetwork, "ErrNetwork"},
	{sdk.ErrNotConnected, "ErrNotConnected"},
	{sdk.ErrNotRegistered, "ErrNotRegistered"},
	{sdk.ErrNotService, "ErrNotService"},
	{sdk.ErrProxy, "ErrProxy"},
	{sdk.ErrQRExpired, "ErrQRExpired"},
	{sdk.ErrRateLimited, "ErrRateLimited"},
	{sdk.ErrReplaced, "ErrReplaced"},
	{sdk.ErrUserNotFound, "ErrUserNotFound"},
}

// failure is the error.type of err: the name of its sentinel, or the kind of a failure that no call
// has a sentinel for. status counts where nothing else is known; 0: there is none.
func failure(sentinel, err error, status int) attribute.KeyValue {
	for _, s := range sentinels {
		if s.err == sentinel {
			return semconv.ErrorTypeKey.String(s.name)
		}
	}
	kind := kindOf(err)
	if kind == other && status != 0 {
		kind = strconv.Itoa(status)
	}
	return semconv.ErrorTypeKey.String(kind)
}

// kindOf says in a word why there was no answer.
func kindOf(err error) string {
	var (
		unknown     *net.DNSError
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		network     net.Error
	)
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "timeout"
	case errors.As(err, &unknown):
		return "dns"
	case errors.As(err, &certificate), errors.As(err, &authority):
		return "certificate"
	case errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "network"
	}
	return other
}

// statusOf is a status that is known, or the class of an unknown one: a client treats a status that
// it does not know as the x00 of its class (RFC 9110 15). 0 is none. 499 and 599 are what package
// sdk makes of a call that has got no answer.
func statusOf(status int) int {
	switch {
	case http.StatusText(status) != "", status == 499, status == 599:
		return status
	case status >= 100 && status < 600:
		return status / 100 * 100
	}
	return 0
}

// finish ends a span. The text of an error may name users: the span has no more of it than its
// error.type.
func finish(span trace.Span, failed bool, attrs []attribute.KeyValue) {
	span.SetAttributes(attrs...)
	if failed {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}
