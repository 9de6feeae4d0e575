package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	sdk "github.com/mirrorfly-go/sdk"
)

func (p *player) ownProfile(l *life, at string, c Call) {
	before := l.who.profile.allowed()
	got, how, err := do(p, at, "GetUserProfile", c.Patience, func(ctx context.Context) (
		sdk.Result[sdk.Profile], error,
	) {
		return l.client.GetUserProfile(ctx, p.stage.jid(l.who.user))
	})
	if how != toldOK {
		if errors.Is(err, sdk.ErrUserNotFound) && !l.who.mayBeGone() {
			p.wrong(at, "the own account is gone", err)
		}
		return
	}
	l.read(got.Status)
	p.stage.book.checked("profile that was read")
	if allowed := append(before, l.who.profile.allowed()...); !slices.Contains(allowed, got.Status) {
		p.stage.book.fail(
			violation{
				where: at, what: "a profile was read that cannot be", told: got.Status,
				held: fmt.Sprintf("one of %q", allowed),
			},
		)
	}
	p.checkProfile(at, got)
	if token, known := l.who.picture(got.Status); known && token != got.Image {
		p.stage.book.fail(violation{where: at, what: "another picture than was set", told: token, held: got.Image})
	}
}

// checkProfile checks that a profile is that of the user, and not a mixture of two.
func (p *player) checkProfile(at string, got sdk.Profile) {
	if !whole(
		got.NickName, got.Status, got.MobileNumber, got.Email,
	) || got.Status != "" && !strings.HasPrefix(got.Status, got.UserID+"#") {
		p.wrong(at, "a profile of several versions, or of somebody else", fmt.Sprintf("%+v", got))
	}
}

func (p *player) peerProfile(l *life, at string, c Call) {
	peer := p.peer(c.Arg)
	got, how, _ := do(p, at, "GetUserProfile", c.Patience, func(ctx context.Context) (sdk.Result[sdk.Profile], error) {
		return l.client.GetUserProfile(ctx, peer.user)
	})
	if how != toldOK {
		return
	}
	if got.UserID != peer.user || got.UserJID != p.stage.jid(peer.user) {
		p.wrong(at, "the profile of somebody else", fmt.Sprintf("%s for %s", got.UserJID, peer.user))
	}
	p.stage.book.checked("profile of another")
	p.checkProfile(at, got)
}

func (p *player) lastSeen(l *life, at string, c Call) {
	jid := p.stage.jid(p.peer(c.Arg).user)
	got, how, _ := do(p, at, "GetLastSeen", c.Patience, func(ctx context.Context) (sdk.Result[sdk.LastSeen], error) {
		return l.client.GetLastSeen(ctx, jid)
	})
	if how == toldOK && (got.FromUserJID != jid || got.Seconds < 0) {
		p.wrong(at, "the last activity of somebody else", fmt.Sprintf("%+v for %s", got, jid))
	}
}

func (p *player) whoAmI(l *life, at string, _ Call) {
	got, how, _ := do(p, at, "GetCurrentUserJID", 0, func(context.Context) (sdk.Result[string], error) {
		return l.client.GetCurrentUserJID()
	})
	if how == toldOK && got != p.stage.jid(l.who.user) {
		p.wrong(at, "somebody else", got)
	}
}

func (p *player) myBlocks(l *life, at string, c Call) {
	before := l.who.blockList()
	allowed := map[string][]bool{}
	for jid, entry := range before {
		allowed[jid] = entry.allowed()
	}
	got, how, _ := do(p, at, "GetUsersIBlocked", c.Patience, l.client.GetUsersIBlocked)
	if how != toldOK {
		return
	}
	for jid, entry := range l.who.blockList() {
		if before[jid] == nil {
			allowed[jid] = []bool{false}
		}
		allowed[jid] = append(allowed[jid], entry.allowed()...)
	}
	listed := map[string]bool{}
	for _, user := range got {
		if listed[user.JID] || allowed[user.JID] == nil {
			p.wrong(at, "an entry twice, or one that was never made", user.JID)
		}
		listed[user.JID] = true
	}
	for jid, may := range allowed {
		p.stage.book.checked("block list that was read")
		if !slices.Contains(may, listed[jid]) {
			p.stage.book.fail(
				violation{
					where: at, what: "a block list was read that cannot be",
					told: fmt.Sprintf("%s blocked: %v", jid, listed[jid]), held: fmt.Sprintf("one of %v", may),
				},
			)
		}
	}
}

func (p *player) whoBlockedMe(l *life, at string, c Call) {
	me := p.stage.jid(l.who.user)
	got, how, _ := do(p, at, "GetUsersWhoBlockedMe", c.Patience, l.client.GetUsersWhoBlockedMe)
	if how != toldOK {
		return
	}
	for _, user := range got {
		blocker := p.stage.account(user.JID)
		if blocker == nil || !slices.Contains(blocker.tried(), me) {
			p.wrong(at, "blocked by somebody who never did that", user.JID)
		}
	}
}
