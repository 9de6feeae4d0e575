package rest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/httpguard"
	"github.com/mirrorfly-go/sdk/internal/unsent"
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
	require.Equal(t, 3+httpguard.MaxRedirects, home.count("GET /contacts/vcard"))
}

// What a stranger sends back to the service stays without the token, also when the service sends it
// on: from there on each hop is at home.
func TestTokenIsNotGivenBack(t *testing.T) {
	var back string
	stranger := serve(t, handlers{"GET /away": redirect(302, &back)})
	away, onward := stranger.URL+"/away", "/onward"
	home := serve(t, handlers{
		"POST /login":         answer(200, loginOK),
		"GET /contacts/vcard": redirect(302, &away),
		"GET /back":           redirect(307, &onward),
		"GET /onward":         answer(200, `{"status":200,"data":{"userId":"b"}}`),
	})
	back = home.URL + "/back"
	c := connect(t, home.URL)
	c.login(t)
	_, err := c.Profile(t.Context(), "bob")
	require.NoError(t, err)
	require.Equal(t, "tok-1", home.header("GET /contacts/vcard").Get("Authorization"))
	for _, path := range []string{"GET /back", "GET /onward"} {
		require.Equal(t, 1, home.count(path), path)
		require.NotContains(t, home.header(path), "Authorization", path)
	}
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

// write makes a request that changes something.
type write = func(ctx context.Context, c testClient) error

// writes are all requests that change something at the service or at its storage, which is at
// base, by what they are sent as.
func writes(base string) map[string]write {
	none := func(_ any, err error) error { return err }
	return map[string]write{
		"POST /login": func(ctx context.Context, c testClient) error { return c.Login(ctx, "u", "p", "p") },
		"POST /sandbox/register": func(ctx context.Context, c testClient) error {
			return none(c.Register(ctx, Registration{UserIdentifier: "u"}))
		},
		"POST /moderation/feedback": func(ctx context.Context, c testClient) error { return c.Feedback(ctx, "a", "b") },
		"POST /moderation/report": func(ctx context.Context, c testClient) error {
			return c.Report(ctx, "a", "b", "chat", "[]")
		},
		"POST /users/deleteMyAccount": func(ctx context.Context, c testClient) error {
			return c.DeleteAccount(ctx, "a", "")
		},
		"POST /media/": func(ctx context.Context, c testClient) error {
			file := File{Name: "a.png", ContentType: "image/png", Reader: strings.NewReader("x"), Size: 1}
			return none(c.PostMedia(ctx, Form{Type: "profile", File: file}))
		},
		"POST /media/upload": func(ctx context.Context, c testClient) error {
			return none(c.StartUpload(ctx, UploadStart{Parts: 1}))
		},
		"PUT /part": func(ctx context.Context, c testClient) error {
			return none(c.PutPart(ctx, base+"/part", []byte("x"), "a/b"))
		},
		"POST /media/upload/commit": func(ctx context.Context, c testClient) error {
			return c.CommitUpload(ctx, &Upload{Storage: "aws"}, []string{"e"})
		},
		"POST /commit": func(ctx context.Context, c testClient) error {
			return c.CommitUpload(ctx, &Upload{Storage: "oracle", CommitURL: base + "/commit"}, nil)
		},
	}
}

// 301, 302 and 303 make a GET of a write. Whoever answers that, here or elsewhere, has written
// nothing.
func TestRedirectThatChangesTheMethod(t *testing.T) {
	const everything = `{"status":200,"message":"ok","data":` +
		`{"token":"t","username":"u","password":"p","fileToken":"f","uploadUrls":["x"]}}`
	for _, code := range []int{301, 302, 303} {
		for name := range writes("") {
			t.Run(fmt.Sprint(code, " ", name), func(t *testing.T) {
				moved := handlers{"GET /moved": answer(200, everything)}
				stranger := serve(t, moved)
				var to string
				moved[name] = redirect(code, &to)
				home := serve(t, moved)
				c := connect(t, home.URL)
				c.changeLocked(session{token: "tok-1", username: "u", password: "p"})
				for _, place := range []*service{home, stranger} {
					to = place.URL + "/moved"
					err := writes(home.URL)[name](t.Context(), c)
					require.ErrorIs(t, err, httpguard.ErrRedirect)
					require.False(t, unsent.Is(err), "it was answered")
					require.Zero(t, place.count("GET /moved"))
				}
				require.Equal(t, 2, home.count(name), "a redirect is no reason to repeat it")
			})
		}
	}
}

// 307 and 308 keep the method, and what has its body in memory goes on to where they lead.
func TestRedirectThatKeepsTheMethod(t *testing.T) {
	for _, code := range []int{307, 308} {
		to := "/moved"
		home := serve(t, handlers{
			"POST /login":                 answer(200, loginOK),
			"POST /users/deleteMyAccount": redirect(code, &to),
			"POST /commit":                redirect(code, &to),
			"GET /logout":                 redirect(code, &to),
			"POST /moved":                 answer(200, plainOK),
			"GET /moved":                  answer(200, plainOK),
		})
		c := connect(t, home.URL)
		c.login(t)
		require.NoError(t,
			c.CommitUpload(t.Context(), &Upload{Storage: "oracle", CommitURL: home.URL + "/commit"}, nil),
		)
		require.NoError(t, c.DeleteAccount(t.Context(), "moving", ""))
		require.Equal(t, 2, home.count("POST /moved"))
		require.JSONEq(t, `{"reason":"moving","feedback":""}`, string(home.body("POST /moved")))
		require.Equal(t, "tok-1", home.header("POST /moved").Get("Authorization"))
		require.NoError(t, c.Logout(t.Context()))
		require.Equal(t, "tok-1", home.header("GET /moved").Get("Authorization"))
	}
}

// Another host cannot have logged us out, since it does not get the token.
func TestLogoutIsNotRedirectedElsewhere(t *testing.T) {
	for _, code := range []int{301, 302, 303, 307, 308} {
		stranger := serve(t, handlers{"GET /logout": answer(200, plainOK)})
		to := stranger.URL + "/logout"
		home := serve(t, handlers{"POST /login": answer(200, loginOK), "GET /logout": redirect(code, &to)})
		c := connect(t, home.URL)
		c.login(t)
		require.ErrorIs(t, c.Logout(t.Context()), httpguard.ErrRedirect)
		require.Empty(t, stranger.calls)
	}
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

// The caller's client must not change.
func TestCallersClientIsNotTouched(t *testing.T) {
	own := &http.Client{Timeout: 5}
	New(Config{HTTPClient: own}).Close()
	require.Equal(t, http.Client{Timeout: 5}, *own)
}

// SECURITY.md: only the service gets the token, whatever URL a server names.
func TestTokenGoesNowhereElse(t *testing.T) {
	ok := answer(200, `{"status":200,"data":{}}`)
	stranger := serve(t, handlers{"GET /x": ok, "PUT /x": ok, "POST /x": ok, "GET /media/x": ok})
	home := serve(t, handlers{"POST /login": answer(200, loginOK)})
	c := connect(t, home.URL, fetchForeign)
	c.login(t)
	fetch := func(token string) func(context.Context) error {
		return func(ctx context.Context) error {
			m, err := c.getMedia(ctx, token)
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

// A write that was answered with a redirect is not repeated when the place that it leads to is not
// there.
func TestRedirectRepeatsAWrite(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, dead.Close())
	var posts atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts.Add(1)
			http.Redirect(w, r, "http://"+dead.Addr().String()+"/done", http.StatusSeeOther)
		}
	}))
	defer srv.Close()
	c := New(Config{LicenseKey: "k", BaseURL: srv.URL, AllowInsecure: true, HTTPClient: srv.Client()})
	defer c.Close()
	err = c.Feedback(t.Context(), "title", "text")
	require.Error(t, err)
	require.EqualValues(t, 1, posts.Load(), "%v", err)
}

// The same with a transport that does not support httptrace: the outcome is not known.
func TestRedirectUntraced(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, dead.Close())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+dead.Addr().String()+"/done", http.StatusSeeOther)
	}))
	defer srv.Close()
	c := New(
		Config{
			LicenseKey: "k", BaseURL: srv.URL, AllowInsecure: true,
			HTTPClient: &http.Client{Transport: wrapped{srv.Client().Transport}},
		},
	)
	defer c.Close()
	err = c.Feedback(t.Context(), "title", "text")
	require.Error(t, err)
	require.False(t, unsent.Is(err), "%v", err)
}

type wrapped struct{ http.RoundTripper } // and passes no traces on

func (w wrapped) RoundTrip(r *http.Request) (*http.Response, error) {
	return w.RoundTripper.RoundTrip(r.Clone(context.Background()))
}
