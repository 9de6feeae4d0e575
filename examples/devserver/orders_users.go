package main

import (
	"cmp"
	"context"
	"strings"
)

// register registers a user, as the user's own app would.
func (p *page) register(ctx context.Context, o order) (string, error) {
	id := strings.TrimSpace(o.User)
	if p.knows(id) == nil {
		return id + " is registered already.", nil
	}
	return id + " is registered.", p.srv.Register(ctx, id)
}

func (p *page) block(_ context.Context, o order) (string, error) {
	if err := p.mayBlock(o); err != nil {
		return "", err
	}
	return o.User + " has blocked " + o.To + ".", p.srv.SetBlocked(o.User, o.To, true)
}

func (p *page) unblock(_ context.Context, o order) (string, error) {
	if err := p.mayBlock(o); err != nil {
		return "", err
	}
	return o.User + " has unblocked " + o.To + ".", p.srv.SetBlocked(o.User, o.To, false)
}

// mayBlock checks who blocks whom. The other one may be somebody elsewhere, but a user id without a
// user is a slip of the pen.
func (p *page) mayBlock(o order) error {
	if err := p.knows(o.User); err != nil {
		return err
	}
	if strings.Contains(o.To, "@") {
		return nil
	}
	return p.knows(o.To)
}

// deleteAccount deletes the account of a user, as the user's own app would.
func (p *page) deleteAccount(ctx context.Context, o order) (string, error) {
	if err := p.knows(o.User); err != nil {
		return "", err
	}
	reason := cmp.Or(strings.TrimSpace(o.Text), "deleted on the emulator's page")
	return "The account of " + o.User + " is deleted.", p.srv.DeleteAccount(ctx, o.User, reason)
}
