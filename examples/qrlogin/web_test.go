package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// setProfile sets a profile as a user does on the phone.
func setProfile(t *testing.T, srv *sdktest.Server, user, name string, picture []byte) {
	t.Helper()
	client, err := sdk.New(srv.Config())
	require.NoError(t, err)
	defer client.Close()
	credentials, err := client.Register(t.Context(), user)
	require.NoError(t, err)
	_, err = client.Connect(t.Context(), credentials.Data.Username, credentials.Data.Password)
	require.NoError(t, err)
	update := sdk.ProfileUpdate{Name: name, Email: "user@example.com"}
	if picture != nil {
		update.Image = sdk.ImageReader("picture", "image/png", bytes.NewReader(picture), int64(len(picture)))
	}
	_, err = client.SetUserProfile(t.Context(), update)
	require.NoError(t, err)
}

func TestPageAndItsFiles(t *testing.T) {
	r := start(t, sdktest.New(t), settings{})
	openTab(t, r).await(t, stageCode)
	for path, kind := range map[string]string{
		"/": "text/html", "/page.css": "text/css", "/page.js": "text/javascript",
		"/logo.png": "image/png", "/code.svg?v=1": "image/svg+xml",
	} {
		status, header, body := get(t, r.url+path)
		require.Equal(t, http.StatusOK, status, path)
		require.Contains(t, header.Get("Content-Type"), kind, path)
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
		require.Equal(t, "no-store", header.Get("Cache-Control"))
		require.Equal(t, "same-origin", header.Get("Cross-Origin-Resource-Policy"))
		require.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'")
		require.NotContains(t, header.Get("Content-Security-Policy"), "unsafe")
		require.NotEmpty(t, body)
	}
	_, _, page := get(t, r.url)
	require.NotRegexp(t, `(?i)https?:|//|<script>|style=|\son\w+=`, strings.TrimPrefix(page, "<!doctype html>"),
		"nothing from elsewhere, nothing inline")
	for _, path := range []string{"/picture.png", "/page/page.html", "/main.go", "/../main.go"} {
		status, _, _ := get(t, r.url+path)
		require.Equal(t, http.StatusNotFound, status, path)
	}
	for _, path := range []string{"/logout", scanPath, endPath} {
		status, _, _ := get(t, r.url+path)
		require.Equal(t, http.StatusMethodNotAllowed, status, path)
	}
}

func TestTabsShowTheSame(t *testing.T) {
	srv := sdktest.New(t)
	setProfile(t, srv, "bob", "Bob", nil)
	r := start(t, srv, settings{})
	one := openTab(t, r)
	first := one.await(t, stageCode)
	two := openTab(t, r)
	require.Equal(t, first, two.await(t, stageCode), "who comes later gets what there is")
	_, _, code := get(t, r.url+"/code.svg")

	srv.ExpireQR()
	require.Equal(t, one.await(t, stageCode), two.await(t, stageCode))
	_, _, renewed := get(t, r.url+"/code.svg")
	require.NotEqual(t, code, renewed)

	status, text := post(t, r.url+scanPath, " Bob ")
	require.Equal(t, http.StatusOK, status, text)
	in := one.await(t, stageLoggedIn)
	require.Equal(t, in, two.await(t, stageLoggedIn))
	require.Equal(t, event{Version: in.Version, Stage: stageLoggedIn, Name: "Bob", Initials: "B", Phone: true}, in)
	status, _, _ = get(t, r.url+"/code.svg")
	require.Equal(t, http.StatusNotFound, status)
	status, text = post(t, r.url+scanPath, "carol")
	require.Equal(t, http.StatusConflict, status, text)

	for range 3 { // from several tabs at once
		status, _ = post(t, r.url+"/logout", "")
		require.Contains(t, []int{http.StatusAccepted, http.StatusConflict}, status)
	}
	out := one.await(t, stageCode)
	require.Equal(t, "You are logged out.", out.Notice)
	require.Equal(t, out, two.await(t, stageCode))
	status, _ = post(t, r.url+"/logout", "")
	require.Equal(t, http.StatusConflict, status)

	status, text = post(t, r.url+scanPath, "carol")
	require.Equal(t, http.StatusOK, status, text)
	require.Equal(t, "carol", one.await(t, stageLoggedIn).Name, "has no profile, and the old logout is not hers")
	require.NoError(t, r.end())
	require.Empty(t, srv.Resources("carol"))
	require.Error(t, srv.Phone("carol").LogoutWeb(t.Context()), "the program has logged out at its end")
}

func TestOtherSitesAreKeptOut(t *testing.T) {
	srv := sdktest.New(t)
	r := start(t, srv, settings{})
	page := openTab(t, r)
	page.await(t, stageCode)
	for name, header := range map[string][]string{
		"fetch metadata": {"Sec-Fetch-Site", "cross-site"},
		"same site":      {"Sec-Fetch-Site", "same-site"},
		"origin":         {"Origin", "https://evil.example"},
		"null origin":    {"Origin", "null"},
		"other port":     {"Origin", "http://127.0.0.1:1"},
	} {
		for _, path := range []string{scanPath, endPath, "/logout"} {
			status, _ := post(t, r.url+path, "alice", header...)
			require.Equal(t, http.StatusForbidden, status, "%s %s", name, path)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/code.svg", nil)
	require.NoError(t, err)
	req.Host = "evil.example"
	resp, err := browser(t).Do(req)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusMisdirectedRequest, resp.StatusCode)
	require.NotContains(t, string(body), "svg")

	status, _ := post(t, r.url+scanPath, "alice", "Sec-Fetch-Site", "same-origin", "Origin", r.url)
	require.Equal(t, http.StatusOK, status, "the page itself may")
}

// A tab that does not read delays nobody, and no more tabs than allowed are served.
func TestSlowAndManyTabs(t *testing.T) {
	b := newBoard()
	h, err := (&web{board: b}).handler("")
	require.NoError(t, err)
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	open := func() *http.Response {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/events", nil)
		require.NoError(t, err)
		resp, err := srv.Client().Do(req)
		require.NoError(t, err)
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	for range maxWatchers {
		require.Equal(t, http.StatusOK, open().StatusCode)
	}
	require.Equal(t, http.StatusServiceUnavailable, open().StatusCode)
	start := time.Now()
	for range 10_000 {
		b.show(view{stage: stageProblem, notice: strings.Repeat("x", 1000)})
	}
	require.Less(t, time.Since(start), requestTimeout*2/3, "nobody was waited for")
	cancel()
	ctx = t.Context()
	require.Eventually(t, func() bool { return open().StatusCode == http.StatusOK },
		patience, time.Millisecond, "their places are free again")
}

func TestInitials(t *testing.T) {
	for name, want := range map[string]string{
		"": "?", "  ": "?", "alice": "A", "Ada Augusta King": "AK", "éva nagy": "ÉN", "李 小龙": "李小",
		"👋 !": "?", "42": "4",
	} {
		require.Equal(t, want, initials(name), name)
	}
}
