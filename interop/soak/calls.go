package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
)

// calls are what the ops of the plan do. at is unique in the run.
var calls = map[op]func(p *player, l *life, at string, c Call){
	opOwnProfile:  (*player).ownProfile,
	opPeerProfile: (*player).peerProfile,
	opLastSeen:    (*player).lastSeen,
	opMyBlocks:    (*player).myBlocks,
	opWhoBlocked:  (*player).whoBlockedMe,
	opWhoAmI:      (*player).whoAmI,
	opSetProfile:  (*player).setProfile,
	opBlock:       func(p *player, l *life, at string, c Call) { p.setBlocked(l, at, c, true) },
	opUnblock:     func(p *player, l *life, at string, c Call) { p.setBlocked(l, at, c, false) },
	opFeedback:    (*player).feedback,
	opReport:      (*player).report,
	opUpload:      (*player).upload,
	opUploadLarge: (*player).upload,
	opDownload:    (*player).download,
	opEncrypt:     (*player).encrypt,
	opRegister:    (*player).register,
	opConnect:     (*player).connect,
	opLogout:      (*player).logout,
	opReplace:     func(p *player, _ *life, at string, _ Call) { p.replace(at) },
	opQR:          (*player).logInByQR,
	opDelete:      (*player).deleteAccount,
	opPush:        (*player).pushSome,
	opFlood:       (*player).flood,
}

// wrong notes that a caller was told something impossible.
func (p *player) wrong(at, what string, told any) {
	p.stage.book.fail(violation{where: at, what: what, told: fmt.Sprint(told)})
}

// version names the nth profile of a user, and update is that profile.
func version(user string, n int) string { return fmt.Sprintf("%s#%d", user, n) }

func update(version string) sdk.ProfileUpdate {
	user, n, _ := strings.Cut(version, "#")
	return sdk.ProfileUpdate{
		Name: "name " + version, Status: version, MobileNumber: n, Email: "v" + n + "@" + user + ".test",
	}
}

// whole reports whether all fields are of one version.
func whole(name, status, mobile, email string) bool {
	if status == "" {
		return name == "" && mobile == "" && email == ""
	}
	want := update(status)
	return name == want.Name && mobile == want.MobileNumber && email == want.Email
}

// peer is another session's account.
func (p *player) peer(arg uint32) *account {
	all := p.stage.players
	return all[(p.number+1+int(arg)%(len(all)-1))%len(all)].current().who
}

// target is a user to block: one of a few that do not exist, or one whose account is never deleted.
func (p *player) target(arg uint32) string {
	user := fmt.Sprintf("x%d", arg%12)
	if other := int(arg/12) % len(p.stage.players); arg%3 == 0 && other != p.number &&
		!p.stage.players[other].actor.Mortal {
		user = p.stage.players[other].current().who.user
	}
	return p.stage.jid(user)
}

// do makes a call, and checks that its result and its error agree.
func do[T any](
	p *player, at, method string, limit time.Duration, f func(context.Context) (sdk.Result[T], error),
) (T, told, error) {
	ctx := context.Background()
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	res, err := f(ctx)
	how := p.judge(at, method, res.StatusCode, res.Message, err)
	return res.Data, how, err
}

// judge returns the outcome that the caller was told.
func (p *player) judge(at, method string, code int, message string, err error) told {
	b := p.stage.book
	b.checked("result and error agree")
	how := toldOK
	var e *sdk.Error
	switch {
	case err == nil:
		if code != 200 {
			b.fail(violation{where: at, what: method + " has no error", told: fmt.Sprintf("%d %s", code, message)})
		}
	case !errors.As(err, &e):
		b.fail(violation{where: at, what: method + " has an error that is no *Error", told: err.Error()})
		how = toldUnknown
	default:
		if e.StatusCode != code || e.Message != message || code == 200 || e.Op == "" {
			b.fail(
				violation{
					where: at, what: method + " has a result and an error that differ",
					told: fmt.Sprintf("%d %q and %v", code, message, err),
				},
			)
		}
		how = toldBy(e)
	}
	b.called(method, how)
	return how
}
