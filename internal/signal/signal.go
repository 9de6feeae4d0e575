// Package signal is a Socket.IO 2.x client for the signalling server of the QR
// login (protocol.md 7.1): Engine.IO protocol 3, and protocol 4 when the server
// refuses 3 (Socket.IO 3 and later). It speaks WebSocket from the start, and HTTP
// long polling with an upgrade to WebSocket where a server does not allow that.
//
// A [Conn] outlives its connections: a lost one is made again until Close. It
// knows the namespace "/" and text events; binary events, other namespaces and
// whatever else it does not know are ignored, acknowledgements are not sent.
package signal

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// What callers branch on.
var (
	// ErrInsecure: the URL, or a redirect, is not encrypted and AllowInsecure is off.
	ErrInsecure = errors.New("signal: unencrypted connection")
	// ErrURL: Config.URL is no address of a signalling server.
	ErrURL = errors.New("signal: not a signalling server's address")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("signal: closed")
	// ErrRefused: the server did not let us into the namespace (packet 44).
	ErrRefused = errors.New("signal: refused by the server")
	// ErrDisconnected: the server ended the session for good (packet 41). As in
	// the JavaScript client this is not followed by a reconnect.
	ErrDisconnected = errors.New("signal: disconnected by the server")
)

// Defaults of [Config]. The dial timeout is the JavaScript client's (protocol.md 7.1).
const (
	DefaultDialTimeout = 20 * time.Second
	DefaultMinDelay    = 500 * time.Millisecond
	DefaultMaxDelay    = 30 * time.Second
)

// Config says which server to reach and how. The zero value of every field but
// URL is a sensible default.
type Config struct {
	// URL is https, wss, http or ws, with an empty path, or with one that ends in
	// /socket.io/. Its query is kept.
	URL string
	// permit http and ws
	AllowInsecure bool
	// HTTPClient carries everything. Its Timeout is not used, as a connection has
	// no end; polling needs a Transport whose ResponseHeaderTimeout, if any, is
	// longer than the server's ping interval (usually 25 s). nil: one of our own.
	HTTPClient *http.Client
	UserAgent  string
	// for each attempt to connect; default 20 s
	DialTimeout time.Duration
	// upper bound of the first pause before a reconnect; default 500 ms
	MinDelay time.Duration
	// upper bound of every pause; default 30 s
	MaxDelay time.Duration
	// nil: silent
	Logger *slog.Logger
}

// Event is what the server has emitted: a name and the arguments as they came.
type Event struct {
	Name string
	// 16 at most
	Args []json.RawMessage
}

// Conn is a client that stays connected to one server until Close, which must be
// called. Any number of goroutines may use it.
type Conn struct {
	// immutable
	dialer *dialer
	// immutable, defaults filled in
	cfg Config
	// immutable
	queue *queue
	// immutable; closed by deliver
	events chan Event
	// immutable; closed by run
	done chan struct{}
	// immutable; ends with Close
	ctx    context.Context
	cancel context.CancelFunc
	// run and deliver
	wg  sync.WaitGroup
	bye sync.Once

	mu sync.Mutex
	// nil while there is no connection
	session *session
	// closed when there is one
	up chan struct{}
	// why it has ended; nil before
	err error
}

// Dial connects to the server and joins its namespace. ctx bounds that, and
// nothing later. It does not retry: ErrURL, ErrInsecure, ErrRefused and ErrDisconnected
// are matched with errors.Is, and so is the end of ctx or of DialTimeout
// (context.DeadlineExceeded); everything else is a network or server failure.
func Dial(ctx context.Context, cfg Config) (*Conn, error) {
	cfg = withDefaults(cfg)
	d, err := newDialer(cfg)
	if err != nil {
		return nil, err
	}
	c := &Conn{
		dialer: d, cfg: cfg, queue: newQueue(),
		events: make(chan Event), done: make(chan struct{}), up: make(chan struct{}),
	}
	s, err := c.dial(ctx)
	if err != nil {
		d.close()
		return nil, err
	}
	c.ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	c.setSession(s)
	// owner: Close; ends with c.ctx or for good
	c.wg.Go(func() { c.run(s) })
	// owner: Close; ends with c.ctx, or after run when read to the end
	c.wg.Go(func() { c.queue.deliver(c.ctx, c.events) })
	return c, nil
}

func withDefaults(cfg Config) Config {
	if cfg.DialTimeout <= 0 {
		cfg.DialTimeout = DefaultDialTimeout
	}
	if cfg.MinDelay <= 0 {
		cfg.MinDelay = DefaultMinDelay
	}
	if cfg.MaxDelay <= 0 {
		cfg.MaxDelay = DefaultMaxDelay
	}
	cfg.MaxDelay = max(cfg.MaxDelay, cfg.MinDelay)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg
}

// Events is the server's events in their order. A slow reader delays nobody: 64
// events and 4 MiB wait; above that the oldest of the same name makes room, so
// the latest of each name is kept. The channel is closed when the Conn has ended,
// after what came before unless Close was called. All calls return the same channel.
func (c *Conn) Events() <-chan Event { return c.events }

// Err is why the Conn has ended: ErrClosed, because of Close, or ErrRefused or ErrDisconnected,
// because the server does not want us any more. A lost connection does not end the Conn. Err is nil
// while there is no end.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Emit sends an event. While there is no connection it waits for the next one,
// until ctx ends. An error may come after the server has got the event; it is
// never sent twice.
func (c *Conn) Emit(ctx context.Context, name string, args ...any) error {
	packet, err := encodeEvent(name, args)
	if err != nil {
		return err
	}
	for {
		c.mu.Lock()
		s, up := c.session, c.up
		c.mu.Unlock()
		if err := ctx.Err(); err != nil {
			return opError("emit", err)
		}
		if c.ctx.Err() != nil {
			return ErrClosed
		}
		if s != nil {
			return opError("emit", s.write(ctx, packet))
		}
		select {
		case <-up:
		case <-ctx.Done():
		case <-c.ctx.Done():
		case <-c.done:
			return c.Err()
		}
	}
}

// Close tells the server, without insisting, and ends everything. It waits for
// the goroutines, at most about a second. It always returns nil; more calls do nothing.
func (c *Conn) Close() error {
	c.bye.Do(func() {
		c.mu.Lock()
		s := c.session
		c.mu.Unlock()
		if s != nil {
			s.bye(c.ctx)
		}
		c.cancel()
	})
	c.wg.Wait()
	return nil
}

// setSession makes s the connection that Emit writes to; nil: there is none.
func (c *Conn) setSession(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s != nil {
		close(c.up)
	} else {
		c.up = make(chan struct{})
	}
	c.session = s
}
