package sdk

import (
	"encoding/json"
	"time"
)

// MessageStatus says what became of a message that was sent.
type MessageStatus string

// What may become of it.
const (
	// MessageStatusAcknowledged: the service has it, and says when.
	MessageStatusAcknowledged MessageStatus = "acknowledge"
	// MessageStatusDelivered: it has arrived on a device of the receiver.
	MessageStatusDelivered MessageStatus = "delivered"
	// MessageStatusSeen: the receiver has read it.
	MessageStatusSeen MessageStatus = "seen"
	// MessageStatusRefused: it was refused after the server had taken it.
	MessageStatusRefused MessageStatus = "refused"
)

// MessageStatusEvent tells what became of a message that this account has sent (protocol.md 14.3,
// 14.4).
type MessageStatusEvent struct {
	// MessageID is what the other side says: also of a message that this process does not know.
	MessageID string `json:"msgId"`
	// Status is the newest; an older one may come after it.
	Status MessageStatus `json:"status"`
	// UserJID is the bare JID of the other side of the conversation, whose word this is: of a
	// message to somebody else it says nothing, whatever MessageID is. It is empty for a refusal
	// where the server does not say to whom the message went.
	UserJID string `json:"fromUserJid"`
	// Timestamp is when the service says that it happened, else when it was told. JSON has
	// milliseconds since 1970.
	Timestamp time.Time `json:"timestamp"`
	// Err is an *Error with the Condition when the message was refused.
	Err error `json:"-"`
}

type (
	plainStatus MessageStatusEvent
	statusJSON  struct {
		plainStatus
		Timestamp int64 `json:"timestamp"`
	}
)

// MarshalJSON writes Timestamp as milliseconds since 1970.
func (e MessageStatusEvent) MarshalJSON() ([]byte, error) {
	return json.Marshal(statusJSON{plainStatus(e), millis(e.Timestamp)})
}

// UnmarshalJSON reads what MarshalJSON has written.
func (e *MessageStatusEvent) UnmarshalJSON(data []byte) error {
	var read statusJSON
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	*e = MessageStatusEvent(read.plainStatus)
	e.Timestamp = fromMillis(read.Timestamp)
	return nil
}

// MessageDeletedEvent tells that messages were deleted for everybody (protocol.md 14.6).
type MessageDeletedEvent struct {
	// FromUserJID is the bare JID of who has deleted them. Only what that user has sent is meant,
	// whatever ids come.
	FromUserJID string `json:"fromUserJid"`
	// ToUserJID is the bare JID of the other side.
	ToUserJID string `json:"toUserJid"`
	// MessageIDs are the messages.
	MessageIDs []string `json:"msgIds"`
	// Own: another device of this account has deleted them.
	Own bool `json:"own,omitempty"`
}

// TypingEvent tells that a user writes, or has stopped (protocol.md 14.4).
type TypingEvent struct {
	// FromUserJID is the bare JID of the user.
	FromUserJID string `json:"fromUserJid"`
	// Typing is false when the user has stopped. That may never be told: forget it after a few
	// seconds.
	Typing bool `json:"typing"`
}

// OnMessage calls f for every new message of others (protocol.md 14.3). Register it before Connect:
// what the server has kept comes right after it.
//
// A message is handled when every listener has returned, or, after Message.Defer, when done was
// called. Only then the sender is told "delivered" (unless Config.NoDeliveryReceipts), and only
// then the server is told that it has arrived. A panic in a listener counts as handled, without
// "delivered". When nobody listens, messages are counted (Unhandled), and the server is told that
// they have arrived.
//
// In the normal case a message is told once: the last 1,024 are remembered, by sender, receiver, id
// and edit, for the life of the Client. After a crash a message that was not handled comes again
// where the server gives back what was not acknowledged. That needs the same Config.DeviceID and no
// other device of the account online; on ejabberd also resend_on_timeout: if_offline, and over
// WebSocket both ejabberd and Prosody lose some, so prefer TransportTCP for a bot. docs/messages.md
// says what holds where. Messages come in the order of the stream; after a crash, in the order of
// the server.
//
// At most 256 stanzas stay unacknowledged for listeners that are slow: then the oldest count as
// handled, which is logged once, and are lost in a crash.
func (c *Client) OnMessage(f func(Message)) (stop func()) { return c.listeners.message.Add(f) }

// OnMessageEdited calls f when a message was edited: ID is that of the message, Text the new text.
// It is handled as OnMessage says.
func (c *Client) OnMessageEdited(f func(Message)) (stop func()) {
	return c.listeners.messageEdited.Add(f)
}

// OnMessageSent calls f for what this account has sent on another device (XEP-0280), an edit among
// them. Without it nothing is counted.
func (c *Client) OnMessageSent(f func(Message)) (stop func()) {
	return c.listeners.messageSent.Add(f)
}

// OnMessageStatus calls f when the service or the receiver says what became of a message, whichever
// device has sent it.
func (c *Client) OnMessageStatus(f func(MessageStatusEvent)) (stop func()) {
	return c.listeners.messageStatus.Add(f)
}

// OnMessageDeleted calls f when messages were deleted for everybody.
func (c *Client) OnMessageDeleted(f func(MessageDeletedEvent)) (stop func()) {
	return c.listeners.messageDeleted.Add(f)
}

// OnTyping calls f when a user writes to this one, or has stopped.
func (c *Client) OnTyping(f func(TypingEvent)) (stop func()) { return c.listeners.typing.Add(f) }
