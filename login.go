package sdk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// Credentials are what Register answers: keep Username and Password for later calls of Connect.
type Credentials struct {
	Username         string `json:"username"`         // assigned by the service; the local part of the JID
	Password         string `json:"password"`         // for Connect
	UserJID          string `json:"userJid"`          // bare JID
	IsSandbox        bool   `json:"isSandbox"`        // trial mode
	IsProfileUpdated bool   `json:"isProfileUpdated"` // false: the user has not set a profile yet
}

// RegisterOption changes how Register registers.
type RegisterOption func(*registerOptions)

type registerOptions struct {
	force    bool
	metadata map[string]any
}

// ForceRegister says what happens when the user has as many sessions as the plan allows, 4 devices
// by the service's documentation: true (the default) ends an old one, false fails with
// ErrMaxSessions.
func ForceRegister(force bool) RegisterOption {
	return func(o *registerOptions) { o.force = force }
}

// RegisterMetadata adds data that the service keeps with the user: at most 3 entries of string,
// number or bool.
func RegisterMetadata(m map[string]any) RegisterOption {
	return func(o *registerOptions) { o.metadata = m }
}

// Register creates the user userIdentifier (lowercase letters, digits, - and _; the service
// documents 191 of them at most), or finds it again, and answers its credentials (protocol.md 3).
// It does not connect. An account that was deleted is not found again: there is a new one.
//
// Errors: 400 ErrInvalidArgument for a bad identifier or bad metadata; 403 ErrBlockedByAdmin; 405
// ErrMaxSessions, also 403 where the text speaks of sessions; the status and text of the service,
// e.g. for an unknown licence; 429 ErrRateLimited; 599 ErrNetwork. It is never repeated by itself
// once it may have reached the service.
func (c *Client) Register(ctx context.Context, userIdentifier string, opts ...RegisterOption) (Result[Credentials], error) {
	return run(ctx, c, "Register", success, func(ctx context.Context) (Credentials, error) {
		o := registerOptions{force: true}
		for _, opt := range opts {
			if opt != nil {
				opt(&o)
			}
		}
		if err := checkIdentifier(userIdentifier); err != nil {
			return Credentials{}, err
		}
		if err := checkMetadata(o.metadata); err != nil {
			return Credentials{}, err
		}
		if err := c.takeTurn(ctx); err != nil {
			return Credentials{}, err
		}
		defer c.endTurn()
		found, err := c.rest.Register(ctx, rest.Registration{
			UserIdentifier: userIdentifier, DeviceID: c.cfg.DeviceID, Force: o.force, Metadata: o.metadata,
		})
		if err != nil {
			return Credentials{}, explainRegister(err)
		}
		return c.rememberRegistered(found), nil
	})
}

// explainRegister gives the service's refusals their sentinels. Its 403 is for an account that the
// administrator has blocked, and to one of its clients for too many sessions: then it says so.
func explainRegister(err error) error {
	var answer *rest.Error
	switch {
	case !errors.As(err, &answer) || !answer.Told():
		return err
	case answer.Status == http.StatusMethodNotAllowed,
		answer.Status == http.StatusForbidden && strings.Contains(strings.ToLower(answer.Message), "session"):
		return refused(answer, ErrMaxSessions)
	case answer.Status == http.StatusForbidden:
		return refused(answer, ErrBlockedByAdmin)
	}
	return err
}

// refused is the service's no, of a kind.
func refused(answer *rest.Error, kind error) error {
	return &Error{
		StatusCode: answer.Status, Message: answer.Message,
		Err: answer.Err, Outcome: outcomeOf(answer), kind: kind,
	}
}

