package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
)

func (p *player) register(l *life, at string, c Call) {
	got, how, _ := do(p, at, "Register", c.Patience, func(ctx context.Context) (sdk.Result[sdk.Credentials], error) {
		return l.client.Register(
			ctx, l.who.user, sdk.ForceRegister(c.Arg%2 == 0), sdk.RegisterMetadata(map[string]any{"arg": c.Arg}),
		)
	})
	if how == toldOK {
		p.welcome(l, at, got)
	}
}

// welcome checks credentials, and keeps them.
func (p *player) welcome(l *life, at string, got sdk.Credentials) {
	if got.Username != l.who.user || got.UserJID != p.stage.jid(l.who.user) || got.Password == "" {
		p.wrong(at, "the credentials of somebody else", fmt.Sprintf("%s for %s", got.UserJID, l.who.user))
		return
	}
	l.who.learn(got.Password)
}

func (p *player) connect(l *life, at string, c Call) {
	password := l.who.secret()
	if password == "" {
		return
	}
	connect := func(ctx context.Context) (sdk.Result[sdk.None], error) {
		return l.client.Connect(ctx, l.who.user, password)
	}
	_, how, _ := do(p, at, "Connect", cmp.Or(c.Patience, loginTime), connect)
	if how == toldOK {
		l.watch.enter()
	}
}

func (p *player) logout(l *life, at string, c Call) {
	_, how, _ := do(p, at, "Logout", c.Patience, l.client.Logout)
	if how == toldOK {
		l.watch.leave()
	}
}

// deleteAccount gives the account up, unless it certainly still exists.
func (p *player) deleteAccount(l *life, at string, c Call) {
	_, how, _ := do(p, at, "DeleteMyAccount", c.Patience, func(ctx context.Context) (sdk.Result[sdk.None], error) {
		return l.client.DeleteMyAccount(ctx, at, "")
	})
	p.stage.deletions.add(at, how)
	if how.void() {
		return
	}
	l.who.leave()
	if how == toldOK {
		p.stage.left(l.who.user)
	}
	p.replace(at)
}

// qrTime bounds a login by QR code.
const qrTime = 15 * time.Second

// logInByQR logs out, and in again with the phone; every third time the phone ends that.
func (p *player) logInByQR(l *life, at string, c Call) {
	p.logout(l, at, Call{})
	ctx, cancel := context.WithTimeout(context.Background(), qrTime)
	defer cancel()
	q, err := l.client.GenerateQRCode(ctx, sdk.QROptions{SignalServerURL: p.stage.srv.SignalURL()})
	code, message := 200, ""
	if e, ok := err.(*sdk.Error); ok {
		code, message = e.StatusCode, e.Message
	}
	if p.judge(at, "GenerateQRCode", code, message, err) != toldOK {
		return
	}
	defer q.Close()
	phone := p.stage.srv.Phone(l.who.user)
	p.scan(ctx, q, phone.Scan)
	got, how, _ := do(p, at, "QRLogin.Wait", 3*time.Second, q.Wait)
	if how != toldOK {
		return
	}
	l.watch.enter()
	p.welcome(l, at, got)
	if c.Arg%3 == 0 {
		// The login may have been lost by now.
		_ = phone.LogoutWeb(ctx)
	}
}

// scan shows each code to the phone, until the phone accepts one or there are no more.
func (p *player) scan(ctx context.Context, q *sdk.QRLogin, show func(context.Context, string) error) {
	for {
		select {
		case code, more := <-q.Codes():
			if !more || show(ctx, code.Content()) == nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
