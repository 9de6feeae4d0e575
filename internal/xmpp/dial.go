package xmpp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Config says where a session goes and who it is.
type Config struct {
	Addresses []Address // tried in random order; one that is dead costs at most DialTimeout
	Domain    string    // of the accounts, and of the certificate on TCP
	Username  string    // local part of the JID
	Password  string    // as it goes over the wire (protocol.md 4.2)
	Resource  string    // asked for; the server may bind another

	// Authorize, if not nil, is called when the connection is ready for the login, and holds that up until it returns. An error ends
	// the attempt: nothing of the credentials has been written.
	Authorize func(context.Context) error

	// AllowInsecure permits ws:// and, on TCP, a server without STARTTLS.
	// Otherwise they fail with ErrInsecure before anything secret is sent.
	AllowInsecure bool

	HTTPClient  *http.Client                                                         // for the WebSocket upgrade; a copy is used, without its Timeout and redirects
	TLSConfig   *tls.Config                                                          // for TCP; a copy is used, with at least TLS 1.2 and ServerName = Domain when unset
	DialContext func(ctx context.Context, network, address string) (net.Conn, error) // for TCP; nil: all addresses of the name are tried

	// DialTimeout bounds, for each address, the way to a secure stream: connecting,
	// TLS and the server's first answer. Default 5s, and 15s for the last: nobody is waiting behind it.
	DialTimeout time.Duration

	Memory *Memory     // what earlier sessions have learned; nil: nothing is remembered
	Resume *Resumption // the stream to take up, if the server still has it; nil: none

	RequestTimeout    time.Duration // bounds a request whose context has no deadline; 0: never
	KeepAliveInterval time.Duration // silence after which the server is pinged; 0 or less: never
	KeepAliveTimeout  time.Duration // how long it may then stay silent; default 20s

	// Ignored, if not nil, counts what Session.Ignored counts, over all sessions that are given it.
	Ignored *atomic.Int64

	UserAgent string       // header of the WebSocket upgrade
	Logger    *slog.Logger // nil: silent. Frames at debug level: their first tag only
	Handle    func(Event)  // gets the pushes, in order, on the read loop: what it takes, the server waits. nil: they are dropped
}

const (
	defaultDialTimeout      = 5 * time.Second
	lastDialTimeout         = 15 * time.Second
	defaultKeepAliveTimeout = 20 * time.Second
	maxRedirects            = 2
)

func (c *Config) setDefaults() {
	if c.KeepAliveTimeout <= 0 {
		c.KeepAliveTimeout = defaultKeepAliveTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Handle == nil {
		c.Handle = func(Event) {}
	}
}

func (c *Config) check() error {
	if len(c.Addresses) == 0 {
		return errors.New("no address")
	}
	if _, err := ParseJID(c.Username + "@" + c.Domain + "/" + c.Resource); err != nil {
		return err
	}
	for _, a := range c.Addresses {
		if err := c.permit(a); err != nil {
			return err
		}
	}
	return nil
}

// permit refuses an address that cannot be reached with TLS.
func (c *Config) permit(a Address) error {
	if a.Scheme == schemeWS && !c.AllowInsecure {
		return fmt.Errorf("%s: %w", a, ErrInsecure)
	}
	return nil
}

// Dial connects to one of the addresses, authenticates and binds a resource
// (protocol.md 4.3). ctx bounds only this: once Dial has returned, its end does
// nothing to the session.
//
// An [*AuthError] that is Final is the same at every address; after any other failure the next address
// is tried. The error then names them all. It matches the one that says most: a refusal of the account
// before a refusal for now, that before a failure of the network, and [ErrInsecure] only when no
// address has another.
func Dial(ctx context.Context, cfg Config) (*Session, error) {
	cfg.setDefaults()
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("xmpp: dial: %w", err)
	}
	addresses := cfg.order()
	if cfg.Resume != nil {
		cfg.Resume.visited = true // its place goes first once: it may be dead, and take all the time that there is
	}
	given := cfg.DialTimeout
	failed := new(failures)
	for i, addr := range addresses {
		if given <= 0 && i < len(addresses)-1 {
			cfg.DialTimeout = defaultDialTimeout
		} else if given <= 0 {
			cfg.DialTimeout = lastDialTimeout
		}
		s, err := dialFollowing(ctx, &cfg, addr)
		if err == nil {
			return s, nil
		}
		err = fmt.Errorf("xmpp: dial %s: %w", addr, err)
		failed.add(err)
		if ctx.Err() != nil {
			failed.telling = err
			break
		}
		if auth := (*AuthError)(nil); errors.As(err, &auth) && auth.Final() {
			break
		}
		cfg.Logger.DebugContext(ctx, "address failed", "op", "dial", "address", addr.String(), "err", err)
	}
	return nil, failed
}

// order is the addresses as they are tried: where the server wants the lost stream
// resumed, then all in random order.
func (c *Config) order() []Address {
	var addresses []Address
	if c.Resume != nil && c.Resume.m.at != nil && !c.Resume.visited && c.permit(*c.Resume.m.at) == nil {
		addresses = append(addresses, *c.Resume.m.at)
	}
	for _, i := range rand.Perm(len(c.Addresses)) {
		addresses = append(addresses, c.Addresses[i])
	}
	return addresses
}

// dialFollowing goes where the server sends us, at most maxRedirects times.
func dialFollowing(ctx context.Context, cfg *Config, addr Address) (*Session, error) {
	for hops := 0; ; hops++ {
		s, err := dialOne(ctx, cfg, addr)
		r := (*redirect)(nil)
		if !errors.As(err, &r) || hops == maxRedirects {
			return s, err
		}
		if addr, err = r.from(addr); err != nil {
			return nil, err
		}
		if err := cfg.permit(addr); err != nil {
			return nil, err
		}
	}
}

// handshake makes a session. hasty: something was written ahead.
func handshake(ctx context.Context, cfg *Config, addr Address, stepwise bool) (s *Session, hasty bool, err error) {
	early, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	f, err := connect(early, cfg, addr)
	if err != nil {
		return nil, false, dialError(ctx, early, cfg, err)
	}
	n := &negotiation{cfg: cfg, f: f, addr: addr, stepwise: stepwise}
	if n.knowsServer() {
		if err := n.authorize(ctx); err != nil {
			f.Cut()
			return nil, false, err
		}
		cancel() // what was waited for is not the server's
		early, cancel = context.WithTimeout(ctx, cfg.DialTimeout)
		defer cancel()
	}
	if err := n.run(ctx, early); err != nil {
		f.Cut()
		return nil, n.hasty, dialError(ctx, early, cfg, err)
	}
	if n.hasty {
		cfg.Memory.writesAhead(cfg.Domain)
	}
	return newSession(cfg, n), n.hasty, nil
}

func connect(ctx context.Context, cfg *Config, addr Address) (framer, error) {
	if addr.webSocket() {
		f, err := dialWebSocket(ctx, cfg, addr)
		if err != nil {
			return nil, err
		}
		return f, nil
	}
	f, err := dialTCP(ctx, cfg, addr)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// dialError tells the caller's deadline from our own, which is not the caller's.
func dialError(ctx, early context.Context, cfg *Config, err error) error {
	if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
		<-ctx.Done() // a dialler's own timer for that deadline may go off first
	}
	switch {
	case ctx.Err() != nil && !errors.Is(err, ctx.Err()):
		return fmt.Errorf("%w (%w)", ctx.Err(), err)
	case ctx.Err() == nil && early.Err() != nil:
		return fmt.Errorf("no answer within %v (%v)", cfg.DialTimeout, err)
	}
	return err
}
