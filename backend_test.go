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

	"github.com/mirrorfly-go/sdk"
)

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
