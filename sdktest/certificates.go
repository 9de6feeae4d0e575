package sdktest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// renewal is how long before its end a certificate that was kept is replaced.
const renewal = 30 * 24 * time.Hour

// certificates are what the server shows in TLS, and what clients trust for it.
type certificates struct {
	leaf *tls.Certificate
	// authority has signed leaf. nil: leaf is that of Options.Certificate.
	authority *authority
	// stranger is a certificate of another authority, for FaultWrongSender.
	stranger *tls.Certificate
	// pool has the certificates of CAFile.
	pool *x509.CertPool
	// name is the host in the server's URLs. Empty: the address at which it listens.
	name string
	// forDomain: leaf is valid for the server's domain.
	forDomain bool
}

// makeTLS makes the certificates, or takes those of Options.Certificate or Options.StateStore, and
// writes CAFile. What the store keeps from now on is saved before anybody sees it.
func (s *Server) makeTLS() (err error) {
	host, _, _ := net.SplitHostPort(s.opts.Listen)
	ip := net.ParseIP(host)
	stranger, err := newAuthority("stranger CA")
	if err != nil {
		return err
	}
	if s.certs.stranger, err = stranger.leaf(s.domain, ip); err != nil {
		return err
	}
	trusted := []*x509.Certificate{}
	if own := s.opts.Certificate; own != nil {
		if trusted, err = chainOf(own); err != nil {
			return err
		}
		s.certs.leaf, s.certs.name = own, nameFor(trusted[0], host, s.domain)
		s.certs.forDomain = trusted[0].VerifyHostname(s.domain) == nil
	} else {
		var ca *authority
		if ca, s.certs.leaf, err = s.store.certificates(s.domain, ip); err != nil {
			return err
		}
		s.certs.authority = ca
		trusted, s.certs.forDomain = append(trusted, ca.cert), true
	}
	s.certs.pool = x509.NewCertPool()
	var file []byte
	for _, cert := range trusted {
		s.certs.pool.AddCert(cert)
		file = append(file, certificatePEM(cert.Raw)...)
	}
	return os.WriteFile(s.CAFile(), file, 0o644)
}

// chainOf are the certificates of Options.Certificate, the server's own one first.
func chainOf(own *tls.Certificate) (chain []*x509.Certificate, err error) {
	if len(own.Certificate) == 0 || own.PrivateKey == nil {
		return nil, errors.New("there is no certificate, or no key, in Certificate")
	}
	for _, der := range own.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		chain = append(chain, cert)
	}
	switch now := time.Now(); {
	case now.After(chain[0].NotAfter):
		return nil, fmt.Errorf("the certificate has expired on %s", chain[0].NotAfter.Format(time.DateTime))
	case now.Before(chain[0].NotBefore):
		return nil, fmt.Errorf("the certificate is not valid before %s", chain[0].NotBefore.Format(time.DateTime))
	}
	return chain, nil
}

// domainOf is the first name of Options.Certificate that can be a domain. Empty: there is none.
func domainOf(own *tls.Certificate) string {
	if own == nil {
		return ""
	}
	chain, err := chainOf(own)
	if err != nil { // makeTLS says what is wrong
		return ""
	}
	for _, name := range chain[0].DNSNames {
		if validDomain(name) {
			return name
		}
	}
	return ""
}

// nameFor is the host that URLs must have so that a certificate is valid for them, where it is not
// valid for the address at which the server listens. Empty: there is none, or none is needed.
func nameFor(cert *x509.Certificate, host, domain string) string {
	ip := net.ParseIP(host)
	everywhere := host == "" || ip.IsUnspecified()
	if ip != nil && !everywhere && cert.VerifyHostname(host) == nil ||
		everywhere && cert.VerifyHostname("127.0.0.1") == nil {
		return ""
	}
	candidates := append([]string{host, domain}, cert.DNSNames...)
	if everywhere {
		for _, ip := range cert.IPAddresses {
			candidates = append(candidates, ip.String())
		}
	}
	for _, name := range candidates {
		if name != "" && !strings.Contains(name, "*") && cert.VerifyHostname(name) == nil {
			return name
		}
	}
	return ""
}

// certificates are the authority and the server's certificate that are kept, as far as they still
// fit, or new ones. Those are saved when certificates returns.
func (st *store) certificates(domain string, ip net.IP) (*authority, *tls.Certificate, error) {
	ca, leaf := st.kept[metaAuthority], st.kept[metaCertificate]
	a, err := &authority{}, error(nil)
	if ca != nil && time.Now().AddDate(certificateYears, 0, 0).Before(ca.Leaf.NotAfter) {
		a.cert, a.key = ca.Leaf, ca.PrivateKey.(crypto.Signer) // readPair has checked it
	} else if a, err = newAuthority("sdktest CA"); err == nil {
		err = st.keepPair(metaAuthority, a.cert.Raw, a.key)
	}
	if err != nil {
		return nil, nil, err
	}
	if leaf == nil || !a.fits(leaf.Leaf, domain, ip) {
		if leaf, err = a.leaf(domain, ip); err == nil {
			err = st.keepPair(metaCertificate, leaf.Leaf.Raw, leaf.PrivateKey)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return a, leaf, st.commit()
}

// fits reports whether leaf is what a would issue, and can be shown for some more time.
func (a *authority) fits(leaf *x509.Certificate, domain string, ip net.IP) bool {
	names, ips := leafNames(domain, ip)
	now := time.Now()
	return now.After(leaf.NotBefore) && now.Add(renewal).Before(leaf.NotAfter) &&
		leaf.CheckSignatureFrom(a.cert) == nil &&
		slices.Equal(leaf.DNSNames, names) && slices.EqualFunc(leaf.IPAddresses, ips, net.IP.Equal)
}

// keepPair notes that a certificate and its key are to be kept. commit saves them.
func (st *store) keepPair(key string, cert []byte, private crypto.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("key of the certificate: %w", err)
	}
	both := append(certificatePEM(cert), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})...)
	st.mu.Lock()
	defer st.mu.Unlock()
	st.keepLocked(kindMeta, key, string(both))
	return nil
}

// readPair reads what keepPair has kept.
func readPair(text string) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair([]byte(text), []byte(text))
	if err != nil {
		return nil, err
	}
	if _, ours := pair.PrivateKey.(*ecdsa.PrivateKey); !ours || pair.Leaf == nil {
		return nil, errors.New("it is no certificate of this server")
	}
	return &pair, nil
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
