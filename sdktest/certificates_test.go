package sdktest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	sdk "github.com/mirrorfly-go/sdk"
)

// shownBy is the certificate that a server shows.
func shownBy(t *testing.T, s *Server) *x509.Certificate {
	t.Helper()
	conf := s.Config().TLSConfig.Clone()
	conf.ServerName = s.certs.name // empty: the address
	c, err := tls.Dial("tcp", s.httpAddr(), conf)
	require.NoError(t, err)
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

// A StateStore keeps the authority and, for as long as it fits, the certificate: clients come back,
// and so does a browser whose user has accepted the certificate.
func TestCertificatesAreKept(t *testing.T) {
	m := newMemory()
	in := func(o Options, f func(s *Server)) {
		t.Helper()
		o.StateStore = m
		s, err := Start(o)
		require.NoError(t, err)
		defer s.Close()
		f(s)
	}
	var first, other *x509.Certificate
	var ca []byte
	in(Options{}, func(s *Server) {
		first = shownBy(t, s)
		var err error
		ca, err = os.ReadFile(s.CAFile())
		require.NoError(t, err)
	})
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(ca))
	in(Options{}, func(s *Server) {
		require.Equal(t, first.Raw, shownBy(t, s).Raw)
		again, err := os.ReadFile(s.CAFile())
		require.NoError(t, err)
		require.Equal(t, ca, again)
	})
	in(Options{Domain: "chat.example.test"}, func(s *Server) {
		other = shownBy(t, s)
		require.NotEqual(t, first.Raw, other.Raw, "it is for another domain")
		_, err := other.Verify(x509.VerifyOptions{Roots: pool, DNSName: "chat.example.test"})
		require.NoError(t, err)
	})
	delete(m.entries, entry{kindMeta, metaCertificate})
	in(Options{}, func(s *Server) {
		_, err := shownBy(t, s).Verify(x509.VerifyOptions{Roots: pool})
		require.NoError(t, err, "the authority alone is enough")
	})
	delete(m.entries, entry{kindMeta, metaAuthority})
	in(Options{}, func(s *Server) {
		_, err := shownBy(t, s).Verify(x509.VerifyOptions{Roots: pool})
		require.Error(t, err, "a certificate without its authority is not shown")
	})
}

// What is about to end is replaced in time.
func TestCertificatesAreRenewed(t *testing.T) {
	a, err := newAuthority("x")
	require.NoError(t, err)
	leaf, err := a.leaf("x.test", nil)
	require.NoError(t, err)
	for left, fits := range map[time.Duration]bool{renewal + time.Hour: true, renewal - time.Hour: false, -1: false} {
		cert := *leaf.Leaf
		cert.NotAfter = time.Now().Add(left)
		require.Equal(t, fits, a.fits(&cert, "x.test", nil), left)
	}
	for _, ip := range []net.IP{nil, net.IPv4zero, net.ParseIP("192.0.2.1")} {
		require.Equal(t, ip.IsUnspecified() || ip == nil, a.fits(leaf.Leaf, "x.test", ip), ip)
	}

	st, err := newStore("x.test", newMemory(), new(changes))
	require.NoError(t, err)
	old := *a.cert
	old.NotAfter = time.Now().AddDate(0, 11, 0)
	st.kept[metaAuthority] = &tls.Certificate{Leaf: &old, PrivateKey: a.key}
	renewed, _, err := st.certificates("x.test", nil)
	require.NoError(t, err)
	require.NotEqual(t, a.cert.Raw, renewed.cert.Raw)
}

// A certificate that could not be saved is never shown: the next server would have another one.
func TestCertificatesAreSavedFirst(t *testing.T) {
	m := newMemory()
	m.fail = errors.New("disk full")
	_, err := Start(Options{StateStore: m})
	require.ErrorContains(t, err, "disk full")
}

