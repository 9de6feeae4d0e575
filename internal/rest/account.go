package rest

import (
	"context"
	"fmt"
	"net/http"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// Profile is a user's profile as the service sent it: NickName, Email and MobileNumber are still
// sealed (protocol.md 5.1).
type Profile struct {
	UserID         string
	UserJID        string
	NickName       string
	Email          string
	MobileNumber   string
	Status         string
	Image          string
	ThumbImage     string
	IsAdminBlocked bool
}

// profile is a [Profile] on the wire; a field of the wrong type counts as empty.
type profile struct {
	UserID         text `json:"userId"`
	UserJID        text `json:"userJid"`
	NickName       text `json:"nickName"`
	Email          text `json:"email"`
	MobileNumber   text `json:"mobileNumber"`
	Status         text `json:"status"`
	Image          text `json:"image"`
	ThumbImage     text `json:"thumbImage"`
	IsAdminBlocked flag `json:"isAdminBlocked"`
}

// Profile asks for the profile of the user with this id, the local part of a JID
// (GET /contacts/vcard). A user who does not exist is an [*Error] of [KindNoUser].
func (c *Client) Profile(ctx context.Context, id string) (*Profile, error) {
	r := &request{
		op: "profile", method: http.MethodGet, auth: true, idempotent: true,
		path: "/contacts/vcard?userId=" + seal.EncodeURIComponent(id),
	}
	var p *profile
	if err := c.json(ctx, r, &p); err != nil {
		if e := asError(err); e.Status == http.StatusNoContent {
			e.kind = KindNoUser
		}
		return nil, err
	}
	if p == nil {
		return nil, unexpected("no profile")
	}
	found := p.told()
	return &found, nil
}

func (p *profile) told() Profile {
	return Profile{
		UserID: string(p.UserID), UserJID: string(p.UserJID),
		NickName: string(p.NickName), Email: string(p.Email), MobileNumber: string(p.MobileNumber),
		Status: string(p.Status), Image: string(p.Image), ThumbImage: string(p.ThumbImage),
		IsAdminBlocked: bool(p.IsAdminBlocked),
	}
}

const (
	// blockedByPage is how many users we ask for in a page.
	blockedByPage = 50
	// maxBlockedByPages bounds a list that would not end. Over XMPP the list has at most 1 MiB.
	maxBlockedByPages = 1000
)

// BlockedBy returns the ids of those who have blocked the user who is logged in: all pages of GET
// /users/blockedby (protocol.md 13). It is never nil without an error.
func (c *Client) BlockedBy(ctx context.Context) ([]string, error) {
	ids, seen := []string{}, map[string]bool{}
	for page := 1; page <= maxBlockedByPages; page++ {
		var data object[struct {
			Users []struct {
				UserID text `json:"userId"`
			} `json:"users"`
			TotalPages number `json:"totalPages"`
		}]
		r := &request{
			op: "blocked by", method: http.MethodGet, auth: true, idempotent: true,
			path: fmt.Sprintf("/users/blockedby?page=%d&size=%d", page, blockedByPage),
		}
		if err := c.json(ctx, r, &data); err != nil {
			return nil, err
		}
		before := len(ids)
		for _, user := range data.value.Users {
			if id := string(user.UserID); id != "" && !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
		// A page without new users is the end, too: a server that knows no pages always answers
		// with the first.
		if len(ids) == before || page == int(data.value.TotalPages) {
			return ids, nil
		}
	}
	return nil, unexpected("more than %d pages of users", maxBlockedByPages)
}

// NotServed reports whether err says that the service does not know the call.
func NotServed(err error) bool {
	e := asError(err)
	return e != nil &&
		(e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed ||
			e.Status == http.StatusNotImplemented)
}

// Feedback sends feedback about the service (protocol.md 5.8).
func (c *Client) Feedback(ctx context.Context, title, description string) error {
	return c.post(ctx, &request{op: "feedback", path: "/moderation/feedback", auth: true}, struct {
		Title       string `json:"title"`
		Description string `json:"description"`
	}{title, description}, nil)
}

// Report reports a user or a group; data is the messages as JSON text
// (protocol.md 5.10).
func (c *Client) Report(ctx context.Context, from, to, chatType, data string) error {
	return c.post(ctx, &request{op: "report", path: "/moderation/report", auth: true}, struct {
		From     string `json:"from"`
		To       string `json:"to"`
		ChatType string `json:"chatType"`
		Data     string `json:"data"`
	}{from, to, chatType, data}, nil)
}

// DeleteAccount deletes the account that is logged in (protocol.md 5.9).
func (c *Client) DeleteAccount(ctx context.Context, reason, feedback string) error {
	return c.post(ctx, &request{op: "delete account", path: "/users/deleteMyAccount", auth: true}, struct {
		Reason   string `json:"reason"`
		Feedback string `json:"feedback"`
	}{reason, feedback}, nil)
}

// Logout ends the session (protocol.md 5.11). Call [Client.Forget] afterwards. When a connection
// breaks that was used before, the service may just have closed it, so Logout is sent once more. A
// refusal of the second request does not count, because the first may have taken effect.
func (c *Client) Logout(ctx context.Context) error {
	r := &request{op: "logout", method: http.MethodGet, path: "/logout", auth: true}
	err := c.json(ctx, r, nil)
	e := asError(err)
	if e == nil || e.answered != 0 || e.failure != failedBroken || !r.reused.Load() || ctx.Err() != nil {
		return err
	}
	if c.json(ctx, r, nil) == nil {
		return nil
	}
	return err
}
