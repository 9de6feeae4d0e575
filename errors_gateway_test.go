package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// each answers every request anew.
func each(answer func() *http.Response) func(*http.Request) *http.Response {
	return func(*http.Request) *http.Response { return answer() }
}

// The service speaks JSON with an envelope (protocol.md 1.4). What a gateway says at POST /login
// and at registration says nothing about the account: it is no answer of the service.
func TestGatewaySaysNothingAboutAccounts(t *testing.T) {
	for name, answer := range map[string]func(code int) *http.Response{
		"page":         page,
		"nothing":      func(code int) *http.Response { return reply(code, "") },
		"own JSON":     func(code int) *http.Response { return told(code, `{"message":"Forbidden"}`) },
		"another JSON": func(code int) *http.Response { return told(code, `{"error":"forbidden"}`) },
		"list":         func(code int) *http.Response { return told(code, `[]`) },
		"problem JSON": func(code int) *http.Response {
			return reply(code, fmt.Sprintf(`{"title":"No","status":%d}`, code), "Content-Type",
				"application/problem+json")
		},
	} {
		for _, code := range []int{400, 401, 403, 405} {
			t.Run(fmt.Sprint(name, " ", code), func(t *testing.T) {
				t.Parallel()
				cfg := quick(sdktest.New(t).Config())
				g := behindGateway(t, &cfg)
				client, me := register(t, cfg, "alice")
				refusal := each(func() *http.Response { return answer(code) })
				g.answers("/login", refusal)
				_, err := client.Connect(t.Context(), me.Username, me.Password)
				requireNoConclusion(t, err, code, name != "problem JSON")
				g.answers("register", refusal)
				_, err = client.Register(t.Context(), "alice")
				requireNoConclusion(t, err, code, name != "problem JSON")
				g.answers("", nil)
				connect(t, client, me)
			})
		}
	}
}

func requireNoConclusion(t *testing.T, err error, code int, away bool) {
	t.Helper()
	require.ErrorIs(t, err, &sdk.Error{StatusCode: code})
	for _, conclusion := range []error{sdk.ErrInvalidCredentials, sdk.ErrBlockedByAdmin, sdk.ErrMaxSessions} {
		require.NotErrorIs(t, err, conclusion)
	}
	if away {
		require.ErrorIs(t, err, sdk.ErrNetwork)
	}
}

// The service's own word is one, also with HTTP status 200.
func TestServiceSpeaksAboutAccounts(t *testing.T) {
	for _, tc := range []struct {
		status   int
		text     string
		connect  error
		register error
	}{
		{400, "Invalid Credentials", sdk.ErrInvalidCredentials, nil},
		{401, "Unauthorized", sdk.ErrInvalidCredentials, nil},
		{403, "User is blocked by admin", sdk.ErrBlockedByAdmin, sdk.ErrBlockedByAdmin},
		{403, "Session limit reached", sdk.ErrBlockedByAdmin, sdk.ErrMaxSessions},
		{405, "No more devices", nil, sdk.ErrMaxSessions},
	} {
		for _, code := range []int{tc.status, 200} {
			t.Run(fmt.Sprint(tc.status, " ", tc.text, " ", code), func(t *testing.T) {
				t.Parallel()
				cfg := quick(sdktest.New(t).Config())
				g := behindGateway(t, &cfg)
				client, me := register(t, cfg, "alice")
				envelope := fmt.Sprintf(`{"status":%d,"message":%q}`, tc.status, tc.text)
				refusal := each(func() *http.Response { return told(code, envelope) })
				g.answers("/login", refusal)
				res, err := client.Connect(t.Context(), me.Username, me.Password)
				said(t, tc.status, tc.text, tc.connect, res, err)
				g.answers("register", refusal)
				registered, err := client.Register(t.Context(), "alice")
				said(t, tc.status, tc.text, tc.register, registered, err)
			})
		}
	}
}

