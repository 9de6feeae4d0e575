package sdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

const (
	stableAfter  = time.Minute // a connection that held this long starts again with the shortest delay
	closeTimeout = time.Second // for saying goodbye to the XMPP server
)

// connection keeps one login's XMPP session up. It outlives the sessions that carry it; its
// goroutine is the only one that replaces them.
type connection struct {
	client  *Client
	me      account        // immutable once there is a session; whose it is, also when the client has forgotten it
	life    lifetime       // ends when n is told to stop, at the latest with the client's
	tie     tie            // to that
	running sync.WaitGroup // supervise

	session *xmpp.Session    // guarded by client.mu; nil while there is none
	leaving chan struct{}    // not nil while Logout or DeleteMyAccount asks the service; closed when it has answered. Guarded by client.mu
	back    bool             // immutable; it goes on for a connection that was lost
	lost    *xmpp.Resumption // what the next session may take up; of supervise while it runs
}

// connection returns what keeps the session up, or nil.
func (c *Client) connection() *connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn
}

// dial makes one XMPP session: it takes up lost, or else has a fresh resource. ctx bounds the handshake only. authorize, if not nil, holds up the
// login.
func (n *connection) dial(ctx context.Context, wirePassword string, lost *xmpp.Resumption, authorize func(context.Context) error) (*xmpp.Session, error) {
	c, me := n.client, n.me
	addresses, err := c.addressesFor(me)
	if err != nil {
		return nil, err
	}
	s, err := xmpp.Dial(ctx, xmpp.Config{
		Addresses:         addresses,
		Domain:            me.service().XMPPHost,
		Username:          me.username,
		Password:          wirePassword,
		Authorize:         authorize,
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
		Handle:            n.handle,
		Memory:            &c.servers,
		Resume:            lost,
	})
	if err != nil {
		return nil, err
	}
	if err := s.Start(ctx); err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	return s, nil
}

// addressesFor are those of the Config, or what the service has handed out (protocol.md 4.3).
func (c *Client) addressesFor(me account) ([]xmpp.Address, error) {
	if own, err := c.cfg.addresses(); len(own) > 0 || err != nil {
		return own, err
	}
	told := me.service()
	host, port := told.XMPPHost, told.XMPPPortWeb
	if port == "" {
		port = "443"
	}
	if c.cfg.Transport == TransportTCP {
		if host, port = told.XMPPDomain, told.XMPPPort; host == "" {
			host = told.XMPPHost
		}
		if port == "" {
			port = "5222" // RFC 6120 3.2.1
		}
	}
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(strings.Trim(host, "[]"), port) // no port in it yet; an IPv6 address may have its brackets
	}
	addresses, err := xmpp.ParseAddresses(host, c.cfg.Transport == TransportTCP)
	if err != nil {
		return nil, fmt.Errorf("address that the service handed out: %w", err)
	}
	return addresses, nil
}

// newConnection prepares the keeper of a session for me. It does nothing until supervise.
func (c *Client) newConnection(me account) *connection {
	n := &connection{client: c, me: me}
	n.tie.who = &n.life
	c.life.bind(&n.tie)
	return n
}

// cancel ends what n is doing, and what it would do. It is idempotent.
func (n *connection) cancel() {
	n.client.life.release(&n.tie)
	n.life.end(context.Canceled)
}

// install makes s the client's session, unless n was told to stop meanwhile.
func (n *connection) install(s *xmpp.Session) bool {
	n.client.mu.Lock()
	defer n.client.mu.Unlock()
	if n.life.ended() {
		return false
	}
	n.session = s
	if n.client.conn == n {
		n.client.me.jid = boundJID(s)
	}
	return true
}

// stop ends the session and the goroutine, and waits for both.
func (n *connection) stop(timeout time.Duration) {
	n.client.mu.Lock()
	n.cancel()
	s := n.session
	n.client.mu.Unlock()
	if s != nil {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			n.client.cfg.Logger.DebugContext(ctx, "closing the XMPP session", "err", err)
		}
	}
	n.running.Wait()
}

