package sdk

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorfly-go/sdk/internal/observe"
	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/unsent"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// Version is the version of this library, as told in the User-Agent.
const Version = "0.1.0"

// Client is one account's connection to the service. Its methods may be called by several
// goroutines at once. Use one Client for each account: they share nothing but HTTP connections, see
// Config.HTTPClient.
type Client struct {
	// Immutable, each with its own lock where it changes inside.
	cfg       Config // with its defaults
	http      *http.Client
	rest      rest.Client
	listeners listeners
	servers   xmpp.Memory // what its sessions have learned about the servers

	// ctx ends with Close, for the cause errClosed.
	ctx    context.Context
	cancel context.CancelCauseFunc
	// background are goroutines that outlive the call which has started them.
	background sync.WaitGroup
	closed     sync.Once // what Close does once

	encryptMedia atomic.Bool // SetMediaEncryption

	// changing has an element while a call changes the login. Calls that wait for it are served in
	// their order.
	changing chan struct{}
	inbox    inbox // the messages that have come
	observer *observe.Observer

	mu         sync.Mutex
	login      *login // nil: nobody is known
	connecting bool   // Connect, or a QR login, is under way
	status     ConnectionStatus
	changed    chan struct{} // closed at the next change of the above; nil: nobody waits for it
}

// New checks cfg and returns a client that is not connected. It does no I/O and starts no
// goroutine. A field that is missing or wrong is an *Error with ErrInvalidArgument, an
// unencrypted address without AllowInsecure one with ErrInsecure.
func New(cfg Config) (*Client, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, explain(context.Background(), "New", err)
	}
	c := &Client{cfg: cfg, status: StatusDisconnected, changing: make(chan struct{}, 1)}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.http = c.joinHTTP()
	c.cfg.Logger = withAccount(c.cfg.Logger)
	c.observe()
	c.listeners.init(&c.cfg, c.observer)
	c.rest.Init(rest.Config{
		LicenseKey:       cfg.LicenseKey,
		BaseURL:          cfg.APIBaseURL,
		LookupURL:        cfg.APIConfigURL,
		Trial:            cfg.TrialLicense,
		AllowInsecure:    cfg.AllowInsecure,
		FetchForeignURLs: cfg.FetchForeignURLs,
		HTTPClient:       c.http,
		UserAgent:        cfg.userAgent(),
		RequestTimeout:   cfg.RequestTimeout,
		Logger:           c.cfg.Logger,
		Observer:         c.observer,
		Now:              cfg.Now,
	})
	c.noteClient(false)
	return c, nil
}

// Close ends the session, every call under way and all goroutines of the library, without
// telling the service: the login stays valid there. It is idempotent, may be called by a
// listener, and waits for everything but listeners that are running, and dials that go on after
// their context has ended. What is called afterwards fails with ErrClosed. DISCONNECTED is told
// last, unless nothing has been told.
//
// It returns within 3 s, however the servers behave: it waits a second at most for the goodbye of
// the XMPP server (RFC 6120 4.4), with which a call over XMPP that is under way ends, a second for
// one that ends the session at the same moment, and a second to tell the signalling server of a QR
// login. Where they answer it is a matter of milliseconds.
func (c *Client) Close() error {
	c.end()
	if l := c.currentLogin(); l != nil {
		l.stop()
	}
	_ = c.lockLogin(context.Background()) // a call that has it ends with c.ctx
	c.tellEnded()
	c.unlockLogin()
	c.background.Wait()
	c.rest.Close()
	c.listeners.queue.Close()
	c.closed.Do(func() {
		c.leaveHTTP()
		c.noteClient(true)
	})
	return nil
}

// end ends c.ctx, under the lock that goInBackground needs.
func (c *Client) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel(errClosed)
}

// goInBackground runs f in a goroutine that Close waits for. It returns false, and does not run f,
// when the client is closed.
func (c *Client) goInBackground(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return false
	}
	c.background.Go(f) // owner: the Client; f ends with c.ctx at the latest
	return true
}

const success = "Success"

// run is the frame of calls over REST: their context ends with the client, and after
// Config.RequestTimeout when the caller has set no deadline. ok is the text of a success.
func run[T any](ctx context.Context, c *Client, op, ok string, f func(context.Context) (T, error)) (Result[T], error) {
	bound, release := endingWith(ctx, c.ctx)
	defer release()
	bound, cancel := c.withTimeout(bound)
	defer cancel()
	return answer(ctx, bound, c, op, ok, f)
}

// unbounded is run for calls that bound themselves, as a transfer does, which takes as long as it
// moves.
func unbounded[T any](
	ctx context.Context, c *Client, op, ok string, f func(context.Context) (T, error),
) (Result[T], error) {
	bound, release := endingWith(ctx, c.ctx)
	defer release()
	return answer(ctx, bound, c, op, ok, f)
}

