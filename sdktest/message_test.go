package sdktest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMessagesAndCarbons(t *testing.T) {
	s := trial(t)
	alice := register(t, s, "alice")
	a1, a2 := connect(t, s, alice, "Web-1"), connect(t, s, alice, "Web-2")
	bob := register(t, s, "bob")
	b1, b2 := connect(t, s, bob, "Web-1"), connect(t, s, bob, "Web-2")
	for _, x := range []*xmppClient{a1, a2, b1, b2} {
		x.ask("set", "", `<enable xmlns="urn:xmpp:carbons:2"/>`)
	}
	a1.send(`<message id="m1" to="%s" type="chat" from="forged@x" xmlns="jabber:client"><body>hi</body></message>`,
		b1.jid)
	require.Contains(t, b1.until(`id="m1"`), `from="`+a1.jid+`"`)
	require.Contains(t, b2.until(`id="m1"`), `<received xmlns="urn:xmpp:carbons:2">`)
	require.Contains(t, a2.until(`id="m1"`), `<sent xmlns="urn:xmpp:carbons:2">`)
	a1.send(`<message id="m2" to="bob@%s" type="chat" xmlns="jabber:client"><body>hi</body></message>`, s.Domain())
	require.NotContains(t, b1.until(`id="m2"`), "carbons")
	require.NotContains(t, b2.until(`id="m2"`), "carbons")
	a1.send(`<message id="m3" to="carol@%s" type="chat" xmlns="jabber:client"><body>hi</body></message>`, s.Domain())
	require.Contains(t, a1.until(`id="m3"`), "service-unavailable")
}
