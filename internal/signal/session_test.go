package signal

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
)

// SECURITY.md: the text of a signalling server, or of a host that pretends to be one, fits one line
// of an error and of a log.
func TestServerTextCannotForge(t *testing.T) {
	forged, err := json.Marshal("no\nlevel=INFO msg=fine\r\x1b[2J\u2028\u202e" + strings.Repeat("x", 1000))
	require.NoError(t, err)
	raw := "\"no\nlevel=INFO msg=fine\r\x1b[2J\u2028\u202e\""
	line := func(t *testing.T, text string) {
		require.False(t, strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }), "%q", text)
		require.Less(t, len(text), 1000)
	}
	for name, reason := range map[string]string{"JSON": string(forged), "text": raw} {
		t.Run(name, func(t *testing.T) {
			_, err := Dial(t.Context(), client(t, (&server{first: "44" + reason}).start(t)))
			require.ErrorIs(t, err, ErrRefused)
			line(t, err.Error())

			srv := &server{}
			lines := make(chan string, 10)
			cfg := client(t, srv.start(t))
			cfg.Logger = slog.New(slog.NewTextHandler(writer(lines), nil))
			c := dial(t, cfg)
			p := take(t, srv.peers)
			p.out <- "44" + reason
			p.out <- `42["id",1]`
			take(t, c.Events())
			line(t, strings.TrimSuffix(take(t, lines), "\n"))
		})
	}
	t.Run("certificate", func(t *testing.T) { // anybody on the way can make one
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		leaf := &x509.Certificate{
			SerialNumber: big.NewInt(1), DNSNames: []string{"a\n\x1b[2J.example"}, NotAfter: time.Now().Add(time.Hour),
		}
		der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, &key.PublicKey, key)
		require.NoError(t, err)
		hs := httptest.NewUnstartedServer(http.NotFoundHandler())
		hs.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		hs.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
		hs.StartTLS()
		defer hs.Close()
		cfg := client(t, hs)
		cfg.URL = strings.Replace(hs.URL, "127.0.0.1", "localhost", 1)
		_, err = Dial(t.Context(), cfg)
		require.ErrorContains(t, err, `\n\x1b[2J.example`, "it is shown, as what it is")
		line(t, err.Error())
	})
}

// writer is a log that calls a function with each line.
type writer chan string

func (w writer) Write(p []byte) (int, error) {
	w <- string(p)
	return len(p), nil
}
