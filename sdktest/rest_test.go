package sdktest

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAuthorization(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	paths := []struct{ method, path string }{
		{"GET", "/users/config"},
		{"GET", "/contacts/vcard?userId=alice"},
		{"GET", "/logout"},
		{"GET", "/media/x.png"},
		{"GET", "/media/generatePreAuthenticationUrlDownload?fileToken=x"},
		{"POST", "/media/"},
		{"POST", "/media/upload"},
		{"POST", "/media/upload/commit"},
		{"POST", "/moderation/feedback"},
		{"POST", "/moderation/report"},
		{"POST", "/users/deleteMyAccount"},
	}
	check := func(token string) {
		for _, p := range paths {
			e := rest(t, s, p.method, p.path, token, nil)
			require.Equal(t, 401, e.HTTP, p.path)
			require.Equal(t, 401, e.Status, p.path)
			require.Equal(t, "Token Expired", e.Message)
		}
	}
	check("")
	check("Bearer " + c.Token)
	require.Equal(t, 200, rest(t, s, "GET", "/users/config", c.Token, nil).Status)
	s.ExpireTokens()
	check(c.Token)
	require.Equal(t, []string{"alice"}, s.Users())
}

func TestCORS(t *testing.T) {
	s := trial(t)
	c := httpClient(t, s)
	for _, url := range []string{
		s.URL() + "/login", s.URL() + "/users/config", s.URL() + "/media/", s.URL() + "/media/upload", s.ConfigURL(),
		s.SignalURL() + "/storage/x/0?sig=1", s.URL() + "/no/such/path",
	} {
		req, err := http.NewRequest("OPTIONS", url, nil)
		require.NoError(t, err)
		req.Header.Set("Origin", "https://page.example")
		req.Header.Set("Access-Control-Request-Method", "PUT")
		req.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
		resp, err := c.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 204, resp.StatusCode, url)
		require.Equal(t, "https://page.example", resp.Header.Get("Access-Control-Allow-Origin"))
		require.Contains(t, resp.Header.Get("Access-Control-Allow-Headers"), "authorization")
		require.Contains(t, resp.Header.Get("Access-Control-Allow-Methods"), "PUT")
	}
	// The answers have the header too, also errors.
	req, err := http.NewRequest("GET", s.URL()+"/users/config", nil)
	require.NoError(t, err)
	req.Header.Set("Origin", "https://page.example")
	resp, err := c.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 401, resp.StatusCode)
	require.Equal(t, "https://page.example", resp.Header.Get("Access-Control-Allow-Origin"))
}

func TestRESTBodiesAreBounded(t *testing.T) {
	s := trial(t)
	e := rest(t, s, "POST", "/login", "", strings.Repeat(" ", maxBody+1))
	require.Equal(t, 413, e.HTTP)
	e = rest(t, s, "POST", "/login", "", strings.Repeat("[", maxBody/2))
	require.Equal(t, 400, e.Status)
	// The headers of the request change nothing.
	for _, r := range []struct{ method, url, kind string }{
		{"GET", s.ConfigURL(), "application/json"},
		{"DELETE", s.ConfigURL(), ""},
		{"POST", s.URL() + "/login", "multipart/form-data; boundary=x"},
		{"POST", s.URL() + "/media/upload", "multipart/form-data; boundary=x"},
		{"GET", s.URL() + "/users/config", "text/plain"},
	} {
		req, err := http.NewRequest(r.method, r.url, strings.NewReader(strings.Repeat(" ", maxBody+1)))
		require.NoError(t, err)
		req.Header.Set("Content-Type", r.kind)
		resp, err := httpClient(t, s).Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 413, resp.StatusCode, "%v", r)
	}
	resp, err := httpClient(t, s).Get(s.URL() + "/nothing/here")
	require.NoError(t, err)
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 404, resp.StatusCode)
	require.True(t, json.Valid(raw))
}

func TestTooBigForREST(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	long := strings.Repeat("x", maxText+1)
	require.Equal(t, 400, rest(t, s, "POST", "/moderation/feedback", c.Token,
		map[string]any{"title": "t", "description": long}).Status)
	report := map[string]any{"from": "alice", "to": "bob@" + s.Domain(), "chatType": "chat", "data": `["` + long + `"]`}
	require.Equal(t, 400, rest(t, s, "POST", "/moderation/report", c.Token, report).Status)
	meta := map[string]any{
		"deviceType": "web", "deviceId": "5", "licenseKey": s.LicenseKey(), "userIdentifier": "bob",
		"metaData": map[string]any{"a": long},
	}
	require.Equal(t, 400, rest(t, s, "POST", "/sandbox/register", "", meta).Status)
}

func TestHostileHTTP(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	for _, raw := range []string{
		"\x16\x03\x01garbage", "GET / HTTP/1.1\r\n", strings.Repeat("A",
			200<<10), "GET /websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
	} {
		conn := dialTCP(t, s.httpAddr()).tls(s)
		_, _ = io.Copy(conn, bytes.NewReader([]byte(raw)))
		require.NoError(t, conn.Conn.(*tls.Conn).CloseWrite())
		conn.rest()
	}
	require.Equal(t, 200, rest(t, s, "GET", "/users/config", c.Token, nil).Status)
}
