package rest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/seal"
	"github.com/mirrorfly-go/sdk/internal/testing/fuzz"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/internal/unsent"
	"github.com/mirrorfly-go/sdk/internal/uuid"
)

func TestBodies(t *testing.T) {
	h := handlers{}
	for _, path := range []string{"/sandbox/register", "/register", "/login"} {
		h["POST "+path] = answer(200, `{"status":200,"data":{"username":"u","password":"p","token":"t"}}`)
	}
	for _, path := range []string{
		"/moderation/feedback", "/moderation/report", "/users/deleteMyAccount", "/media/upload/commit",
	} {
		h["POST "+path] = answer(200, plainOK)
	}
	h["POST /media/upload"] = answer(
		200,
		`{"status":200,"data":{"uploadUrls":["http://a/1","http://a/2"],"fileToken":"tok","storage":"AWS",`+
			`"uploadId":"u1"}}`,
	)
	s := serve(t, h)
	ctx := t.Context()

	trial := connect(t, s.URL)
	meta := map[string]any{"s": "<é>", "n": 1}
	_, err := trial.Register(
		ctx, Registration{UserIdentifier: "alice_1", DeviceID: uuid.New(), Force: true, Metadata: meta},
	)
	require.NoError(t, err)
	trial.login(t)
	require.NoError(t, trial.Feedback(ctx, "Great <app>", `with "quotes" & more`))
	require.NoError(t, trial.Report(ctx, "alice_1", "bob@xmpp.example.com", "chat", `[{"msgId":"1"}]`))
	require.NoError(t, trial.DeleteAccount(ctx, "moving", ""))
	up, err := trial.StartUpload(
		ctx,
		UploadStart{ContentType: "image/png", Extension: "png", Parts: 2, MessageID: "m1", ToUser: "bob", Type: "chat"},
	)
	require.NoError(t, err)
	require.NoError(t, trial.CommitUpload(ctx, up, []string{`"e1"`, `"e2"`}))
	compareBodies(t, s, "trial")

	licensed := connect(t, s.URL, func(c *Config) { c.Trial = false })
	_, err = licensed.Register(ctx, Registration{UserIdentifier: "alice_1", DeviceID: uuid.New()})
	require.NoError(t, err)
	wire, err := licensed.WirePassword(ctx, "raw secret")
	require.NoError(t, err)
	require.NoError(t, licensed.Login(ctx, "alice_1", "raw secret", wire))
	compareBodies(t, s, "licensed")
}

func TestHeaders(t *testing.T) {
	s := serve(t, handlers{
		"POST /sandbox/register":    answer(200, `{"status":200,"data":{"username":"u","password":"p"}}`),
		"POST /login":               answer(200, loginOK),
		"POST /moderation/feedback": answer(200, plainOK),
	})
	c := connect(t, s.URL+"///")
	require.NoError(t, c.Feedback(t.Context(), "a", "b"))
	require.NotContains(t, s.header("POST /moderation/feedback"), "Authorization", "no header without a token")
	c.login(t)
	c.login(t)
	_, err := c.Register(t.Context(), Registration{UserIdentifier: "u"})
	require.NoError(t, err)
	require.NoError(t, c.Feedback(t.Context(), "a", "b"))

	require.NotContains(t, s.header("POST /login"), "Authorization")
	require.NotContains(t, s.header("POST /sandbox/register"), "Authorization")
	h := s.header("POST /moderation/feedback")
	require.Equal(t, "tok-1", h.Get("Authorization"), "raw, no Bearer")
	require.Equal(t, "application/json", h.Get("Content-Type"))
	require.Equal(t, "test/1", h.Get("User-Agent"))

	c.Forget()
	require.NoError(t, c.Feedback(t.Context(), "a", "b"))
	require.NotContains(t, s.header("POST /moderation/feedback"), "Authorization")
}

