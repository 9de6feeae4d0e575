package xmpp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/mirrorfly-go/sdk/internal/frames"
	"github.com/mirrorfly-go/sdk/internal/observe"
)

// Address is where a server is reached.
type Address = frames.Address

// ParseAddresses reads a list of addresses, as [frames.ParseAddresses] does.
func ParseAddresses(list string, tcp bool) ([]Address, error) {
	return frames.ParseAddresses(list, tcp)
}

// Config says where a session goes and who it is.
type Config struct {
	// Addresses are tried in random order. One that is dead costs at most DialTimeout.
	Addresses []Address
	// Domain is that of the accounts, and over TCP that of the certificate.
	Domain string
	// Username is the local part of the JID.
	Username string
	// Password is as it goes over the wire (protocol.md 4.2).
	Password string
	// Resource is what we ask for. The server may bind another.
	Resource string

	// Authorize, if not nil, is called when the connection is ready for the login, and holds that
	// up until it returns. An error ends the attempt: nothing of the credentials has been written.
	Authorize func(context.Context) error

	// AllowInsecure permits ws:// and, on TCP, a server without STARTTLS. Otherwise they fail with
	// ErrInsecure before anything secret is sent.
	AllowInsecure bool

	// HTTPClient is for the WebSocket upgrade. A copy is used, without its Timeout and its
	// redirects.
	HTTPClient *http.Client
	// UserAgent is a header of the WebSocket upgrade.
	UserAgent string
	// TLSConfig is for TCP. A copy is used, with at least TLS 1.2, and with Domain as ServerName if
	// it has none.
	TLSConfig *tls.Config
	// DialContext is for TCP. nil: all addresses of the name are tried.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)

	// DialTimeout bounds, for each address, the way to a secure stream: connecting, TLS and the
	// server's first answer. Default 5s, and 15s for the last address, since no other waits behind
	// it.
	DialTimeout time.Duration

	// ExpectPipelining: the server is known to announce after the login that it takes what is
	// written ahead. It counts until Memory knows better.
	ExpectPipelining bool
	// Memory is what earlier sessions have learned. nil: nothing is remembered.
	Memory *Memory
	// Resume is the stream to take up, if the server still has it. nil: none.
	Resume *Resumption

	// LeaveMessages: the server gives us no messages, and keeps them for other devices and for
	// later.
	LeaveMessages bool

	// RequestTimeout bounds a request whose context has no deadline, and likewise the wait for a
	// message to be confirmed. 0: never.
	RequestTimeout time.Duration
	// KeepAliveInterval is the silence after which the server is pinged. 0 or less: never.
	KeepAliveInterval time.Duration
	// KeepAliveTimeout is how long the server may stay silent after that. Default 20s.
	KeepAliveTimeout time.Duration

	// Logger is nil for silence. Frames are logged at [observe.LevelFrame], their first tag only.
	Logger *slog.Logger
	// Handle gets the pushes, in order, on the read loop: while it runs, the server waits. nil:
	// they are dropped.
	Handle func(Event)
	// Observer is told of requests and frames, and of the stanzas that are dropped: forged,
	// malformed, not understood, or replies that nobody waits for. Sessions may share it. nil:
	// nobody is told.
	Observer *observe.Observer
}

const (
	defaultDialTimeout      = 5 * time.Second
	lastDialTimeout         = 15 * time.Second
	defaultKeepAliveTimeout = 20 * time.Second
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
	if c.Observer == nil {
		c.Observer = new(observe.Observer)
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
	if a.WebSocket() && !a.Secure() && !c.AllowInsecure {
		return fmt.Errorf("%s: %w", a, ErrInsecure)
	}
	return nil
}

// authorize waits until the login may begin.
func (c *Config) authorize(ctx context.Context) error {
	if c.Authorize == nil {
		return nil
	}
	return c.Authorize(ctx)
}
