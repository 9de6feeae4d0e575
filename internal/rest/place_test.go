package rest

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/unsent"
)

// Which URLs are the service's own. Whoever sets a picture chooses the text.
func TestFindMedia(t *testing.T) {
	const base = "https://api.example.com/api/v1"
	token := func(token string) Place { return Place{Token: token} }
	at := func(url string) Place { return Place{URL: url} }
	for _, tc := range []struct {
		name, base, fileToken string
		// want is empty where the URL is not the service's.
		want Place
	}{
		{"token", base, "abc.png", token("abc.png")},
		{"nothing", base, "", token("")},
		{"token with a slash", base, "/a/b", token("/a/b")},
		{"no scheme", base, "//evil.example/x", token("//evil.example/x")},
		{"another scheme", base, "ftp://evil.example/x", token("ftp://evil.example/x")},
		{"white space before", base, " https://evil.example/x", token(" https://evil.example/x")},

		{"own token", base, base + "/media/abc.png", token("abc.png")},
		{"own token with mf", base, base + "/media/abc.png?mf=1&x=2#y", token("abc.png")},
		{"own token, escaped", base, base + "/media/a%2Fb%20c", token("a%2Fb%20c")},
		{"upper case", base, "HTTPS://API.Example.COM/api/v1/media/abc", token("abc")},
		{"default port", base, "https://api.example.com:443/api/v1/media/abc", token("abc")},
		{"empty port", base, "https://api.example.com:/api/v1/media/abc", token("abc")},
		{"default port of ours", "https://api.example.com:443/api/v1", base + "/media/abc", token("abc")},
		{"port", "https://api.example.com:8443", "https://api.example.com:8443/media/abc", token("abc")},
		{"IPv6", "https://[::1]:8443/api", "https://[::1]:8443/api/media/abc", token("abc")},
		{"own, another path", base, "https://API.example.com/x?y=1#z", at("https://api.example.com/x?y=1")},
		{
			"own, path in another case", base, "https://api.example.com/API/v1/media/x",
			at("https://api.example.com/API/v1/media/x"),
		},
		{"own, almost media", base, base + "/media", at(base + "/media")},

		{"stranger", base, "https://evil.example/api/v1/media/abc", Place{}},
		{"another scheme, own host", base, "http://api.example.com/api/v1/media/abc", Place{}},
		{"another port", base, "https://api.example.com:8443/api/v1/media/abc", Place{}},
		{"port of http", base, "https://api.example.com:80/api/v1/media/abc", Place{}},
		{"port with a zero", base, "https://api.example.com:0443/api/v1/media/abc", Place{}},
		{"a name below", base, "https://x.api.example.com/api/v1/media/abc", Place{}},
		{"a name above", base, "https://example.com/api/v1/media/abc", Place{}},
		{"a name that goes on", base, "https://api.example.com.evil.example/api/v1/media/abc", Place{}},
		{"a dot behind", base, "https://api.example.com./api/v1/media/abc", Place{}},
		{"user", base, "https://user@api.example.com/api/v1/media/abc", Place{}},
		{"user with password", base, "https://a:b@api.example.com/api/v1/media/abc", Place{}},
		{"our name as the user", base, "https://api.example.com@evil.example/x", Place{}},
		{"our name as the user, with a port", base, "https://api.example.com:443@evil.example/x", Place{}},
		{"backslash", base, `https://api.example.com\@evil.example/x`, Place{}},
		{"backslash, the other way", base, `https://evil.example\@api.example.com/x`, Place{}},
		{"wide letters", base, "https://\uff41pi.example.com/api/v1/media/abc", Place{}},
		{"wide dot", base, "https://api\u3002example.com/api/v1/media/abc", Place{}},
		{"Kelvin sign", "https://kiosk.example", "https://\u212aiosk.example/media/abc", Place{}},
		{
			"another notation of a name", "https://b\u00fccher.example", "https://xn--bcher-kva.example/media/abc",
			Place{},
		},
		{"escaped host", base, "https://%61pi.example.com/api/v1/media/abc", Place{}},
		{"another notation of an address", "https://127.0.0.1", "https://127.1/media/abc", Place{}},
		{"another notation of an IPv6 address", "https://[::1]", "https://[0::1]/media/abc", Place{}},
		{"private address", base, "http://169.254.169.254/latest/meta-data", Place{}},
		{"no host", base, "https:///api/v1/media/abc", Place{}},
		{"nonsense", base, "https://%zz", Place{}},
		{"control character", base, base + "/media/a\nb", Place{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := connect(t, tc.base).FindMedia(t.Context(), tc.fileToken)
			require.Equal(t, tc.want, got)
			if tc.want != (Place{}) || tc.fileToken == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, ErrForeign)
			require.True(t, unsent.Marked(err), "nothing is sent")
			e := fail(t, err)
			require.Equal(t, KindForeign, e.Kind())
			require.Equal(t, 400, e.Status)
			require.NotContains(t, e.Error(), "example", "a URL may have secrets")

			got, err = connect(t, tc.base, fetchForeign).FindMedia(t.Context(), tc.fileToken)
			require.NotErrorIs(t, err, ErrForeign)
			require.True(t, err != nil || got == at(tc.fileToken), got)
		})
	}
}

