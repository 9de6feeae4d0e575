package sdk

import (
	"encoding/json"
	"time"

	"github.com/mirrorfly-go/sdk/internal/dispatch"
	"github.com/mirrorfly-go/sdk/internal/lenient"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// handleMessage tells a message to the listeners that it is for.
func (l *login) handleMessage(me account, e *xmpp.Message) {
	c := l.client
	h := &handling{login: l, key: keyOf(e), id: e.ID, own: e.Own, stanza: e}
	h.open.Store(1)
	// An id that no receipt can carry gets none: it would be larger than a stanza may be.
	if e.ID != "" && messageIDFormat("id", e.ID) == (finding{}) && e.FromUser && !e.Own && !e.Copy {
		h.sender = e.From
	}
	if e.ID != "" && !c.inbox.admit(h) {
		c.noteMessage(MessageCopied)
		return
	}
	c.noteMessage(MessageReceived)
	to := &c.listeners
	edited := e.EditID != "" && e.EditID != e.ID
	switch {
	case e.Own:
		l.tellMessage(&to.messageSent, me, e, edited, h)
	case edited:
		l.tellMessage(&to.messageEdited, me, e, edited, h)
	default:
		l.tellMessage(&to.message, me, e, edited, h)
	}
}

func (l *login) tellMessage(
	to *dispatch.Listeners[Message], me account, e *xmpp.Message, edited bool, h *handling,
) {
	m := Message{
		ID: e.ID, ChatType: ChatTypeChat, FromUserJID: e.From, ToUserJID: e.To,
		TopicID: e.TopicID, Metadata: readMetadata(e.Metadata), Timestamp: e.At,
		Edited: edited, Own: e.Own, Delayed: !e.Stored.IsZero(), handling: h,
	}
	if m.Timestamp.IsZero() {
		m.Timestamp = orNow(e.Stored)
	}
	m.say(e.Body, e.Type, me.chatIV())
	e.KeepTicket() // it waits with the message until that is handled
	to.EmitTracked(&l.client.listeners.queue, m, m.weight(), h.settle)
}

// readMetadata reads the object of strings that senders write. What is something else says nothing.
func readMetadata(text string) map[string]string {
	if text == "" || text == "{}" {
		return nil
	}
	var fields map[string]lenient.Text
	if err := json.Unmarshal([]byte(text), &fields); err != nil || len(fields) == 0 {
		return nil
	}
	m := make(map[string]string, len(fields))
	for name, value := range fields {
		m[name] = string(value)
	}
	return m
}

func (l *login) handleStatus(e xmpp.Status) {
	emitPaced(&l.client.listeners, &l.client.listeners.messageStatus, MessageStatusEvent{
		MessageID: e.MessageID, Status: MessageStatus(e.Kind), UserJID: e.Peer, Timestamp: orNow(e.At),
	})
}

func (l *login) handleRefused(e xmpp.Refused) {
	emitPaced(&l.client.listeners, &l.client.listeners.messageStatus, MessageStatusEvent{
		MessageID: e.MessageID, Status: MessageStatusRefused, UserJID: e.Peer, Timestamp: time.Now(),
		Err: explain(l.client.ctx, "OnMessageStatus", &xmpp.MessageRefused{StanzaError: e.Err}),
	})
}

func (l *login) handleRecalled(e xmpp.Recalled) {
	emitPaced(&l.client.listeners, &l.client.listeners.messageDeleted, MessageDeletedEvent{
		FromUserJID: e.From, ToUserJID: e.To, MessageIDs: e.MessageIDs, Own: e.Own,
	})
}

func orNow(at time.Time) time.Time {
	if at.IsZero() {
		return time.Now()
	}
	return at
}
