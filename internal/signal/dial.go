package signal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk/internal/httpguard"
)

const (
	// bytes of a WebSocket message or a polling body
	maxBody      = 1 << 20
	maxErrorBody = 4 << 10
	maxCookies   = 16
	path         = "/socket.io/"
)

var errProtocol = errors.New("no answer in this Engine.IO protocol")

// dialer makes connections to one server.
type dialer struct {
	endpoint  *url.URL
	client    *http.Client
	userAgent string
	// ours alone; nil: the caller's is used
	own *http.Transport
}

func newDialer(cfg Config) (*dialer, error) {
	endpoint, err := parseURL(cfg.URL, cfg.AllowInsecure)
	if err != nil && !errors.Is(err, ErrInsecure) {
		err = fmt.Errorf("%w: %w", ErrURL, err)
	}
	if err != nil {
		return nil, err
	}
	d := &dialer{endpoint: endpoint, userAgent: cfg.UserAgent}
	client := http.Client{}
	if cfg.HTTPClient != nil {
		client = *cfg.HTTPClient
	} else {
		d.own = &http.Transport{Proxy: http.ProxyFromEnvironment}
		client.Transport = d.own
	}
	// it would end a long poll, and does not know of ours
	client.Timeout = 0
	client.CheckRedirect = httpguard.Redirects(client.CheckRedirect, stayEncrypted(cfg.AllowInsecure))
	d.client = &client
	return d, nil
}

// close drops the idle connections that nobody else can use.
func (d *dialer) close() {
	if d.own != nil {
		d.own.CloseIdleConnections()
	}
}

// parseURL makes the Socket.IO endpoint, http or https, of what the caller configured.
func parseURL(raw string, allowInsecure bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, opError("URL", httpguard.WithoutURL(err))
	}
	switch u.Scheme {
	case "wss", "https":
		u.Scheme = "https"
	case "ws", "http":
		if !allowInsecure {
			return nil, fmt.Errorf("%w: URL scheme %q", ErrInsecure, u.Scheme)
		}
		u.Scheme = "http"
	default:
		return nil, fmt.Errorf("signal: URL scheme %q is not https, wss, http or ws", u.Scheme)
	}
	if u.Hostname() == "" {
		return nil, errors.New("signal: URL has no host")
	}
	// Another path would be a namespace to the JavaScript client.
	if u.Path == "" || u.Path == "/" {
		u.Path = path
	} else if !strings.HasSuffix(u.Path, path) {
		return nil, errors.New("signal: URL path does not end in " + path)
	}
	u.Fragment = ""
	return u, nil
}

// stayEncrypted returns a rule for redirects: without allowInsecure they stay encrypted.
func stayEncrypted(allowInsecure bool) httpguard.Check {
	return func(next *http.Request, _ []*http.Request) error {
		if !allowInsecure && next.URL.Scheme != "https" && next.URL.Scheme != "wss" {
			return fmt.Errorf("%w: redirect to %q", ErrInsecure, next.URL.Scheme)
		}
		return nil
	}
}

// dial connects with Engine.IO 3, or with 4 if that seems to be what the server
// did not understand.
func (d *dialer) dial(ctx context.Context) (transport, handshake, error) {
	t, hs, err := d.dialProtocol(ctx, 3)
	if errors.Is(err, errProtocol) && ctx.Err() == nil {
		t, hs, err = d.dialProtocol(ctx, 4)
	}
	return t, hs, err
}

// dialProtocol tries WebSocket first, then polling with an upgrade.
func (d *dialer) dialProtocol(ctx context.Context, protocol int) (transport, handshake, error) {
	ws, hs, err := d.dialWebSocket(ctx, protocol)
	if err == nil {
		return ws, hs, nil
	}
	if ctx.Err() != nil {
		return nil, hs, err
	}
	p, hs, pollErr := d.dialPolling(ctx, protocol)
	if pollErr != nil {
		return nil, hs, fmt.Errorf("websocket: %w; polling: %w", err, pollErr)
	}
	t, err := d.upgrade(ctx, p, hs)
	return t, hs, err
}

// url is the endpoint with the query of a request; sid is empty before the handshake.
func (d *dialer) url(protocol int, transport, sid string) string {
	u := *d.endpoint
	q := u.Query()
	q.Set("EIO", strconv.Itoa(protocol))
	q.Set("transport", transport)
	if transport == "polling" {
		// binary packets as text, so that all payloads are
		q.Set("b64", "1")
		// keeps caches out
		q.Set("t", strconv.FormatUint(rand.Uint64(), 36))
	}
	if sid != "" {
		q.Set("sid", sid)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// header is what every request carries. Cookies of the handshake bring a session
// back to the server behind a load balancer that has it.
func (d *dialer) header(cookies []*http.Cookie) http.Header {
	req := http.Request{Header: http.Header{}}
	if d.userAgent != "" {
		req.Header.Set("User-Agent", d.userAgent)
	}
	// else it does that
	if d.client.Jar == nil {
		for _, c := range cookies[:min(len(cookies), maxCookies)] {
			req.AddCookie(c)
		}
	}
	return req.Header
}

// half is a context for one of two attempts that share the time of ctx.
func half(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/2)
}

// hearing calls heard when bytes of r come.
type hearing struct {
	r     io.Reader
	heard func()
}

func (h hearing) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	if n > 0 {
		h.heard()
	}
	return n, err
}

// readBody reads a body of at most limit bytes.
func readBody(r io.Reader, limit int64) (string, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = fmt.Errorf("answer of more than %d bytes", limit)
	}
	return string(body), err
}

// opError names the operation. nil stays nil.
func opError(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("signal: %s: %w", op, err)
}
