package rest

import (
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func lookedUp(t *testing.T, s *service, change ...func(*Config)) testClient {
	return connect(t,
		"", append([]func(*Config){func(c *Config) { c.LookupURL = s.URL + "/license/details" }}, change...)...,
	)
}

func TestLookup(t *testing.T) {
	s := serve(t, handlers{"POST /api/v1/login": answer(200, loginOK)})
	h := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/license/details" {
			h.ServeHTTP(w, r)
			return
		}
		s.mu.Lock()
		s.calls["lookup"]++
		s.heads["lookup"] = r.Header.Clone()
		s.mu.Unlock()
		// The vector of protocol.md 2.7 for this licence key.
		if r.URL.RawQuery != "licenseKey=TZNFHW1bh0uWcwvTgQ9C8QZ7tgeMB08iGfL1S8bWhWE%3D" {
			answer(200, `{"status":400,"message":"unknown license"}`)(w, r)
			return
		}
		answer(200, `{"status":200,"data":{"apiBaseUrl":"`+s.URL+`/api/v1/","trialMode":false}}`)(w, r)
	})
	c := lookedUp(t, s)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { _ = c.Login(t.Context(), "u", "p", "p") })
	}
	all.Wait()
	require.Equal(t, 1, s.count("lookup"))
	require.Equal(t, 20, s.count("POST /api/v1/login"))
	require.NotContains(t, s.header("lookup"), "Authorization")
	trial, err := c.Trial(t.Context())
	require.NoError(t, err)
	require.False(t, trial, "the lookup decides, not Config.Trial")

	_, err = lookedUp(t, s, func(c *Config) { c.LicenseKey = "other" }).Trial(t.Context())
	require.Equal(t, "unknown license", fail(t, err).Message)
}

func TestLookupReplies(t *testing.T) {
	cases := []struct {
		name, body string
		trial      bool
		status     int
	}{
		{"trial", `{"status":200,"data":{"apiBaseUrl":"https://h/x","trialMode":true}}`, true, 0},
		{"trial as number", `{"status":200,"data":{"apiBaseUrl":"https://h/x","trialMode":1}}`, true, 0},
		{"licensed as text", `{"status":200,"data":{"apiBaseUrl":"https://h/x","trialMode":"0"}}`, false, 0},
		{"mode not told: as configured", `{"status":200,"data":{"apiBaseUrl":"https://h/x"}}`, true, 0},
		{"no URL", `{"status":200,"data":{"trialMode":true}}`, false, 500},
		{"no data", `{"status":200}`, false, 500},
		{"bad URL", `{"status":200,"data":{"apiBaseUrl":"not a url"}}`, false, 400},
		{"refused", `{"status":403,"message":"no"}`, false, 403},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, handlers{"GET /license/details": answer(200, c.body)})
			trial, err := lookedUp(t, s).Trial(t.Context())
			if c.status != 0 {
				require.Equal(t, c.status, fail(t, err).Status)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.trial, trial)
		})
	}
}

func TestLookupIsTriedAgain(t *testing.T) {
	s := serve(t, handlers{"GET /license/details": sequence(
		answer(200, `{"status":500,"message":"later"}`),
		answer(200, `{"status":200,"data":{"apiBaseUrl":"https://h/x"}}`),
	)})
	c := lookedUp(t, s)
	for range 2 {
		_, _ = c.Trial(t.Context())
	}
	_, err := c.Trial(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, s.count("GET /license/details"))
}

func TestLookupInsecure(t *testing.T) {
	s := serve(t, handlers{"GET /license/details": answer(200, `{"status":200,"data":{"apiBaseUrl":"http://h/x"}}`)})
	_, err := lookedUp(t, s, func(c *Config) { c.AllowInsecure = false }).Trial(t.Context())
	require.ErrorIs(t, err, ErrInsecure)
	require.Zero(t, s.count("GET /license/details"), "the lookup itself")
}

func TestBaseURL(t *testing.T) {
	for _, good := range []string{
		"https://api.example.com/api/v1", "https://localhost:8443", "https://[::1]:1/x/", "HTTPS://10.0.0.1",
	} {
		require.NoError(t, CheckBaseURL(good, false), good)
	}
	for _, bad := range []string{
		"", "api.example.com", "/x", "https://", "https:///x", "ftp://h", "https://u:secret@h", "https://h?a=b",
		"https://h#x", "https://h?", "https://h:port", "http s://h", "https://%zz", "https://:443",
	} {
		e := fail(t, CheckBaseURL(bad, true))
		require.Equal(t, 400, e.Status, bad)
		require.Equal(t, "Invalid api base url (400)", e.Error())
	}
	require.ErrorIs(t, CheckBaseURL("http://localhost", false), ErrInsecure)
	require.NoError(t, CheckBaseURL("http://localhost", true))

	err := connect(t, "http://127.0.0.1:1", func(c *Config) { c.AllowInsecure = false }).Feedback(t.Context(), "a", "b")
	require.ErrorIs(t, err, ErrInsecure)
	require.Equal(t, 400, fail(t, err).Status)
}
