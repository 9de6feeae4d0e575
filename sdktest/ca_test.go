package sdktest

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCertificate(t *testing.T) {
	s := New(t)
	raw, err := os.ReadFile(s.CAFile())
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(raw))
	for _, name := range []string{"xmpp.mirrorfly.test", "api.mirrorfly.test", "localhost", "127.0.0.1", "::1"} {
		c, err := tls.Dial("tcp", s.httpAddr(), &tls.Config{RootCAs: pool, ServerName: name})
		require.NoError(t, err, name)
		require.NoError(t, c.Close())
	}
	_, err = tls.Dial("tcp", s.httpAddr(), &tls.Config{RootCAs: pool, ServerName: "example.com"})
	require.Error(t, err)
	s.Close()
	require.NoFileExists(t, s.CAFile())
}
