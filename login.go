package sdk

import (
	"context"
	"errors"
	"net/http"

	"github.com/mirrorfly-go/sdk/internal/rest"
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

// ForceRegister says what happens when the user has as many sessions as the plan allows: true (the
// default) ends an old one, false fails with ErrMaxSessions.
func ForceRegister(force bool) RegisterOption {
	return func(o *registerOptions) { o.force = force }
}

// RegisterMetadata adds data that the service keeps with the user: at most 3 entries of string,
// number or bool.
func RegisterMetadata(m map[string]any) RegisterOption {
	return func(o *registerOptions) { o.metadata = m }
}

// Register creates the user userIdentifier (lowercase letters, digits, - and _), or finds it
// again, and answers its credentials (protocol.md 3). It does not connect.
//
// Errors: 400 ErrInvalidArgument for a bad identifier or bad metadata; 405 ErrMaxSessions; the status
// and text of the service, e.g. for an unknown licence; 429 ErrRateLimited; 599 ErrNetwork. It is never repeated by
// itself once it may have reached the service.
func (c *Client) Register(ctx context.Context, userIdentifier string, opts ...RegisterOption) (Result[Credentials], error) {
	return run(ctx, c, "Register", success, func(ctx context.Context) (Credentials, error) {
		o := registerOptions{force: true}
		for _, opt := range opts {
			opt(&o)
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
		found, err := c.rest.Register(ctx, rest.Registration{UserIdentifier: userIdentifier, Force: o.force, Metadata: o.metadata})
		if err != nil {
			return Credentials{}, explainRegister(err)
		}
		return c.rememberRegistered(found), nil
	})
}

func explainRegister(err error) error {
	var answer *rest.Error
	if errors.As(err, &answer) && answer.Status == http.StatusMethodNotAllowed {
		return &Error{StatusCode: answer.Status, Message: answer.Message, Err: answer.Err, kind: ErrMaxSessions}
	}
	return err
}

// rememberRegistered keeps what Connect of the same user needs. While somebody else is logged in, that
// login stays as it is.
func (c *Client) rememberRegistered(found *rest.Account) Credentials {
	service := c.overridden(found.Service)
	c.mu.Lock()
	defer c.mu.Unlock()
	same := c.me.username == found.Username
	if service.XMPPHost == "" {
		service.XMPPHost = c.me.service.XMPPHost
	}
	if c.conn == nil || same {
		c.me = account{
			username: found.Username, password: found.Password, service: service,
			registered: same && c.me.registered, qrSocketID: c.me.qrSocketID,
		}
	}
	return Credentials{
		Username: found.Username, Password: found.Password, UserJID: found.Username + "@" + service.XMPPHost,
		IsSandbox: found.Trial, IsProfileUpdated: found.IsProfileUpdated,
	}
}

// overridden applies Config.XMPPHost.
func (c *Client) overridden(service rest.Service) rest.Service {
	if c.cfg.XMPPHost != "" {
		service.XMPPHost = c.cfg.XMPPHost
	}
	return service
}

// Connect logs in with what Register answered and opens the XMPP session (protocol.md 4). ctx
// bounds the login only: the session lives until Logout, DeleteMyAccount or Close, and is made
// again when it is lost. It tells CONNECTED, CONNECTIONFAILED or AUTHFAIL.
//
// Errors: 400 ErrInvalidArgument for an empty argument; 400 or 401 ErrInvalidCredentials; 403 ErrBlockedByAdmin;
// 409 ErrAlreadyLoggedIn when connected; 500 ErrNotConnected and ErrNetwork when the XMPP server
// cannot be reached, with the cause; 599 ErrNetwork when the service cannot.
func (c *Client) Connect(ctx context.Context, username, password string) (Result[None], error) {
	return run(ctx, c, "Connect", "Login Success", func(ctx context.Context) (None, error) {
		return None{}, c.connect(ctx, account{username: username, password: password}, nil)
	})
}

// connect is Connect; q is the QR login that brought the credentials, or nil.
func (c *Client) connect(ctx context.Context, me account, q *QRLogin) error {
	for _, check := range []rule{required("username", me.username), required("password", me.password)} {
		if err := validate(check); err != nil {
			c.refuse()
			return err
		}
	}
	if err := c.takeTurn(ctx); err != nil {
		return err
	}
	defer c.endTurn()
	wirePassword, err := c.logIn(ctx, me)
	if err != nil {
		return err
	}
	if me, err = c.prepare(ctx, me, q); err != nil {
		return err
	}
	return c.open(ctx, me, wirePassword)
}

// refuse takes the registered flag back (protocol.md 4.1), but not from a login that works.
func (c *Client) refuse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil || c.conn.session == nil {
		c.me.registered = false
	}
}

// logIn is POST /login (protocol.md 4.1.3). The same wire password then serves SASL. A
// session that is up stays untouched, whatever the answer.
func (c *Client) logIn(ctx context.Context, me account) (wirePassword string, err error) {
	c.mu.Lock()
	connected := c.conn != nil && c.conn.session != nil
	other := c.me.username != me.username
	c.mu.Unlock()
	alreadyIn := &Error{StatusCode: http.StatusConflict, Message: "Already Logged In", kind: ErrAlreadyLoggedIn}
	if connected && other {
		return "", alreadyIn // the login would take the token of the session that is up
	}
	if wirePassword, err = c.rest.WirePassword(ctx, me.password); err != nil {
		return "", err
	}
	if err := c.rest.Login(ctx, me.username, me.password, wirePassword); err != nil {
		return "", c.explainLogin(err)
	}
	if connected {
		return "", alreadyIn
	}
	return wirePassword, nil
}

func (c *Client) explainLogin(err error) error {
	var answer *rest.Error
	if !errors.As(err, &answer) {
		return err
	}
	switch {
	case answer.Status == http.StatusForbidden:
		return &Error{StatusCode: answer.Status, Message: answer.Message, Err: answer.Err, kind: ErrBlockedByAdmin}
	case answer.Status == http.StatusBadRequest && answer.Message == invalidCredentials:
		c.refuse()
		return &Error{StatusCode: answer.Status, Message: answer.Message, Err: answer.Err, kind: ErrInvalidCredentials}
	}
	return err
}

const invalidCredentials = "Invalid Credentials"

// prepare makes me the client's account, and asks for the service's configuration unless Register has told
// it (protocol.md 4.1.4).
func (c *Client) prepare(ctx context.Context, me account, q *QRLogin) (account, error) {
	if old := c.connection(); old != nil {
		old.stop(closeTimeout) // it is still trying to come back
	}
	c.mu.Lock()
	if c.me.username == me.username {
		me.service = c.me.service
	} else {
		me.service.Features = rest.AllFeatures()
	}
	me.registered = true
	c.conn, c.me = nil, me
	c.setQR(q)
	c.mu.Unlock()
	if me.service.XMPPHost != "" {
		return me, nil
	}
	service, err := c.rest.ServiceConfig(ctx, me.username)
	if err != nil {
		return account{}, explainConfig(err)
	}
	me.service = c.overridden(*service)
	if me.service.XMPPHost == "" {
		return account{}, &Error{
			StatusCode: errNotConnected.StatusCode, Message: errNotConnected.Message,
			Err: errors.New("the service has told no XMPP host; set Config.XMPPHost"), kind: ErrNotConnected,
		}
	}
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
	return &Error{StatusCode: errNotConnected.StatusCode, Message: errNotConnected.Message, Err: err, kind: ErrNotConnected}
}

// open makes the first session of a login and hands it to its keeper.
func (c *Client) open(ctx context.Context, me account, wirePassword string) error {
	n := c.newConnection(me)
	s, err := c.dial(ctx, me, wirePassword, n.handle)
	if err != nil {
		n.cancel()
		return c.openFailed(ctx, err)
	}
	c.mu.Lock()
	closed := c.life.Err() != nil
	if !closed {
		n.session = s
		c.conn = n
	}
	c.mu.Unlock()
	if closed {
		n.cancel()
		_ = s.Close(ctx) // ctx has ended: this only drops the socket
		return errClosed
	}
	c.tell(ConnectionEvent{Status: StatusConnected})
	go n.supervise(s) // owner: n; ends with stop, or when there is no point in trying again
	return nil
}

// openFailed tells why there is no session.
func (c *Client) openFailed(ctx context.Context, err error) error {
	event := c.failure(ctx, err)
	if event.Status == StatusAuthFail {
		c.forgetPassword()
	}
	c.tell(event)
	return event.Err
}

// forgetPassword drops credentials that the server has refused: nothing may use them by itself again (protocol.md 4.5).
func (c *Client) forgetPassword() {
	c.rest.Forget()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.me.password = ""
}

// Logout ends the login at the service, then the XMPP session, and forgets credentials, token
// and host (protocol.md 5.11). It tells DISCONNECTED. When the service refuses, the session stays up.
//
// Errors: 400 ErrNotRegistered without a login; 500 with the service's text; ErrNetwork.
func (c *Client) Logout(ctx context.Context) (Result[None], error) {
	return run(ctx, c, "Logout", success, func(ctx context.Context) (None, error) {
		return None{}, c.leave(ctx, func(ctx context.Context, me account) error {
			c.endQRSession(ctx, me)
			return asInternal(c.rest.Logout(ctx))
		})
	})
}

// endQRSession tells the phone that this QR session is over, when it can be told (protocol.md 5.11.2).
func (c *Client) endQRSession(ctx context.Context, me account) {
	s, err := c.session()
	if me.qrSocketID == "" || err != nil {
		return
	}
	if err := s.LogOutQR(ctx, me.qrSocketID); err != nil {
		c.cfg.Logger.DebugContext(ctx, "ending the QR session", "err", err)
	}
}

// leave asks the service to end the login; when it agrees, nothing of it is left here.
func (c *Client) leave(ctx context.Context, ask func(context.Context, account) error) error {
	if err := c.takeTurn(ctx); err != nil {
		return err
	}
	defer c.endTurn()
	me, err := c.checkRegistered()
	if err != nil {
		return err
	}
	answered := make(chan struct{})
	c.setLeaving(answered)
	defer func() {
		c.setLeaving(nil)
		close(answered)
	}()
	if err := ask(ctx, me); err != nil {
		return err
	}
	c.forget()
	return nil
}

func (c *Client) setLeaving(answered chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leaving = answered
}

// forget drops all that Register and Connect have learned, and ends the session.
func (c *Client) forget() {
	c.rest.Forget()
	c.mu.Lock()
	conn := c.conn
	c.conn = nil
	c.setQR(nil)
	c.me = account{service: rest.Service{Features: rest.AllFeatures()}}
	c.mu.Unlock()
	if conn != nil {
		conn.stop(closeTimeout)
	}
}

// setQR makes q the QR login of the session, and ends the one before. It needs mu.
func (c *Client) setQR(q *QRLogin) {
	if c.qr != nil {
		c.qr.cancel(nil)
	}
	c.qr = q
}

// asInternal gives what the service refuses the one code that the JavaScript SDK has for it.
func asInternal(err error) error {
	var answer *rest.Error
	if !errors.As(err, &answer) || answer.Status == http.StatusTooManyRequests ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, rest.ErrInsecure) {
		return err
	}
	e := &Error{StatusCode: http.StatusInternalServerError, Message: answer.Message, RetryAfter: answer.RetryAfter, Err: answer.Err}
	if answer.Status == statusNetwork {
		e.kind = ErrNetwork
	}
	return e
}
