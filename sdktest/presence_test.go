package sdktest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

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

func TestPresence(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	bob := register(t, s, "bob")
	b1 := connect(t, s, bob, "Web-1")
	require.Contains(t, b1.until("<presence", a.jid), `to="`+b1.jid+`"`)
	a.until("<presence", b1.jid)
	b2 := connect(t, s, bob, "Web-2")
	b2.until("<presence", b1.jid)
	b1.until("<presence", b2.jid)
	a.until("<presence", b2.jid)
	b1.send(`<presence xmlns="jabber:client"><show>away</show></presence>`)
	a.until("<presence", b1.jid, "<show>away</show>")
	require.Equal(t, []string{"Web-1", "Web-2"}, s.Resources("bob"))

	b1.send(`<presence type="unavailable" xmlns="jabber:client"/>`)
	a.until(b1.jid, `type="unavailable"`)
	require.Contains(t, a.ask("get", "bob@"+s.Domain(), `<query xmlns="jabber:iq:last"/>`), `seconds="0"`)
	require.NoError(t, b2.c.CloseNow())
	a.until(b2.jid, `type="unavailable"`)
	require.NotContains(t, strings.Join(a.settle(), ""), "presence")
}