// rememberRegistered keeps what Connect of the same user needs. While somebody else is logged in, that
// login stays as it is.
func (c *Client) rememberRegistered(found *rest.Account) Credentials {
	c.mu.Lock()
	defer c.mu.Unlock()
	service, same := found.Service, sameUser(c.me.username, found.Username)
	if same {
		service = completed(service, c.me.service())
		c.rest.ChangePassword(found.Username, found.Password)
	}
	service = c.overridden(service)
	service.XMPPHost = cmp.Or(service.XMPPHost, c.me.service().XMPPHost)
	if c.conn == nil || same {
		me := account{username: found.Username, password: found.Password, told: shared(service), login: c.me.login}
		if same {
			me.jid = c.me.jid
		}
		c.me, c.registered = me, same && c.registered
	}
	return Credentials{
		Username: found.Username, Password: found.Password, UserJID: bareJID(found.Username, service.XMPPHost),
		IsSandbox: found.Trial, IsProfileUpdated: found.IsProfileUpdated,
	}
}

// completed takes what the service has not told this time from what it told before (protocol.md 3).
func completed(told, before rest.Service) rest.Service {
	if told == (rest.Service{Features: told.Features}) {
		return before // no configuration at all: the features are as they were, too
	}
	for _, field := range []struct{ now, old *string }{
		{&told.XMPPHost, &before.XMPPHost},
		{&told.XMPPPortWeb, &before.XMPPPortWeb},
		{&told.XMPPDomain, &before.XMPPDomain},
		{&told.XMPPPort, &before.XMPPPort},
		{&told.SignalServer, &before.SignalServer},
		{&told.IV, &before.IV},
		{&told.IVProfile, &before.IVProfile},
	} {
		*field.now = cmp.Or(*field.now, *field.old)
	}
	return told
}

// overridden applies Config.XMPPHost.
func (c *Client) overridden(service rest.Service) rest.Service {
	if c.cfg.XMPPHost != "" {
		service.XMPPHost, service.XMPPDomain = c.cfg.XMPPHost, c.cfg.XMPPHost
	}
	service.XMPPHost = strings.ToLower(service.XMPPHost) // as servers have it
	return service
}

// Connect logs in with what Register answered and opens the XMPP session (protocol.md 4). ctx
// bounds the login only, waiting for Config.Dials included: the session lives until Logout, DeleteMyAccount or Close, and is made
// again when it is lost. It tells CONNECTED, or when the XMPP connection fails CONNECTIONFAILED or AUTHFAIL; if the client was
// reconnecting for the same user, it goes on with that.
//
// Errors: 400 ErrInvalidArgument for an empty argument; 400 or 401 ErrInvalidCredentials; 403 ErrBlockedByAdmin;
// 409 ErrAlreadyLoggedIn when connected; 500 ErrNotConnected and ErrNetwork when the XMPP server
// cannot be reached, with the cause; 599 ErrNetwork when the service cannot, or the time of ctx or Config.RequestTimeout is over.
func (c *Client) Connect(ctx context.Context, username, password string) (Result[None], error) {
	return answer(c.life.begin(ctx, 0), c, "Connect", "Login Success", func(ctx context.Context) (None, error) {
		me := account{username: username, password: password}
		if err := c.checkLogin(me); err != nil {
			return None{}, err
		}
		done, err := c.cfg.Dials.wait(ctx) // as long as it takes: RequestTimeout is for what follows
		if err != nil {
			return None{}, err
		}
		defer done()
		ctx, cancel := c.bounded(ctx)
		defer cancel()
		if _, err := c.connect(ctx, me, nil); err != nil {
			c.awaitEnd(ctx)
			return None{}, explain(ctx, "Connect", err)
		}
		return None{}, nil
	})
}

func (c *Client) checkLogin(me account) error {
	err := validate(
		loginText("username", me.username), required("username", me.username),
		loginText("password", me.password), required("password", me.password),
	)
	if err != nil {
		c.refuse()
	}
	return err
}

