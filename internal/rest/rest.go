// Package rest speaks the service's HTTP API: the envelope, the raw authorization header, the
// licence lookup, the re-login after an expired token, repetitions, and uploads that stream
// (protocol.md 1, 3, 4.1, 4.2, 5, 8 and 9).
//
// Every method fails with an [*Error] that carries the status and the text that the JavaScript SDK
// would return to its caller.
package rest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/mirrorfly-go/sdk/internal/observe"
)

// lookupURL is the service's own licence lookup (protocol.md 1.3).
const lookupURL = "https://api-config.mirrorfly.com/license/details"

// Config says which service to talk to and how.
type Config struct {
	// LicenseKey is key material, and a part of the register body.
	LicenseKey string
	// BaseURL is the prefix of every path. When it is empty, the first call looks it up by the
	// licence key.
	BaseURL string
	// LookupURL is the full URL of the lookup without its query; empty: the service's own.
	LookupURL string
	// Trial is trial (sandbox) mode. When BaseURL is looked up, the lookup's trialMode decides.
	Trial bool
	// AllowInsecure permits http://, also in URLs that the service returns.
	AllowInsecure bool
	// FetchForeignURLs permits files at URLs that other users have chosen, see [Client.FindMedia].
	FetchForeignURLs bool
	// HTTPClient is copied, see [New]; nil: a plain http.Client.
	HTTPClient *http.Client
	// UserAgent is empty for the default of net/http.
	UserAgent string
	// RequestTimeout bounds shared work that no caller's context owns, and how long a transfer may
	// stand still; 0: 30s.
	RequestTimeout time.Duration
	// Logger may be nil: nothing is logged then.
	Logger *slog.Logger
	// Observer is told of each request; nil: nobody is.
	Observer *observe.Observer
	// Now is the clock of the time stamp in licensed passwords; nil: time.Now.
	Now func() time.Time
}

// Client talks to one service for one account at a time. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http http.Client
	// timeout bounds a JSON call: the Timeout of the caller's client, 0: none.
	timeout time.Duration
	// wait sleeps. Tests replace it.
	wait func(context.Context, time.Duration) error

	// shared counts the shared work that is under way.
	shared sync.WaitGroup

	mu     sync.Mutex
	closed bool
	// logins grows when a login begins and when it ends.
	logins uint32
	// site has no base until it is known.
	site site
	// lookup is the licence lookup under way, or nil.
	lookup  *flight
	session session
	// relogin is the re-login under way, or nil.
	relogin *flight
}

// New returns a Client; it does no I/O and starts no goroutine.
//
// The HTTP client is copied. The copy follows at most 10 redirects, and asks the original's
// CheckRedirect, too. It never takes the authorization header, a request body or a write to another
// host, never goes from https to http, and follows no redirect that changes the method: the answer
// to a GET is no answer to a POST. Its Timeout bounds each JSON call as usual, but not the transfer
// of a file, which may take as long as it moves.
func New(cfg Config) *Client {
	c := new(Client)
	c.Init(cfg)
	return c
}

// Init makes a Client of the zero value, as New does. It must be called once, before every other
// method.
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

// Close ends the shared work (licence lookup, re-login) and waits for it. It does not end calls
// that are under way: their own contexts do. It is idempotent.
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
	// done is closed when err is set.
	done   chan struct{}
	err    error
	cancel context.CancelCauseFunc
}

// launchLocked starts work under a context of its own, which RequestTimeout and Close end. land
// stores the outcome; it is called with c.mu held.
func (c *Client) launchLocked(work func(context.Context) error, land func(f *flight, err error)) *flight {
	ctx, end := context.WithCancelCause(context.Background())
	f := &flight{done: make(chan struct{}), cancel: end}
	if c.closed {
		end(ErrClosed)
		f.err = contextError(ctx)
		close(f.done)
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.RequestTimeout)
	// Close owns it and waits for it. It ends with work, at the latest when its context does.
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

// join waits for the end of f, or of ctx. The end of ctx does not end f.
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

// Errors that callers match with errors.Is.
var (
	// ErrInsecure is for http:// without AllowInsecure, and for a redirect from https to http.
	ErrInsecure = errors.New("unencrypted connection")
	// ErrClosed is for a call after Close.
	ErrClosed = errors.New("client is closed")
	// ErrSource means that the caller's reader failed, or does not have Size bytes.
	ErrSource = errors.New("file could not be read as announced")
	// ErrLoginOver fails a request of a login that is over, see [ForLogin].
	ErrLoginOver = errors.New("the login that began this has ended")
)
