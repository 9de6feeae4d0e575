package rest

import (
	"context"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// session is what a login left behind.
type session struct {
	token    string
	username string
	// raw: every login needs a fresh wire password. Empty: no re-login
	password string
	// grows with every change, so that an old outcome is recognized
	serial uint32
	// no re-login before, in seconds since began: the service has refused one. 0: there is nothing
	// against it
	restsFor int32
}

var began = time.Now()

// A password that the service has refused is not tried again: that would lock the account. Whoever
// is blocked may be free again later.
const (
	forGood = math.MaxInt32
	// seconds
	blockedPause = 60
)

func sinceBegan() int32 { return int32(time.Since(began) / time.Second) }

// rests reports whether a re-login would only be refused again.
func (s *session) rests() bool { return s.restsFor != 0 && sinceBegan() < s.restsFor }

// restAfter is restsFor after a re-login that has ended with err.
func restAfter(err error) int32 {
	e := asError(err)
	if e == nil || e.ClockOff() != 0 {
		// nothing was refused, or only a time stamp
		return 0
	}
	switch e.Kind() {
	case KindBlocked:
		return sinceBegan() + blockedPause
	case KindInvalidCredentials:
		return forGood
	}
	return 0
}

// loginKind is the kind of the service's refusal of a login (protocol.md 4.1). A proxy or a
// firewall before the service answers with codes of the same numbers and knows nothing of accounts.
func loginKind(e *Error) Kind {
	switch {
	case !e.Told():
	case e.Status == http.StatusForbidden:
		return KindBlocked
	case e.Status == http.StatusUnauthorized && e.ClockOff() != 0,
		e.Status == http.StatusBadRequest && e.ClockOff() != 0:
		return KindClock
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusBadRequest && e.Message == invalidCredentials:
		return KindInvalidCredentials
	}
	return e.kind
}

// invalidCredentials is how the service says it (protocol.md 4.1).
const invalidCredentials = "Invalid Credentials"

// CurrentLogin is the number of the present login. It stays the same while tokens are
// renewed and when the same user logs in again; [Client.Forget] and another user's
// [Client.Login] end it.
func (c *Client) CurrentLogin() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.logins
}

// loginKey finds the login that a context is bound to.
type loginKey struct{}

// ForLogin returns a context for what takes several requests. They belong to one login,
// a number from [Client.CurrentLogin]: once it is over they fail with [ErrLoginOver], and
// are not sent with the token of whoever has logged in since.
func ForLogin(ctx context.Context, login uint32) context.Context {
	return context.WithValue(ctx, loginKey{}, login)
}

// current returns the session whose token a request under ctx is to carry.
func (c *Client) current(ctx context.Context, auth bool) (session, error) {
	login, bound := ctx.Value(loginKey{}).(uint32)
	if !auth && !bound {
		return session{}, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case bound && login != c.logins:
		return session{}, &Error{
			Status: http.StatusBadRequest, Message: "Login has ended", Err: ErrLoginOver, kind: KindLoginOver,
		}
	case !auth:
		return session{}, nil
	}
	return c.session, nil
}

// WirePassword is the password as login and SASL send it: raw in trial mode,
// otherwise sealed together with the time (protocol.md 4.2). One connect uses the
// same string for both; the next one builds a new string.
func (c *Client) WirePassword(ctx context.Context, password string) (string, error) {
	s, err := c.locate(ctx)
	if err != nil || s.trial {
		return password, err
	}
	now := c.cfg.Now()
	_, east := now.Zone()
	body, err := seal.JSON(struct {
		Password         string `json:"password"`
		CurrentTimestamp int64  `json:"currentTimestamp"`
	}{password, now.UnixMilli() - int64(east)*1000})
	if err != nil {
		return "", &Error{Status: http.StatusInternalServerError, Message: "Password can not be sealed", Err: err}
	}
	return c.sealed(body)
}

// sealed seals what goes to the service under the licence key. There is no
// fall-back: what must be sealed never leaves in the clear.
func (c *Client) sealed(body string) (string, error) {
	sealed, err := seal.SealStrict(body, seal.Triple(c.cfg.LicenseKey), seal.ConstIV)
	if err != nil {
		return "", &Error{Status: http.StatusInternalServerError, Message: "Request can not be sealed", Err: err}
	}
	return sealed, nil
}

