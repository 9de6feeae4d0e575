package xmpp

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
	"github.com/mirrorfly-go/sdk/internal/testing/xmltree"
)

// receivedMessages are the recorded messages, as scripted.Bare gets them from bob.
func receivedMessages(t testing.TB) (stanzas []string) {
	t.Helper()
	rename := strings.NewReplacer(
		"bob@xmpp.mirrorfly.test/Web-a168d3d9-0c48-44c5-9c13-5c8c708d6737", scripted.Full,
		"bob@xmpp.mirrorfly.test", scripted.Bare,
		"alice@xmpp.mirrorfly.test", "bob@"+scripted.Domain,
		"xmpp.mirrorfly.test", scripted.Domain,
	)
	for _, m := range loadMessageVectors(t).Received {
		stanzas = append(stanzas, rename.Replace(m.Stanza))
	}
	for _, e := range []string{
		`<acknowledge xmlns="urn:xmpp:receipts" id="s1" sent_to="bob@` + scripted.Domain + `" type="acknowledge"/>`,
		`<recall xmlns="urn:xmpp:receipts" id="m1,,m2, m3" chat_type="chat"/>`,
		`<body>x</body><delay xmlns="urn:xmpp:delay" stamp="2026-11-30T12:00:00Z"/>`,
	} {
		for _, from := range []string{scripted.Domain, scripted.Bare + "/phone", "bob@" + scripted.Domain + "/x", ""} {
			stanzas = append(stanzas, `<message xmlns="jabber:client" from="`+from+`" id="s1">`+e+`</message>`)
		}
	}
	return stanzas
}

// waitingFor is an outbox in which a message to bob with that id is written and not confirmed.
func waitingFor(t testing.TB, id string) *outbox {
	t.Helper()
	to, err := ParseJID("bob@" + scripted.Domain)
	require.NoError(t, err)
	o, m := new(outbox), &sending{id: id, to: to, result: make(chan sent, 1)}
	o.add(m)
	require.True(t, o.wrote(m))
	return o
}

// requireGivenBack: the server is told of all that has come when the messages among that are
// handled, and not of a message before.
func requireGivenBack(t *testing.T, in *ledger, events []Event) {
	t.Helper()
	handled, open := in.position()
	var messages []*Message
	for _, e := range events {
		if m, is := e.(*Message); is {
			messages = append(messages, m)
		}
	}
	require.EqualValues(t, len(messages), open, "what waits is the message")
	for _, m := range messages {
		m.Handled()
	}
	again, open := in.position()
	require.Zero(t, open)
	require.Equal(t, handled+uint32(len(messages)), again)
}

// requireOfConversation: what a user says concerns the conversation with that user alone, and only
// our server and our account speak for others.
func requireOfConversation(t *testing.T, speakers []string, event Event) {
	t.Helper()
	said := func(by string) {
		t.Helper()
		require.True(t, slices.ContainsFunc(speakers, func(s string) bool {
			return bare(s) == by || s == "" && by == scripted.Bare
		}), "%T of %q, but %q have spoken", event, by, speakers)
	}
	switch e := event.(type) {
	case *Message:
		said(e.From)
		require.Equal(t, e.From == scripted.Bare, e.Own)
		require.Equal(t, e.FromUser, strings.Contains(e.From, "@"))
	case Status:
		if e.Kind == "acknowledge" {
			require.True(t, slices.ContainsFunc(speakers, trusted), "acknowledged by %q", speakers)
			return
		}
		require.Contains(t, []string{"delivered", "seen"}, e.Kind)
		said(e.Peer)
		require.NotEqual(t, scripted.Bare, e.Peer)
	case ChatState:
		said(e.From)
		require.NotEqual(t, scripted.Bare, e.From)
	case Recalled:
		said(e.From)
		require.Equal(t, e.From == scripted.Bare, e.Own)
		require.LessOrEqual(t, len(e.MessageIDs), maxRecalled)
		require.NotContains(t, e.MessageIDs, "")
	case Refused:
		require.NotEmpty(t, e.MessageID)
		if e.Peer == "" {
			require.True(t, slices.ContainsFunc(speakers, trusted), "refused by %q", speakers)
			return
		}
		said(e.Peer)
	}
}

// requireMayConfirm: a message that waits to be confirmed ends by the word of our server or our
// account, or when its addressee refuses it.
func requireMayConfirm(t *testing.T, stanza xmltree.Node) {
	t.Helper()
	if stanza.Attr("type") == kindError {
		require.True(t, slices.ContainsFunc(speakersOf(stanza), func(from string) bool {
			return trusted(from) || bare(from) == "bob@"+scripted.Domain
		}), "refused by %q", speakersOf(stanza))
		return
	}
	require.True(t, slices.ContainsFunc(speakersOf(stanza), trusted), "confirmed by %q", speakersOf(stanza))
}