// SECURITY.md: a URL that somebody has chosen does not lead elsewhere by a redirect of the
// service's host. Where the service has its files is its own affair: tokens may lead to a CDN.
func TestRedirectsStayHome(t *testing.T) {
	var to string
	stranger := serve(t, handlers{"GET /x": typed("image/png", 200, png)})
	home := serve(t, handlers{
		"POST /login": answer(200, loginOK), "GET /media/moved": redirect(302, &to), "GET /open": redirect(307, &to),
		"GET /media/tok": typed("image/png", 200, png),
	})
	storage := serve(t, handlers{"GET /file": redirect(302, &to), "GET /here": typed("image/png", 200, png)})
	ranged := func(ctx context.Context, c testClient, url string) (*Media, error) { return c.GetRange(ctx, url, 0, 9) }
	called := func(ctx context.Context, c testClient, name string) (*Media, error) { return c.getMedia(ctx, name) }
	for _, tc := range []struct {
		name, ask, to string
		get           func(context.Context, testClient, string) (*Media, error)
		ok            bool
	}{
		{"token to a stranger", "moved", stranger.URL + "/x", called, true},
		{"token to ourselves", "moved", home.URL + "/media/tok", called, true},
		{
			"token to another port by name", "moved", strings.Replace(stranger.URL, "127.0.0.1", "localhost", 1) + "/x",
			called, true,
		},
		{"open redirect of our own", home.URL + "/open", stranger.URL + "/x", called, false},
		{"open redirect to ourselves", home.URL + "/open", home.URL + "/media/tok", called, true},
		{"storage to a stranger", storage.URL + "/file", stranger.URL + "/x", ranged, true},
		{"storage to itself", storage.URL + "/file", storage.URL + "/here", ranged, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			to = tc.to
			var dialled []string
			c := connect(t, home.URL, func(cfg *Config) {
				cfg.HTTPClient = &http.Client{Transport: &http.Transport{
					DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
						dialled = append(dialled, address)
						return new(net.Dialer).DialContext(ctx, network, address)
					},
				}}
			})
			c.login(t)
			before := stranger.count("GET /x")
			m, err := tc.get(t.Context(), c, tc.ask)
			if tc.ok {
				require.NoError(t, err)
				content, err := io.ReadAll(m)
				require.NoError(t, err)
				require.Equal(t, png, string(content))
				require.NoError(t, m.Close())
				if stranger.count("GET /x") > before {
					require.NotContains(t, stranger.header("GET /x"), "Authorization")
				}
				return
			}
			require.ErrorIs(t, err, ErrForeign)
			e := fail(t, err)
			require.Equal(t, KindForeign, e.Kind())
			require.Equal(t, 400, e.Status)
			require.Equal(t, before, stranger.count("GET /x"))
			for _, address := range dialled {
				require.Contains(t, home.URL+storage.URL, address)
			}

			c = connect(t, home.URL, fetchForeign)
			c.login(t)
			m, err = tc.get(t.Context(), c, tc.ask)
			require.NoError(t, err, "it is permitted")
			require.NoError(t, m.Close())
			require.NotContains(t, stranger.header("GET /x"), "Authorization")
		})
	}
}

// The rest of a file, from a service that knows ranges and from one that does not.
func TestGetMediaFromAnOffset(t *testing.T) {
	for _, k := range []struct {
		name               string
		answer             http.HandlerFunc
		body               string
		offset, end, total int64
		status             int
	}{
		{"range", withHeader("Content-Range", "bytes 3-5/6", typed("x/y", 206, "345")), "345", 3, 6, 6, 0},
		{"no ranges", typed("x/y", 200, "012345"), "012345", 0, 0, 6, 0},
		{"a range that looks like a refusal", withHeader("Content-Range", "bytes 3-34/35",
			typed("x/y", 206, `{"status":404,"message":"gone"}`)), `{"status":404,"message":"gone"}`, 3, 35, 35, 0},
		{"behind the end", withHeader("Content-Range", "bytes */3", typed("text/html", 416, "<p>")), "", 3, 3, 3, 0},
		{"behind the end, length not told", typed("text/html", 416, "<p>"), "", 3, 3, -1, 0},
		{"behind the end, length not a number", withHeader("Content-Range", "bytes */-7",
			typed("text/html", 416, "<p>")), "", 3, 3, -1, 0},
		{"no Content-Range", typed("x/y", 206, "345"), "", 0, 0, 0, 500},
		{"refused", answer(200, `{"status":404,"message":"gone"}`), "", 0, 0, 0, 404},
	} {
		t.Run(k.name, func(t *testing.T) {
			s := serve(t, handlers{"POST /login": answer(200, loginOK), "GET /media/tok": k.answer})
			c := connect(t, s.URL)
			c.login(t)
			m, err := c.GetMedia(t.Context(), Place{Token: "tok"}, 3)
			require.Equal(t, "bytes=3-", s.header("GET /media/tok").Get("Range"))
			require.Equal(t, "tok-1", s.header("GET /media/tok").Get("Authorization"))
			if k.status != 0 {
				require.Equal(t, k.status, fail(t, err).Status)
				return
			}
			require.NoError(t, err)
			defer m.Close()
			content, err := io.ReadAll(m)
			require.NoError(t, err)
			require.Equal(t, k.body, string(content))
			require.Equal(t, []int64{k.offset, k.end, k.total}, []int64{m.Offset, m.End, m.Total})
			if k.body == "" {
				require.Empty(t, m.ContentType, "that of an error page")
			}
		})
	}
}
