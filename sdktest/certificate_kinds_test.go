package sdktest

import (
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCertificates(t *testing.T) {
	s := New(t)
	client := func() error {
		c := http.Client{Transport: &http.Transport{TLSClientConfig: s.Config().TLSConfig, DisableKeepAlives: true}}
		resp, err := c.Get("https://127.0.0.1:" + port(s.addresses().http) + "/")
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	for kind, says := range map[Certificate]string{
		CertificateExpired: " is after ", CertificateNotYetValid: " is before ",
	} {
		s.SetCertificate(kind)
		var invalid x509.CertificateInvalidError
		require.ErrorAs(t, client(), &invalid)
		require.Equal(t, x509.Expired, invalid.Reason)
		require.Contains(t, invalid.Detail, says)
	}
	s.SetCertificate(CertificateOtherName)
	var name x509.HostnameError
	require.ErrorAs(t, client(), &name)
	s.SetCertificate(CertificateValid)
	require.NoError(t, client())
	require.Panics(t, func() { s.SetCertificate("golden") })
}

func TestClock(t *testing.T) {
	s := New(t)
	s.SetClock(-90 * time.Minute)
	resp, err := httpClient(t, s).Get(s.URL() + "/nothing")
	require.NoError(t, err)
	resp.Body.Close()
	told, err := http.ParseTime(resp.Header.Get("Date"))
	require.NoError(t, err)
	require.InDelta(t, 90, time.Since(told).Minutes(), 1)
}
