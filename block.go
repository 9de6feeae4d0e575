package sdk

import (
	"context"

	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// BlockedUser is an entry of a block list.
type BlockedUser struct {
	JID string `json:"jid"` // bare JID
}

// BlockUser stops all messages, presence and profiles between this user and userJID (protocol.md 5.4,
// XEP-0191). Blocking somebody twice is no error. OnBlock tells it on every device.
//
// Errors: 403 ErrFeatureUnavailable, checked before the argument; 400 ErrInvalidArgument unless userJID is a user's
// bare JID; 400 ErrNotRegistered; 500 ErrNotConnected; 500 "Request Failed" with a Condition.
func (c *Client) BlockUser(ctx context.Context, userJID string) (Result[None], error) {
	return c.setBlocked(ctx, "BlockUser", userJID, (*xmpp.Session).Block)
}

// UnblockUser takes BlockUser back. Its errors are the same; unblocking somebody who is not blocked is none.
func (c *Client) UnblockUser(ctx context.Context, userJID string) (Result[None], error) {
	return c.setBlocked(ctx, "UnblockUser", userJID, (*xmpp.Session).Unblock)
}

func (c *Client) setBlocked(ctx context.Context, op, userJID string, set func(*xmpp.Session, context.Context, string) error) (Result[None], error) {
	return unbounded(ctx, c, op, func(ctx context.Context) (None, error) {
		if err := c.gate(func(f Features) bool { return f.Block }); err != nil {
			return None{}, err
		}
		s, err := c.ready(jidFormat("toUserJid", userJID), required("toUserJid", userJID))
		if err != nil {
			return None{}, err
		}
		return None{}, set(s, ctx, userJID)
	})
}

// gate refuses what the plan lacks, to those who are registered: everybody else is told that first (protocol.md 5.4).
func (c *Client) gate(has func(Features) bool) error {
	if _, err := c.checkRegistered(); err != nil {
		return err
	}
	if !has(c.Features()) {
		return errFeature
	}
	return nil
}

// GetUsersIBlocked reads the own block list, in the server's order (protocol.md 5.5, XEP-0191).
//
// Errors: 400 ErrNotRegistered; 500 ErrNotConnected; 500 "Request Failed" with a Condition.
func (c *Client) GetUsersIBlocked(ctx context.Context) (Result[[]BlockedUser], error) {
	return c.blockList(ctx, "GetUsersIBlocked", (*xmpp.Session).BlockList)
}

// GetUsersWhoBlockedMe reads who has blocked this user (protocol.md 5.6). Only the service answers it: a
// stock XMPP server refuses with the Condition "service-unavailable". Its errors are those of GetUsersIBlocked.
func (c *Client) GetUsersWhoBlockedMe(ctx context.Context) (Result[[]BlockedUser], error) {
	return c.blockList(ctx, "GetUsersWhoBlockedMe", (*xmpp.Session).WhoBlockedMe)
}

func (c *Client) blockList(ctx context.Context, op string, read func(*xmpp.Session, context.Context) ([]string, error)) (Result[[]BlockedUser], error) {
	return unbounded(ctx, c, op, func(ctx context.Context) ([]BlockedUser, error) {
		s, err := c.ready()
		if err != nil {
			return nil, err
		}
		jids, err := read(s, ctx)
		users := make([]BlockedUser, 0, len(jids))
		for _, jid := range jids {
			users = append(users, BlockedUser{JID: jid})
		}
		return users, err
	})
}