// supervise serves s and every session that follows it, until stop or until there is
// no point in trying again. A nil s is one that has to be made. It is the connection's one goroutine.
func (n *connection) supervise(s *xmpp.Session) {
	defer n.running.Done()
	failures := 0 // since a connection last held
	if s == nil {
		s = n.reconnect(&failures)
	}
	for s != nil {
		start := time.Now()
		err := s.Serve()
		if time.Since(start) > stableAfter {
			failures = 0
		}
		again := !n.life.ended() && isTransient(err) && !n.client.cfg.Reconnect.Disabled
		n.lost = s.Resumption()
		n.tellLost(s, err, !again)
		if !again {
			return
		}
		s = n.reconnect(&failures)
	}
}

// tellLost tells DISCONNECTED for s; the cause is nil when it was asked for.
func (n *connection) tellLost(s *xmpp.Session, err error, final bool) {
	c := n.client
	event := ConnectionEvent{Status: StatusDisconnected, Final: final}
	if !n.life.ended() {
		ctx := context.Background() // nothing has ended but the session
		event.Err = explain(ctx, "Connect", explainDial(ctx, err))
	}
	c.mu.Lock() // who finds no session finds out why
	n.session = nil
	c.ignored += s.Ignored()
	c.tellLocked(event)
	c.mu.Unlock()
	c.logEvent(event)
}

// reconnect tries until there is a session, and returns nil when it gave up or was stopped.
func (n *connection) reconnect(failures *int) *xmpp.Session {
	c, policy := n.client, n.client.cfg.Reconnect
	ctx := n.life.begin(context.Background(), 0)
	defer ctx.over()
	for attempt := 1; policy.MaxAttempts == 0 || attempt <= policy.MaxAttempts; attempt++ {
		n.awaitLeaving(ctx)
		if n.life.ended() {
			return nil // DISCONNECTED has been told
		}
		delay := backoff(policy, *failures)
		*failures++
		c.tell(ConnectionEvent{Status: StatusReconnecting, Attempt: attempt, RetryIn: delay})
		s, err := n.redial(ctx, delay, n.lost)
		if err != nil {
			c.awaitEnd(ctx)
		}
		switch {
		case n.life.ended():
			c.tell(ConnectionEvent{Status: StatusDisconnected, Final: true})
			return nil
		case err == nil:
			c.tell(ConnectionEvent{Status: StatusConnected, Attempt: attempt, Resumed: s.Resumed()})
			if !s.Resumed() {
				emit(&c.listeners.missed, MissedEvent{Gap: true})
			}
			return s
		case !n.tellFailed(ctx, err, attempt, attempt == policy.MaxAttempts):
			return nil
		}
	}
	return nil
}

// holdReconnection has n not reconnect until release is called.
func (n *connection) holdReconnection() (release func()) {
	answered := make(chan struct{})
	set := func(leaving chan struct{}) {
		n.client.mu.Lock()
		defer n.client.mu.Unlock()
		n.leaving = leaving
	}
	set(answered)
	return func() {
		set(nil)
		close(answered)
	}
}

// awaitLeaving holds reconnection while Logout or DeleteMyAccount waits for the service:
// the server often cuts the connection before that answer arrives.
func (n *connection) awaitLeaving(ctx context.Context) {
	n.client.mu.Lock()
	leaving := n.leaving
	n.client.mu.Unlock()
	if leaving == nil {
		return
	}
	select {
	case <-leaving:
	case <-ctx.Done():
	}
}

