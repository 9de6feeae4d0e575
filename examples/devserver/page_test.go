package main

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// The page loads nothing from elsewhere, and no code is inside its markup.
func TestPageIsPlain(t *testing.T) {
	e := launch(t)
	status, html, header := e.do("GET", "/", "")
	require.Equal(t, 200, status)
	require.Equal(t, "text/html; charset=utf-8", header.Get("Content-Type"))
	csp := header.Get("Content-Security-Policy")
	require.Contains(t, csp, "default-src 'none'")
	require.NotContains(t, csp, "unsafe")
	require.Equal(t, "same-origin", header.Get("Cross-Origin-Resource-Policy"))
	require.Empty(t, header.Get("Access-Control-Allow-Origin"))
	for _, address := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(html, -1) {
		status, _, _ := e.do("GET", address[1], "")
		require.Equal(t, 200, status, address[1])
	}
	require.NotRegexp(t, `(?i)\son\w+=|<style|<script>|style=|https?:`, html)
	for _, file := range []string{"page.js", "chat.js"} {
		_, script, _ := e.do("GET", "/_dev/"+file, "")
		require.NotRegexp(t, `innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|https?:`, script)
	}
	for _, path := range []string{
		"/nothing", "/_dev/", "/_dev/page.html", "/_dev/../main.go",
		"/_dev/picture/nothing", "/_dev/picture/..%2Faccounts.db",
	} {
		status, _, _ := e.do("GET", path, "")
		require.Equal(t, 404, status, path)
	}
	status, _, _ = e.do("POST", "/", "")
	require.Equal(t, 405, status)
}

// The page has a button for every order, and no others.
func TestPageHasAllOrders(t *testing.T) {
	html, err := pageFiles.ReadFile("page/page.html")
	require.NoError(t, err)
	script, err := pageFiles.ReadFile("page/page.js")
	require.NoError(t, err)
	window, err := pageFiles.ReadFile("page/chat.js")
	require.NoError(t, err)
	used := map[string]bool{}
	inPage := regexp.MustCompile(`data-order="(\w+)"|(?:send|post)\("(\w+)"`)
	for _, m := range inPage.FindAllStringSubmatch(string(html)+string(script)+string(window), -1) {
		used[m[1]+m[2]] = true
	}
	for name := range orders {
		require.True(t, used[name], name)
	}
	require.Len(t, used, len(orders))
}

// No other site and no other machine reads the page or uses it.
func TestGuard(t *testing.T) {
	e := launch(t)
	host := strings.TrimPrefix(e.base, "https://")
	port := host[strings.LastIndex(host, ":"):]
	for _, c := range []struct {
		name    string
		headers []string
		// GET /
		open int
		// GET /_dev/page.js, for the stream
		watch int
		// POST /_dev/do/clear
		drive int
	}{
		{"the page", []string{"Sec-Fetch-Site", "same-origin", "Origin", e.base}, 200, 200, 200},
		{"typed in", []string{"Sec-Fetch-Site", "none"}, 200, 200, 200},
		{"curl", nil, 200, 200, 200},
		{"localhost", []string{"Host", "localhost" + port}, 200, 200, 200},
		{"IPv6", []string{"Host", "[::1]" + port}, 200, 200, 200},
		{"a link elsewhere", []string{"Sec-Fetch-Site", "cross-site"}, 200, 403, 403},
		{"another port", []string{"Sec-Fetch-Site", "same-site", "Origin", "https://127.0.0.1:1"}, 200, 403, 403},
		{"an old browser", []string{"Origin", "https://evil.example"}, 200, 200, 403},
		{"a sandboxed page", []string{"Origin", "null"}, 200, 200, 403},
		{"DNS rebinding", []string{"Host", "evil.example" + port}, 421, 421, 421},
		{"DNS rebinding, same origin", []string{
			"Host", "evil.example" + port, "Origin", "https://evil.example" + port, "Sec-Fetch-Site", "same-origin",
		}, 421, 421, 421},
		{"no name", []string{"Host", "0x7f000001" + port}, 421, 421, 421},
		{"plain text", []string{"Content-Type", "text/plain"}, 200, 200, 415},
		{"a form", []string{"Content-Type", "application/x-www-form-urlencoded"}, 200, 200, 415},
		{"no type", []string{"Content-Type", ""}, 200, 200, 415},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := *e
			e.t = t
			for _, want := range []struct {
				method, path, body string
				status             int
			}{
				{"GET", "/", "", c.open},
				{"GET", "/_dev/page.js", "", c.watch},
				{"POST", "/_dev/do/clear", "{}", c.drive},
			} {
				status, body, header := e.do(want.method, want.path, want.body, c.headers...)
				require.Equal(t, want.status, status, "%s %s: %s", want.method, want.path, body)
				require.Empty(t, header.Get("Access-Control-Allow-Origin"))
			}
		})
	}
	// The preflight of a cross-origin POST is not granted.
	status, _, header := e.do("OPTIONS", "/_dev/do/clear", "", "Origin", "https://evil.example",
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
	require.GreaterOrEqual(t, status, 400)
	require.Empty(t, header.Get("Access-Control-Allow-Origin"))
}

func TestOtherMachines(t *testing.T) {
	for who, want := range map[audience]int{audienceLocal: 403, audienceAll: 200} {
		p := newPage(settings{page: who, options: sdktest.Options{Listen: "host.example:1"}})
		defer p.close()
		p.open(sdktest.New(t), reach{})
		for remote, status := range map[string]int{
			"192.0.2.1:5": want, "[2001:db8::1]:5": want, "nonsense": want,
			"127.0.0.1:5": 200, "[::1]:5": 200, "[::ffff:127.0.0.1]:5": 200,
		} {
			req := httptest.NewRequest(http.MethodGet, "https://host.example:1/", nil)
			req.RemoteAddr = remote
			w := httptest.NewRecorder()
			p.handler().ServeHTTP(w, req)
			require.Equal(t, status, w.Code, "%s %s", who, remote)
		}
	}
}

// An upload that is no picture is not served on the page's origin.
func TestPicturesAreSafe(t *testing.T) {
	e := launch(t)
	alice := newUser(t, e.at)
	login(t, alice, "alice")
	for _, kind := range []string{"image/svg+xml", "text/html", "image/png; charset=x"} {
		content := `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`
		sent, err := alice.SetUserProfile(t.Context(), sdk.ProfileUpdate{
			Name: "x", Email: "a@example.com",
			Image: sdk.ImageReader("a.svg", kind, strings.NewReader(content), int64(len(content))),
		})
		require.NoError(t, err)
		status, body, header := e.do("GET", "/_dev/picture/"+sent.Data.FileToken, "")
		require.Equal(t, 415, status, kind)
		require.NotContains(t, body, "script")
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
	}
}
