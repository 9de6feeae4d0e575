package sdktest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSameResourceReplacesTheOldStream(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	old := connect(t, s, c, "Web-1")
	connect(t, s, c, "Web-1")
	require.Contains(t, old.until("stream:error"), `<conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/>`)
	require.Contains(t, old.until("<close"), "framing")
	require.Equal(t, []string{"Web-1"}, s.Resources("alice"))
}

func TestAnnouncements(t *testing.T) {
	s := trial(t)
	alice, bob := register(t, s, "alice"), register(t, s, "bob")
	a, b := connect(t, s, alice, "Web-1"), connect(t, s, bob, "Web-1")
	s.BlockByAdmin("bob", true)
	for _, x := range []*xmppClient{a, b} {
		require.Contains(t, x.until("admin_block"),
			`<admin_block block_status="1" chat_type="chat" jid="bob@xmpp.mirrorfly.test"/>`)
	}
	s.BlockByAdmin("bob", false)
	require.Contains(t, a.until("admin_block"), `block_status="0"`)
	bob = register(t, s, "bob")
	require.Equal(t, 200, rest(t, s, "POST", "/users/deleteMyAccount", bob.Token, map[string]any{"reason": "R"}).Status)
	require.Contains(t, a.until("user_deleted"), `<user_deleted user="bob@xmpp.mirrorfly.test"/>`)
	b.until("user_deleted")
	b.until("stream:error", "conflict")
	a.until(b.jid, "unavailable")
}

func TestPush(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	require.Equal(t, 1, s.Push("alice@"+s.Domain(), `<message xmlns="jabber:client"><<broken`))
	require.Equal(t, `<message xmlns="jabber:client"><<broken`, a.next())
	require.Zero(t, s.Push("nobody", "<x/>"))
}