// TestOutcomes is the table of protocol.md 1.4, with its consequence: the status in
// the body comes first, whatever the HTTP status.
func TestOutcomes(t *testing.T) {
	long := strings.Repeat("x", maxError)
	cases := []struct {
		name    string
		answer  http.HandlerFunc
		status  int // 200: no error
		message string
		cause   string
	}{
		{"success", answer(200, plainOK), 200, "", ""},
		{"success with another HTTP status", answer(201, plainOK), 200, "", ""},
		{"success in the body of an error", answer(500, plainOK), 200, "", ""},
		{"empty body", answer(200, ""), 200, "", ""},
		{"no status", answer(200, `{}`), 200, "", ""},
		{"status null", answer(200, `{"status":null}`), 200, "", ""},
		{"status is a word", answer(200, `{"status":"success"}`), 200, "", ""},
		{"status in quotes", answer(200, `{"status":"200"}`), 200, "", ""},
		{"business error", answer(200, `{"status":400,"message":"bad title"}`), 400, "bad title", ""},
		{"business error without text", answer(200, `{"status":400}`), 400, "", ""},
		{"message of the wrong type", answer(200, `{"status":400,"message":{"a":1}}`), 400, "", ""},
		{"status in quotes, error", answer(200, `{"status":"403","message":"no"}`), 403, "no", ""},
		{"status zero", answer(200, `{"status":0}`), 500, "", ""},
		{"status absurd", answer(200, `{"status":1e300}`), 500, "", ""},
		{"status fraction", answer(200, `{"status":200.5}`), 500, "", ""},
		{"body over HTTP", answer(500, `{"status":403,"message":"blocked"}`), 403, "blocked", ""},
		{"HTTP status with a message", answer(403, `{"message":"blocked"}`), 403, "blocked", ""},
		{"HTTP status alone", answer(500, ``), 500, "Request failed with status code 500", ""},
		{"HTTP status, empty object", answer(418, `{}`), 418, "Request failed with status code 418", ""},
		{"no content", answer(204, ``), 204, "Unexpected answer: HTTP status 204 without a body", ""},
		{"accepted", answer(202, ``), 202, "Unexpected answer: HTTP status 202 without a body", ""},
		{"byte order mark", answer(200, "\uFEFF"+plainOK), 200, "", ""},
		{"byte order mark, error", answer(400, "\uFEFF"+`{"status":403,"message":"no"}`), 403, "no", ""},
		{"nothing but a byte order mark", answer(200, "\uFEFF"), 200, "", ""},
		{
			"page instead of JSON", typed("text/html; charset=utf-8", 200, "<html>hi</html>"), 500,
			"Unexpected answer: text/html instead of a JSON object, HTTP status 200", "",
		},
		{
			"error page", typed("text/html", 404, "<html>hi</html>"), 404, "Request failed with status code 404",
			"text/html instead of a JSON object",
		},
		{"long error page", typed("text/html", 404, long+"x"), 404, "Request failed with status code 404", "text/html"},
		{
			"long JSON error", answer(400, `{"status":403,"message":"`+long+`"}`), 400,
			"Request failed with status code 400", "application/json",
		},
		{
			"list", answer(200, `[1]`), 500,
			"Unexpected answer: application/json instead of a JSON object, HTTP status 200", "",
		},
		{
			"JSON text", answer(200, `"hi"`), 500,
			"Unexpected answer: application/json instead of a JSON object, HTTP status 200", "",
		},
		{
			"cut JSON", answer(200, `{"status":200,"da`), 500,
			"Unexpected answer: application/json instead of a JSON object, HTTP status 200", "",
		},
		{
			"two objects", answer(200, `{"status":200}{"status":400}`), 500,
			"Unexpected answer: application/json instead of a JSON object, HTTP status 200", "",
		},
		{
			"deep JSON", answer(200, `{"data":`+strings.Repeat("[", 200000)), 500,
			"Unexpected answer: application/json instead of a JSON object, HTTP status 200", "",
		},
		{
			"bad content type", typed(";;", 200, "x"), 500,
			"Unexpected answer: no content type instead of a JSON object, HTTP status 200", "",
		},
		{"not modified", answer(304, ""), 304, "Request failed with status code 304", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, handlers{"POST /moderation/feedback": c.answer})
			err := connect(t, s.URL).Feedback(t.Context(), "a", "b")
			require.Equal(t, 1, s.count("POST /moderation/feedback"))
			if c.status == 200 {
				require.NoError(t, err)
				return
			}
			e := fail(t, err)
			require.Equal(t, c.status, e.Status)
			require.Equal(t, c.message, e.Message)
			if c.cause != "" {
				require.ErrorContains(t, e, c.cause)
			}
		})
	}
}

