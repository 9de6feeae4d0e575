package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mirrorfly-go/sdk/internal/testing/versus"
)

func TestMain(m *testing.M) {
	versus.Main(benchService())
	goleak.VerifyTestMain(m)
}

const license = "LicKey0123456789abcdefABCDEF"

// service is a scripted HTTP server.
type service struct {
	*httptest.Server
	mu    sync.Mutex
	calls map[string]int // by method and path
	heads map[string]http.Header
	sent  map[string][]byte
}

type handlers map[string]http.HandlerFunc

// serve answers with the handler for "METHOD /path" in h, or with 404.
func serve(t *testing.T, h handlers) *service {
	t.Helper()
	s := &service{calls: map[string]int{}, heads: map[string]http.Header{}, sent: map[string][]byte{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := r.Method + " " + r.URL.Path
		s.mu.Lock()
		s.calls[name]++
		s.heads[name] = r.Header.Clone()
		s.mu.Unlock()
		if r.Header.Get("Content-Type") == "application/json" {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			s.mu.Lock()
			s.sent[name] = body
			s.mu.Unlock()
		}
		if f := h[name]; f != nil {
			f(w, r)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) count(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[name]
}

func (s *service) header(name string) http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heads[name]
}

func (s *service) body(name string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent[name]
}

// answer writes an HTTP status and a JSON body.
func answer(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// sequence answers with one handler after the other; the last one stays.
func sequence(all ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	n := 0
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		f := all[min(n, len(all)-1)]
		n++
		mu.Unlock()
		f(w, r)
	}
}

func withHeader(name, value string, f http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(name, value)
		f(w, r)
	}
}

const (
	loginOK = `{"status":200,"message":"Success","data":{"token":"tok-1"}}`
	plainOK = `{"status":200,"message":"Success"}`
)

// testClient is a client that does not wait between attempts but writes down how
// long it would have.
type testClient struct {
	*Client
	waits *[]time.Duration
	log   *bytes.Buffer
}

func connect(t *testing.T, url string, change ...func(*Config)) testClient {
	t.Helper()
	var log bytes.Buffer
	cfg := Config{
		LicenseKey: license, BaseURL: url, Trial: true, AllowInsecure: true, UserAgent: "test/1",
		HTTPClient: &http.Client{Transport: &http.Transport{}},
		Logger:     slog.New(slog.NewTextHandler(&syncWriter{w: &log}, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now:        func() time.Time { return time.UnixMilli(1700000000000).In(time.FixedZone("IST", 19800)) },
	}
	for _, f := range change {
		f(&cfg)
	}
	c := New(cfg)
	var mu sync.Mutex
	waits := new([]time.Duration)
	c.wait = func(ctx context.Context, d time.Duration) error {
		mu.Lock()
		defer mu.Unlock()
		*waits = append(*waits, d)
		return ctx.Err()
	}
	t.Cleanup(func() {
		c.Close()
		c.http.CloseIdleConnections()
	})
	return testClient{c, waits, &log}
}

type syncWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *syncWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// logIn asks for a token and calls Remember.
func (c *Client) logIn(ctx context.Context, username, password, wirePassword string) error {
	token, err := c.Token(ctx, username, wirePassword)
	if err == nil {
		c.Remember(username, password, token)
	}
	return err
}

func (c testClient) Login(ctx context.Context, username, password, wirePassword string) error {
	return c.logIn(ctx, username, password, wirePassword)
}

func (c testClient) login(t *testing.T) {
	t.Helper()
	require.NoError(t, c.Login(t.Context(), "alice_1", "raw secret", "raw secret"))
}

func fail(t *testing.T, err error) *Error {
	t.Helper()
	var e *Error
	require.ErrorAs(t, err, &e)
	return e
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return string(b)
}

func TestAfterClose(t *testing.T) {
	s := serve(t, handlers{})
	c := connect(t, "", func(c *Config) { c.LookupURL = s.URL + "/details" })
	c.Close()
	c.Close()
	_, err := c.Trial(t.Context())
	require.ErrorIs(t, err, ErrClosed)
	require.Equal(t, 500, fail(t, err).Status)
	require.Empty(t, s.calls)
}
