package sdktest

import (
	"strings"
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
	require.PanicsWithValue(t, `sdktest: set feature: there is no "Block", but attachment, audioAttachment, `+
		`block, clearChat, `+
		`contactAttachment, deleteChat, deleteMessage, documentAttachment, groupCall, groupChat, `+
		`imageAttachment, locationAttachment, `+
		`one2oneCall, recentchatSearch, report, starMessage, translation, videoAttachment, viewAllMedias`,
		func() { s.SetFeature("Block", false) })
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

func TestSetProfile(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	p := Profile{
		NickName: "Ålice <&>", Email: "a@example.com", MobileNumber: "1", Status: "here", Image: "i", ThumbImage: "t",
	}
	require.NoError(t, s.SetProfile(t.Context(), "alice@"+s.Domain(), p))
	push := b.until("<vCard")
	require.Contains(t, push, `from="alice@`+s.Domain()+`"`)
	require.NotContains(t, push, "lice &lt;", "it travels sealed")
	require.Contains(t, push, "<status>here</status>")
	a.until("<vCard") // her other devices too
	p.UserID, p.UserJID = "alice", "alice@"+s.Domain()
	require.Equal(t, p, s.Profile("alice"))

	require.NoError(t, s.SetProfile(t.Context(), "carol", Profile{NickName: "Carol"}), "who is not there is registered")
	require.Equal(t, "Carol", s.Profile("carol").NickName)
	b.until(`from="carol@`)
	require.ErrorIs(t, s.SetProfile(t.Context(), "Not An Id", Profile{}), errPhoneUser)
	require.ErrorContains(t, s.SetProfile(t.Context(), "alice", Profile{Status: strings.Repeat("x", maxStanza)}),
		"too big")
	require.Equal(t, "here", s.Profile("alice").Status)
}