func TestBrokenConnections(t *testing.T) {
	cases := map[string]string{
		"closed without an answer": "",
		"not HTTP":                 "SSH-2.0-OpenSSH\r\n",
		"cut in the header":        "HTTP/1.1 200 OK\r\nContent-",
		"cut in the body": "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
			"500\r\n\r\n{\"status\":200,",
		"cut chunked body": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{\"status\":200}",
		"broken gzip":      "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
	}
	for name, reply := range cases {
		t.Run(name, func(t *testing.T) {
			url := rude(t, func(conn net.Conn) {
				readRequest(conn)
				_, _ = io.WriteString(conn, reply)
			})
			err := connect(t, url).Feedback(t.Context(), "a", "b")
			require.Equal(t, 599, fail(t, err).Status)
			require.Equal(t, "Network Error", fail(t, err).Message)
			require.Error(t, fail(t, err).Err)
		})
	}
}

func TestEndlessBody(t *testing.T) {
	plain := func(w http.ResponseWriter) io.Writer { return w }
	cases := []struct {
		name   string
		wrap   func(http.ResponseWriter) io.Writer
		status int
	}{
		{"answer", plain, 500},
		{"error", func(w http.ResponseWriter) io.Writer { w.WriteHeader(400); return w }, 400},
		{"gzip bomb", func(w http.ResponseWriter) io.Writer {
			w.Header().Set("Content-Encoding", "gzip")
			return gzip.NewWriter(w)
		}, 500},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f, sent := endless(c.wrap)
			s := serve(t, handlers{"POST /moderation/feedback": f})
			client := connect(t, s.URL)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := client.Feedback(t.Context(), "a", "b")
			runtime.ReadMemStats(&after)
			require.Equal(t, c.status, fail(t, err).Status)
			require.Less(t, patient.Receive(t, sent), int64(2<<30), "the connection must be cut")
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(48<<20))
		})
	}
}