// connect is Connect; q is the QR login that brought the credentials, or nil.
func (c *Client) connect(ctx context.Context, me account, q *QRLogin) (account, error) {
	if err := c.takeTurn(ctx); err != nil {
		return me, err
	}
	defer c.endTurn()
	c.setConnecting(true)
	defer c.setConnecting(false)
	wirePassword, err := c.rest.WirePassword(ctx, me.password)
	if err != nil {
		return me, err
	}
	ahead := c.dialAhead(ctx, me, wirePassword)
	old, back, err := c.logIn(ctx, me, wirePassword)
	if err != nil {
		ahead.giveUp()
		return me, err
	}
	if old != nil {
		old.stop(closeTimeout)
	}
	if me, err = c.prepare(ctx, me, q); err != nil {
		return me, err // not with ahead: the host is known then
	}
	if ahead != nil {
		s, stale, err := ahead.finish()
		if !stale || ctx.Err() != nil {
			return c.opened(ctx, ahead.connection, s, err)
		}
		ahead.cancel()
	}
	n := c.newConnection(me)
	if back {
		n.back, n.lost = true, old.lost
	}
	s, err := n.dial(ctx, wirePassword, n.lost, nil)
	return c.opened(ctx, n, s, err)
}

func (c *Client) setConnecting(connecting bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.connecting = connecting
	c.wakeLocked()
}

// refuse takes the registered flag back (protocol.md 4.1), but not from a login that works.
func (c *Client) refuse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil || c.gone != nil {
		c.registered = false
	}
}

