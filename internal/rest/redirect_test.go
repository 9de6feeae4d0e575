package rest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }

func redirect(code int, to *string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, *to, code) }
}

func TestRedirectsAndTheToken(t *testing.T) {
	profile := answer(200, `{"status":200,"data":{"userId":"b"}}`)
	stranger := serve(t, handlers{"GET /stolen": profile})
	backAgain := serve(t, handlers{})
	var to string
	home := serve(t, handlers{
		"POST /login":         answer(200, loginOK),
		"GET /contacts/vcard": redirect(302, &to),
		"GET /moved":          profile,
	})
	back := home.URL + "/moved"
	backAgain.Config.Handler = redirect(302, &back)
	c := connect(t, home.URL)
	c.login(t)

	to = stranger.URL + "/stolen"
	_, err := c.Profile(t.Context(), "bob")
	require.NoError(t, err)
	require.Equal(t, 1, stranger.count("GET /stolen"))
	require.NotContains(t, stranger.header("GET /stolen"), "Authorization")
	require.NotContains(t, stranger.header("GET /stolen"), "Referer")

	to = home.URL + "/moved"
	_, err = c.Profile(t.Context(), "bob")
	require.NoError(t, err)
	require.Equal(t, "tok-1", home.header("GET /moved").Get("Authorization"))

	to = backAgain.URL
	_, err = c.Profile(t.Context(), "bob")
	require.NoError(t, err)
	require.NotContains(t, home.header("GET /moved"), "Authorization", "a stranger chose that URL")

	to = home.URL + "/contacts/vcard"
	_, err = c.Profile(t.Context(), "bob")
	require.Equal(t, "Redirect refused", fail(t, err).Message)
	require.Equal(t, 3+maxRedirects, home.count("GET /contacts/vcard"))
}

func TestRedirectKeepsBodiesHome(t *testing.T) {
	stranger := serve(t, handlers{})
	var to string
	home := serve(t, handlers{"POST /login": redirect(307, &to), "POST /moved": answer(200, loginOK)})
	c := connect(t, home.URL)

	to = stranger.URL + "/login"
	err := c.Login(t.Context(), "u", "p", "p")
	require.Equal(t, "Redirect refused", fail(t, err).Message)
	require.Empty(t, stranger.calls)

	to = home.URL + "/moved"
	require.NoError(t, c.Login(t.Context(), "u", "p", "p"))
	require.JSONEq(t, `{"username":"u","password":"p","type":"web"}`, string(home.body("POST /moved")))
}

func TestRedirectAndTheCallersOwnCheck(t *testing.T) {
	stranger := serve(t, handlers{"GET /stolen": answer(200, `{"status":200,"data":{}}`)})
	to := stranger.URL + "/stolen"
	home := serve(t, handlers{"POST /login": answer(200, loginOK), "GET /contacts/vcard": redirect(302, &to)})

	hostile := connect(t, home.URL, func(c *Config) {
		c.HTTPClient.CheckRedirect = func(req *http.Request, via []*http.Request) error {
			req.Header.Set("Authorization", via[0].Header.Get("Authorization"))
			return nil
		}
	})
	hostile.login(t)
	_, err := hostile.Profile(t.Context(), "bob")
	require.NoError(t, err)
	require.NotContains(t, stranger.header("GET /stolen"), "Authorization")

	no := errors.New("not today")
	strict := connect(t, home.URL, func(c *Config) {
		c.HTTPClient.CheckRedirect = func(*http.Request, []*http.Request) error { return no }
	})
	_, err = strict.Profile(t.Context(), "bob")
	require.ErrorIs(t, err, no)

	last := connect(t, home.URL, func(c *Config) {
		c.HTTPClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	})
	_, err = last.Profile(t.Context(), "bob")
	require.Equal(t, 302, fail(t, err).Status)
	require.Equal(t, 1, stranger.count("GET /stolen"))
}

func TestNoDowngrade(t *testing.T) {
	plain := serve(t, handlers{})
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain.URL+"/contacts/vcard", http.StatusFound)
	}))
	secure.StartTLS()
	defer secure.Close()
	pool := x509.NewCertPool()
	pool.AddCert(secure.Certificate())
	c := connect(t, secure.URL, func(c *Config) {
		c.HTTPClient.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	})
	_, err := c.Profile(t.Context(), "bob")
	require.ErrorIs(t, err, ErrInsecure)
	require.Equal(t, 400, fail(t, err).Status)
	require.Empty(t, plain.calls)
}

// The caller's client must be the same afterwards.
func TestCallersClientIsNotTouched(t *testing.T) {
	own := &http.Client{Timeout: 5}
	New(Config{HTTPClient: own}).Close()
	require.Equal(t, http.Client{Timeout: 5}, *own)
}