// redial waits, then makes one attempt with a fresh wire password (protocol.md 4.6).
func (n *connection) redial(ctx context.Context, delay time.Duration, lost *xmpp.Resumption) (*xmpp.Session, error) {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	done, err := n.client.cfg.Dials.wait(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	s, err := n.logInAgain(ctx, lost)
	if err != nil {
		return nil, err
	}
	if !n.install(s) {
		_ = s.Close(ctx) // ctx ends with n: this drops the socket
		return nil, context.Canceled
	}
	return s, nil
}

// logInAgain dials with the password that is known now. When that is refused, and another has become known meanwhile, it dials
// with that one. All of it has Config.RequestTimeout; whether the refusal is to be believed is asked after that, if need be.
func (n *connection) logInAgain(ctx context.Context, lost *xmpp.Resumption) (*xmpp.Session, error) {
	dialling, cancel := context.WithTimeout(ctx, n.client.cfg.RequestTimeout)
	defer cancel()
	me := n.me
	for {
		me.password = n.password()
		wirePassword, err := n.client.rest.WirePassword(dialling, me.password)
		if err != nil {
			return nil, err
		}
		s, err := n.dial(dialling, wirePassword, lost, nil)
		if !loginRefused(err) {
			return s, err
		}
		if err := n.client.doubted(ctx, err); err != nil {
			return nil, err
		}
		if n.client.forgetPassword(me) {
			return nil, err
		}
	}
}

// doubted is a login that was refused while our clock is off, which says nothing about the password (protocol.md 4.2). nil: it
// is not.
func (c *Client) doubted(ctx context.Context, refusal error) error {
	off := c.rest.AskClock(ctx)
	if off == 0 {
		return nil
	}
	e := explain(ctx, "Connect", explainDial(ctx, refusal))
	return unconnected(fmt.Errorf("%w; %w", refusal, clockIsOff(off)), e.Outcome, e.Condition)
}

// password is the one that Register or Connect have learned last for this user (protocol.md 4.6).
func (n *connection) password() string {
	n.client.mu.Lock()
	defer n.client.mu.Unlock()
	if sameUser(n.client.me.username, n.me.username) && n.client.me.password != "" {
		return n.client.me.password
	}
	return n.me.password
}

// tellFailed tells why an attempt to connect failed, and whether another follows.
func (n *connection) tellFailed(ctx context.Context, err error, attempt int, last bool) (again bool) {
	event := n.client.failure(ctx, err)
	event.Attempt = attempt
	event.Final = last || event.Status == StatusAuthFail || !isTransient(err)
	n.client.tell(event)
	return !event.Final
}

// failure is the event for a connection that could not be made.
func (c *Client) failure(ctx context.Context, err error) ConnectionEvent {
	c.awaitEnd(ctx)
	e := explain(ctx, "Connect", explainDial(ctx, err))
	if errors.Is(e, ErrInvalidCredentials) {
		return ConnectionEvent{Status: StatusAuthFail, StatusCode: e.StatusCode, Message: e.Message, Err: e}
	}
	return ConnectionEvent{Status: StatusConnectionFailed, Err: e}
}

// explainDial gives what xmpp.Dial returns the codes of protocol.md 4.1.7 and 11.
func explainDial(ctx context.Context, err error) error {
	if told, is := err.(*Error); is {
		return told
	}
	var auth *xmpp.AuthError
	errors.As(err, &auth)
	switch {
	case loginRefused(err):
		return &Error{
			StatusCode: http.StatusUnauthorized, Message: "Invalid Credentials",
			Condition: auth.Condition, Outcome: outcomeOf(auth), Err: err, kind: ErrInvalidCredentials,
		}
	case errors.Is(err, xmpp.ErrInsecure), ctx.Err() != nil:
		return err
	}
	condition := ""
	var stream *xmpp.StreamError
	if errors.As(err, &stream) {
		condition = stream.Condition
	} else if auth != nil {
		condition = auth.Condition
	}
	e := unconnected(err, outcomeOf(err), condition)
	switch { // no network has failed where the server has decided
	case replaced(err):
		e.kind = ErrReplaced
	case stream != nil && !isTransient(err):
		e.kind = ErrNotConnected
	}
	return e
}

// unconnected is a connection that could not be made, or was lost, and may be made later.
func unconnected(err error, outcome Outcome, condition string) *Error {
	return &Error{
		StatusCode: errNotConnected.StatusCode, Message: errNotConnected.Message, Condition: condition,
		Outcome: outcome, Err: err, kind: errors.Join(ErrNotConnected, ErrNetwork),
	}
}

// loginRefused reports whether err is that the server does not accept the credentials (protocol.md 4.3, 13).
func loginRefused(err error) bool {
	var auth *xmpp.AuthError
	return errors.As(err, &auth) && auth.Final()
}

// userRemoved is what ejabberd says with the conflict that ends the sessions of an account that is gone.
const userRemoved = "User removed"

// replaced reports whether another session has taken the place of the one that ended with err (RFC 6120 4.9.3.3).
func replaced(err error) bool {
	var stream *xmpp.StreamError
	return errors.As(err, &stream) && stream.Condition == "conflict" && stream.Text != userRemoved
}

// isTransient is false for what trying again cannot mend. That a server offers no TLS is not among it: anybody on the way
// can say so.
func isTransient(err error) bool {
	var stream *xmpp.StreamError
	return !errors.As(err, &stream) || !stream.Final()
}

// backoff is full jitter: anything up to a bound that doubles with every failure.
func backoff(p ReconnectPolicy, failures int) time.Duration {
	bound := p.MinDelay
	for range failures {
		if bound > p.MaxDelay/2 {
			bound = p.MaxDelay
			break
		}
		bound *= 2
	}
	return rand.N(bound)
}

// handle maps what the server pushes to the events of the JavaScript SDK (protocol.md 6).
func (n *connection) handle(event xmpp.Event) {
	l := &n.client.listeners
	switch e := event.(type) {
	case xmpp.Presence:
		emitPaced(&l.presence, PresenceEvent{FromUserJID: e.From.Bare().String(), Status: cmp.Or(e.Type, "online")})
	case xmpp.VCardPush:
		emitPaced(&l.userProfile, n.client.openVCard(n.me, e))
	case xmpp.BlockPush:
		n.handleBlockPush(e)
	case xmpp.UserBlocked:
		n.handleUserBlocked(e)
	case xmpp.UserDeleted:
		emitPaced(&l.userDeleted, UserDeletedEvent{UserJID: n.me.jidOf(e.User)})
	case xmpp.AdminBlock:
		if !e.Blocked && n.me.jidOf(e.JID) == n.me.bareJID() {
			n.client.rest.Unblocked()
		}
		emitPaced(&l.adminBlock, AdminBlockEvent{JID: strings.ToLower(e.JID), ChatType: ChatType(e.ChatType), Blocked: e.Blocked})
	case xmpp.LoggedOut:
		n.handleLoggedOut(e)
	}
}

func (n *connection) handleBlockPush(e xmpp.BlockPush) {
	if len(e.JIDs) == 0 {
		emitPaced(&n.client.listeners.block, BlockEvent{Blocked: e.Blocked, ByMe: true})
	}
	for _, jid := range e.JIDs {
		jid = strings.ToLower(jid)
		emitPaced(&n.client.listeners.block, BlockEvent{UserID: localPart(jid), UserJID: jid, Blocked: e.Blocked, ByMe: true})
	}
}

func (n *connection) handleUserBlocked(e xmpp.UserBlocked) {
	jid := n.me.jidOf(localPart(e.User))
	user := localPart(jid)
	if e.Blocked {
		emitPaced(&n.client.listeners.presence, PresenceEvent{FromUserJID: jid, Status: "unavailable"})
	}
	emitPaced(&n.client.listeners.block, BlockEvent{UserID: user, UserJID: jid, Blocked: e.Blocked})
}

// handleLoggedOut passes on that the service has ended this device's session, or the phone this QR
// session. It is ended elsewhere: this is its own read loop.
func (n *connection) handleLoggedOut(e xmpp.LoggedOut) {
	c := n.client
	c.mu.Lock()
	q := c.qr
	if slices.Contains(e.DeviceIDs, c.cfg.DeviceID) && !c.life.ended() {
		c.background.Go(n.loggedOut) // owner: the Client; ends with n's life
	}
	c.mu.Unlock()
	if q == nil || !slices.Contains(e.SocketIDs, q.socketID) {
		return
	}
	select {
	case q.ended <- struct{}{}:
	default: // it knows
	}
}

// loggedOut ends the login that the service has ended.
func (n *connection) loggedOut() {
	ctx := n.life.begin(context.Background(), 0)
	defer ctx.over()
	n.client.loggedOut(ctx)
}

func localPart(jid string) string {
	local, _, _ := strings.Cut(jid, "@")
	return local
}
