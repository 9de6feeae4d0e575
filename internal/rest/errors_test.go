package rest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/httpguard"
	"github.com/mirrorfly-go/sdk/internal/seal"
)

// Whether the service has answered, in its envelope, or a host in its place.
func TestWhoAnswered(t *testing.T) {
	to := "/elsewhere"
	for _, tc := range []struct {
		name       string
		answer     http.HandlerFunc
		told, away bool
	}{
		{"envelope", answer(400, `{"status":400,"message":"no"}`), true, false},
		{"envelope with an empty text", answer(400, `{"status":400,"message":""}`), true, false},
		{"envelope over HTTP 200", answer(200, `{"status":400}`), true, false},
		{"no text", answer(400, `{"status":400}`), false, false},
		{"text of the wrong type", answer(400, `{"status":400,"message":{}}`), false, false},
		{"no status", answer(400, `{"message":"Forbidden"}`), false, true},
		{"empty object", answer(400, `{}`), false, true},
		{"no body", answer(400, ``), false, true},
		{"page", typed("text/html", 400, "<html>"), false, true},
		{"page as success", typed("text/html", 200, "<html>"), false, true},
		{"cut", answer(200, `{"status":200,`), false, true},
		{"success without a body", answer(204, ``), false, false},
		{"wait", answer(429, ``), false, false},
		{"redirect", redirect(303, &to), false, true},
		{"away", answer(503, `{"status":503,"message":"busy"}`), true, true},
		{"away in the envelope", answer(200, `{"status":504,"message":"busy"}`), true, true},
		{"broken", answer(500, `{"status":500,"message":"boom"}`), true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := serve(t, handlers{"POST /moderation/feedback": tc.answer})
			e := fail(t, connect(t, s.URL).Feedback(t.Context(), "a", "b"))
			require.Equal(t, tc.told, e.Told(), "told")
			require.Equal(t, tc.away, e.Away(), "away")
		})
	}
	s := serve(t, handlers{"POST /media/": answer(503, ""), "GET /media/t": typed("text/html", 404, "<html>")})
	c := connect(t, s.URL)
	_, err := c.UploadProfileImage(t.Context(), "u", File{Name: "a", ContentType: "a/b", Reader: strings.NewReader("")})
	require.Equal(t, "Media Upload Failed", fail(t, err).Message)
	require.True(t, fail(t, err).Away(), "also in other words")
	_, err = c.getMedia(t.Context(), "t")
	require.False(t, fail(t, err).Away(), "a storage has no envelope")
}

func TestCancelledAndLate(t *testing.T) {
	release, entered := make(chan struct{}), make(chan struct{}, 4)
	s := serve(t, handlers{"POST /moderation/feedback": func(_ http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}})
	defer close(release)
	c := connect(t, s.URL)

	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-entered; cancel() }() // ends with the request
	err := c.Feedback(ctx, "a", "b")
	e := fail(t, err)
	require.Equal(t,
		Error{Status: 499, Message: "API cancelled by user", Err: context.Canceled, kind: KindCancelled}, *e,
	)
	require.ErrorIs(t, err, context.Canceled)

	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err = c.Feedback(ctx, "a", "b")
	require.Equal(t, 599, fail(t, err).Status)
	require.Equal(t, "Request timed out", fail(t, err).Message)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	reason := errors.New("the owner's reason")
	cctx, ccancel := context.WithCancelCause(t.Context())
	ccancel(reason)
	err = c.Feedback(cctx, "a", "b")
	require.Equal(t, 499, fail(t, err).Status)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, reason)

	// The caller's http.Client.Timeout holds for JSON calls.
	c = connect(t, s.URL, func(cfg *Config) { cfg.HTTPClient.Timeout = 20 * time.Millisecond })
	err = c.Feedback(t.Context(), "a", "b")
	require.Equal(t, 599, fail(t, err).Status)
	require.Equal(t, "Request timed out", fail(t, err).Message)
}