// Whatever comes for an answer, it is read to its end, and the next call finds the connection free.
func TestConnectionsAreReused(t *testing.T) {
	feedback := func(c testClient, ctx context.Context) error { return c.Feedback(ctx, "a", "b") }
	profile := func(c testClient, ctx context.Context) error { _, err := c.Profile(ctx, "bob"); return err }
	media := func(c testClient, ctx context.Context) error {
		m, err := c.getMedia(ctx, "token")
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
			// One, but package http gives a connection up where the goroutine that has written the
			// request does not get to say so within 50 ms.
			require.LessOrEqual(t, made.Load(), int32(3), "connections")
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
		// before that we do not know that the server speaks HTTP/2
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

// SECURITY.md: an answer costs no more than its share of 256 MiB, whatever is in it. These are an
// eighth of the largest.
func TestLargeAnswersStayWithinMemory(t *testing.T) {
	const size = maxJSON / 8
	fill := func(open, unit, end string) string {
		return open + strings.Repeat(unit, (size-len(open)-len(end))/len(unit)) + end
	}
	members := func(open, end string) string {
		var b strings.Builder
		b.WriteString(open)
		for i := 0; b.Len() < size-len(end)-20; i++ {
			fmt.Fprintf(&b, `"%x":0,`, i)
		}
		return b.String() + end
	}
	const login, register, profile, config, upload = 0, 1, 2, 3, 5
	for name, c := range map[string]struct {
		op   byte
		body string
	}{
		"members of the envelope":    {login, members(`{`, `"x":0}`)},
		"members of a profile":       {profile, members(`{"status":200,"data":{`, `"x":0}}`)},
		"members of a configuration": {config, members(`{"status":200,"data":{`, `"x":0}}`)},
		"members of an account": {
			register, members(`{"status":200,"data":{"username":"u","password":"p","config":{`, `"x":0}}}`),
		},
		"configurations of an account": {
			register, fill(`{"status":200,"data":{"username":"u","password":"p",`, `"config":{},`, `"x":0}}`),
		},
		"data": {login, fill(`{"status":200,`, `"data":{},`, `"x":0}`)},
		"upload URLs": {
			upload, fill(`{"status":200,"data":{"fileToken":"x","uploadUrls":[`, `"",`, `""]}}`),
		},
		"message": {login, fill(`{"status":400,"message":"`, `\u001b`, `"}`)},
		"sealed":  {config, fill(`{"status":200,"data":"`, `A`, `"}`)},
		"sealed members": {
			config,
			`{"status":200,"data":"` + seal.Seal(
				members(`{`, `"x":0}`)[:size/3], seal.Triple("alice"), seal.ConstIV,
			) + `"}`,
		},
		"lists in lists": {
			profile, `{"status":200,"data":` + strings.Repeat("[", size/2-20) + strings.Repeat("]", size/2-20) + `}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.LessOrEqual(t, len(c.body), size)
			client := answering(t, 200, http.Header{}, []byte(c.body))
			client.login(t)
			fuzz.Bounded(t, len(c.body), maxJSON, func() { calls(t, client, c.op) })
		})
	}
}

// SECURITY.md: a small answer that unpacks to a huge one is read up to the bound of the unpacked.
func TestDecompressionBomb(t *testing.T) {
	bomb := gzipped(t, strings.Repeat("x", 1<<20), 16)
	require.Less(t, len(bomb), 1<<17)
	packed := withHeader(
		"Content-Encoding", "gzip", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bomb) },
	)
	for _, code := range []int{200, 500} {
		s := serve(t, handlers{"GET /contacts/vcard": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(code)
			packed(w, r)
		}})
		c := connect(t, s.URL)
		// 16 MiB: reading all of it would cost several times that
		fuzz.Bounded(t, maxJSON, 10*maxJSON, func() {
			_, err := c.Profile(t.Context(), "bob")
			e := fail(t, err)
			require.Equal(t, 500, e.Status)
			require.Equal(t, code == 200, strings.Contains(e.Message, "larger than 4 MiB"), e.Message)
		})
	}

	// A small answer is unpacked.
	s := serve(t, handlers{"GET /contacts/vcard": withHeader("Content-Encoding", "gzip", func(
		w http.ResponseWriter, _ *http.Request,
	) {
		_, _ = w.Write(gzipped(t, `{"status":200,"data":{"userId":"bob"}}`, 1))
	})})
	p, err := connect(t, s.URL).Profile(t.Context(), "bob")
	require.NoError(t, err)
	require.Equal(t, "bob", p.UserID)

	// A file is never unpacked.
	s = serve(t, handlers{"GET /media/x": packed})
	_, err = connect(t, s.URL).getMedia(t.Context(), "x")
	require.ErrorContains(t, err, "packed")
}

// Over HTTP/2 a request that is given up while it is being written may still arrive: it does not
// count as unsent.
func TestHTTP2StalledWrite(t *testing.T) {
	var logouts atomic.Int32
	came := make(chan struct{}, 8)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/logout" {
			logouts.Add(1)
			came <- struct{}{}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"status":200,"message":"ok","data":{}}`))
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	var gate sync.RWMutex
	tr := srv.Client().Transport.(*http.Transport).Clone()
	tr.ForceAttemptHTTP2 = true
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
		return &stalling{conn, &gate}, err
	}
	defer tr.CloseIdleConnections()
	c := New(Config{LicenseKey: "k", BaseURL: srv.URL, HTTPClient: &http.Client{Transport: tr}})
	defer c.Close()
	require.NoError(t, c.Logout(t.Context())) // the connection is up
	patient.Receive(t, came)

	gate.Lock()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := c.Logout(ctx)
	require.Error(t, err)
	told := unsent.Is(err)
	gate.Unlock() // the link is back
	select {
	case <-came:
	case <-time.After(5 * time.Second):
	}
	require.False(t, told && logouts.Load() == 2, "said to be not sent, and arrived")
}

// What a call allocates above the transport, net/http's client included. It is 55 for a profile and
// 47 for feedback.
func TestCallAllocations(t *testing.T) {
	c := New(Config{
		LicenseKey: license, BaseURL: "https://service.example/api", Trial: true, UserAgent: "test/1",
		HTTPClient: &http.Client{
			Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
				body := plainOK
				switch req.URL.Path {
				case "/api/login":
					body = loginOK
				case "/api/contacts/vcard":
					body = profileAnswer
				}
				return &http.Response{
					StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req,
				}, nil
			}),
		},
	})
	defer c.Close()
	require.NoError(t, c.logIn(t.Context(), "alice", "secret", "secret"))
	for name, tc := range map[string]struct {
		call func() error
		most float64
	}{
		"profile":  {func() error { _, err := c.Profile(t.Context(), "bob"); return err }, 70},
		"feedback": {func() error { return c.Feedback(t.Context(), "title", "text") }, 55},
	} {
		t.Run(name, func(t *testing.T) {
			got := testing.AllocsPerRun(200, func() {
				if err := tc.call(); err != nil {
					t.Fatal(err)
				}
			})
			t.Logf("%.0f allocations", got)
			require.LessOrEqual(t, got, tc.most)
		})
	}
}

