// Package rest speaks the service's HTTP API: the envelope, the raw
// authorization header, the licence lookup, the re-login after an expired token,
// repetition of what may be repeated, and uploads that stream (protocol.md 1, 3,
// 4.1, 4.2, 5, 8 and 9).
//
// Every method fails with an [*Error] that carries the status and the text the
// JavaScript SDK would hand to its caller.
package rest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// lookupURL is the service's own licence lookup (protocol.md 1.3).
const lookupURL = "https://api-config.mirrorfly.com/license/details"

// Config says which service to talk to and how.
type Config struct {
	// key material, and part of the register body
	LicenseKey string
	// prefix of every path; empty: looked up from the licence key at the first call
	BaseURL string
	// full URL of the lookup without its query; empty: the service's own
	LookupURL string
	// trial (sandbox) mode; when BaseURL is looked up, the lookup's trialMode decides
	Trial bool
	// permit http://, also in what the service hands out
	AllowInsecure bool
	// copied, see [New]; nil: a plain http.Client
	HTTPClient *http.Client
	// empty: the default of net/http
	UserAgent string
	// bounds shared work that no caller's context owns, and how long a transfer may stand still; 0:
	// 30s
	RequestTimeout time.Duration
	// nil: silent
	Logger *slog.Logger
	// clock of the time stamp in licensed passwords; nil: time.Now
	Now func() time.Time
}

// Client talks to one service for one account at a time. It is safe for
// concurrent use.
type Client struct {
	cfg  Config
	http http.Client
	// timeout bounds a JSON call: the Timeout of the caller's client, 0: none.
	timeout time.Duration
	// sleeps; replaced in tests
	wait func(context.Context, time.Duration) error

	// shared work that is under way
	shared sync.WaitGroup

	mu     sync.Mutex
	closed bool
	// grows when a login begins and when it ends
	logins uint32
	// without a base: not known yet
	site site
	// nil: none under way
	lookup  *flight
	session session
	// nil: none under way
	relogin *flight
}

// New returns a Client; it does no I/O and starts no goroutine.
//
// The HTTP client is copied. The copy follows at most 10 redirects and asks the
// original's CheckRedirect too, never takes the authorization header, a request
// body or a write to another host, never goes from https to http, and follows none
// that changes the method: the answer to a GET is no answer to a POST. Its Timeout bounds each
// JSON call as usual, but no transfer of a file: that may take as long as it moves.
func New(cfg Config) *Client {
	c := new(Client)
	c.Init(cfg)
	return c
}

// Init is New for a Client that is a part of something else. It comes before everything else, and
// once.
func (c *Client) Init(cfg Config) {
	if cfg.LookupURL == "" {
		cfg.LookupURL = lookupURL
	}
	if cfg.RequestTimeout <= 0 {
		cfg.RequestTimeout = 30 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c.cfg, c.http, c.wait = cfg, guardedClient(cfg.HTTPClient), sleep
	if cfg.HTTPClient != nil {
		c.timeout = cfg.HTTPClient.Timeout
	}
}

// Close ends the shared work (licence lookup, re-login) and waits for it. Calls
// that are under way are ended by their own context. It is idempotent.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	for _, f := range []*flight{c.lookup, c.relogin} {
		if f != nil {
			f.cancel(ErrClosed)
		}
	}
	c.mu.Unlock()
	c.shared.Wait()
}

// flight is a piece of work that several callers wait for and none of them owns.
type flight struct {
	// closed when err is set
	done   chan struct{}
	err    error
	cancel context.CancelCauseFunc
}

// launch starts work under a context of its own, bounded by RequestTimeout and
// Close. land stores the outcome; it runs with c.mu held. The caller holds c.mu.
func (c *Client) launch(work func(context.Context) error, land func(f *flight, err error)) *flight {
	ctx, end := context.WithCancelCause(context.Background())
	f := &flight{done: make(chan struct{}), cancel: end}
	if c.closed {
		end(ErrClosed)
		f.err = contextError(ctx)
		close(f.done)
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout)
	// Ends with work, at the latest when its context does. Close waits for it.
	c.shared.Go(func() {
		defer end(nil)
		defer cancel()
		err := work(ctx)
		c.mu.Lock()
		land(f, err)
		c.mu.Unlock()
		f.err = err
		close(f.done)
	})
	return f
}

// join waits for f. A caller whose context ends leaves; the flight goes on.
func (f *flight) join(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return contextError(ctx)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Errors that callers tell apart with errors.Is.
var (
	// http:// without AllowInsecure, or a redirect from https to it
	ErrInsecure = errors.New("unencrypted connection")
	// after Close
	ErrClosed = errors.New("client is closed")
	// the caller's reader failed, or its length is not Size
	ErrSource = errors.New("file could not be read as announced")
	// ErrLoginOver fails a request of a login that is over, see [ForLogin].
	ErrLoginOver = errors.New("the login that began this has ended")
)
