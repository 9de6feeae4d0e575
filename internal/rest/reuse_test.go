package rest

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// counted is a TLS server that counts the connections that were made to it.
func counted(t *testing.T, h http.Handler, http2 bool) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var made atomic.Int32
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			made.Add(1)
		}
	}
	s.EnableHTTP2 = http2
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, &made
}

// Whatever comes for an answer, it is read to its end, and the next call finds the connection free.
func TestConnectionsAreReused(t *testing.T) {
	feedback := func(c testClient, ctx context.Context) error { return c.Feedback(ctx, "a", "b") }
	profile := func(c testClient, ctx context.Context) error { _, err := c.Profile(ctx, "bob"); return err }
	media := func(c testClient, ctx context.Context) error {
		m, err := c.GetMedia(ctx, "token")
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, m)
		m.Close()
		return err
	}
	long := strings.Repeat("x", maxError-1000)
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		call   func(testClient, context.Context) error
		status int // 0: no error
	}{
		"success":                {answer(200, plainOK), feedback, 0},
		"large success":          {answer(200, `{"data":{"status":"`+strings.Repeat("x", 1<<18)+`"}}`), profile, 0},
		"empty":                  {answer(200, ""), feedback, 0},
		"refused":                {answer(200, `{"status":400,"message":"no"}`), feedback, 400},
		"unusable data":          {answer(200, `{"status":200,"data":7}`), profile, 500},
		"HTTP error":             {answer(403, `{"message":"`+long+`"}`), feedback, 403},
		"error page":             {typed("text/html", 404, long), profile, 404},
		"breakdown, three times": {typed("text/html", 502, long), profile, 502},
		"too many requests":      {withHeader("Retry-After", "1", answer(429, long)), feedback, 429},
		"not logged in":          {answer(401, `{"status":401}`), profile, 401},
		"file":                   {typed("image/png", 200, long), media, 0},
		"file refused":           {answer(200, `{"status":404,"message":"no"}`), media, 404},
		"file not there":         {typed("text/html", 404, long), media, 404},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mux := http.NewServeMux()
			mux.Handle("/login", answer(200, loginOK))
			mux.Handle("/", c.answer)
			s, made := counted(t, mux, false)
			client := connect(t, s.URL, func(cfg *Config) { cfg.HTTPClient = s.Client() })
			client.login(t)
			for range 20 {
				err := c.call(client, t.Context())
				if c.status == 0 {
					require.NoError(t, err)
				} else {
					require.Equal(t, c.status, fail(t, err).Status)
				}
			}
			require.EqualValues(t, 1, made.Load(), "connections")
		})
	}
}

// Calls at the same time need about as many connections as there are calls at a time, and over
// HTTP/2 one for all.
func TestConcurrentCallsReuseConnections(t *testing.T) {
	const callers, rounds = 16, 25
	for _, c := range []struct {
		status int
		http2  bool
		most   int32
	}{
		// net/http dials for a call that finds no free connection, and the call then takes the one
		// that is free first.
		{200, false, 6 * callers},
		{500, false, 6 * callers},
		{200, true, 1},
		{500, true, 1},
	} {
		s, made := counted(t, answer(c.status, `{"data":{}}`), c.http2)
		transport := s.Client().Transport.(*http.Transport)
		transport.MaxIdleConnsPerHost = callers
		client := connect(t, s.URL, func(cfg *Config) { cfg.HTTPClient = &http.Client{Transport: transport} })
		// before that nobody knows that the server speaks HTTP/2
		_, _ = client.Profile(t.Context(), "bob")
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				for range rounds {
					_, err := client.Profile(t.Context(), "bob")
					if (err == nil) != (c.status == 200) {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		require.LessOrEqual(t, made.Load(), c.most, "%d calls, %+v", callers*rounds, c)
	}
}
