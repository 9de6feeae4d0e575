package sdk

import (
	"context"
	"errors"
	"slices"

	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// BlockedUser is an entry of a block list.
type BlockedUser struct {
	JID string `json:"jid"` // bare JID
}

// BlockUser stops all messages, presence and profiles between this user and userJID (protocol.md
// 5.4, XEP-0191). OnBlock tells it on every device. Only conversations between two are blocked, not
// groups. userJID is a bare JID or the bare user id.
//
// The blocked user is told: OnPresence with "unavailable", then OnBlock. From then on a blocked
// user cannot write to this one, and does not see this user's information: so much the service
// documents. What GetUserProfile and GetLastSeen answer a blocked user, it does not; from sdktest
// come a profile with nothing but the ids, and the Condition "service-unavailable".
//
// Blocking somebody who is blocked changes nothing: XMPP servers answer with success (XEP-0191),
// and where the service refuses with a text that says so, as it does for the same call over REST,
// that counts as success (protocol.md 13). A refusal in other words is an error.
//
// Errors: 403 ErrFeatureUnavailable, checked before the argument; 400 ErrInvalidArgument for
// another userJID; 400 ErrNotRegistered; 500 ErrNotConnected; 500 "Request Failed" with a
// Condition, for oneself, too.
func (c *Client) BlockUser(ctx context.Context, userJID string) (Result[None], error) {
	return c.setBlocked(ctx, "BlockUser", userJID, (*xmpp.Session).Block)
}

// UnblockUser takes BlockUser back. Its errors are the same, and unblocking somebody who is not
// blocked is treated like blocking somebody twice.
func (c *Client) UnblockUser(ctx context.Context, userJID string) (Result[None], error) {
	return c.setBlocked(ctx, "UnblockUser", userJID, (*xmpp.Session).Unblock)
}

func (c *Client) setBlocked(
	ctx context.Context, op, userJID string, set func(*xmpp.Session, context.Context, string) error,
) (Result[None], error) {
	return ask(ctx, c, op, func(ctx context.Context) (None, error) {
		if err := c.gate(func(f Features) bool { return f.Block }); err != nil {
			return None{}, err
		}
		s, jid, err := c.aboutUser(userJID)
		if err != nil {
			return None{}, err
		}
		return None{}, set(s, ctx, jid)
	})
}

// gate refuses what the plan lacks, to those who are registered: everybody else is told that first
// (protocol.md 5.4).
func (c *Client) gate(has func(Features) bool) error {
	l, err := c.registered()
	if err != nil {
		return err
	}
	if !has(Features(l.account().service().Features)) {
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

// GetUsersWhoBlockedMe reads who has blocked this user (protocol.md 5.6). Where the XMPP server
// does not know the question (service-unavailable, feature-not-implemented), it is put to the REST
// half: GET /users/blockedby, page by page (protocol.md 13).
//
// Errors: those of GetUsersIBlocked, also when the REST half does not know the question either;
// else what the REST half says: 500 with its text, 599 ErrNetwork.
func (c *Client) GetUsersWhoBlockedMe(ctx context.Context) (Result[[]BlockedUser], error) {
	return c.blockList(ctx, "GetUsersWhoBlockedMe", func(s *xmpp.Session, ctx context.Context) ([]string, error) {
		users, err := s.WhoBlockedMe(ctx)
		var refused *xmpp.StanzaError
		if errors.As(err, &refused) && slices.Contains(notKnownToServer, refused.Condition) {
			ctx, release := endingWith(ctx, c.ctx)
			defer release()
			ctx, cancel := c.withTimeout(ctx)
			defer cancel()
			told, restErr := c.rest.BlockedBy(ctx)
			if !rest.NotServed(restErr) {
				users, err = told, in(stepRequest, restErr)
			}
		}
		return users, err
	})
}

// notKnownToServer are the conditions of a request that a server does not serve (RFC 6120 8.3.3).
var notKnownToServer = []string{"service-unavailable", "feature-not-implemented"}

func (c *Client) blockList(
	ctx context.Context, op string, read func(*xmpp.Session, context.Context) ([]string, error),
) (Result[[]BlockedUser], error) {
	return ask(ctx, c, op, func(ctx context.Context) ([]BlockedUser, error) {
		l, err := c.registered()
		if err != nil {
			return nil, err
		}
		s, err := l.open()
		if err != nil {
			return nil, err
		}
		me := l.account()
		named, err := read(s, rest.ForLogin(ctx, me.number))
		users := make([]BlockedUser, 0, len(named))
		for _, user := range named {
			users = append(users, BlockedUser{JID: me.jidOf(user)})
		}
		return users, err
	})
}
