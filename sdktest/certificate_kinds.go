package sdktest

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"time"
)

// Certificate is a kind of certificate that the server can show, on all its ports.
type Certificate string

// The kinds of certificates. All are signed by the authority of CAFile; FaultWrongSender at a TLS
// step shows one that another authority has signed.
const (
	// CertificateValid is the one that the server starts with.
	CertificateValid Certificate = ""
	// CertificateExpired was valid until an hour ago.
	CertificateExpired Certificate = "expired"
	// CertificateNotYetValid is valid in an hour.
	CertificateNotYetValid Certificate = "not-yet-valid"
	// CertificateOtherName is for other.example alone.
	CertificateOtherName Certificate = "other-name"
)

// SetCertificate makes the server show a certificate of that kind in TLS handshakes from now on. It
// panics when there is no such kind, and with Options.Certificate, whose authority would have to
// sign it.
func (s *Server) SetCertificate(kind Certificate) {
	var shown *tls.Certificate
	if kind != CertificateValid {
		if s.certs.authority == nil {
			panic("sdktest: set certificate: the server has that of Options.Certificate")
		}
		var err error
		if shown, err = s.certs.authority.spoiled(s.certs.leaf, kind); err != nil {
			panic("sdktest: set certificate: " + err.Error())
		}
	}
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	s.ctl.certificate = shown
}

// certificate is what the server shows.
func (s *Server) certificate() *tls.Certificate {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	if s.ctl.certificate != nil {
		return s.ctl.certificate
	}
	return s.certs.leaf
}

// spoiled issues a certificate as good, but for one thing.
func (a *authority) spoiled(good *tls.Certificate, kind Certificate) (*tls.Certificate, error) {
	tmpl, err := x509.ParseCertificate(good.Certificate[0])
	if err != nil {
		return nil, err
	}
	now := time.Now()
	switch kind {
	case CertificateExpired:
		tmpl.NotBefore, tmpl.NotAfter = now.Add(-48*time.Hour), now.Add(-time.Hour)
	case CertificateNotYetValid:
		tmpl.NotBefore = now.Add(time.Hour)
	case CertificateOtherName:
		tmpl.DNSNames, tmpl.IPAddresses = []string{"other.example"}, nil
	default:
		return nil, fmt.Errorf("there is no certificate %q", kind)
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, tmpl.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: good.PrivateKey}, nil
}

// SetClock makes the server's clock ahead of the real one; negative: behind it. The server tells
// its time in the Date of every HTTP answer, and looks at it when it checks the time in the
// password of a licensed login (protocol.md 4.2), which may be off by 15 hours.
func (s *Server) SetClock(ahead time.Duration) {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	s.ctl.ahead = ahead
}

func (s *Server) now() time.Time {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	return time.Now().Add(s.ctl.ahead)
}

// tellTime sets the Date of an answer, where it is not what package http sets.
func (s *Server) tellTime(w http.ResponseWriter) {
	s.ctl.mu.Lock()
	ahead := s.ctl.ahead
	s.ctl.mu.Unlock()
	if ahead != 0 {
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
	}
}
