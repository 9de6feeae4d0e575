package sdk

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/mirrorfly-go/sdk/internal/dial"
	"github.com/mirrorfly-go/sdk/internal/frames"
	"github.com/mirrorfly-go/sdk/internal/httpguard"
)

const (
	maxResponseHeader = 256 << 10 // bytes

	// idleConnTimeout is short: a session that is up needs REST seldom, and a connection that waits
	// for it costs more than the session itself, two goroutines and an open file. Calls that follow
	// each other still share one.
	idleConnTimeout = 30 * time.Second

	// silence is how long an HTTP/2 connection may say nothing before it is asked whether it is
	// there. After patience it is given up, or when RequestTimeout is longer after that: calls that
	// time out leave it in place, for all that share it.
	silence  = 15 * time.Second
	patience = 30 * time.Second
)

// httpPool is one http.Client for all that use it at the same time. What it has up, and what it
// dials, ends with the last of them.
type httpPool struct {
	dial dialFunc // immutable

	mu     sync.Mutex
	users  int
	http   *http.Client
	cancel context.CancelCauseFunc // ends what http dials
}

// commonHTTP is that of all clients whose Config says nothing about how to connect.
var commonHTTP = httpPool{dial: spreading}

// join is followed by leave, or idle connections stay up until they time out.
func (p *httpPool) join() *http.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users++; p.users == 1 {
		var life context.Context
		life, p.cancel = context.WithCancelCause(context.Background())
		p.http = newHTTPClient(life, dialWithin(life, p.dial), nil, http.ProxyFromEnvironment, patience)
	}
	return p.http
}

func (p *httpPool) leave() {
	p.mu.Lock()
	p.users--
	last, client, cancel := p.users == 0, p.http, p.cancel
	p.mu.Unlock()
	if last { // who joins meanwhile gets another one
		cancel(errClosed)
		client.CloseIdleConnections()
	}
}

// joinHTTP chooses what carries REST, the WebSocket upgrade and signalling. leaveHTTP gives it up.
func (c *Client) joinHTTP() *http.Client {
	switch {
	case c.cfg.HTTPClient != nil:
		return c.cfg.HTTPClient
	case c.cfg.sharesHTTP():
		return commonHTTP.join()
	}
	proxy := http.ProxyFromEnvironment
	if c.cfg.DialContext != nil {
		proxy = nil // DialContext decides the way
	}
	return newHTTPClient(c.ctx, c.dial, c.cfg.TLSConfig, proxy, max(patience, c.cfg.RequestTimeout))
}

// leaveHTTP is called once.
func (c *Client) leaveHTTP() {
	switch {
	case c.cfg.HTTPClient != nil: // the caller's
	case c.cfg.sharesHTTP():
		commonHTTP.leave()
	default:
		c.http.CloseIdleConnections()
	}
}

func (cfg *Config) sharesHTTP() bool {
	return cfg.HTTPClient == nil && cfg.TLSConfig == nil && cfg.DialContext == nil && cfg.RequestTimeout <= patience
}

// newHTTPClient makes a client whose connections end soon after life, whatever they are used for
// then.
func newHTTPClient(
	life context.Context, dial dialFunc, tlsConfig *tls.Config,
	proxy func(*http.Request) (*url.URL, error), patience time.Duration,
) *http.Client {
	tlsConfig = tlsConfig.Clone()
	if tlsConfig == nil {
		tlsConfig = &tls.Config{}
	}
	tlsConfig.MinVersion = max(tlsConfig.MinVersion, tls.VersionTLS12)
	// else writing waits while the server takes its time over it
	if tlsConfig.Renegotiation == tls.RenegotiateNever {
		dial = promptly(dial)
	}
	return &http.Client{Transport: &http.Transport{
		Proxy:                  proxy,
		OnProxyConnectResponse: httpguard.CheckProxy,
		DialContext:            endWith(life, dial),
		TLSClientConfig:        tlsConfig,
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: maxResponseHeader,
		// over HTTP/1.1 so many calls at a time find a connection that is up
		MaxIdleConnsPerHost:   32,
		IdleConnTimeout:       idleConnTimeout,
		TLSHandshakeTimeout:   15 * time.Second,
		ExpectContinueTimeout: time.Second,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: silence, PingTimeout: patience},
	}}
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// spreading goes to any of the machines of a name.
var spreading = new(dial.Dialer).DialContext

// dial connects as Config.DialContext does, or spreads over the machines of a name.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	next := c.cfg.DialContext
	if next == nil {
		next = spreading
	}
	return dialWithin(c.ctx, next)(ctx, network, address)
}

// dialTCP is dial, which ends with ctx also where Config.DialContext does not look at it: that goes
// on by itself then, and what it brings is closed. (net/http does the same for what it dials.)
func (c *Client) dialTCP(ctx context.Context, network, address string) (net.Conn, error) {
	if c.cfg.DialContext == nil {
		return c.dial(ctx, network, address)
	}
	type outcome struct {
		conn net.Conn
		err  error
	}
	dialled := make(chan outcome)
	go func() { // ends with the dial, whose owner is the caller's DialContext
		conn, err := c.dial(ctx, network, address)
		select {
		case dialled <- outcome{conn, err}:
		case <-ctx.Done():
			if conn != nil {
				_ = conn.Close() // nobody has seen it
			}
		}
	}()
	select {
	case o := <-dialled:
		return o.conn, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// dialWithin is dial, which also ends with life: net/http goes on dialling after the request that
// wanted the connection has ended.
func dialWithin(life context.Context, dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, release := endingWith(ctx, life)
		defer release()
		return dial(ctx, network, address)
	}
}

// promptly is dial with connections to which a WebSocket session can write without waiting.
func promptly(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return frames.Wrap(conn), nil
	}
}

// endWith is dial with connections that end with life: net/http goes on with a TLS handshake after
// the request that wanted the connection has ended.
func endWith(life context.Context, dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &boundConn{Conn: conn, release: context.AfterFunc(life, func() {
			// An XMPP session has its time to say goodbye. Close fails when that has closed it.
			time.AfterFunc(closeTimeout, func() { _ = conn.Close() })
		})}, nil
	}
}

// boundConn is a connection that ends with a context.
type boundConn struct {
	net.Conn
	release func() (stopped bool)
}

// Close closes the connection, which then no longer waits for its context.
func (b *boundConn) Close() error {
	b.release()
	return b.Conn.Close()
}

// NetConn returns the connection itself, as that of *tls.Conn does.
func (b *boundConn) NetConn() net.Conn { return b.Conn }
