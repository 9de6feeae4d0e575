package sdk

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/mirrorfly-go/sdk/internal/dial"
	"github.com/mirrorfly-go/sdk/internal/prompt"
)

const (
	maxResponseHeader = 256 << 10 // bytes

	// idleConnTimeout is short: a session that is up needs REST seldom, and a connection that waits for it costs more
	// than the session itself, two goroutines and an open file. Calls that follow each other still share one.
	idleConnTimeout = 30 * time.Second

	// silence is how long an HTTP/2 connection may say nothing before it is asked whether it is there. After patience it is given up,
	// or when RequestTimeout is longer after that: calls that time out leave it in place, for all that share it.
	silence  = 15 * time.Second
	patience = 30 * time.Second
)

// httpPool is one http.Client for all that use it at the same time. What it has up, and what it dials, ends with the last of them.
type httpPool struct {
	dial dialFunc // immutable

	mu    sync.Mutex
	users int
	http  *http.Client
	life  *lifetime // of what http dials
}

// commonHTTP is that of all clients whose Config says nothing about how to connect.
var commonHTTP = httpPool{dial: spreading}

// join is followed by leave, or idle connections stay up until they time out.
func (p *httpPool) join() *http.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users++; p.users == 1 {
		p.life = new(lifetime)
		p.http = newHTTPClient(p.life, p.life.dialling(p.dial), nil, http.ProxyFromEnvironment, patience)
	}
	return p.http
}

func (p *httpPool) leave() {
	p.mu.Lock()
	p.users--
	last, client, life := p.users == 0, p.http, p.life
	p.mu.Unlock()
	if last { // who joins meanwhile gets others
		life.end(errClosed)
		client.CloseIdleConnections()
	}
}

// joinHTTP chooses who carries REST, the WebSocket upgrade and signalling; leaveHTTP is its counterpart.
func (c *Client) joinHTTP() *http.Client {
	switch {
	case c.cfg.HTTPClient != nil:
		return c.cfg.HTTPClient
	case c.cfg.sharesHTTP():
		return commonHTTP.join()
	}
	proxy := http.ProxyFromEnvironment
	if c.cfg.DialContext != nil {
		proxy = nil // who dials decides the way
	}
	return newHTTPClient(&c.life, c.dial, c.cfg.TLSConfig, proxy, max(patience, c.cfg.RequestTimeout))
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

// newHTTPClient makes one whose connections end soon after life, whatever they are used for then.
func newHTTPClient(life *lifetime, dial dialFunc, tlsConfig *tls.Config, proxy func(*http.Request) (*url.URL, error), patience time.Duration) *http.Client {
	tlsConfig = tlsConfig.Clone()
	if tlsConfig == nil {
		tlsConfig = &tls.Config{}
	}
	tlsConfig.MinVersion = max(tlsConfig.MinVersion, tls.VersionTLS12)
	if tlsConfig.Renegotiation == tls.RenegotiateNever { // else writing waits while the server takes its time over it
		dial = promptly(dial)
	}
	return &http.Client{Transport: &http.Transport{
		Proxy:                  proxy,
		DialContext:            life.tying(dial),
		TLSClientConfig:        tlsConfig,
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: maxResponseHeader,
		MaxIdleConnsPerHost:    32, // over HTTP/1.1 so many calls at a time find a connection that is up
		IdleConnTimeout:        idleConnTimeout,
		TLSHandshakeTimeout:    15 * time.Second,
		ExpectContinueTimeout:  time.Second,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: silence, PingTimeout: patience},
	}}
}

// requireTLS12 checks the caller's HTTPClient, whose Transport may serve others too, and that
// TLSConfig permits it. Our own connections raise the least version in their copies of that.
func (cfg *Config) requireTLS12() error {
	if cfg.HTTPClient != nil && cfg.Transport == TransportWebSocket {
		cfg.TLSConfig = nil // nobody needs it
	}
	cfg.TLSConfig = cfg.TLSConfig.Clone() // whoever else has it may change it, as an http.Transport does
	if c := cfg.TLSConfig; c != nil && c.MaxVersion != 0 && c.MaxVersion < tls.VersionTLS12 {
		return invalid("TLSConfig.MaxVersion is below TLS 1.2, the least that is used")
	}
	if cfg.HTTPClient == nil || cfg.AllowInsecure {
		return nil
	}
	t, ok := cfg.HTTPClient.Transport.(*http.Transport)
	if ok && t.TLSClientConfig != nil && t.TLSClientConfig.MinVersion != 0 && t.TLSClientConfig.MinVersion < tls.VersionTLS12 {
		return insecure(errors.New("HTTPClient permits TLS before 1.2, set MinVersion in its TLSClientConfig"))
	}
	return nil
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
	return c.life.dialling(next)(ctx, network, address)
}

// dialTCP is dial, which ends with ctx also where Config.DialContext does not look at it: that goes on by
// itself then, and what it brings is closed. (net/http does the same for what it dials.)
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

// dialling is dial, ending with l: net/http goes on dialling after the request that wanted the connection has ended.
func (l *lifetime) dialling(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		within := l.begin(ctx, 0)
		defer within.over()
		return dial(within, network, address)
	}
}

// promptly has dial make connections of which the WebSocket upgrade can have that writing does not wait.
func promptly(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return prompt.Wrap(conn), nil
	}
}

// tying has the connections that dial makes end with l: net/http goes on with a TLS handshake after the request that wanted the
// connection has ended.
func (l *lifetime) tying(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		t := &tied{Conn: conn, life: l}
		t.tie.who = t
		l.bind(&t.tie)
		return t, nil
	}
}

// tied is a connection that ends with a lifetime. An XMPP session on it has its time to say goodbye.
type tied struct {
	net.Conn
	life *lifetime
	tie  tie
}

func (t *tied) Close() error {
	t.life.release(&t.tie)
	return t.Conn.Close()
}

func (t *tied) end(error) {
	time.AfterFunc(closeTimeout, func() { _ = t.Conn.Close() }) // fails when somebody has
}

// NetConn returns the connection itself, as that of *tls.Conn does.
func (t *tied) NetConn() net.Conn { return t.Conn }
