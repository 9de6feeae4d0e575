package sdktest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSetFeature(t *testing.T) {
	s := trial(t)
	s.SetFeature("block", false)
	c := register(t, s, "alice").Config
	require.Equal(t, false, c["block"])
	require.Equal(t, true, c["report"])
	for name := range allFeatures() {
		require.IsType(t, true, c[name], name)
	}
	require.PanicsWithValue(t, `sdktest: set feature: there is no "Block", but attachment, audioAttachment, block, clearChat, `+
		`contactAttachment, deleteChat, deleteMessage, documentAttachment, groupCall, groupChat, imageAttachment, locationAttachment, `+
		`one2oneCall, recentchatSearch, report, starMessage, translation, videoAttachment, viewAllMedias`, func() { s.SetFeature("Block", false) })
	s.SetFeature("block", true)
	require.Equal(t, true, register(t, s, "alice").Config["block"])
}

func TestSetMechanisms(t *testing.T) {
	s := trial(t)
	s.SetMechanisms("X-OTHER", "PLAIN")
	x := dialWS(t, s)
	require.Contains(t, x.open(s.Domain()), `<mechanism>X-OTHER</mechanism><mechanism>PLAIN</mechanism></mechanisms>`)
	x.send(`<auth mechanism="X-OTHER" xmlns="urn:ietf:params:xml:ns:xmpp-sasl">AAAA</auth>`)
	require.Contains(t, x.next(), "invalid-mechanism")
	s.SetMechanisms()
	require.Contains(t, dialWS(t, s).open(s.Domain()), `<mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`)
}

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
	require.Contains(t, a.ask("get", s.Domain(), `<query xmlns="http://jabber.org/protocol/disco#info"/>`), `<feature var="urn:xmpp:blocking"/>`)
	require.Contains(t, a.ask("get", s.Domain(), `<query xmlns="http://jabber.org/protocol/disco#items"/>`), `type="result"`)
	require.Contains(t, a.ask("set", "", `<disable xmlns="urn:xmpp:carbons:2"/>`), `type="result"`)
}

func TestDirectedPresence(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	a.settle()
	b.settle()
	a.send(`<presence to="bob@%s" type="subscribe" xmlns="jabber:client"/>`, s.Domain())
	require.Contains(t, b.until("subscribe"), `from="alice@xmpp.mirrorfly.test"`)
	a.send(`<presence to="%s" type="unavailable" xmlns="jabber:client"/>`, b.jid)
	require.Contains(t, b.until("unavailable"), `from="`+a.jid+`"`)
	a.send(`<presence to="bob@%s" type="probe" xmlns="jabber:client"/>`, s.Domain())
	a.until("<presence", `from="`+b.jid+`"`)
	a.send(`<presence to="bob@elsewhere.example" xmlns="jabber:client"/>`)
	a.send(`<presence type="nonsense" xmlns="jabber:client"/>`)
	a.settle()
	require.Empty(t, b.settle())
}

func TestWebLogoutEndsTheQRSession(t *testing.T) {
	s := trial(t)
	alice := register(t, s, "alice")
	x := dialSignal(t, s, "")
	_, token := hello(t, x.next(), x.next(), x.next())
	done := make(chan error, 1)
	go func() { done <- s.Phone("alice").Scan(t.Context(), qrContent(s, token)) }() // ends with the answer
	web(t, s, x, 200)
	require.NoError(t, <-done)
	a := connect(t, s, alice, "Web-1")
	logout := `<query socket_id="` + token + `" status="user_logout" xmlns="jabber:iq:user_activities"/>`
	require.Contains(t, a.ask("set", "", logout), `type="result"`)
	require.ErrorIs(t, s.Phone("alice").LogoutWeb(t.Context()), errNoWeb)
	require.ErrorIs(t, s.Phone("alice").Scan(t.Context(), qrContent(s, token)), errQRToken)
}