func said[T any](t *testing.T, code int, text string, kind error, res sdk.Result[T], err error) {
	t.Helper()
	e := failed(t, res, err)
	require.Equal(t, code, e.StatusCode)
	require.Equal(t, text, e.Message)
	require.Equal(t, sdk.OutcomeRefused, e.Outcome)
	for _, one := range []error{sdk.ErrInvalidCredentials, sdk.ErrBlockedByAdmin, sdk.ErrMaxSessions, sdk.ErrNetwork} {
		if one == kind {
			require.ErrorIs(t, err, one)
		} else {
			require.NotErrorIs(t, err, one)
		}
	}
}

// 502, 503 and 504 say "later", whoever says so, and so does what is no answer of the service:
// callers take ErrNetwork for that.
func TestLaterIsANetworkFailure(t *testing.T) {
	picture := func(ctx context.Context, c *sdk.Client) error {
		_, err := c.SetUserProfile(ctx, sdk.ProfileUpdate{
			Email: "a@example.com", Image: sdk.ImageReader("a.png", "image/png", strings.NewReader("x"), 1),
		})
		return err
	}
	calls := map[string]func(context.Context, *sdk.Client) error{
		"/contacts/vcard":      profileOf,
		"/moderation/feedback": feedback,
		"/moderation/report":   report,
		"/media/":              picture,
		"/logout":              func(ctx context.Context, c *sdk.Client) error { _, err := c.Logout(ctx); return err },
		"/media/token": func(ctx context.Context, c *sdk.Client) error {
			_, err := c.DownloadMedia(ctx, sdk.MediaFile{FileToken: "token"}, io.Discard)
			return err
		},
	}
	answers := map[string]func() *http.Response{
		"502 page":            func() *http.Response { return page(502) },
		"504 without a body":  func() *http.Response { return reply(504, "") },
		"503 of the service":  func() *http.Response { return told(503, `{"status":503,"message":"busy"}`) },
		"503 in the envelope": func() *http.Response { return told(200, `{"status":503,"message":"busy"}`) },
		"page":                func() *http.Response { return page(200) },
		"403 page":            func() *http.Response { return page(403) },
	}
	for path, call := range calls {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			cfg := quick(sdktest.New(t).Config())
			g := behindGateway(t, &cfg)
			client := login(t, cfg, "alice")
			for name, answer := range answers {
				// A page may be the file, and a refusal the storage's.
				isFile := path == "/media/token"
				if isFile && (name == "page" || name == "403 page") {
					continue
				}
				g.answers(path, each(answer))
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				err := call(ctx, client)
				cancel()
				require.ErrorIs(t, err, sdk.ErrNetwork, "%s: %v", name, err)
			}
		})
	}
}

// The configuration that Connect asks for comes from the service, too.
func TestGatewayAtTheConfiguration(t *testing.T) {
	srv := sdktest.New(t)
	_, me := register(t, srv.Config(), "alice")
	cfg := quick(srv.Config())
	g := behindGateway(t, &cfg)
	g.answers("users/config", each(func() *http.Response { return page(403) }))
	res, err := newClient(t, cfg).Connect(t.Context(), me.Username, me.Password)
	answered(t, 500, "Connection Error", sdk.ErrNotConnected, res, err)
	require.ErrorIs(t, err, sdk.ErrNetwork)
}

// 202 and 204 may come without a body: the error has a text all the same.
func TestAnswerWithoutABody(t *testing.T) {
	cfg := quick(sdktest.New(t).Config())
	g := behindGateway(t, &cfg)
	client := login(t, cfg, "alice")
	for _, code := range []int{202, 204} {
		g.answers("feedback", each(func() *http.Response { return reply(code, "") }))
		res, err := client.SendFeedback(t.Context(), "title", "text")
		require.Equal(t, fmt.Sprintf("Unexpected answer: HTTP status %d without a body", code), res.Message)
		require.Equal(t, code, failed(t, res, err).StatusCode)
		require.Equal(t, sdk.OutcomeUnknown, outcomeTold(t, err))
	}
}

