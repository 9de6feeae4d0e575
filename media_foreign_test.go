package sdk_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// elsewhere is a web server that is not the service's, with one file at every path.
func elsewhere(t *testing.T, answer http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s
}

// dialled notes the addresses that the clients of cfg dial.
func dialled(cfg *sdk.Config) func() []string {
	var mu sync.Mutex
	var addresses []string
	next := cfg.DialContext
	if next == nil {
		next = new(net.Dialer).DialContext
	}
	cfg.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		mu.Lock()
		addresses = append(addresses, address)
		mu.Unlock()
		return next(ctx, network, address)
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), addresses...)
	}
}

// fetches are the two ways to get a file.
var fetches = map[string]func(context.Context, *sdk.Client, sdk.MediaFile) ([]byte, error){
	"DownloadMedia": func(ctx context.Context, c *sdk.Client, f sdk.MediaFile) ([]byte, error) {
		var got bytes.Buffer
		_, err := c.DownloadMedia(ctx, f, &got)
		return got.Bytes(), err
	},
	"OpenMedia": func(ctx context.Context, c *sdk.Client, f sdk.MediaFile) ([]byte, error) {
		r, _, err := c.OpenMedia(ctx, f)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	},
}

// SECURITY.md: a URL that another user has chosen is fetched only where the program wants that.
// Else nothing is looked up, dialled or asked.
func TestForeignURLs(t *testing.T) {
	srv := sdktest.New(t)
	var seen []http.Header
	evil := elsewhere(t, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header)
		_, _ = io.WriteString(w, "picture")
	})
	cfg := srv.Config()
	cfg.AllowInsecure = true
	addresses := dialled(&cfg)
	bob := login(t, cfg, "bob")
	_, err := bob.SetUserProfile(t.Context(),
		sdk.ProfileUpdate{Email: "bob@example.com", Image: sdk.ImageURL(evil.URL + "/bob.png?secret=1")})
	require.NoError(t, err)
	alice := login(t, cfg, "alice")
	profile, err := alice.GetUserProfile(t.Context(), "bob")
	require.NoError(t, err)
	requireAnswer(t, srv, alice)
	before, asked := len(addresses()), len(srv.Requests())
	dotted, err := url.Parse(cfg.APIBaseURL + "/media/x")
	require.NoError(t, err)
	dotted.Host = dotted.Hostname() + ".:" + dotted.Port()
	files := map[string]sdk.MediaFile{
		"dot of service":  {FileToken: dotted.String()},
		"picture":         {FileToken: profile.Data.Image},
		"in parts":        {FileToken: profile.Data.Image, Large: true},
		"encrypted":       {FileToken: profile.Data.Image, FileKey: strings.Repeat("k", 32)},
		"a name":          {FileToken: "https://evil.example/x"},
		"not a URL":       {FileToken: "https://%zz"},
		"user of service": {FileToken: strings.Replace(cfg.APIBaseURL, "://", "://user@", 1) + "/media/x"},
	}
	for op, fetch := range fetches {
		for name, f := range files {
			t.Run(op+" "+name, func(t *testing.T) {
				content, err := fetch(t.Context(), alice, f)
				require.Empty(t, content)
				require.ErrorIs(t, err, sdk.ErrForeignURL)
				require.ErrorIs(t, err, &sdk.Error{Op: op, StatusCode: 400})
				require.Equal(t, sdk.OutcomeNotSent, outcomeTold(t, err))
				require.ErrorContains(t, err, "FetchForeignURLs")
				require.NotContains(t, err.Error(), "secret")
			})
		}
	}
	require.Len(t, addresses(), before, "nothing is dialled")
	require.Len(t, srv.Requests(), asked, "the service is not asked")
	require.Empty(t, seen)

	cfg.FetchForeignURLs = true
	carol := login(t, cfg, "carol")
	for _, fetch := range fetches {
		content, err := fetch(t.Context(), carol, files["picture"])
		require.NoError(t, err)
		require.Equal(t, "picture", string(content))
	}
	require.Len(t, seen, 2)
	require.NotContains(t, seen[0], "Authorization")
	cfg.AllowInsecure = false
	_, err = fetches["OpenMedia"](t.Context(), login(t, cfg, "dave"), files["picture"])
	require.ErrorIs(t, err, sdk.ErrInsecure)
}

// What is the service's own is always fetched: tokens, and URLs of it in every spelling.
func TestOwnURLs(t *testing.T) {
	srv := sdktest.New(t)
	cfg := srv.Config()
	alice := login(t, cfg, "alice")
	up, err := alice.UploadMedia(t.Context(),
		sdk.MediaUpload{To: "bob", Name: "a.png", Reader: strings.NewReader("hello"), Size: 5})
	require.NoError(t, err)
	own := cfg.APIBaseURL + "/media/" + up.Data.FileToken
	for _, token := range []string{
		up.Data.FileToken, own, own + "?mf=1", strings.Replace(own, "https", "HTTPS", 1),
	} {
		for op, fetch := range fetches {
			content, err := fetch(t.Context(), alice, sdk.MediaFile{FileToken: token})
			require.NoError(t, err, "%s %s", op, token)
			require.Equal(t, "hello", string(content))
		}
	}
}

// A redirect is the way to a stranger by way of the service: closed to a URL that a user has
// chosen, open to the files of the service itself, wherever it keeps them.
func TestRedirectToAForeignURL(t *testing.T) {
	evil := elsewhere(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "picture") })
	away := func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, evil.URL, http.StatusFound) }
	answers := map[string]http.HandlerFunc{
		"GET media/moved": away,
		"GET open":        away,
		"GET /stored":     away,
		"GET media/generatePreAuthenticationUrlDownload": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"status":200,"data":"http://storage.example/stored"}`)
		},
	}
	srv := sdktest.New(t)
	cfg := srv.Config()
	cfg.AllowInsecure = true
	answering(t, &cfg, answers)
	alice := login(t, cfg, "alice")
	cfg.FetchForeignURLs = true
	bob := login(t, cfg, "bob")
	for op, fetch := range fetches {
		open := sdk.MediaFile{FileToken: cfg.APIBaseURL + "/open"}
		_, err := fetch(t.Context(), alice, open)
		require.ErrorIs(t, err, sdk.ErrForeignURL, op)
		require.ErrorIs(t, err, &sdk.Error{Op: op, StatusCode: 400})
		_, err = fetch(t.Context(), bob, open)
		require.ErrorIs(t, err, sdk.ErrInsecure, "https never becomes http")
		for _, client := range []*sdk.Client{alice, bob} {
			_, err = fetch(t.Context(), client, sdk.MediaFile{FileToken: "moved"})
			require.ErrorIs(t, err, sdk.ErrInsecure, "https never becomes http")
			content, err := fetch(t.Context(), client, sdk.MediaFile{FileToken: "moved", Large: true})
			require.NoError(t, err)
			require.Equal(t, "picture", string(content))
		}
	}
}
