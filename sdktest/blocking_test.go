package sdktest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBlocking(t *testing.T) {
	s := trial(t)
	alice, bob := register(t, s, "alice"), register(t, s, "bob")
	a1, a2 := connect(t, s, alice, "Web-1"), connect(t, s, alice, "Web-2")
	b := connect(t, s, bob, "Web-1")
	setVCard(t, a1, "Alice")
	a1.settle() // the pushes are out now
	b.settle()
	a2.settle()
	bobJID, aliceJID := "bob@"+s.Domain(), "alice@"+s.Domain()
	block := `<block xmlns="urn:xmpp:blocking"><item jid="` + bobJID + `"/></block>`
	last := `<query xmlns="jabber:iq:last"/>`
	profile := func() string {
		return string(rest(t, s, "GET", "/contacts/vcard?userId=alice", bob.Token, nil).Data)
	}
	require.Contains(t, profile(), `"nickName":"Alice"`)

	require.Contains(t, a1.ask("set", "", block), `type="result"`)
	for _, x := range []*xmppClient{a1, a2} {
		require.Contains(t, x.until("<block "), `type="set"`)
	}
	a1.settle()
	told := b.settle()
	require.Len(t, told, 3)
	require.Contains(t, told[0], `from="`+a1.jid+`"`)
	require.Contains(t, told[1], `from="`+a2.jid+`"`)
	require.Contains(t, told[0]+told[1], `type="unavailable"`)
	require.Contains(t, told[2], `<userblocked blocked_user="alice" type="block_user"/>`)
	require.Contains(t, told[2], `from="`+s.Domain()+`"`)

	require.Contains(t, a1.ask("get", "", `<blocklist xmlns="urn:xmpp:blocking"/>`),
		`<blocklist xmlns="urn:xmpp:blocking"><item jid="`+bobJID+`"/></blocklist>`)
	require.Contains(t, b.ask("get", "", `<query status="block_user" xmlns="jabber:iq:user_activities"/>`),
		`<query xmlns="jabber:iq:user_activities" status="block_user"><blocklist>`+
			`<members>`+aliceJID+`</members></blocklist></query>`)

	require.Contains(t, b.ask("get", aliceJID, last), "service-unavailable")
	require.Contains(t, b.ask("get", aliceJID, `<vCard xmlns="vcard-temp"/>`), "service-unavailable")
	require.Contains(t, b.ask("get", a1.jid, `<query xmlns="urn:x"/>`), "service-unavailable")
	require.Contains(t, a1.ask("get", bobJID, last), "not-acceptable")
	require.NotContains(t, profile(), `"nickName":"Alice"`)
	require.Contains(t, profile(), `"userId":"alice"`)
	require.NotContains(t, b.ask("get", "", `<query xmlns="jabber:iq:roster"/>`), "Alice")

	b.send(`<message id="m1" to="%s" type="chat" xmlns="jabber:client"><body>x</body></message>`, aliceJID)
	require.Contains(t, b.until(`id="m1"`), "service-unavailable")
	a1.send(`<message id="m2" to="%s" type="chat" xmlns="jabber:client"><body>x</body></message>`, bobJID)
	require.Contains(t, a1.until(`id="m2"`), `<blocked xmlns="urn:xmpp:blocking:errors"/>`)
	a1.send(`<presence xmlns="jabber:client"><show>away</show></presence>`)
	b.send(`<presence xmlns="jabber:client"><show>dnd</show></presence>`)
	setVCard(t, a1, "Alicia")
	a1.settle()
	require.NotContains(t, strings.Join(b.settle(), ""), "alice")
	require.NotContains(t, strings.Join(a2.settle(), ""), "dnd")
	late := connect(t, s, bob, "Web-late")
	require.NotContains(t, strings.Join(late.settle(), ""), "alice")

	require.Contains(t, a1.ask("set", "", block), `type="result"`, "once more")
	a1.settle()
	require.NotContains(t, strings.Join(b.settle(), ""), "userblocked")

	require.Contains(t, a1.ask("set", "", `<unblock xmlns="urn:xmpp:blocking"><item jid="`+bobJID+`"/></unblock>`),
		`type="result"`)
	a2.until("<unblock ")
	b.until(`<userblocked blocked_user="alice" type="unblock_user"/>`)
	b.until("<presence", a1.jid, "<show>away</show>")
	b.until("<presence", a2.jid)
	a1.until("<presence", b.jid, "dnd")
	require.Contains(t, b.ask("get", aliceJID, last), `seconds="0"`)
	require.Contains(t, profile(), `"nickName":"Alicia"`)
	require.Empty(t, s.Blocked("alice"))
}

func TestBlockingRefusals(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	for payload, want := range map[string]string{
		`<block xmlns="urn:xmpp:blocking"/>`:                                                     "bad-request",
		`<block xmlns="urn:xmpp:blocking"><item/></block>`:                                       "jid-malformed",
		`<block xmlns="urn:xmpp:blocking"><item jid="@x"/></block>`:                              "jid-malformed",
		`<block xmlns="urn:xmpp:blocking"><item jid="a b@x"/></block>`:                           "jid-malformed",
		`<block xmlns="urn:xmpp:blocking"><item jid="alice@xmpp.mirrorfly.test"/></block>`:       "not-allowed",
		`<unblock xmlns="urn:xmpp:blocking"><item jid="alice@xmpp.mirrorfly.test"/></unblock>`:   "not-allowed",
		`<block xmlns="urn:xmpp:blocking"><item jid="nobody@xmpp.mirrorfly.test"/></block>`:      `type="result"`,
		`<unblock xmlns="urn:xmpp:blocking"><item jid="nobody2@xmpp.mirrorfly.test"/></unblock>`: `type="result"`,
	} {
		require.Contains(t, a.ask("set", "", payload), want, payload)
	}
	require.Equal(t, []string{"nobody@" + s.Domain()}, s.Blocked("alice"))
	require.Contains(t, a.ask("set", "", `<unblock xmlns="urn:xmpp:blocking"/>`), `type="result"`)
	require.Empty(t, s.Blocked("alice"))
}
