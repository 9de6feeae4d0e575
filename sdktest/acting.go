package sdktest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Register registers a user, as the user's own app would. As every registration it counts as a
// session (see SetMaxSessions). Nothing happens when there is such a user. user is a user
// identifier.
func (s *Server) Register(ctx context.Context, user string) error {
	if err := s.Phone(user).ensure(ctx); err != nil {
		return fmt.Errorf("sdktest: register: %w", err)
	}
	return nil
}

// SetBlocked blocks other (id or JID) as a user (id or JID), or unblocks it, as the user's own app
// would: both are told (protocol.md 5.4, 6.4). It fails when there is no such user.
func (s *Server) SetBlocked(user, other string, blocked bool) error {
	if err := s.setBlocked(localpart(user), other, blocked); err != nil {
		return fmt.Errorf("sdktest: set blocked: %w", err)
	}
	return nil
}

func (s *Server) setBlocked(user, other string, blocked bool) error {
	if s.external != nil {
		return errors.New("the block lists are the external XMPP server's")
	}
	if !strings.Contains(other, "@") {
		other = s.jid(other)
	}
	jid, valid := bareJID(other)
	switch {
	case !s.store.exists(user):
		return errNoUser
	case !valid || strings.HasPrefix(other, "@"):
		return errors.New("the other one is no user id and no JID")
	case jid == s.jid(user):
		return errors.New(selfBlock)
	}
	name := "unblock"
	if blocked {
		name = "block"
	}
	q := el(nsBlocking, name).add(el("", "item", "jid", jid))
	if !blocked {
		removed := s.store.unblock(user, []string{jid})
		if err := s.store.commit(); err != nil {
			return err
		}
		s.hub.unblocked(user, q, removed)
		return nil
	}
	added, err := s.hub.block(user, []string{jid})
	if err == nil {
		err = s.store.commit()
	}
	if err != nil {
		return err
	}
	s.hub.tellBlocked(user, q, added, "block_user")
	return nil
}

// DeleteAccount deletes the account of a user (id or JID), as the user's own app would: it tells
// the user's contacts, and ends the user's sessions (protocol.md 5.9, 6.4). reason is what Deleted
// then has.
func (s *Server) DeleteAccount(ctx context.Context, user, reason string) error {
	if !s.store.exists(localpart(user)) {
		return fmt.Errorf("sdktest: delete account: %w", errNoUser)
	}
	if r := s.deleteAccount(ctx, localpart(user), reason, ""); r.Status != http.StatusOK {
		return fmt.Errorf("sdktest: delete account: %s", r.Message)
	}
	return nil
}
