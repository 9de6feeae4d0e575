package sdk

import (
	"context"
	"errors"
	"time"

	"github.com/mirrorfly-go/sdk/internal/backoff"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// stableAfter is how long a connection must have held before a loss of it is followed by the
// shortest delay again.
const stableAfter = time.Minute

// dial makes one XMPP session, which takes up l.lost if it can. ctx bounds the handshake only.
// authorize holds up the login there until it returns; reached reports whether it was called.
func (l *login) dial(
	ctx context.Context, info ConnectInfo, wirePassword string, authorize func() error,
) (s *xmpp.Session, reached bool, err error) {
	ctx, watched := l.beginConnect(ctx, info)
	s, reached, err = l.dialWatched(ctx, wirePassword, authorize)
	watched.end(ctx, s, err)
	return s, reached, err
}

// undialled notes an attempt that has failed with err before it could dial. One that ends with l is
// none.
func (l *login) undialled(info ConnectInfo, err error) error {
	if !l.ended() {
		ctx, watched := l.beginConnect(l.ctx, info)
		watched.end(ctx, nil, err)
	}
	return err
}

func (l *login) dialWatched(
	ctx context.Context, wirePassword string, authorize func() error,
) (s *xmpp.Session, reached bool, err error) {
	c, me := l.client, l.account()
	addresses, err := c.cfg.addressesFor(me.service())
	if err != nil {
		return nil, false, err
	}
	s, err = xmpp.Dial(ctx, xmpp.Config{
		Addresses: addresses,
		Domain:    me.service().XMPPHost,
		Username:  me.username,
		Password:  wirePassword,
		Authorize: func(context.Context) error {
			reached = true
			return authorize()
		},
		Resource:          "Web-" + c.cfg.DeviceID,
		AllowInsecure:     c.cfg.AllowInsecure,
		HTTPClient:        c.http,
		TLSConfig:         c.cfg.TLSConfig,
		DialContext:       c.dialTCP,
		RequestTimeout:    c.cfg.RequestTimeout,
		KeepAliveInterval: c.cfg.KeepAlive.Interval,
		KeepAliveTimeout:  c.cfg.KeepAlive.Timeout,
		UserAgent:         c.cfg.userAgent(),
		Logger:            c.cfg.Logger,
		Handle:            l.handle,
		Observer:          c.observer,
		LeaveMessages:     c.cfg.LeaveMessages,
		// The service runs ejabberd. What others have put in its place is asked first.
		ExpectPipelining: c.cfg.XMPPHost == "" && c.cfg.XMPPAddress == "",
		Memory:           &c.servers,
		Resume:           l.lost,
	})
	if err != nil {
		return nil, reached, err
	}
	if err := s.Start(ctx); err != nil {
		return nil, reached, errors.Join(err, s.Close(ctx))
	}
	return s, reached, nil
}

// keep serves s and every session that follows it, until stop or until there is no point in trying
// again. A nil s is one that has to be made. It is the one goroutine that replaces sessions.
func (l *login) keep(s *xmpp.Session) {
	if s == nil {
		s = l.reconnect()
	}
	for s != nil {
		err := s.Serve()
		if err == xmpp.ErrHandOver {
			go l.keep(s) // owner and end are the same
			return
		}
		s = l.replace(s, err)
	}
	l.abandon()
	l.keeping.Done()
}

// replace makes the session that follows s, which has ended with err. nil: none follows.
func (l *login) replace(s *xmpp.Session, err error) *xmpp.Session {
	up := time.Since(l.since)
	l.since = time.Now()
	if up > stableAfter {
		l.failures = 0
	}
	l.lost = s.Resumption()
	event := l.tellLost(err)
	l.client.noteDisconnect(event, up)
	if event.Final {
		return nil
	}
	return l.reconnect()
}

// abandon fails what was sent and is not confirmed, when no session follows: unless another login
// goes on for this one, and takes the stream up.
func (l *login) abandon() {
	if !l.ended() || l.client.ctx.Err() != nil {
		l.lost.Abandon()
	}
}

// tellLost tells DISCONNECTED for a session that has ended with err, and returns what it has told:
// Final is false when another one is to be made. A call that finds no session finds out why. It is
// no part of keep, whose frame is below everything that reads: see docs/performance.md, idle
// sessions.
func (l *login) tellLost(err error) ConnectionEvent {
	again := !l.ended() && isTransient(err) && !l.client.cfg.Reconnect.Disabled
	event := ConnectionEvent{Status: StatusDisconnected, Final: !again}
	if !l.ended() { // else it was asked for, which needs no reason
		event.Err = explain(context.Background(), "Connect", in(stepConnect, err))
	}
	l.mu.Lock()
	l.session = nil
	l.setFinalLocked(event)
	l.mu.Unlock()
	l.client.tell(event)
	return event
}

// reconnect tries until there is a session, and returns nil when it gave up or was stopped.
func (l *login) reconnect() *xmpp.Session {
	policy := l.client.cfg.Reconnect
	for attempt := 1; policy.MaxAttempts == 0 || attempt <= policy.MaxAttempts; attempt++ {
		l.awaitLeaving()
		if l.ended() {
			return nil // DISCONNECTED has been told
		}
		delay := backoff.Delay(policy.MinDelay, policy.MaxDelay, l.failures)
		l.failures++
		l.tell(ConnectionEvent{Status: StatusReconnecting, Attempt: attempt, RetryIn: delay})
		s, err := l.redial(ConnectInfo{Attempt: attempt, Delay: delay})
		if l.ended() {
			if s != nil {
				l.client.noteDisconnect(ConnectionEvent{Final: true}, 0)
			}
			l.forgetSession()
			l.tell(ConnectionEvent{Status: StatusDisconnected, Final: true})
			return nil
		}
		if err == nil {
			l.since = time.Now()
			l.tellConnected(s, attempt)
			return s
		}
		event := l.client.failure(l.ctx, err)
		event.Attempt = attempt
		event.Final = attempt == policy.MaxAttempts || event.Status == StatusAuthFail || !isTransient(err)
		l.tell(event)
		if event.Final {
			return nil
		}
	}
	return nil
}

// dropSession drops a session that was made too late. ctx has ended, so that this drops the socket.
func (l *login) dropSession(ctx context.Context, s *xmpp.Session) {
	_ = s.Close(ctx)
	l.client.noteDisconnect(ConnectionEvent{Final: true}, 0)
}

// forgetSession drops a session that was made while l ended.
func (l *login) forgetSession() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.session = nil
}

