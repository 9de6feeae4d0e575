package faults

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"sync"
	"time"
)

// identity is a certificate and the authority that vouches for it: itself.
type identity struct {
	certificate tls.Certificate
	root        *x509.Certificate
}

// tapIdentity is what taps show to clients, which are told to trust it; otherIdentity is good for
// another name, and trusted as well.
var (
	tapIdentity   = sync.OnceValue(func() *identity { return newIdentity("xmpp"+zone, "*"+zone, "localhost") })
	otherIdentity = sync.OnceValue(func() *identity { return newIdentity("xmpp.other.test") })
)

// newIdentity is good for these names, and for loopback addresses.
func newIdentity(names ...string) *identity {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // there is no randomness
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: names[0]},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:        true, BasicConstraintsValid: true,
		DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err) // the template is wrong
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err) // likewise
	}
	return &identity{certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, root: root}
}