// logIn is POST /login (protocol.md 4.1.3). The same wire password then serves SASL. A session that is up, also one that has come
// back meanwhile, stays untouched, whatever the answer. One that is still trying to come back is told to stop. back: it is the same
// user's, so the new attempt takes its stream up, and if it fails, trying goes on.
func (c *Client) logIn(ctx context.Context, me account, wirePassword string) (old *connection, back bool, err error) {
	token, err := c.rest.Token(ctx, me.username, wirePassword)
	if err != nil {
		return nil, false, c.explainLogin(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	connected := c.conn != nil && c.conn.session != nil
	same := sameUser(c.me.username, me.username)
	if !connected || same { // else the session that is up keeps its token
		c.rest.Remember(me.username, me.password, token)
	}
	if connected {
		return nil, false, &Error{StatusCode: http.StatusConflict, Message: "Already Logged In", Outcome: OutcomeRefused, kind: ErrAlreadyLoggedIn}
	}
	if c.conn == nil {
		return nil, false, nil
	}
	c.conn.cancel() // under the lock: from here on it installs no session
	return c.conn, same && c.gone == nil, nil
}

// sameUser compares user names as servers do: they fold the case of the local part (RFC 7622 3.3).
func sameUser(a, b string) bool { return strings.EqualFold(a, b) }

// explainLogin gives the service's refusals their sentinels (protocol.md 4.1.3). Who stands before
// the service knows nothing of the account.
func (c *Client) explainLogin(err error) error {
	var answer *rest.Error
	if !errors.As(err, &answer) || !answer.Told() {
		return err
	}
	switch answer.Status {
	case http.StatusForbidden:
		return refused(answer, ErrBlockedByAdmin)
	case http.StatusBadRequest, http.StatusUnauthorized:
	default:
		return err
	}
	switch {
	case answer.ClockOff() != 0:
		return refusedForTheTime(answer)
	case answer.Status == http.StatusBadRequest && answer.Message != invalidCredentials:
		return err
	case answer.Status == http.StatusBadRequest:
		c.refuse()
	}
	return refused(answer, ErrInvalidCredentials)
}

const invalidCredentials = "Invalid Credentials"

// refusedForTheTime is a refused login of a machine whose clock is off. In licensed mode the
// password carries the time (protocol.md 4.2), so nothing is known about the password itself: it
// may be taken when the clock is right again.
func refusedForTheTime(answer *rest.Error) error {
	return &Error{
		StatusCode: answer.Status, Message: answer.Message,
		Err: clockIsOff(answer.ClockOff()), Outcome: outcomeOf(answer), kind: ErrNetwork,
	}
}

func clockIsOff(off time.Duration) error {
	off = off.Round(time.Minute) // the service tells whole seconds, some time ago
	return fmt.Errorf("the clock here is off by %v, as the service tells the time: that may be why", off)
}

// prepare makes me the client's account, and asks for the service's configuration unless Register has told
// it (protocol.md 4.1.4).
func (c *Client) prepare(ctx context.Context, me account, q *QRLogin) (account, error) {
	c.mu.Lock()
	if sameUser(c.me.username, me.username) {
		me.told, me.jid = c.me.told, c.me.jid
	} else {
		me.told = nobody().told
	}
	me.login = c.rest.CurrentLogin() // nobody else logs in: this call has the turn
	c.registered = true
	c.conn, c.me = nil, me
	c.setQR(q)
	c.mu.Unlock()
	if me.service().XMPPHost != "" {
		return me, nil
	}
	service, err := c.rest.ServiceConfig(ctx, me.username)
	if err != nil {
		return account{}, explainConfig(err)
	}
	told := c.overridden(*service)
	if told.XMPPHost == "" {
		return account{}, &Error{
			StatusCode: errNotConnected.StatusCode, Message: errNotConnected.Message,
			Err: errors.New("the service has told no XMPP host; set Config.XMPPHost"), kind: ErrNotConnected,
		}
	}
	me.told = shared(told)
	c.mu.Lock()
	c.me = me
	c.mu.Unlock()
	return me, nil
}

// explainConfig: whatever the service says instead of its configuration is "Connection Error" (protocol.md 4.1.4).
func explainConfig(err error) error {
	var answer *rest.Error
	if !errors.As(err, &answer) || answer.Status == statusCancelled || answer.Status == statusNetwork ||
		answer.Status == http.StatusTooManyRequests || errors.Is(err, rest.ErrInsecure) {
		return err
	}
	kind := ErrNotConnected
	if answer.Away() {
		kind = errors.Join(ErrNotConnected, ErrNetwork)
	}
	return &Error{
		StatusCode: errNotConnected.StatusCode, Message: errNotConnected.Message,
		RetryAfter: answer.RetryAfter, Err: err, Outcome: outcomeOf(err), kind: kind,
	}
}

// opened hands the first session of a login, or why there is none, to its keeper. One that goes on for a login that was trying
// to come back goes on with that.
func (c *Client) opened(ctx context.Context, n *connection, s *xmpp.Session, err error) (account, error) {
	if err != nil {
		event := c.openFailed(ctx, n.me, err, n.back)
		if !n.back || event.Status == StatusAuthFail || !c.keep(n, nil) {
			n.cancel()
		}
		return n.me, event.Err
	}
	n.me.jid = boundJID(s)
	if !c.keep(n, s) {
		n.cancel()
		_ = s.Close(ctx) // ctx ends with the client: this drops the socket
		return n.me, errClosed
	}
	return n.me, nil
}

// boundJID is the account that the server has bound, which is who the client is, whatever was asked for (RFC 6120 7.6.1).
func boundJID(s *xmpp.Session) string { return s.JID().Bare().String() }

// keep makes n the client's connection and s, if not nil, its session, unless the client is closed.
func (c *Client) keep(n *connection, s *xmpp.Session) bool {
	c.mu.Lock()
	closed := c.life.ended()
	if !closed {
		n.session = s
		n.running.Add(1) // before anybody can stop it
		c.conn = n
		c.registered = true // a Connect with bad arguments may have come between
		c.me.jid = cmp.Or(n.me.jid, c.me.jid)
	}
	c.mu.Unlock()
	if closed {
		return false
	}
	if s != nil {
		c.tell(ConnectionEvent{Status: StatusConnected, Resumed: s.Resumed()})
		if n.back && !s.Resumed() {
			emit(&c.listeners.missed, MissedEvent{Gap: true})
		}
	}
	go n.supervise(s) // owner: n; ends with stop, or when there is no point in trying again
	return true
}

// openFailed tells why there is no session. resume: its keeper goes on trying.
func (c *Client) openFailed(ctx context.Context, me account, err error, resume bool) ConnectionEvent {
	if loginRefused(err) {
		err = cmp.Or(c.doubted(ctx, err), err)
	}
	event := c.failure(ctx, err)
	if event.Status == StatusAuthFail {
		c.forgetPassword(me)
	}
	event.Final = event.Status == StatusAuthFail || !resume
	c.tell(event)
	return event
}

// forgetPassword drops credentials that the server has refused: nothing may use them by itself again (protocol.md 4.5). The token
// stays. False: they are outdated, Register has brought another password since, of which the refusal says nothing.
func (c *Client) forgetPassword(refused account) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !sameUser(c.me.username, refused.username) {
		return true
	}
	if c.me.password != "" && c.me.password != refused.password {
		return false
	}
	c.me.password = ""
	c.rest.ForgetPassword(refused.username, refused.password)
	return true
}

// Logout ends the login at the service, then the XMPP session, and forgets credentials, token
// and host (protocol.md 5.11). It tells DISCONNECTED. When the service refuses, the session stays up.
//
// Errors: 400 ErrNotRegistered without a login; 500 with the service's text; ErrNetwork.
func (c *Client) Logout(ctx context.Context) (Result[None], error) {
	return run(ctx, c, "Logout", success, func(ctx context.Context) (None, error) {
		return None{}, c.leave(ctx, func(ctx context.Context) error {
			c.endQRSession(ctx)
			return asInternal(c.rest.Logout(ctx))
		})
	})
}

// endQRSession tells the phone that this QR session is over, when it can be told (protocol.md 5.11.2).
func (c *Client) endQRSession(ctx context.Context) {
	c.mu.Lock()
	q := c.qr
	c.mu.Unlock()
	s, err := c.session()
	if q == nil || err != nil {
		return
	}
	if err := s.LogOutQR(ctx, q.socketID); err != nil {
		c.cfg.Logger.DebugContext(ctx, "ending the QR session", "err", err)
	}
}

// leave asks the service to end the login; when it agrees, nothing of it is left here.
func (c *Client) leave(ctx context.Context, ask func(context.Context) error) error {
	if err := c.takeTurn(ctx); err != nil {
		return err
	}
	defer c.endTurn()
	if _, err := c.checkRegistered(); err != nil {
		return err
	}
	if n := c.connection(); n != nil {
		defer n.holdReconnection()()
	}
	if err := ask(ctx); err != nil {
		return err
	}
	c.forget()
	return nil
}

// forget drops all that Register and Connect have learned, and ends the session.
func (c *Client) forget() {
	c.rest.Forget()
	c.mu.Lock()
	conn := c.conn
	c.conn = nil
	c.setQR(nil)
	c.me, c.registered = nobody(), false
	c.wakeLocked()
	c.mu.Unlock()
	if conn != nil {
		conn.stop(closeTimeout)
	}
	c.tellEnded()
}

// setQR makes q the QR login of the session, and ends the one before. It needs mu.
func (c *Client) setQR(q *QRLogin) {
	if c.qr != nil {
		c.qr.ctx.end(nil)
	}
	c.qr = q
}

// asInternal gives what the service refuses the one code that the JavaScript SDK has for it.
func asInternal(err error) error {
	var answer *rest.Error
	if !errors.As(err, &answer) || answer.Status == http.StatusTooManyRequests ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, rest.ErrInsecure) ||
		errors.Is(err, rest.ErrLoginOver) {
		return err
	}
	e := &Error{StatusCode: http.StatusInternalServerError, Message: answer.Message, RetryAfter: answer.RetryAfter, Outcome: outcomeOf(err), Err: answer.Err}
	if answer.Status == statusNetwork || answer.Away() {
		e.kind = ErrNetwork
	}
	return e
}
