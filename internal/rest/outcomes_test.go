package rest

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func typed(kind string, code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
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

// Who has answered: the service, in its envelope, or somebody in its place.
func TestWhoAnswered(t *testing.T) {
	to := "/elsewhere"
	for _, tc := range []struct {
		name       string
		answer     http.HandlerFunc
		told, away bool
	}{
		{"envelope", answer(400, `{"status":400,"message":"no"}`), true, false},
		{"envelope with an empty text", answer(400, `{"status":400,"message":""}`), true, false},
		{"envelope over HTTP 200", answer(200, `{"status":400}`), true, false},
		{"no text", answer(400, `{"status":400}`), false, false},
		{"text of the wrong type", answer(400, `{"status":400,"message":{}}`), false, false},
		{"no status", answer(400, `{"message":"Forbidden"}`), false, true},
		{"empty object", answer(400, `{}`), false, true},
		{"no body", answer(400, ``), false, true},
		{"page", typed("text/html", 400, "<html>"), false, true},
		{"page as success", typed("text/html", 200, "<html>"), false, true},
		{"cut", answer(200, `{"status":200,`), false, true},
		{"success without a body", answer(204, ``), false, false},
		{"wait", answer(429, ``), false, false},
		{"redirect", redirect(303, &to), false, true},
		{"away", answer(503, `{"status":503,"message":"busy"}`), true, true},
		{"away in the envelope", answer(200, `{"status":504,"message":"busy"}`), true, true},
		{"broken", answer(500, `{"status":500,"message":"boom"}`), true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := serve(t, handlers{"POST /moderation/feedback": tc.answer})
			e := fail(t, connect(t, s.URL).Feedback(t.Context(), "a", "b"))
			require.Equal(t, tc.told, e.Told(), "told")
			require.Equal(t, tc.away, e.Away(), "away")
		})
	}
	s := serve(t, handlers{"POST /media/": answer(503, ""), "GET /media/t": typed("text/html", 404, "<html>")})
	c := connect(t, s.URL)
	_, err := c.UploadProfileImage(t.Context(), "u", File{Name: "a", ContentType: "a/b", Reader: strings.NewReader("")})
	require.Equal(t, "Media Upload Failed", fail(t, err).Message)
	require.True(t, fail(t, err).Away(), "also in other words")
	_, err = c.GetMedia(t.Context(), "t")
	require.False(t, fail(t, err).Away(), "a storage has no envelope")
}

func TestCancelledAndLate(t *testing.T) {
	release, entered := make(chan struct{}), make(chan struct{}, 4)
	s := serve(t, handlers{"POST /moderation/feedback": func(_ http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}})
	defer close(release)
	c := connect(t, s.URL)

	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-entered; cancel() }() // ends with the request
	err := c.Feedback(ctx, "a", "b")
	e := fail(t, err)
	require.Equal(t,
		Error{Status: 499, Message: "API cancelled by user", Err: context.Canceled, kind: KindCancelled}, *e,
	)
	require.ErrorIs(t, err, context.Canceled)

	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err = c.Feedback(ctx, "a", "b")
	require.Equal(t, 599, fail(t, err).Status)
	require.Equal(t, "Request timed out", fail(t, err).Message)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	reason := errors.New("the owner's reason")
	cctx, ccancel := context.WithCancelCause(t.Context())
	ccancel(reason)
	err = c.Feedback(cctx, "a", "b")
	require.Equal(t, 499, fail(t, err).Status)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, reason)

	// The caller's http.Client.Timeout holds for JSON calls.
	c = connect(t, s.URL, func(cfg *Config) { cfg.HTTPClient.Timeout = 20 * time.Millisecond })
	err = c.Feedback(t.Context(), "a", "b")
	require.Equal(t, 599, fail(t, err).Status)
	require.Equal(t, "Request timed out", fail(t, err).Message)
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

func TestStrangersCertificate(t *testing.T) {
	calls := 0
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls++ }))
	s.Config.ErrorLog = discardLog()
	s.StartTLS()
	defer s.Close()
	c := connect(t, s.URL)
	_, err := c.Profile(t.Context(), "bob")
	e := fail(t, err)
	require.Equal(t, 599, e.Status)
	require.ErrorContains(t, e, "certificate")
	require.Empty(t, *c.waits, "asking again gives the same")
	require.Zero(t, calls)
}

// endless streams for ever and says how much it got rid of.
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
			require.Less(t, <-sent, int64(2<<30), "the connection must be cut")
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(48<<20))
		})
	}
}

