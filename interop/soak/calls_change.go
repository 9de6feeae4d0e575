package main

import (
	"context"
	"encoding/json"

	sdk "github.com/mirrorfly-go/sdk"
)

func (p *player) setProfile(l *life, at string, c Call) {
	v := version(l.who.user, l.who.nextVersion())
	u := update(v)
	switch c.Arg % 10 {
	case 0:
		picture := content{seed: c.Arg, size: int64(1 + c.Arg%4096)}
		u.Image = sdk.ImageReader("picture.png", "image/png", picture.reader(), picture.size)
	case 1, 2:
		u.Image = sdk.ImageURL("https://pictures.example/" + l.who.user)
	}
	l.who.profile.begin(v)
	image, how, _ := do(p, at, "SetUserProfile", c.Patience, func(ctx context.Context) (
		sdk.Result[sdk.ProfileImage], error,
	) {
		return l.client.SetUserProfile(ctx, u)
	})
	if how == toldOK {
		l.who.pictured(v, image.FileToken)
	}
	l.who.profile.end(v, how)
}

func (p *player) setBlocked(l *life, at string, c Call, blocked bool) {
	jid := p.target(c.Arg)
	method, call := "UnblockUser", l.client.UnblockUser
	if blocked {
		method, call = "BlockUser", l.client.BlockUser
	}
	entry := l.who.block(jid)
	entry.begin(blocked)
	_, how, _ := do(
		p, at, method, c.Patience, func(ctx context.Context) (sdk.Result[sdk.None], error) { return call(ctx, jid) },
	)
	l.blocked(blockChange{jid, blocked}, how)
	entry.end(blocked, how)
}

func (p *player) feedback(l *life, at string, c Call) {
	_, how, _ := do(p, at, "SendFeedback", c.Patience, func(ctx context.Context) (sdk.Result[sdk.None], error) {
		return l.client.SendFeedback(ctx, at, "from "+l.who.user)
	})
	p.stage.feedback.add(at, how)
}

func (p *player) report(l *life, at string, c Call) {
	message := sdk.ReportedMessage{MsgID: at, Message: "text", MsgType: "text", Timestamp: 1, PublisherID: "x"}
	_, how, _ := do(p, at, "ReportUserOrGroup", c.Patience, func(ctx context.Context) (sdk.Result[sdk.None], error) {
		return l.client.ReportUserOrGroup(ctx, p.target(c.Arg), sdk.ChatTypeChat, []sdk.ReportedMessage{message})
	})
	p.stage.reports.add(at, how)
}

func (p *player) encrypt(l *life, at string, c Call) {
	do(p, at, "SetMediaEncryption", 0, func(context.Context) (sdk.Result[sdk.None], error) {
		return l.client.SetMediaEncryption(c.Arg%2 == 0)
	})
}

// reported is the key of a report that the service holds.
func reported(data string) string {
	var messages []sdk.ReportedMessage
	if json.Unmarshal([]byte(data), &messages) != nil || len(messages) != 1 {
		return "unreadable " + data
	}
	return messages[0].MsgID
}
