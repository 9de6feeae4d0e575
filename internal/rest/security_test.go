package rest

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/httpguard"
	"github.com/mirrorfly-go/sdk/internal/seal"
	"github.com/mirrorfly-go/sdk/internal/testing/fuzz"
)

// SECURITY.md: an answer costs no more than its share of 256 MiB, whatever is in it. These are an
// eighth of the largest.
func TestLargeAnswersStayWithinMemory(t *testing.T) {
	const size = maxJSON / 8
	fill := func(open, unit, end string) string {
		return open + strings.Repeat(unit, (size-len(open)-len(end))/len(unit)) + end
	}
	members := func(open, end string) string {
		var b strings.Builder
		b.WriteString(open)
		for i := 0; b.Len() < size-len(end)-20; i++ {
			fmt.Fprintf(&b, `"%x":0,`, i)
		}
		return b.String() + end
	}
	const login, register, profile, config, upload = 0, 1, 2, 3, 5
	for name, c := range map[string]struct {
		op   byte
		body string
	}{
		"members of the envelope":    {login, members(`{`, `"x":0}`)},
		"members of a profile":       {profile, members(`{"status":200,"data":{`, `"x":0}}`)},
		"members of a configuration": {config, members(`{"status":200,"data":{`, `"x":0}}`)},
		"members of an account": {
			register, members(`{"status":200,"data":{"username":"u","password":"p","config":{`, `"x":0}}}`),
		},
		"configurations of an account": {
			register, fill(`{"status":200,"data":{"username":"u","password":"p",`, `"config":{},`, `"x":0}}`),
		},
		"data": {login, fill(`{"status":200,`, `"data":{},`, `"x":0}`)},
		"upload URLs": {
			upload, fill(`{"status":200,"data":{"fileToken":"x","uploadUrls":[`, `"",`, `""]}}`),
		},
		"message": {login, fill(`{"status":400,"message":"`, `\u001b`, `"}`)},
		"sealed":  {config, fill(`{"status":200,"data":"`, `A`, `"}`)},
		"sealed members": {
			config,
			`{"status":200,"data":"` + seal.Seal(
				members(`{`, `"x":0}`)[:size/3], seal.Triple("alice"), seal.ConstIV,
			) + `"}`,
		},
		"lists in lists": {
			profile, `{"status":200,"data":` + strings.Repeat("[", size/2-20) + strings.Repeat("]", size/2-20) + `}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.LessOrEqual(t, len(c.body), size)
			client := answering(t, 200, http.Header{}, []byte(c.body))
			client.login(t)
			fuzz.Bounded(t, len(c.body), maxJSON, func() { calls(t, client, c.op) })
		})
	}
}

func gzipped(t *testing.T, text string, times int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for range times {
		_, err := io.WriteString(w, text)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// SECURITY.md: a small answer that unpacks to a huge one is read up to the bound of the unpacked.
func TestDecompressionBomb(t *testing.T) {
	bomb := gzipped(t, strings.Repeat("x", 1<<20), 16)
	require.Less(t, len(bomb), 1<<17)
	packed := withHeader(
		"Content-Encoding", "gzip", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bomb) },
	)
	for _, code := range []int{200, 500} {
		s := serve(t, handlers{"GET /contacts/vcard": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(code)
			packed(w, r)
		}})
		c := connect(t, s.URL)
		// 16 MiB: reading all of it would cost several times that
		fuzz.Bounded(t, maxJSON, 10*maxJSON, func() {
			_, err := c.Profile(t.Context(), "bob")
			e := fail(t, err)
			require.Equal(t, 500, e.Status)
			require.Equal(t, code == 200, strings.Contains(e.Message, "larger than 4 MiB"), e.Message)
		})
	}

	// An honest one is unpacked.
	s := serve(t, handlers{"GET /contacts/vcard": withHeader("Content-Encoding", "gzip", func(
		w http.ResponseWriter, _ *http.Request,
	) {
		_, _ = w.Write(gzipped(t, `{"status":200,"data":{"userId":"bob"}}`, 1))
	})})
	p, err := connect(t, s.URL).Profile(t.Context(), "bob")
	require.NoError(t, err)
	require.Equal(t, "bob", p.UserID)

	// Nothing unpacks a file.
	s = serve(t, handlers{"GET /media/x": packed})
	_, err = connect(t, s.URL).GetMedia(t.Context(), "x")
	require.ErrorContains(t, err, "packed")
}

// forged is text that would begin a line of its own, hide what came before it and turn what
// follows.
const forged = "no\nlevel=INFO msg=\"all is well\"\r\x1b[2J\x1b]0;title\a\u2028\u202e\x00"

// SECURITY.md: what a server, or whoever pretends to be one, has written fits one line of an error,
// and no line has no end.
func TestServerTextCannotForge(t *testing.T) {
	text := toJSON(t, forged)
	long := toJSON(t, strings.Repeat("x", 1<<20))
	for name, f := range map[string]http.HandlerFunc{
		"message":           answer(400, `{"status":400,"message":`+text+`}`),
		"message, HTTP 200": answer(200, `{"status":404,"message":`+text+`}`),
		"long message":      answer(200, `{"status":404,"message":`+long+`}`),
		"content type":      typed("text/"+strings.Repeat("x", 5000), 200, "x"),
		"bad location":      withHeader("Location", "http://%zz\x7f/\x1b", answer(302, "")),
		"bad encoding":      withHeader("Content-Encoding", "gzip", answer(200, forged)),
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, handlers{"GET /contacts/vcard": f})
			c := connect(t, s.URL)
			_, err := c.Profile(t.Context(), "bob")
			requireFit(t, err)
			require.Less(t, len(err.Error()), 2*httpguard.MaxText)
			require.Less(t, len(fail(t, err).Message), 2*httpguard.MaxText)
			requireFit(t, &Error{Status: 500, Message: fail(t, err).Message})
		})
	}
	t.Run("storage", func(t *testing.T) {
		err := (&Upload{Storage: forged + strings.Repeat("x", 1<<20)}).CheckStorage()
		requireFit(t, err)
		require.Less(t, len(err.Error()), 2*httpguard.MaxText)
	})
	t.Run("certificate", func(t *testing.T) { // anybody on the way can make one
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.Config.ErrorLog = discardLog()
		s.TLS = &tls.Config{Certificates: []tls.Certificate{certificateFor(t, "a\n\x1b[2J.example")}}
		s.StartTLS()
		defer s.Close()
		_, err := connect(t, strings.Replace(s.URL, "127.0.0.1", "localhost", 1)).Profile(t.Context(), "bob")
		requireFit(t, err)
		require.ErrorContains(t, err, `\n\x1b[2J.example`, "it is shown, as what it is")
	})
}

// certificateFor signs itself for any name.
func certificateFor(t *testing.T, name string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, &key.PublicKey, key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// SECURITY.md: the token goes to the service alone, whoever names the URL.
func TestTokenGoesNowhereElse(t *testing.T) {
	ok := answer(200, `{"status":200,"data":{}}`)
	stranger := serve(t, handlers{"GET /x": ok, "PUT /x": ok, "POST /x": ok, "GET /media/x": ok})
	home := serve(t, handlers{"POST /login": answer(200, loginOK)})
	c := connect(t, home.URL)
	c.login(t)
	fetch := func(token string) func(context.Context) error {
		return func(ctx context.Context) error {
			m, err := c.GetMedia(ctx, token)
			if err == nil {
				m.Close()
			}
			return err
		}
	}
	for name, f := range map[string]func(context.Context) error{
		"picture":                  fetch(stranger.URL + "/x"),
		"picture, another case":    fetch(strings.Replace(stranger.URL, "http", "HTTP", 1) + "/x"),
		"picture, the same path":   fetch(stranger.URL + "/media/x"),
		"picture, our name before": fetch(strings.Replace(stranger.URL, "http://", home.URL+"@", 1) + "/x"),
		"range": func(ctx context.Context) error {
			m, err := c.GetRange(ctx, stranger.URL+"/x", 0, 1)
			if err == nil {
				m.Close()
			}
			return err
		},
		"part": func(ctx context.Context) error {
			_, err := c.PutPart(ctx, stranger.URL+"/x", []byte("x"), "text/plain")
			return err
		},
		"commit": func(ctx context.Context) error {
			return c.CommitUpload(ctx, &Upload{CommitURL: stranger.URL + "/x", Storage: "oracle"}, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(stranger.calls)
			err := f(t.Context())
			require.True(t, err == nil || len(stranger.calls) == before, err)
			for _, header := range stranger.heads {
				require.NotContains(t, header, "Authorization")
			}
		})
	}
	require.GreaterOrEqual(t, stranger.count("GET /x"), 3)
	require.Equal(t, 1, stranger.count("GET /media/x"))
	require.Equal(t, 1, stranger.count("PUT /x"))
	require.Equal(t, 1, stranger.count("POST /x"))
}