// Remember takes the token that [Client.Token] has brought for what follows, and username and the
// raw password for the re-login when it expires.
func (c *Client) Remember(username, password, token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !sameUser(c.session.username, username) {
		c.logins++
	}
	c.change(session{token: token, username: username, password: password})
}

// Token asks for a token (POST /login, protocol.md 4.1) with wirePassword, which
// [Client.WirePassword] has made. It remembers nothing.
func (c *Client) Token(ctx context.Context, username, wirePassword string) (token string, err error) {
	body := struct {
		Username string `json:"username"`
		Password string `json:"password"`
		Type     string `json:"type"`
	}{username, wirePassword, "web"}
	var data struct {
		Token text `json:"token"`
	}
	// Asking twice for a token does no harm, and the first connection after a restart
	// of the service is often a dead one.
	if err := c.post(ctx, &request{op: "login", path: "/login", idempotent: true}, body, &data); err != nil {
		if e := asError(err); e != nil {
			e.kind = loginKind(e)
		}
		return "", err
	}
	token = string(data.Token)
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", unexpected("no usable token")
	}
	return token, nil
}

// Forget drops token and credentials. A re-login that is under way does not bring
// them back, and none starts until the next [Client.Remember].
func (c *Client) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.logins++
	c.change(session{})
}

// ChangePassword is told when the service has given username another password: the
// next re-login needs it.
func (c *Client) ChangePassword(username, password string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sameUser(c.session.username, username) {
		c.session.password, c.session.restsFor = password, 0
	}
}

// Unblocked is told when the administrator has unblocked the account: a re-login that was refused
// for that is tried again at once.
func (c *Client) Unblocked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session.restsFor != forGood {
		c.session.restsFor = 0
	}
}

// ForgetPassword drops the credentials if they are these: the token serves as long as it lasts, and
// no other is asked for.
func (c *Client) ForgetPassword(username, password string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sameUser(c.session.username, username) && c.session.password == password {
		c.change(session{token: c.session.token, username: c.session.username})
	}
}

// sameUser compares user names as XMPP servers do: they fold the case of the local part (RFC 7622
// 3.3).
func sameUser(a, b string) bool { return strings.EqualFold(a, b) }

// change puts another session in the place of the present one, whose re-login is
// then of no more use. It is called with c.mu held.
func (c *Client) change(s session) {
	s.serial = c.session.serial + 1
	c.session = s
	if c.relogin != nil {
		c.relogin.cancel(nil)
		c.relogin = nil
	}
}

// renew returns a newer token of the account that used belongs to: what was asked for one account
// is never repeated as another. One login serves everybody who asks while it is under way; one that
// has failed with a password that is outdated meanwhile is made again.
func (c *Client) renew(ctx context.Context, used session) (string, bool) {
	for {
		c.mu.Lock()
		s, f := c.session, c.relogin
		if s.serial != used.serial || s.password == "" || s.rests() {
			c.mu.Unlock()
			// A password that was forgotten meanwhile has brought no other token.
			newer := s.token != used.token || s.serial != used.serial && s.password != ""
			return s.token, newer && sameUser(s.username, used.username) && s.token != ""
		}
		if f == nil {
			f = c.startRelogin(s)
		}
		c.mu.Unlock()
		err := f.join(ctx)
		if err != nil && ctx.Err() == nil {
			c.cfg.Logger.WarnContext(ctx, "rest: login again failed", "op", "login", "code", asError(err).Status)
		}
		if err != nil && (ctx.Err() != nil || c.hasPassword(s.password)) {
			return "", false
		}
	}
}

// hasPassword reports whether the password is still this one.
func (c *Client) hasPassword(password string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session.password == password
}

// startRelogin is called with c.mu held.
func (c *Client) startRelogin(old session) *flight {
	var token string
	f := c.launch(func(ctx context.Context) error {
		wire, err := c.WirePassword(ctx, old.password)
		if err != nil {
			return err
		}
		token, err = c.Token(ctx, old.username, wire)
		return err
	}, func(f *flight, err error) {
		if c.relogin == f {
			c.relogin = nil
		}
		switch {
		case c.session.serial != old.serial:
		case err == nil:
			c.session.token = token
			c.session.serial++
		case c.session.password == old.password:
			c.session.restsFor = restAfter(err)
		}
	})
	if !c.closed {
		c.relogin = f
	}
	return f
}