// ask is the frame of calls over XMPP. The session ends them with the client, and knows how long a
// request may take.
func ask[T any](ctx context.Context, c *Client, op string, f func(context.Context) (T, error)) (Result[T], error) {
	return answer(ctx, ctx, c, op, success, f)
}

// answer runs a call in bound, which comes from the caller's context. Result and error agree.
func answer[T any](
	caller, bound context.Context, c *Client, op, ok string, f func(context.Context) (T, error),
) (Result[T], error) {
	var data T
	err := error(errClosed)
	within, watched := c.beginCall(bound, op)
	returned := false
	defer func() {
		if !returned { // a reader, a writer or a Progress of the program has panicked
			watched.end(&Error{Op: op, StatusCode: http.StatusInternalServerError, Err: errAbandoned})
		}
	}()
	if c.ctx.Err() == nil {
		data, err = f(within)
	}
	returned = true
	if err != nil {
		e := explain(c.deciding(bound), op, err)
		e.spent = e.spent || isOver(caller)
		watched.end(e)
		return Result[T]{StatusCode: e.StatusCode, Message: e.Message}, e
	}
	watched.end(nil)
	return Result[T]{StatusCode: statusOK, Message: ok, Data: data}, nil
}

// errAbandoned is how a call ends that does not return, because code of the program that it has
// called panics, or ends the goroutine.
var errAbandoned = errors.New("what the call was given has panicked, or has ended the goroutine")

// isOver reports whether the caller's own context has ended, or does right now.
func isOver(caller context.Context) bool {
	deadline, has := caller.Deadline()
	return caller.Err() != nil || has && !time.Now().Before(deadline)
}

// withTimeout gives a context without a deadline that of Config.RequestTimeout.
func (c *Client) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.cfg.RequestTimeout)
}

// endingWith returns a context that carries what ctx does, and ends with it and with life, for the
// same cause. With life it ends at once: what Close ends besides must not be why a call fails.
func endingWith(ctx, life context.Context) (bound context.Context, release func()) {
	base, cancel := context.WithCancelCause(life)
	deadline, has := ctx.Deadline()
	end := func() {
		if !has || ctx.Err() != context.DeadlineExceeded { // else base ends so by itself
			cancel(context.Cause(ctx))
		}
	}
	if ctx.Err() != nil {
		end() // now: AfterFunc takes a goroutine
	}
	stop := context.AfterFunc(ctx, end)
	stopTimer := func() {}
	if has {
		base, stopTimer = context.WithDeadline(base, deadline)
	}
	return callContext{base, ctx}, func() {
		stop()
		stopTimer()
		cancel(nil)
	}
}

// callContext is a context with the values of the caller's.
type callContext struct {
	context.Context
	caller context.Context
}

// Value returns that of the context itself first: package context finds it by that.
func (c callContext) Value(key any) any {
	if value := c.Context.Value(key); value != nil {
		return value
	}
	return c.caller.Value(key)
}

// deciding is the context that says why a call under ctx has failed: what Close has ended may fail
// a moment before ctx says so.
func (c *Client) deciding(ctx context.Context) context.Context {
	if ctx.Err() == nil && c.ctx.Err() != nil {
		return c.ctx
	}
	return ctx
}

// lockLogin waits until no other call changes the login. The caller calls unlockLogin afterwards.
func (c *Client) lockLogin(ctx context.Context) error {
	select {
	case c.changing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return unsent.Mark(ctx.Err())
	}
}

func (c *Client) unlockLogin() { <-c.changing }

// currentLogin returns the login that calls are made with, or nil.
func (c *Client) currentLogin() *login {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.login
}

// setLogin makes l the login that calls are made with; nil: nobody. Its caller has lockLogin.
func (c *Client) setLogin(l *login) {
	if l != nil {
		c.logAs(l.account())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.login = l
	c.wakeLocked()
}

// registered returns the login of a user who has connected: precondition 4 of protocol.md 1.6.
func (c *Client) registered() (*login, error) {
	l := c.currentLogin()
	if !l.isRegistered() {
		return nil, errNotRegistered
	}
	return l, nil
}

// Ignored returns how many stanzas were dropped since New because they were forged, malformed, not
// understood, or replies that nobody waited for (protocol.md 13, "Who is believed"). A number that
// grows fast deserves a look at the debug log.
func (c *Client) Ignored() int { return int(c.observer.Ignored.Load()) }

// Features returns the plan's flags as the service last told them, at Register or Connect; all true
// before (protocol.md 3).
func (c *Client) Features() Features {
	if l := c.currentLogin(); l != nil {
		return Features(l.account().service().Features)
	}
	return Features(rest.AllFeatures())
}
