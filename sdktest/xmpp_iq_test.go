package sdktest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRegisterUpdate(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	ask := func(to string) string {
		return a.ask("set", "", `<query xmlns="jabber:iq:user_activities" status="register_update" to_user="`+to+`"/>`)
	}
	require.Contains(t, ask("bob@"+s.Domain()), `type="result"`)
	require.Contains(t, b.until("<register_update/>"), `from="alice@xmpp.mirrorfly.test"`)
	require.Contains(t, ask("nonsense"), "jid-malformed")
}

func TestDisco(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	require.Contains(t, a.ask("get", s.Domain(), `<query xmlns="http://jabber.org/protocol/disco#info"/>`),
		`<feature var="urn:xmpp:blocking"/>`)
	require.Contains(t, a.ask("get", s.Domain(), `<query xmlns="http://jabber.org/protocol/disco#items"/>`),
		`type="result"`)
	require.Contains(t, a.ask("set", "", `<disable xmlns="urn:xmpp:carbons:2"/>`), `type="result"`)
}

func TestVCard(t *testing.T) {
	s := trial(t)
	alice := register(t, s, "alice")
	a1, a2 := connect(t, s, alice, "Web-1"), connect(t, s, alice, "Web-2")
	bob := register(t, s, "bob")
	b := connect(t, s, bob, "Web-1")
	require.Contains(t, a1.ask("get", "", `<vCard xmlns="vcard-temp"/>`), `<vCard xmlns="vcard-temp"/>`)
	setVCard(t, a1, "Alice")
	for _, x := range []*xmppClient{a1, a2, b} {
		push := x.until("vcard-temp", `from="alice@xmpp.mirrorfly.test"`, `type="result"`)
		require.Contains(t, push, `to="`+x.jid+`"`)
		require.Contains(t, push, "<nickName>Alice</nickName><image>a.png</image><thumbImage/>")
	}
	require.Equal(t, Profile{
		UserID: "alice", UserJID: "alice@" + s.Domain(), NickName: "Alice", Image: "a.png", Email: "e",
		Status: "I'm <here>",
	}, s.Profile("alice@"+s.Domain()))
	require.Contains(t, b.ask("get", "alice@"+s.Domain(), `<vCard xmlns="vcard-temp"/>`), "<nickName>Alice</nickName>")
	require.Contains(t, b.ask("get", "nobody@"+s.Domain(), `<vCard xmlns="vcard-temp"/>`), "item-not-found")
	require.Contains(t, b.ask("set", "alice@"+s.Domain(), `<vCard xmlns="vcard-temp"><nickName>X</nickName></vCard>`),
		"forbidden")
	require.Equal(t, "Alice", s.Profile("alice").NickName)
	require.Contains(t, string(rest(t, s, "GET", "/contacts/vcard?userId=alice", bob.Token, nil).Data),
		`"nickName":"Alice"`)
	require.True(t, register(t, s, "alice").IsProfileUpdated)
	roster := b.ask("get", "", `<query xmlns="jabber:iq:roster"/>`)
	require.Contains(t, roster, `<query xmlns="jabber:iq:roster" contact_permission="1">`+
		`<item jid="alice@xmpp.mirrorfly.test" subscription="both"><profile><vCard xmlns="vcard-temp"><nickName>Alice`)
	require.Contains(t, roster, "<is_admin_blocked>0</is_admin_blocked>")
}

func TestConnectedBeforePresence(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	bob := register(t, s, "bob")
	b := dialWS(t, s)
	b.open(s.Domain())
	b.send(`<auth mechanism="PLAIN" xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%s</auth>`, plain("bob", bob.Password))
	require.Contains(t, b.next(), "<success ")
	b.open(s.Domain())
	b.send(`<iq id="b" type="set" xmlns="jabber:client"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind">` +
		`<resource>r</resource></bind></iq>`)
	require.Contains(t, b.next(), "<jid>")
	s.store.mu.Lock()
	s.store.state.Accounts["bob"].LastSeen = time.Now().Add(-time.Hour)
	s.store.mu.Unlock()
	setVCard(t, a, "Alice")
	require.Contains(t, b.next(), "<nickName>Alice</nickName>")
	last := `<query xmlns="jabber:iq:last"/>`
	require.Contains(t, a.ask("get", "bob@"+s.Domain(), last), `seconds="0"`)
	b.send(`<presence type="unavailable" xmlns="jabber:client"/>`)
	b.settle()
	require.Regexp(t, `seconds="36\d\d"`, a.ask("get", "bob@"+s.Domain(), last))
}

func TestLastSeen(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	register(t, s, "bob")
	s.store.mu.Lock()
	s.store.state.Accounts["bob"].LastSeen = time.Now().Add(-903 * time.Second)
	s.store.mu.Unlock()
	last := `<query xmlns="jabber:iq:last"/>`
	require.Regexp(t, `from="bob@xmpp.mirrorfly.test" to="`+a.jid+`"><query xmlns="jabber:iq:last" seconds="9\d\d"/>`,
		a.ask("get", "bob@"+s.Domain(), last))
	require.Contains(t, a.ask("get", "nobody@"+s.Domain(), last), "item-not-found")
	require.Contains(t, a.ask("get", "", last), `seconds="0"`)
	require.Contains(t, a.ask("get", s.Domain(), last), `seconds=`)
	require.Contains(t, a.ask("get", "x@elsewhere.example", last), "remote-server-not-found")
}

func TestUnknownIQ(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	register(t, s, "bob")
	for _, to := range []string{"", s.Domain(), "bob@" + s.Domain(), "bob@" + s.Domain() + "/gone"} {
		require.Contains(t, a.ask("get", to, `<query xmlns="urn:x"/>`), "service-unavailable", to)
	}
	require.Contains(t, a.ask("get", "", ""), "bad-request")
	require.Contains(t, a.ask("what", "", `<query xmlns="urn:x"/>`), "bad-request")
	require.Contains(t, a.ask("get", "", `<query xmlns="jabber:iq:user_activities" status="x"/>`), "bad-request")
	userLogout := `<query socket_id="S" status="user_logout" xmlns="jabber:iq:user_activities"/>`
	require.Contains(t, a.ask("set", "", userLogout), `type="result"`)
}

func TestIQBetweenUsers(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	a.send(`<iq id="q1" to="%s" type="get" from="mallory@x" xmlns="jabber:client"><query xmlns="urn:x"/></iq>`, b.jid)
	require.Contains(t, b.until(`id="q1"`), `from="`+a.jid+`"`)
	b.send(`<iq id="q1" to="%s" type="result" xmlns="jabber:client"/>`, a.jid)
	require.Contains(t, a.until(`id="q1"`), `from="`+b.jid+`"`)
	a.send(`<iq id="q2" to="%s" type="get" xmlns="jabber:client"><ping xmlns="urn:xmpp:ping"/></iq>`, a.jid)
	require.Contains(t, a.until(`id="q2"`), `type="get"`, "a full JID is a stream, one's own too")
}
