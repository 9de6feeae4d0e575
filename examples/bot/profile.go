package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mirrorfly-go/sdk"
)

// statusText is the status in the profile.
func statusText(since time.Time, blockedBy int) string {
	who := "nobody"
	switch {
	case blockedBy == 1:
		who = "1 user"
	case blockedBy > 1:
		who = fmt.Sprintf("%d users", blockedBy)
	}
	return fmt.Sprintf("On duty since %s, blocked by %s", since.UTC().Format("Jan 2, 15:04 UTC"), who)
}

const offDuty = "Off duty"

// refresh brings the profile up to date. After a failure it is called again at the next interval or
// event.
func (b *bot) refresh(ctx context.Context) {
	blockedBy, err := b.countBlockers(ctx)
	if err == nil {
		err = b.setStatus(ctx, statusText(b.since, blockedBy))
	}
	switch {
	case err == nil, ctx.Err() != nil:
	case b.blocked.Load(): // nothing can be done, but setStatus has noticed if the block has ended
		b.log.DebugContext(ctx, "profile left alone", "err", err)
	default:
		b.log.WarnContext(ctx, "profile not updated", "err", err)
	}
}

// sayGoodbye is the last thing that a bot does. The program was told to end, so it must be quick.
func (b *bot) sayGoodbye(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.grace)
	defer cancel()
	if !b.ready() {
		return
	}
	if err := b.setStatus(ctx, offDuty); err != nil {
		b.log.WarnContext(ctx, "profile not updated at the end", "err", err)
	}
}

// countBlockers asks how many users have blocked the bot.
func (b *bot) countBlockers(ctx context.Context) (int, error) {
	res, err := b.client.GetUsersWhoBlockedMe(ctx)
	if errors.Is(err, &sdk.Error{Condition: "service-unavailable"}) {
		return 0, nil // an XMPP server without the service's own extension
	}
	return len(res.Data), err
}

// setStatus writes the profile when its status is a different one. An update replaces the whole
// profile: to keep the other fields, setStatus reads them first and writes them again.
func (b *bot) setStatus(ctx context.Context, status string) error {
	res, err := b.client.GetUserProfile(ctx, b.Username)
	if err != nil && !errors.Is(err, sdk.ErrUserNotFound) { // no profile yet
		return err
	}
	me := res.Data
	b.blocked.Store(me.IsAdminBlocked)
	email := cmp.Or(me.Email, b.email)
	switch {
	case me.IsAdminBlocked:
		return errors.New("the administrator has blocked this account")
	case me.Status == status:
		b.log.DebugContext(ctx, "profile is up to date")
		return nil
	case email == "":
		return errors.New("the profile has no email, and the service wants one: give -email")
	}
	_, err = b.client.SetUserProfile(ctx, sdk.ProfileUpdate{
		Name: cmp.Or(me.NickName, b.Username), Image: sdk.ImageOf(me),
		Status: status, MobileNumber: me.MobileNumber, Email: email,
	})
	if err == nil {
		b.log.InfoContext(ctx, "profile updated", "status", status)
	}
	return err
}
