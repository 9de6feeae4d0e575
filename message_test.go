package sdk_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// heard collects what a listener gets.
type heard[T any] chan T

func newHeard[T any](on func(func(T)) func()) heard[T] {
	h := make(heard[T], 4096)
	on(func(e T) { h <- e })
	return h
}

func (h heard[T]) next(t *testing.T) T {
	t.Helper()
	select {
	case e := <-h:
		return e
	case <-time.After(patience):
		t.Fatalf("nothing was told")
		panic("unreachable")
	}
}

func TestConversation(t *testing.T) {
	for _, transport := range []sdk.Transport{sdk.TransportWebSocket, sdk.TransportTCP} {
		t.Run(string(transport), func(t *testing.T) { converse(t, transport) })
	}
}

func converse(t *testing.T, transport sdk.Transport) {
	srv := sdktest.New(t)
	cfg := srv.Config()
	cfg.Transport = transport
	alice, bob := login(t, cfg, "alice"), login(t, cfg, "bob")
	aliceJID, bobJID := "alice@"+srv.Domain(), "bob@"+srv.Domain()
	came := newHeard(bob.OnMessage)
	edits := newHeard(bob.OnMessageEdited)
	deleted := newHeard(bob.OnMessageDeleted)
	typing := newHeard(bob.OnTyping)
	statuses := newHeard(alice.OnMessageStatus)

	const text = "Grüße 👋 <b>&amp;</b>\n\"quoted\""
	before := time.Now().Add(-time.Second)
	sent, err := alice.SendTextMessage(t.Context(), bobJID, text, sdk.WithMessageID("m-1"), sdk.WithReplyTo("m-0"),
		sdk.WithMentions("carol", "dave"), sdk.WithTopic("t-1"), sdk.WithMetadata(map[string]string{"k": "v<&>"}))
	require.NoError(t, err)
	require.Equal(t, "m-1", sent.Data.ID)
	require.Equal(t, bobJID, sent.Data.ToUserJID)
	m := came.next(t)
	require.WithinRange(t, m.Timestamp, before, time.Now().Add(time.Second))
	require.Equal(t, sdk.Message{
		ID: "m-1", ChatType: sdk.ChatTypeChat, FromUserJID: aliceJID, ToUserJID: bobJID, Type: sdk.MessageTypeText,
		Text: text, ReplyTo: "m-0", MentionedUserIDs: []string{"carol", "dave"}, TopicID: "t-1",
		Metadata: map[string]string{"k": "v<&>"},
	}, bare(m))
	require.Equal(t, aliceJID, m.Peer())
	// The receipt may overtake what the service says.
	var told []sdk.MessageStatus
	for range 2 {
		e := statuses.next(t)
		require.Equal(t, "m-1", e.MessageID)
		require.Equal(t, bobJID, e.UserJID)
		told = append(told, e.Status)
	}
	require.ElementsMatch(t, []sdk.MessageStatus{sdk.MessageStatusAcknowledged, sdk.MessageStatusDelivered}, told)
	// Nobody keeps this for a user who is not there. Now he is, for sure.
	_, err = alice.SendTypingStatus(t.Context(), bobJID)
	require.NoError(t, err)
	require.Equal(t, sdk.TypingEvent{FromUserJID: aliceJID, Typing: true}, typing.next(t))

	_, err = bob.SendSeenStatus(t.Context(), aliceJID, "m-1")
	require.NoError(t, err)
	require.Equal(t, sdk.MessageStatusSeen, statuses.next(t).Status)

	edited, err := alice.EditTextMessage(t.Context(), bobJID, "m-1", "hello again")
	require.NoError(t, err)
	require.Equal(t, "m-1", edited.Data.ID)
	m = edits.next(t)
	require.Equal(t, "hello again", m.Text)
	require.True(t, m.Edited)
	require.Equal(t, "m-1", m.ID)

	_, err = alice.DeleteMessagesForEveryone(t.Context(), bobJID, "m-1", "m-2")
	require.NoError(t, err)
	require.Equal(t, sdk.MessageDeletedEvent{
		FromUserJID: aliceJID, ToUserJID: bobJID, MessageIDs: []string{"m-1", "m-2"},
	}, deleted.next(t))
	require.Empty(t, came)
	require.Zero(t, bob.Unhandled())
}

// Typing that a server has kept is over.
func TestTypingThatWasKept(t *testing.T) {
	srv := sdktest.New(t)
	bob := login(t, srv.Config(), "bob")
	typing := newHeard(bob.OnTyping)
	for _, scheme := range []string{"http", "https"} {
		namespace := scheme + "://jabber.org/protocol/chatstates"
		for _, state := range []string{
			`<composing xmlns="` + namespace + `"/><delay xmlns="urn:xmpp:delay" stamp="2026-01-02T03:04:05Z"/>`,
			`<gone xmlns="` + namespace + `"/>`,
		} {
			stanza := `<message from="alice@` + srv.Domain() + `/x" type="chat">` + state + `</message>`
			require.Equal(t, 1, srv.Push("bob", stanza))
		}
		require.False(t, typing.next(t).Typing)
	}
}

// bare is a message without what differs each time, and cannot be compared.
func bare(m sdk.Message) sdk.Message {
	return sdk.Message{
		ID: m.ID, ChatType: m.ChatType, FromUserJID: m.FromUserJID, ToUserJID: m.ToUserJID, Type: m.Type,
		Text: m.Text, NickName: m.NickName, ReplyTo: m.ReplyTo, MentionedUserIDs: m.MentionedUserIDs,
		TopicID: m.TopicID, Metadata: m.Metadata, Media: m.Media, Edited: m.Edited, Own: m.Own,
		Unsealed: m.Unsealed,
	}
}