func TestRepetition(t *testing.T) {
	busy := func(code int) http.HandlerFunc {
		return answer(code, fmt.Sprintf(`{"status":%d,"message":"busy"}`, code))
	}
	ok := answer(200, `{"status":200,"data":{}}`)
	hangUp := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	cases := []struct {
		name        string
		answers     []http.HandlerFunc
		read, write int // how often a GET and a POST are sent
		last        int // status of the read in the end
	}{
		{"success", []http.HandlerFunc{ok}, 1, 1, 200},
		{"400", []http.HandlerFunc{busy(400)}, 1, 1, 400},
		{"500 is not repeated", []http.HandlerFunc{busy(500)}, 1, 1, 500},
		{"500 in the body of a 503", []http.HandlerFunc{answer(503, `{"status":500}`)}, 1, 1, 500},
		{"502", []http.HandlerFunc{busy(502)}, 3, 1, 502},
		{"503 then success", []http.HandlerFunc{busy(503), ok}, 2, 1, 200},
		{"504 twice then success", []http.HandlerFunc{busy(504), busy(504), ok}, 3, 1, 200},
		{"503 in the body", []http.HandlerFunc{answer(200, `{"status":503}`)}, 3, 1, 503},
		{"429 everything", []http.HandlerFunc{busy(429)}, 3, 3, 429},
		{"429 then success", []http.HandlerFunc{busy(429), ok}, 2, 2, 200},
		{"connection lost", []http.HandlerFunc{hangUp}, 3, 1, 599},
		{"connection lost then success", []http.HandlerFunc{hangUp, ok}, 2, 1, 200},
		{"short wait", []http.HandlerFunc{withHeader("Retry-After", "30", busy(429)), ok}, 2, 2, 200},
		{"long wait", []http.HandlerFunc{withHeader("Retry-After", "31", busy(429)), ok}, 1, 1, 429},
		{"absurd wait", []http.HandlerFunc{withHeader("Retry-After", "9223372036854775807", busy(503)), ok}, 1, 1, 503},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, handlers{
				"GET /contacts/vcard":       sequence(c.answers...),
				"POST /moderation/feedback": sequence(c.answers...),
				"GET /logout":               sequence(c.answers...),
			})
			s.Config.ErrorLog = discardLog()
			client := connect(t, s.URL)
			_, err := client.Profile(t.Context(), "bob")
			require.Equal(t, c.read, s.count("GET /contacts/vcard"))
			require.Len(t, *client.waits, c.read-1)
			if c.last == 200 {
				require.NoError(t, err)
			} else {
				require.Equal(t, c.last, fail(t, err).Status)
			}
			_ = client.Feedback(t.Context(), "a", "b")
			require.Equal(t, c.write, s.count("POST /moderation/feedback"))
			_ = client.Logout(t.Context())
			require.Equal(t, c.write, s.count("GET /logout"), "logout is no safe GET")
		})
	}
}

func TestDelays(t *testing.T) {
	// The Date of an answer, which is not what the client's clock says.
	const date = "Tue, 14 Nov 2023 22:13:20 GMT"
	s := serve(t, handlers{"GET /contacts/vcard": sequence(
		withHeader("Retry-After", "7", answer(503, "")),
		withHeader("Date", date, withHeader("Retry-After", "Tue, 14 Nov 2023 22:13:45 GMT", answer(503, ""))),
		withHeader("Retry-After", "tomorrow", answer(503, "")),
	)})
	c := connect(t, s.URL)
	_, err := c.Profile(t.Context(), "bob")
	require.Zero(t, fail(t, err).RetryAfter)
	require.Equal(t, []time.Duration{7 * time.Second, 25 * time.Second}, *c.waits)

	s = serve(t, handlers{"GET /contacts/vcard": answer(503, "")})
	for range 20 {
		c = connect(t, s.URL)
		_, err = c.Profile(t.Context(), "bob")
		fail(t, err)
		require.Len(t, *c.waits, 2)
		require.Less(t, (*c.waits)[0], 500*time.Millisecond)
		require.Less(t, (*c.waits)[1], time.Second)
	}

	s = serve(t,
		handlers{"GET /contacts/vcard": withHeader("Retry-After", "3600", answer(429, `{"message":"slow down"}`))},
	)
	_, err = connect(t, s.URL).Profile(t.Context(), "bob")
	require.Equal(t, time.Hour, fail(t, err).RetryAfter)
	require.Equal(t, "slow down", fail(t, err).Message)

	require.Zero(t, retryAfter(http.Header{"Retry-After": {"-5"}}, time.Now()))
	require.Zero(t,
		retryAfter(http.Header{"Retry-After": {"Tue, 14 Nov 2023 22:13:45 GMT"}}, time.Now()), "in the past",
	)
}

func TestWaitEndsWithTheContext(t *testing.T) {
	s := serve(t, handlers{"GET /contacts/vcard": withHeader("Retry-After", "20", answer(503, ""))})
	c := connect(t, s.URL)
	c.wait = sleep

	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	_, err := c.Profile(ctx, "bob")
	require.Equal(t, 503, fail(t, err).Status, "no wait that cannot be sat out")
	require.Equal(t, 20*time.Second, fail(t, err).RetryAfter)

	cancelled, stop := context.WithCancel(t.Context())
	c.wait = func(ctx context.Context, d time.Duration) error {
		stop() // in the middle of the wait
		return sleep(ctx, d)
	}
	_, err = c.Profile(cancelled, "bob")
	require.Equal(t, 499, fail(t, err).Status)
}

func TestUnreached(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	url := "http://" + l.Addr().String()
	l.Close()
	c := connect(t, url)
	err = c.Feedback(t.Context(), "a", "b")
	require.Equal(t, 599, fail(t, err).Status)
	require.Equal(t, "Network Error", fail(t, err).Message)
	require.Len(t, *c.waits, 2, "a write that never left is safe to repeat")
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