func compareBodies(t *testing.T, s *service, mode string) {
	t.Helper()
	bodies := golden(t, mode)
	for name, want := range bodies {
		require.JSONEq(t, string(want), comparable(t, s.body(name)), name)
		s.mu.Lock()
		delete(s.sent, name)
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Empty(t, s.sent, "bodies that no golden file has")
}

func typed(kind string, code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// rude is a server that speaks raw TCP.
func rude(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() { // ends when the listener is closed
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serve(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return "http://" + l.Addr().String()
}

func readRequest(conn net.Conn) { _, _ = conn.Read(make([]byte, 4096)) }

// endless sends without an end and counts the bytes that were taken.
func endless(wrap func(http.ResponseWriter) io.Writer) (http.HandlerFunc, <-chan int64) {
	sent := make(chan int64, 8)
	return func(w http.ResponseWriter, _ *http.Request) {
		out := wrap(w)
		block := []byte(strings.Repeat(" ", 64<<10))
		var n int64
		for n < 2<<30 {
			m, err := out.Write(block)
			if n += int64(m); err != nil {
				break
			}
		}
		sent <- n
	}, sent
}

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

func gzipped(t *testing.T, text string, times int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for range times {
		_, err := io.WriteString(w, text)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// stalling is a connection whose writes stand still while gate is locked, as on a link that is down
// for a while.
type stalling struct {
	net.Conn
	gate *sync.RWMutex
}

func (s *stalling) Write(p []byte) (int, error) {
	s.gate.RLock()
	defer s.gate.RUnlock()
	return s.Conn.Write(p)
}

func golden(t *testing.T, mode string) map[string]json.RawMessage {
	t.Helper()
	data, err := os.ReadFile("testdata/bodies.json")
	require.NoError(t, err)
	var file map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(data, &file))
	var bodies map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(file[mode], &bodies))
	return bodies
}
