package sdktest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestContactsByMessage(t *testing.T) {
	s := trial(t, func(o *Options) { o.ContactsByMessage = true })
	a, c := connect(t, s, register(t, s, "alice"), "Web-1"), connect(t, s, register(t, s, "carol"), "Web-1")
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	roster := `<query xmlns="jabber:iq:roster"/>`

	setVCard(t, b, "Bob")
	b.send(`<message to="alice@%s" type="chat" xmlns="jabber:client"><composing xmlns="urn:x"/></message>`, s.Domain())
	b.send(`<message to="nobody@%s" type="chat" id="n" xmlns="jabber:client"><body>x</body></message>`, s.Domain())
	b.until(`id="n"`, "service-unavailable")
	setVCard(t, b, "Bob")
	told := strings.Join(a.settle(), "")
	require.Contains(t, told, "<composing ", "a message without a body is carried, and changes nothing")
	require.NotContains(t, told, "<presence")
	require.NotContains(t, told, "vcard-temp")
	require.NotContains(t, a.ask("get", "", roster), "<item")
	require.NotContains(t, a.ask("get", "bob@"+s.Domain(), `<query xmlns="jabber:iq:last"/>`), "error",
		"asking is free")

	b.send(`<message to="alice@%s" type="chat" xmlns="jabber:client"><body>x</body></message>`, s.Domain())
	a.until("<body>x</body>")
	a.until("<presence", b.jid)
	b.until("<presence", a.jid)
	setVCard(t, b, "Robert")
	a.until("<nickName>Robert</nickName>")
	require.Contains(t, a.ask("get", "", roster), `jid="bob@`)
	late := connect(t, s, register(t, s, "alice"), "Web-late")
	late.until("<presence", b.jid)

	require.Contains(t, a.ask("set", "", `<block xmlns="urn:xmpp:blocking"><item jid="bob@`+s.Domain()+`"/></block>`),
		"result")
	b.until("userblocked")
	b.settle()
	require.Contains(t, a.ask("set", "", `<unblock xmlns="urn:xmpp:blocking"/>`), "result")
	b.until("<presence", a.jid)

	s.BlockByAdmin("bob", true)
	a.until("<admin_block ")
	s.BlockByAdmin("bob", false)
	gone := rest(t, s, "POST", "/users/deleteMyAccount", register(t, s, "bob").Token, map[string]any{"reason": "r"})
	require.Equal(t, 200, gone.Status, gone.Message)
	a.until("<user_deleted ")
	require.Empty(t, c.settle(), "carol and bob have not written to each other")

	b = connect(t, s, register(t, s, "bob"), "Web-new")
	setVCard(t, b, "Another")
	require.NotContains(t, strings.Join(a.settle(), ""), "Another", "it is a new account")
	a.send(`<presence xmlns="jabber:client"><show>away</show></presence>`)
	a.settle()
	require.NotContains(t, strings.Join(b.settle(), ""), "<presence")
}

func TestMakeContacts(t *testing.T) {
	o := Options{Trial: true, StateStore: newMemory(), ContactsByMessage: true}
	s := New(t, o)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	require.NoError(t, s.MakeContacts(t.Context(), "alice", "bob@"+s.Domain()))
	require.Equal(t, []string{"alice", "bob"}, s.Users(), "who is not there is registered")
	setVCard(t, connect(t, s, register(t, s, "bob"), "Web-1"), "Bob")
	a.until("<nickName>Bob</nickName>")
	require.Error(t, s.MakeContacts(t.Context(), "alice", "alice"))
	require.Error(t, s.MakeContacts(t.Context(), "alice", "No Body"))
	s.Close()

	s = New(t, o)
	a = connect(t, s, register(t, s, "alice"), "Web-1")
	setVCard(t, connect(t, s, register(t, s, "bob"), "Web-1"), "Robert")
	a.until("<nickName>Robert</nickName>")
}

func TestContactOptionsExcludeEachOther(t *testing.T) {
	_, err := Start(Options{NoContacts: true, ContactsByMessage: true})
	require.ErrorContains(t, err, "NoContacts and ContactsByMessage")
}

func TestNoContacts(t *testing.T) {
	s := trial(t, func(o *Options) { o.NoContacts = true })
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	setVCard(t, b, "Bob")
	require.Empty(t, a.settle())
	require.NotContains(t, a.ask("get", "", `<query xmlns="jabber:iq:roster"/>`), "<item")
	b.send(`<presence to="alice@%s" xmlns="jabber:client"/>`, s.Domain())
	a.until("<presence", b.jid)
}
