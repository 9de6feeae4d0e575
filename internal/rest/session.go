package rest

import (
	"context"
	"net/http"
	"strings"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// session is what a login left behind.
type session struct {
	token    string
	username string
	password string // raw: every login needs a fresh wire password
	serial   uint64 // grows with every change, so that an old outcome is recognized
}

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
		return session{}, &Error{Status: http.StatusBadRequest, Message: "Login has ended", Err: ErrLoginOver}
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

// Login asks for a token (POST /login, protocol.md 4.1) with wirePassword, which
// [Client.WirePassword] made of password. It remembers the token, and username and
// password for the re-login when the token expires.
func (c *Client) Login(ctx context.Context, username, password, wirePassword string) error {
	token, err := c.login(ctx, username, wirePassword)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session.username != username {
		c.logins++
	}
	c.change(session{token: token, username: username, password: password})
	return nil
}

func (c *Client) login(ctx context.Context, username, wirePassword string) (string, error) {
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
		return "", err
	}
	token := string(data.Token)
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", unexpected("no usable token")
	}
	return token, nil
}

// Forget drops token and credentials. A re-login that is under way does not bring
// them back, and none starts until the next [Client.Login].
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
	if c.session.username == username {
		c.session.password = password
	}
}

// CheckLogin asks whether the service would let username in, and remembers nothing.
func (c *Client) CheckLogin(ctx context.Context, username, wirePassword string) error {
	_, err := c.login(ctx, username, wirePassword)
	return err
}

// ForgetPassword drops the credentials if they are username's: the token serves as long as it lasts, and no other is asked for.
func (c *Client) ForgetPassword(username string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session.username == username {
		c.change(session{token: c.session.token})
	}
}

// change puts another session in the place of the present one, whose re-login is
// then of no more use. It is called with c.mu held.
func (c *Client) change(s session) {
	s.serial = c.session.serial + 1
	c.session = s
	if c.relogin != nil {
		c.relogin.cancel()
		c.relogin = nil
	}
}

// renew returns a newer token of the account that used belongs to: what was asked
// for one account is never repeated as another. One login serves everybody who asks
// while it is under way.
func (c *Client) renew(ctx context.Context, used session) (string, bool) {
	c.mu.Lock()
	s, f := c.session, c.relogin
	if s.serial == used.serial && s.username != "" {
		if f == nil {
			f = c.startRelogin(s)
		}
		c.mu.Unlock()
		if err := f.join(ctx); err != nil && ctx.Err() == nil {
			c.cfg.Logger.WarnContext(ctx, "rest: login again failed", "op", "login", "code", asError(err).Status)
		}
		c.mu.Lock()
		s = c.session
	}
	c.mu.Unlock()
	return s.token, s.serial != used.serial && s.username == used.username && s.token != ""
}

// startRelogin is called with c.mu held.
func (c *Client) startRelogin(old session) *flight {
	var token string
	f := c.launch(func(ctx context.Context) error {
		wire, err := c.WirePassword(ctx, old.password)
		if err != nil {
			return err
		}
		token, err = c.login(ctx, old.username, wire)
		return err
	}, func(f *flight, err error) {
		if c.relogin == f {
			c.relogin = nil
		}
		if err == nil && c.session.serial == old.serial {
			c.session.token = token
			c.session.serial++
		}
	})
	if !c.closed {
		c.relogin = f
	}
	return f
}
