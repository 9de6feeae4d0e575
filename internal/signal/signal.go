// Package signal is a Socket.IO 2.x client for the signalling server of the QR login (protocol.md
// 7.1). It speaks Engine.IO protocol 3, and protocol 4 when the server refuses 3 (Socket.IO 3 and
// later). It begins with WebSocket. Where a server does not allow that, it uses HTTP long polling
// with an upgrade to WebSocket.
//
// A [Conn] outlives its connections: it replaces a lost one until Close. It knows the namespace "/"
// and text events. It ignores binary events, other namespaces and everything else that it does not
// know, and sends no acknowledgements.
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

// Errors that callers match with errors.Is.
var (
	// ErrInsecure: the URL, or a redirect, is not encrypted and AllowInsecure is off.
	ErrInsecure = errors.New("signal: unencrypted connection")
	// ErrURL: Config.URL is no address of a signalling server.
	ErrURL = errors.New("signal: not a signalling server's address")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("signal: closed")
	// ErrRefused: the server did not let us into the namespace (packet 44).
	ErrRefused = errors.New("signal: refused by the server")
	// ErrDisconnected: the server ended the session for good (packet 41). As in the JavaScript
	// client, no reconnect follows.
	ErrDisconnected = errors.New("signal: disconnected by the server")
)

// Defaults of [Config]. The dial timeout is the JavaScript client's (protocol.md 7.1).
const (
	DefaultDialTimeout = 20 * time.Second
	DefaultMinDelay    = 500 * time.Millisecond
	DefaultMaxDelay    = 30 * time.Second
)

// Config says which server to reach and how. The zero value of every field but URL is a sensible
// default.
type Config struct {
	// URL is https, wss, http or ws. Its path is empty or ends in /socket.io/. Its query is kept.
	URL string
	// AllowInsecure permits http and ws.
	AllowInsecure bool
	// HTTPClient carries everything; nil: a client of our own. Its Timeout is not used, since a
	// connection may last for any time. When its Transport has a ResponseHeaderTimeout, polling
	// needs one that is longer than the server's ping interval (usually 25 s).
	HTTPClient *http.Client
	UserAgent  string
	// DialTimeout bounds each attempt to connect; default 20 s.
	DialTimeout time.Duration
	// MinDelay is the upper bound of the first pause before a reconnect; default 500 ms.
	MinDelay time.Duration
	// MaxDelay is the upper bound of every pause; default 30 s.
	MaxDelay time.Duration
	// Logger may be nil: nothing is logged then.
	Logger *slog.Logger
}

// Event is an event of the server: its name, and the arguments as they came.
type Event struct {
	Name string
	// Args are at most 16.
	Args []json.RawMessage
}

// Conn is a client that stays connected to one server until Close, which must be called. Any number
// of goroutines may use it. The fields above mu are immutable.
type Conn struct {
	dialer *dialer
	// cfg has its defaults filled in.
	cfg   Config
	queue *queue
	// deliver closes events.
	events chan Event
	// run closes done.
	done chan struct{}
	// ctx ends with Close.
	ctx    context.Context
	cancel context.CancelFunc
	// wg counts run and deliver.
	wg  sync.WaitGroup
	bye sync.Once

	mu sync.Mutex
	// session is nil while there is no connection.
	session *session
	// up is closed when there is a connection.
	up chan struct{}
	// err is why the Conn has ended; nil: it has not.
	err error
}

// Dial connects to the server and joins its namespace. ctx bounds that, and nothing later. Dial
// does not retry. errors.Is matches its error with ErrURL, ErrInsecure, ErrRefused and
// ErrDisconnected, and with the end of ctx or of DialTimeout (context.DeadlineExceeded). Any other
// error is a failure of network or server.
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
	// Close owns it. It ends with c.ctx, or when the server ends the Conn.
	c.wg.Go(func() { c.run(s) })
	// Close owns it. It ends with c.ctx, or after run, when the last event has been read.
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

// Events returns the channel of the server's events, in their order. A slow reader does not hold up
// the connection: at most 64 events and 4 MiB wait. Above that, the oldest event of the same name
// is dropped, so that the latest of each name is kept. The channel is closed when the Conn has
// ended, after the events that wait, which Close drops. All calls return the same channel.
func (c *Conn) Events() <-chan Event { return c.events }

// Err is why the Conn has ended: ErrClosed after Close, and ErrRefused or ErrDisconnected when the
// server has ended it. A lost connection does not end the Conn. Err is nil until the Conn has
// ended.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Emit sends an event. While there is no connection it waits for the next one, until ctx ends.
// After an error the server may have got the event. Emit never sends it twice.
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

// Close tells the server that we leave, if it can within a second, and ends everything. It waits
// for the goroutines. It always returns nil, and is idempotent.
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
