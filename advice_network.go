package sdk

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/mirrorfly-go/sdk/internal/httpguard"
	"github.com/mirrorfly-go/sdk/internal/plain"
)

const adviceOnPath = "Config.APIBaseURL must be the whole base URL, with a path such as /api/v1"

// adviceOnNetwork says what to check when a server was not reached, or another one answers.
func (e *Error) adviceOnNetwork() string {
	var name *net.DNSError
	switch {
	case e.is(ErrProxy):
		return e.adviceOnProxy()
	case e.is(ErrCertificate):
		return e.adviceOnCertificate()
	case e.is(ErrClock):
		return "set the clock of this machine"
	case e.isWrongPath():
		return adviceOnPath
	case e.is(ErrNotService):
		return "something else than the service answers: check " + e.address() +
			", and whether a proxy, or the login page of a network, stands in between"
	case isNoTLS(e.Err):
		return "what listens there does not speak TLS: check scheme and port in " + e.address()
	case errors.As(e.Err, &name) && name.IsNotFound:
		return "DNS knows no such name: check the host in " + e.address()
	case errors.As(e.Err, &name):
		return "DNS does not answer: check the network of this machine"
	case isRefusedConnection(e.Err):
		return "nothing listens there: check host and port in " + e.address() + ", or the server is down"
	}
	return ""
}

// address is the setting that says where the server is which has failed.
func (e *Error) address() string {
	switch {
	case e.overREST:
		return "Config.APIBaseURL"
	case e.Op == "GenerateQRCode" && e.StatusCode == statusNetwork:
		return "SignalServerURL"
	case e.is(ErrNotConnected):
		return "Config.XMPPAddress, or without it the XMPP host that the service names"
	}
	return "Config.APIBaseURL"
}

// isWrongPath: the first calls find nothing there. Later ones have a reason of their own.
func (e *Error) isWrongPath() bool {
	return e.overREST && e.httpStatus == http.StatusNotFound && (e.Op == "Register" || e.Op == "Connect")
}

func (e *Error) adviceOnProxy() string {
	status, _ := httpguard.ByProxy(e.Err)
	switch {
	case status == http.StatusProxyAuthRequired || e.httpStatus == http.StatusProxyAuthRequired:
		return "the proxy wants a user and a password: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"
	case status != 0:
		return "ask those who run the proxy to permit the service, or take it out by NO_PROXY"
	}
	return "check the proxy in HTTPS_PROXY, or take the service out by NO_PROXY"
}

func (e *Error) adviceOnCertificate() string {
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	switch {
	case errors.As(e.Err, &authority):
		return signedBy(authority.Cert) + "if you trust that server, give its authority in " +
			"Config.TLSConfig.RootCAs; a proxy that opens TLS has an authority of its own"
	case errors.As(e.Err, &invalid) && invalid.Reason == x509.Expired:
		if strings.Contains(invalid.Detail, " is before ") {
			return "the certificate is not valid yet by the clock here: check that clock first"
		}
		return "check the clock here first; if it is right, whoever runs the server has to renew the certificate"
	case errors.As(e.Err, &name):
		return "another server answers there, or it is called otherwise: check the host in " + e.address()
	}
	return ""
}

// signedBy names who has signed a certificate, in the words of whoever has made it.
func signedBy(cert *x509.Certificate) string {
	if cert == nil {
		return ""
	}
	const most = 100
	return fmt.Sprintf("it is signed by %q; ", plain.Clip(cert.Issuer.String(), most))
}

// isNoTLS: the other side has answered in another protocol than TLS.
func isNoTLS(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch)
}

// isRefusedConnection also knows the number of Windows, which package syscall does not translate.
func isRefusedConnection(err error) bool {
	const windows = syscall.Errno(10061) // WSAECONNREFUSED
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, windows)
}
