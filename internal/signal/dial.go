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
	// maxBody is how many bytes a WebSocket message or a polling body may have.
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
	// own is a transport of our own; nil: the caller's is used.
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
	// A timeout of the caller's would end long polls and connections.
	client.Timeout = 0
	client.CheckRedirect = httpguard.Redirects(client.CheckRedirect, stayEncrypted(cfg.AllowInsecure))
	d.client = &client
	return d, nil
}

// close drops the idle connections of our own transport.
func (d *dialer) close() {
	if d.own != nil {
		d.own.CloseIdleConnections()
	}
}

// parseURL makes the Socket.IO endpoint, http or https, from the configured URL.
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
	// The JavaScript client takes another path for a namespace.
	if u.Path == "" || u.Path == "/" {
		u.Path = path
	} else if !strings.HasSuffix(u.Path, path) {
		return nil, errors.New("signal: URL path does not end in " + path)
	}
	u.Fragment = ""
	return u, nil
}

// stayEncrypted is a rule for redirects: without allowInsecure they must stay encrypted.
func stayEncrypted(allowInsecure bool) httpguard.Check {
	return func(next *http.Request, _ []*http.Request) error {
		if !allowInsecure && next.URL.Scheme != "https" && next.URL.Scheme != "wss" {
			return fmt.Errorf("%w: redirect to %q", ErrInsecure, next.URL.Scheme)
		}
		return nil
	}
}

// dial connects with Engine.IO 3. When the server seems not to know that protocol, it tries 4.
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
		// With b64, binary packets come as text, as everything else does.
		q.Set("b64", "1")
		// With t, no cache has the answer.
		q.Set("t", strconv.FormatUint(rand.Uint64(), 36))
	}
	if sid != "" {
		q.Set("sid", sid)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// header is the header of every request. By the cookies of the handshake, a load balancer finds the
// server that has the session.
func (d *dialer) header(cookies []*http.Cookie) http.Header {
	req := http.Request{Header: http.Header{}}
	if d.userAgent != "" {
		req.Header.Set("User-Agent", d.userAgent)
	}
	// A cookie jar does that by itself.
	if d.client.Jar == nil {
		for _, c := range cookies[:min(len(cookies), maxCookies)] {
			req.AddCookie(c)
		}
	}
	return req.Header
}

// half returns a context with half of the time of ctx, for the first of two attempts.
func half(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/2)
}

// hearing is a reader of r that calls heard when bytes come.
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