func TestStrangersCertificate(t *testing.T) {
	calls := 0
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls++ }))
	s.Config.ErrorLog = discardLog()
	s.StartTLS()
	defer s.Close()
	c := connect(t, s.URL)
	_, err := c.Profile(t.Context(), "bob")
	e := fail(t, err)
	require.Equal(t, 599, e.Status)
	require.ErrorContains(t, e, "certificate")
	require.Empty(t, *c.waits, "asking again gives the same")
	require.Zero(t, calls)
}

func TestUnreached(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	url := "http://" + l.Addr().String()
	l.Close()
	c := connect(t, url)
	err = c.Feedback(t.Context(), "a", "b")
	require.Equal(t, 599, fail(t, err).Status)
	require.Equal(t, "Network Error", fail(t, err).Message)
	require.Len(t, *c.waits, 2, "a write that never left is safe to repeat")
}

// TestNoSecretsToldOrLogged makes every call fail in every way and looks for the
// secrets in errors and in the log.
func TestNoSecretsToldOrLogged(t *testing.T) {
	const key, password, token, signature = "SECRETkey", "SECRETpassword", "SECRETtoken", "SECRETsignature"
	bad := "http://127.0.0.1:1/x?sig=" + signature
	nowhere := "://bad location?licenseKey=" + seal.LP(key, seal.LicenseKeyString)
	answers := map[string]http.HandlerFunc{
		"refused":      answer(400, `{"message":"no"}`),
		"page":         typed("text/html", 200, "<p>"+token),
		"odd":          answer(200, `{"status":200,"data":"`+token+`"}`),
		"hang up":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"expired":      answer(401, ""),
		"bad redirect": withHeader("Location", nowhere, answer(302, "")),
		"redirect":     redirect(302, &bad),
		"short":        withHeader("Content-Length", "500", answer(200, `{"status":200}`)),
	}
	for name, f := range answers {
		t.Run(name, func(t *testing.T) {
			s := serve(t, handlers{})
			s.Config.ErrorLog = discardLog()
			script := sequence(answer(200, `{"status":200,"data":{"token":"`+token+`"}}`), f)
			s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				script(w, r)
			})
			c := connect(t, s.URL, func(cfg *Config) { cfg.LicenseKey, cfg.Trial = key, false })
			ctx := t.Context()
			wire, err := c.WirePassword(ctx, password)
			require.NoError(t, err)
			require.NoError(t, c.Login(ctx, "alice", password, wire))
			lookup := connect(t, "", func(cfg *Config) { cfg.LicenseKey, cfg.LookupURL = key, s.URL })
			cancelled, cancel := context.WithCancel(ctx)
			cancel()

			var texts []string
			note := func(err error) {
				require.Error(t, err)
				texts = append(texts, err.Error())
			}
			_, err = lookup.Trial(ctx)
			note(err)
			note(c.Login(ctx, "alice", password, wire))
			_, err = c.Register(ctx, Registration{UserIdentifier: "alice"})
			note(err)
			_, err = c.Profile(ctx, "bob")
			note(err)
			_, err = c.Profile(cancelled, "bob")
			note(err)
			_, err = c.ServiceConfig(ctx, "alice")
			note(err)
			_, err = c.UploadProfileImage(ctx, "alice", File{Reader: strings.NewReader("x"), Size: 1})
			note(err)
			_, err = c.PutPart(ctx, bad, []byte("x"), "")
			note(err)
			_, err = c.GetRange(ctx, bad, 0, 1)
			note(err)
			texts = append(texts, c.log.String(), lookup.log.String())
			for _, text := range texts {
				require.NotContains(t, text, "SECRET")
				require.NotContains(t, text, wire)
				require.NotContains(t, text, seal.LP(key, seal.LicenseKeyString))
			}
			require.Contains(t, c.log.String(), "op=profile", "the log was on")
		})
	}
}

// SECURITY.md: the text of a server, or of a host that pretends to be one, fits one line of an
// error, and no line has no end.
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

// forged is text that would begin a line of its own, hide what came before it and turn what
// follows.
const forged = "no\nlevel=INFO msg=\"all is well\"\r\x1b[2J\x1b]0;title\a\u2028\u202e\x00"

// certificateFor makes a self-signed certificate for any name.
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
