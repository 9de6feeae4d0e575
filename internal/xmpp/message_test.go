package xmpp

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/xmltree"
)

// Every message that the service's own client has sent, built anew from what it says, has the same
// attributes and children, but for what is wrong there.
func TestMessagesAreThoseOfTheJavaScriptSDK(t *testing.T) {
	kinds := map[string]int{}
	for _, v := range loadMessageVectors(t).Sent {
		recorded, err := xmltree.Parse(v.Stanza)
		require.NoError(t, err)
		kind, ours := rebuilt(t, recorded)
		kinds[kind]++
		built, err := xmltree.Parse(string(ours.frame))
		require.NoError(t, err)
		// In canonical form one random id is as good as another.
		if kind == "body" {
			require.Equal(t, recorded.Attr("id"), built.Attr("id"))
		} else {
			require.Equal(t, recorded.Inner[0].(xmltree.Node).Attr("id"), built.Inner[0].(xmltree.Node).Attr("id"))
			require.Regexp(t, xmltree.UUID, built.Attr("id"))
		}
		require.Equal(t, canon(t, withoutFlaws(v.Stanza)), canon(t, string(ours.frame)), v.Call+v.By)
	}
	require.Equal(t, map[string]int{
		"body": 15, "delivered": 18, "seen": 8, "composing": 2, "gone": 1, "recall": 1,
	}, kinds)
}

// rebuilt is a message that says what a recorded one says.
func rebuilt(t *testing.T, n xmltree.Node) (kind string, o Outgoing) {
	t.Helper()
	to, _, _ := strings.Cut(n.Attr("to"), "/")
	for _, child := range n.Inner {
		e := child.(xmltree.Node)
		switch kind = e.Name.Local; kind {
		case "chatcontent":
			c := Content{
				ID: n.Attr("id"), EditID: e.Attr("edit_msg_id"), To: to, Type: e.Attr("message_type"),
				Metadata: e.Attr("meta_data"), TopicID: e.Attr("topic_id"),
			}
			body := n.All("body")
			require.Len(t, body, 1)
			c.Body = body[0].Text()
			return "body", c.Outgoing()
		case "delivered", "seen":
			return kind, Receipt(kind, to, e.Attr("id"))
		case "recall":
			return kind, Recall(to, e.Attr("id"))
		case "composing", "gone":
			return kind, Typing(to, kind == "composing")
		}
	}
	require.FailNow(t, "what is that?", n.String())
	return "", Outgoing{}
}

// withoutFlaws is a recorded stanza as it should be.
func withoutFlaws(stanza string) string {
	for _, state := range []string{"composing", "gone"} {
		// No server looks for the hint there, and the namespace is another one (XEP-0085).
		stanza = strings.ReplaceAll(stanza, `<`+state+` xmlns="https://jabber.org/protocol/chatstates">`+
			`<no-store xmlns="urn:xmpp:hints"/></`+state+`>`,
			`<`+state+` xmlns="http://jabber.org/protocol/chatstates"/><no-store xmlns="urn:xmpp:hints"/>`)
	}
	if strings.Contains(stanza, "<delivered ") {
		// All devices of the sender are told.
		before, after, _ := strings.Cut(stanza, `@xmpp.mirrorfly.test/`)
		if _, rest, found := strings.Cut(after, `"`); found {
			stanza = before + `@xmpp.mirrorfly.test"` + rest
		}
	}
	for _, receipt := range []string{"<delivered id=", "<seen id="} {
		// History leaves out what the calls write.
		name, _, _ := strings.Cut(receipt, " ")
		stanza = strings.ReplaceAll(stanza, receipt, name+` group_id="" id=`)
	}
	// The older form of a call writes it empty.
	return strings.ReplaceAll(stanza, ` topic_id=""`, "")
}

func TestMessageFits(t *testing.T) {
	c := Content{ID: "m", To: "bob@xmpp.example.com", Type: "text"}
	rest := MaxMessage - len(c.Outgoing().frame)
	c.Body = strings.Repeat("x", rest)
	require.True(t, c.Outgoing().Fits())
	c.Body += "x"
	require.False(t, c.Outgoing().Fits())
}

// What is no name may hold anything that XML can carry.
func TestMessageEscapes(t *testing.T) {
	const wild = `<&>"'` + "\t\n\r\u2028ü👋]]>"
	c := Content{
		ID:       "m",
		EditID:   wild,
		To:       "bob@xmpp.example.com",
		Type:     wild,
		Body:     wild,
		Metadata: wild,
		TopicID:  wild,
	}
	n, err := xmltree.Parse(string(c.Outgoing().frame))
	require.NoError(t, err)
	content := n.All("chatcontent")[0]
	for _, name := range []string{"edit_msg_id", "message_type", "meta_data", "topic_id"} {
		require.Equal(t, wild, content.Attr(name), name)
	}
	require.Equal(t, wild, n.All("body")[0].Text())
	require.Equal(t, wild, n.All("body")[0].Attr("message_type"))
}
