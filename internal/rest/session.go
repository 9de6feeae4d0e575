package rest

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// session is what the Client keeps of a login.
type session struct {
	token    string
	username string
	// password is raw, since every login needs a fresh wire password. When it is empty there is no
	// re-login.
	password string
	// serial grows with every change, so that a re-login can see that it comes too late.
	serial uint32
	// restsFor is until when there is no re-login, in seconds since began, because the service has
	// refused one. 0: nothing speaks against a re-login.
	restsFor int32
}

var began = time.Now()

// A password that the service has refused is not tried again, because that would lock the account.
// An account that is blocked may be free again later.
const (
	forGood = math.MaxInt32
	// blockedPause is in seconds.
	blockedPause = 60
)

func sinceBegan() int32 { return int32(time.Since(began) / time.Second) }

// rests reports whether a re-login would only be refused again.
func (s *session) rests() bool { return s.restsFor != 0 && sinceBegan() < s.restsFor }

// restAfter is restsFor after a re-login that has ended with err.
func restAfter(err error) int32 {
	e := asError(err)
	if e == nil || e.ClockOff() != 0 {
		// Nothing was refused, or only a time stamp.
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

// invalidCredentials is the service's text for a wrong user name or password (protocol.md 4.1).
const invalidCredentials = "Invalid Credentials"

// CurrentLogin is the number of the present login. It stays the same when the token is renewed and
// when the same user logs in again. [Client.Forget] ends the login, and so does [Client.Remember]
// of another user.
func (c *Client) CurrentLogin() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.logins
}

// loginKey is the key of the number of a login in a context.
type loginKey struct{}

// ForLogin returns a context for requests that belong to one login, which is a number from
// [Client.CurrentLogin]. Once that login is over they fail with [ErrLoginOver]: they are not sent
// with the token of another user who has logged in since.
func ForLogin(ctx context.Context, login uint32) context.Context {
	return context.WithValue(ctx, loginKey{}, login)
}

// current returns the session whose token a request with this context carries.
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

// WirePassword is the password as login and SASL send it: raw in trial mode, and otherwise sealed
// together with the time (protocol.md 4.2). One connect uses the same string for both, and the next
// one makes a new string.
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
		return "", &Error{Status: http.StatusInternalServerError, Message: "Password cannot be sealed", Err: err}
	}
	return c.sealed(body)
}

// sealed seals body for the service under the licence key. When that fails there is no fall-back:
// what must be sealed is never sent in the clear.
func (c *Client) sealed(body string) (string, error) {
	sealed, err := seal.SealStrict(body, seal.Triple(c.cfg.LicenseKey), seal.ConstIV)
	if err != nil {
		return "", &Error{Status: http.StatusInternalServerError, Message: "Request cannot be sealed", Err: err}
	}
	return sealed, nil
}

// Remember keeps a token from [Client.Token] for the requests that follow, and username and the raw
// password for the re-login when the token expires.
func (c *Client) Remember(username, password, token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !sameUser(c.session.username, username) {
		c.logins++
	}
	c.changeLocked(session{token: token, username: username, password: password})
}

// Token asks for a token (POST /login, protocol.md 4.1). wirePassword is from
// [Client.WirePassword]. The Client keeps nothing of it: [Client.Remember] does that.
func (c *Client) Token(ctx context.Context, username, wirePassword string) (token string, err error) {
	body := struct {
		Username string `json:"username"`
		Password string `json:"password"`
		Type     string `json:"type"`
	}{username, wirePassword, "web"}
	var data struct {
		Token text `json:"token"`
	}
	// It is idempotent: to ask twice for a token does no harm, and the first connection after a
	// restart of the service is often a dead one.
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

// Forget drops token and credentials. A re-login that is under way does not restore them, and none
// starts until the next [Client.Remember].
func (c *Client) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.logins++
	c.changeLocked(session{})
}

// ChangePassword replaces the password of username for the next re-login. Call it when the service
// has made another password.
func (c *Client) ChangePassword(username, password string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sameUser(c.session.username, username) {
		c.session.password, c.session.restsFor = password, 0
	}
}

// Unblocked permits a re-login that was refused because the administrator had blocked the account.
// Call it when the administrator has unblocked it.
func (c *Client) Unblocked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session.restsFor != forGood {
		c.session.restsFor = 0
	}
}

// ForgetPassword drops the password if it is this one, of this user. The token is used as long as
// it lasts, and there is no re-login.
func (c *Client) ForgetPassword(username, password string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sameUser(c.session.username, username) && c.session.password == password {
		c.changeLocked(session{token: c.session.token, username: c.session.username})
	}
}

// sameUser compares user names without regard to case, as XMPP servers do with the local part of a
// JID (RFC 7622 3.3).
func sameUser(a, b string) bool { return strings.EqualFold(a, b) }

// changeLocked replaces the session, and ends the re-login of the old one.
func (c *Client) changeLocked(s session) {
	s.serial = c.session.serial + 1
	c.session = s
	if c.relogin != nil {
		c.relogin.cancel(nil)
		c.relogin = nil
	}
}

// renew returns a newer token for the account of used, so that a request of one account is never
// repeated as another. All calls that ask while a re-login is under way wait for that one. When it
// has failed, and the password has been replaced meanwhile, it is tried again.
func (c *Client) renew(ctx context.Context, used session) (string, bool) {
	for {
		c.mu.Lock()
		s, f := c.session, c.relogin
		if s.serial != used.serial || s.password == "" || s.rests() {
			c.mu.Unlock()
			// When the password was dropped meanwhile, there is no newer token.
			newer := s.token != used.token || s.serial != used.serial && s.password != ""
			return s.token, newer && sameUser(s.username, used.username) && s.token != ""
		}
		if f == nil {
			f = c.startReloginLocked(s)
		}
		c.mu.Unlock()
		if err := f.join(ctx); err != nil && (ctx.Err() != nil || c.hasPassword(s.password)) {
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

// startReloginLocked starts a login with the password of old.
func (c *Client) startReloginLocked(old session) *flight {
	var token string
	f := c.launchLocked(func(ctx context.Context) (err error) {
		token, err = c.tokenAgain(ctx, old)
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

// tokenAgain gets a new token with the password of old. A failure is logged here, once for all
// calls that wait for it. That Close or another login has ended it is none.
func (c *Client) tokenAgain(ctx context.Context, old session) (token string, err error) {
	defer func() {
		if e := asError(err); e != nil && !errors.Is(ctx.Err(), context.Canceled) {
			c.cfg.Logger.WarnContext(ctx, "rest: login again failed", "code", e.Status)
		}
	}()
	wire, err := c.WirePassword(ctx, old.password)
	if err != nil {
		return "", err
	}
	return c.Token(ctx, old.username, wire)
}
