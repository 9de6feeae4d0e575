package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
)

const (
	// numbered begins the names of users that do not exist: the number behind it tells pushes
	// apart.
	numbered = "n"
	// forged is the user in stanzas that a stranger has made up.
	forged = "forged"
)

func isNumbered(jid string) bool {
	rest, found := strings.CutPrefix(jid, numbered)
	return found && rest != "" && '0' <= rest[0] && rest[0] <= '9'
}

// pushes are the stanzas that carry a number, one for each kind of event: %[1]s is the user that it
// is about, %[2]s the domain, %[3]s the receiver.
var pushes = [...]string{
	`<presence xmlns="jabber:client" from="%[1]s@%[2]s/phone"/>`,
	`<message xmlns="jabber:client" from="%[2]s" type="headline"><user_deleted user="%[1]s@%[2]s"/></message>`,
	`<message xmlns="jabber:client" from="%[2]s" type="headline"><admin_block block_status="1" chat_type="chat" ` +
		`jid="%[1]s@%[2]s"/></message>`,
	`<message xmlns="jabber:client" from="%[2]s" type="headline"><userblocked blocked_user="%[1]s" ` +
		`type="unblock_user"/></message>`,
	`<iq xmlns="jabber:client" type="set" id="%[1]s" from="%[3]s@%[2]s"><block xmlns="urn:xmpp:blocking"><item ` +
		`jid="%[1]s@%[2]s"/></block></iq>`,
	`<iq xmlns="jabber:client" type="result" id="%[1]s" from="%[1]s@%[2]s"><vCard ` +
		`xmlns="vcard-temp"><status>x</status></vCard></iq>`,
}

// forgeries must never reach a listener.
var forgeries = [...]string{
	`<message xmlns="jabber:client" from="mallory@stranger.example/x"><admin_block block_status="1" ` +
		`chat_type="chat" jid="%[1]s@%[2]s"/></message>`,
	`<message xmlns="jabber:client" from="mallory@%[2]s/x"><user_deleted user="%[1]s@%[2]s"/></message>`,
	`<message xmlns="jabber:client" from="mallory@%[2]s/x"><userblocked blocked_user="%[1]s" ` +
		`type="block_user"/></message>`,
	`<iq xmlns="jabber:client" type="set" id="1" from="mallory@%[2]s/x"><block xmlns="urn:xmpp:blocking"><item ` +
		`jid="%[1]s@%[2]s"/></block></iq>`,
	`<iq xmlns="jabber:client" type="result" id="1" from="%[1]s@stranger.example"><vCard ` +
		`xmlns="vcard-temp"><status>x</status></vCard></iq>`,
}

func forgeriesFrom(domain string) (texts []string) {
	for _, text := range forgeries {
		texts = append(texts, fmt.Sprintf(text, forged, domain))
	}
	return texts
}

func push(n int, domain, to string) string {
	return fmt.Sprintf(pushes[n%len(pushes)], fmt.Sprint(numbered, n), domain, to)
}

// pushSome lets the service push a few numbers.
func (p *player) pushSome(l *life, _ string, c Call) {
	for range 1 + c.Arg%5 {
		l.who.numberPush(func(n int) bool { return p.stage.push(l.who.user, n) })
	}
}

// flood lets the service push more than can wait for a stuck listener.
func (p *player) flood(l *life, _ string, c Call) {
	free := make(chan struct{})
	stop := l.client.OnPresence(func(sdk.PresenceEvent) { <-free })
	defer stop()
	for range 1100 + c.Arg%400 {
		l.who.numberPush(func(n int) bool { return p.stage.push(l.who.user, n) })
	}
	p.stage.pause(context.Background(), time.Duration(c.Arg%300)*time.Millisecond)
	close(free)
}