// Retry-After as a date goes by the Date of the same answer. Config.Now is the clock of the
// licensed time stamp alone.
func TestRetryAfterGoesByTheClockOfTheAnswer(t *testing.T) {
	cfg := quick(sdktest.New(t).Config())
	cfg.Now = func() time.Time { return time.Now().Add(-time.Hour) }
	g := behindGateway(t, &cfg)
	client := login(t, cfg, "alice")
	for name, header := range map[string][]string{
		"its own Date": {"Date", "Tue, 14 Nov 2023 22:13:20 GMT", "Retry-After", "Tue, 14 Nov 2023 22:15:20 GMT"},
		"no Date":      {"Retry-After", time.Now().Add(2 * time.Minute).UTC().Format(http.TimeFormat)},
		"garbled Date": {"Date", "now", "Retry-After", time.Now().Add(2 * time.Minute).UTC().Format(http.TimeFormat)},
	} {
		g.answers("feedback", each(func() *http.Response { return reply(429, "", header...) }))
		_, err := client.SendFeedback(t.Context(), "title", "text")
		require.ErrorIs(t, err, sdk.ErrRateLimited)
		var e *sdk.Error
		require.ErrorAs(t, err, &e)
		require.InDelta(t, 2*time.Minute, e.RetryAfter, float64(time.Minute), name)
	}
}

// gateway stands between a client and the service, as proxies, load balancers and firewalls do, and
// may answer in its place.
type gateway struct {
	next http.RoundTripper

	mu sync.Mutex
	// answer answers in the service's place; nil, or when it returns nil: the service does.
	answer func(*http.Request) *http.Response
	// seen is "METHOD path" of all requests.
	seen []string
	gone bool
}

// behindGateway sends the REST requests of the clients of cfg through a gateway.
func behindGateway(t *testing.T, cfg *sdk.Config) *gateway {
	t.Helper()
	base := &http.Transport{TLSClientConfig: cfg.TLSConfig, DialContext: cfg.DialContext}
	t.Cleanup(base.CloseIdleConnections)
	g := &gateway{next: base}
	cfg.HTTPClient = &http.Client{Transport: g}
	return g
}

func (g *gateway) RoundTrip(req *http.Request) (*http.Response, error) {
	g.mu.Lock()
	g.seen = append(g.seen, req.Method+" "+req.URL.Path)
	answer, gone := g.answer, g.gone
	g.mu.Unlock()
	if gone {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	}
	if answer != nil {
		if resp := answer(req); resp != nil {
			if req.Body != nil {
				_, _ = io.Copy(io.Discard, req.Body)
				_ = req.Body.Close()
			}
			resp.Request = req
			return resp, nil
		}
	}
	return g.next.RoundTrip(req)
}

// answers has the gateway answer requests whose path ends in path; nil: it answers none.
func (g *gateway) answers(path string, answer func(*http.Request) *http.Response) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answer = func(req *http.Request) *http.Response {
		if answer == nil || !strings.HasSuffix(req.URL.Path, path) {
			return nil
		}
		return answer(req)
	}
}

// vanish makes the service unreachable.
func (g *gateway) vanish() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gone = true
}

// count is how many requests of this method there were to paths that end in path.
func (g *gateway) count(method, path string) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, call := range g.seen {
		if strings.HasPrefix(call, method+" ") && strings.HasSuffix(call, path) {
			n++
		}
	}
	return n
}

// reply is an answer, with header fields as name and value in turn.
func reply(code int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{
		StatusCode: code, ProtoMajor: 1, ProtoMinor: 1, Header: h,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// always is the refusal of the service with this status.
func always(status int) func(*http.Request) *http.Response {
	return func(*http.Request) *http.Response {
		return told(status, fmt.Sprintf(`{"status":%d,"message":"no"}`, status))
	}
}

// page is what a gateway answers for itself.
func page(code int) *http.Response {
	return reply(code, "<html><body>gateway</body></html>", "Content-Type", "text/html; charset=utf-8")
}

// told is what the service answers: JSON with an envelope (protocol.md 1.4).
func told(code int, envelope string) *http.Response {
	return reply(code, envelope, "Content-Type", "application/json")
}

func report(ctx context.Context, c *sdk.Client) error {
	_, err := c.ReportUserOrGroup(ctx, bobJID, sdk.ChatTypeChat, reported())
	return err
}
