package main

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk"
)

// licenseKey registers a user: nothing but that tells whether the service takes the key.
func (c *checkup) licenseKey(ctx context.Context) (string, error) {
	if c.username != "" {
		c.me = sdk.Credentials{Username: c.username, Password: c.password}
		return "", skipped("MIRRORFLY_USERNAME is set: only registration looks at the key")
	}
	res, err := c.client.Register(ctx, "doctor-"+strings.ToLower(rand.Text()[:8]))
	c.me, c.registration, c.registered = res.Data, err, err == nil
	switch {
	case errors.Is(err, sdk.ErrInvalidLicense), errors.Is(err, sdk.ErrLicenseMode):
		return "", err
	case err != nil:
		return "", skipped("not known")
	}
	return "accepted", nil
}

func (c *checkup) register(context.Context) (string, error) {
	if c.username != "" {
		return "", skipped("MIRRORFLY_USERNAME is set")
	}
	return c.me.UserJID, c.ofAnotherServer(c.registration)
}

// logIn is POST /login and all of the XMPP login. The steps after it say how far that has come.
func (c *checkup) logIn(ctx context.Context) (string, error) {
	failed := make(chan struct{}, 1)
	defer c.client.OnConnection(func(e sdk.ConnectionEvent) {
		if e.Status == sdk.StatusConnectionFailed || e.Status == sdk.StatusAuthFail {
			select {
			case failed <- struct{}{}:
			default: // it is known already
			}
		}
	})()
	_, c.connect = c.client.Connect(ctx, c.me.Username, c.me.Password)
	if c.connect == nil {
		return "as " + c.me.Username, nil
	}
	select {
	case <-failed:
		// POST /login was answered: the steps below say what was not.
		return "as " + c.me.Username, nil
	case <-time.After(time.Second): // the event comes at once, or not at all
		return "as " + c.me.Username, c.ofAnotherServer(c.connect)
	}
}

func (c *checkup) xmpp(context.Context) (string, error) {
	found := "over " + string(c.transport)
	if c.connect != nil && !c.atBind() {
		return found, c.connect
	}
	return found, nil
}

// atBind: the server has taken the password, and then bound no resource (RFC 6120 7).
func (c *checkup) atBind() bool {
	return c.connect != nil && (strings.Contains(c.connect.Error(), "bind refused") ||
		strings.Contains(c.connect.Error(), "bind failed"))
}

func (c *checkup) bind(context.Context) (string, error) {
	if c.connect != nil {
		return "", c.connect
	}
	jid, err := c.client.GetCurrentUserJID()
	return jid.Data, err
}

func (c *checkup) profile(ctx context.Context) (string, error) {
	_, err := c.client.GetUserProfile(ctx, c.me.Username)
	if errors.Is(err, sdk.ErrUserNotFound) {
		return "there is none yet, and the service says so", nil
	}
	return "the own one was read", err
}

// cleanUp deletes the account that was registered for the examination.
func (c *checkup) cleanUp(ctx context.Context) (string, error) {
	if !c.registered {
		return "", skipped("no account was registered")
	}
	_, err := c.client.DeleteMyAccount(ctx, "the examination is over", "")
	if errors.Is(err, sdk.ErrNotRegistered) {
		err = errors.New("an account that cannot log in cannot delete itself")
	}
	if err != nil {
		return "", &problem{err, "delete " + c.me.Username + " in the console of the service, or leave it there"}
	}
	return c.me.Username + " is deleted", nil
}
