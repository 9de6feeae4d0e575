package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/mirrorfly-go/sdk"
)

// advice says what to do about an error of package sdk, or of the network.
func advice(err error) string {
	switch {
	case errors.Is(err, sdk.ErrInvalidLicense):
		return "compare MIRRORFLY_LICENSE_KEY with the console of the service, character by character, and see " +
			"that MIRRORFLY_API_BASE_URL belongs to the same account"
	case errors.Is(err, sdk.ErrLicenseMode):
		return "MIRRORFLY_TRIAL must be true for a trial licence key, and false for any other: turn it round"
	case errors.Is(err, sdk.ErrInvalidCredentials):
		return "MIRRORFLY_USERNAME and MIRRORFLY_PASSWORD are what Register has returned, under the same licence " +
			"key; without them doctor registers a user"
	case errors.Is(err, sdk.ErrInsecure):
		return "MIRRORFLY_API_BASE_URL must begin with https://"
	case errors.Is(err, sdk.ErrInvalidArgument):
		return "correct the setting that the text names"
	case errors.Is(err, sdk.ErrBlockedByAdmin), errors.Is(err, sdk.ErrMaxSessions),
		errors.Is(err, sdk.ErrRateLimited):
		return "ask those who run the service, or look into its console"
	case errors.Is(err, context.DeadlineExceeded):
		return "nothing answers in time: a firewall may drop what is sent; try -timeout 1m, or from another network"
	}
	for _, look := range []func(error) string{adviceOnCertificate, adviceOnProxy, adviceOnAddress} {
		if text := look(err); text != "" {
			return text
		}
	}
	return "the text above is all that is known: look for it in the log of the service, or ask those who run it"
}

func adviceOnCertificate(err error) string {
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	switch {
	case errors.As(err, &authority) && authority.Cert != nil && os.Getenv("MIRRORFLY_CA_FILE") != "":
		return fmt.Sprintf("the certificate is signed by %q, which is not in the file of MIRRORFLY_CA_FILE; "+
			"a proxy that opens TLS has an authority of its own, ask those who run it", authority.Cert.Issuer)
	case errors.As(err, &authority):
		return "if it is your own server, name its authority by MIRRORFLY_CA_FILE (PEM); a proxy that opens TLS has " +
			"an authority of its own, ask those who run it; else somebody may listen in"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "look at the clock of this machine first, it says " + time.Now().Format(time.DateTime) +
			"; if that is right, whoever runs the server has to renew the certificate"
	case errors.As(err, &name):
		return "another server answers there, or it is called otherwise: check the host in MIRRORFLY_API_BASE_URL"
	}
	return ""
}

func adviceOnProxy(err error) string {
	var op *net.OpError
	const wantsPassword = "the proxy wants a user and a password: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"
	switch {
	case strings.Contains(err.Error(), http.StatusText(http.StatusProxyAuthRequired)):
		return wantsPassword
	case errors.Is(err, sdk.ErrProxy), errors.As(err, &op) && op.Op == "proxyconnect":
		return "check the proxy in HTTPS_PROXY, or except the service from it by NO_PROXY"
	}
	return ""
}

func adviceOnAddress(err error) string {
	var name *net.DNSError
	var record tls.RecordHeaderError
	const refusedOnWindows = syscall.Errno(10061) // WSAECONNREFUSED
	where := "MIRRORFLY_API_BASE_URL"
	if errors.Is(err, sdk.ErrNotConnected) {
		where = "what the service names as its XMPP server (ask those who run it)"
	}
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return "DNS knows no such name: check the host in " + where
	case errors.As(err, &name):
		return "DNS does not answer: check the network of this machine"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, refusedOnWindows):
		return "nothing listens there: check host and port in " + where + ", or the server is down"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "what listens there does not speak TLS: check scheme and port in " + where
	case errors.Is(err, sdk.ErrNotService):
		return "something else answers there: check " + where + "; on a guest network log in first"
	case errors.Is(err, sdk.ErrNetwork):
		return "try again; if it fails again, look at the network between here and " + where
	}
	return ""
}