// holdReconnection keeps l from reconnecting until release is called.
func (l *login) holdReconnection() (release func()) {
	answered := make(chan struct{})
	set := func(leaving chan struct{}) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.leaving = leaving
	}
	set(answered)
	return func() {
		set(nil)
		close(answered)
	}
}

// awaitLeaving holds reconnection while Logout or DeleteMyAccount waits for the service: the server
// often cuts the connection before that answer arrives.
func (l *login) awaitLeaving() {
	l.mu.Lock()
	leaving := l.leaving
	l.mu.Unlock()
	if leaving == nil {
		return
	}
	select {
	case <-leaving:
	case <-l.ctx.Done():
	}
}

// redial waits, then makes one attempt with a new wire password (protocol.md 4.6).
func (l *login) redial(info ConnectInfo) (*xmpp.Session, error) {
	timer := time.NewTimer(info.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.ctx.Done():
		return nil, l.ctx.Err()
	}
	done, err := awaitTurn(l.ctx, l.client.cfg.Dials)
	if err != nil {
		return nil, l.undialled(info, err)
	}
	defer done()
	s, err := l.logInAgain(info)
	if err != nil {
		return nil, err
	}
	if !l.install(s) {
		l.dropSession(l.ctx, s)
		return nil, context.Canceled
	}
	return s, nil
}

// logInAgain dials with the password that is known now. When that is refused, and another has
// become known meanwhile, it dials with that one. All of it has Config.RequestTimeout; whether the
// refusal is to be believed is asked after that, if need be.
func (l *login) logInAgain(info ConnectInfo) (*xmpp.Session, error) {
	ctx, cancel := context.WithTimeout(l.ctx, l.client.cfg.RequestTimeout)
	defer cancel()
	for {
		password := l.currentPassword()
		wirePassword, err := l.client.rest.WirePassword(ctx, password)
		if err != nil {
			return nil, l.undialled(info, err)
		}
		s, _, err := l.dial(ctx, info, wirePassword, atOnce)
		if !loginRefused(err) {
			return s, err
		}
		if err = l.client.doubted(l.ctx, err); !loginRefused(err) || l.forgetPassword(password) {
			return nil, err
		}
	}
}

// atOnce lets the XMPP login begin: nothing else is under way.
func atOnce() error { return nil }

// doubted is refusal, or when our clock is off an error that says so: then the refusal says nothing
// about the password (protocol.md 4.2).
func (c *Client) doubted(ctx context.Context, refusal error) error {
	if off := c.rest.AskClock(ctx); off != 0 {
		return &clockError{refusal: refusal, off: off}
	}
	return refusal
}

// failure is the event for a connection that could not be made.
func (c *Client) failure(ctx context.Context, err error) ConnectionEvent {
	e := explain(c.deciding(ctx), "Connect", in(stepConnect, err))
	if errors.Is(e, ErrInvalidCredentials) {
		return ConnectionEvent{Status: StatusAuthFail, StatusCode: e.StatusCode, Message: e.Message, Err: e}
	}
	return ConnectionEvent{Status: StatusConnectionFailed, Err: e}
}