func TestDamagedCertificates(t *testing.T) {
	for _, key := range []string{metaAuthority, metaCertificate} {
		m := newMemory()
		s, err := Start(Options{StateStore: m})
		require.NoError(t, err)
		s.Close()
		good := string(m.entries[entry{kindMeta, key}])
		for _, bad := range []string{`""`, `"x"`, `7`, good[:len(good)/2] + `"`} {
			m.entries[entry{kindMeta, key}] = json.RawMessage(bad)
			_, err := Start(Options{StateStore: m})
			require.ErrorContains(t, err, key, bad)
			require.NotContains(t, err.Error(), "BEGIN", "no key is in an error")
		}
	}
}

// issued is a certificate for names or addresses, for Options.Certificate.
func issued(t *testing.T, change func(*x509.Certificate)) *tls.Certificate {
	t.Helper()
	a, err := newAuthority("somebody's authority")
	require.NoError(t, err)
	pair, err := a.issue(func(tmpl *x509.Certificate) {
		tmpl.DNSNames, tmpl.IPAddresses = nil, nil
		change(tmpl)
	})
	require.NoError(t, err)
	return pair
}

// One's own certificate is shown, trusted, and named in the URLs.
func TestOwnCertificate(t *testing.T) {
	for _, c := range []struct {
		listen, domain string
		names, ips     []string
		host           string
	}{
		{"127.0.0.1:0", "", []string{"localhost"}, []string{"127.0.0.1"}, "127.0.0.1"},
		{"127.0.0.1:0", "", []string{"localhost"}, nil, "localhost"},
		{"127.0.0.1:0", "chat.dev.test", []string{"localhost"}, nil, "localhost"},
		{"127.0.0.1:0", "chat.dev.test", []string{"*.dev.test", "dev.test"}, nil, "chat.dev.test"},
		{"127.0.0.1:0", "", []string{"*.dev.test", "dev.test"}, nil, "dev.test"},
		{"localhost:0", "", []string{"dev.test", "localhost"}, nil, "localhost"},
		{"0.0.0.0:0", "", nil, []string{"192.0.2.1"}, "192.0.2.1"},
		{"127.0.0.1:0", "", []string{"*.dev.test"}, nil, "127.0.0.1"}, // there is nothing better
	} {
		pair := issued(t, func(cert *x509.Certificate) {
			cert.DNSNames = c.names
			for _, ip := range c.ips {
				cert.IPAddresses = append(cert.IPAddresses, net.ParseIP(ip))
			}
		})
		s := New(t, Options{Listen: c.listen, Domain: c.domain, Certificate: pair})
		require.Contains(t, s.URL(), "https://"+c.host+":", c)
		if c.domain == "" && len(c.names) > 0 && c.names[0][0] != '*' {
			require.Equal(t, c.names[0], s.Domain())
		}
		raw, err := os.ReadFile(s.CAFile())
		require.NoError(t, err)
		require.True(t, x509.NewCertPool().AppendCertsFromPEM(raw))
		if pair.Leaf.VerifyHostname(c.host) != nil {
			continue
		}
		require.Equal(t, pair.Leaf.Raw, shownBy(t, s).Raw)
		client, err := sdk.New(s.Config())
		require.NoError(t, err)
		me, err := client.Register(t.Context(), "alice")
		require.NoError(t, err, c)
		_, err = client.Connect(t.Context(), me.Data.Username, me.Data.Password)
		require.NoError(t, err, c)
		require.NoError(t, client.Close())
	}
}

func TestOwnCertificateRefused(t *testing.T) {
	for want, pair := range map[string]*tls.Certificate{
		"no certificate": {},
		"malformed":      {Certificate: [][]byte{{1}}, PrivateKey: 1},
		"has expired":    issued(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }),
		"not valid before": issued(t, func(c *x509.Certificate) {
			c.NotBefore = time.Now().Add(time.Hour)
		}),
	} {
		_, err := Start(Options{Certificate: pair})
		require.ErrorContains(t, err, want)
	}
}
