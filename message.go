package sdk

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/mirrorfly-go/sdk/internal/body"
)

// MessageType says what a message carries (protocol.md 14.2).
type MessageType string

// The types that the service's own apps write. What a newer app writes is passed through.
const (
	MessageTypeText     MessageType = "text"
	MessageTypeImage    MessageType = "image"
	MessageTypeVideo    MessageType = "video"
	MessageTypeAudio    MessageType = "audio"
	MessageTypeFile     MessageType = "file"
	MessageTypeLocation MessageType = "location"
	MessageTypeContact  MessageType = "contact"
	MessageTypeMeet     MessageType = "meet"
)

// Message is one that came, one that another device of this account has sent, or one that the
// history of the service holds.
//
// Its body is sealed on the wire, but with the message id as the key, which travels in the same
// stanza: whoever has the stanza can read it (SECURITY.md).
type Message struct {
	// ID is the sender's. It is empty where an XMPP client has given none.
	ID string `json:"msgId"`
	// ChatType is ChatTypeChat.
	ChatType ChatType `json:"chatType"`
	// FromUserJID is the bare JID of the sender, as the server says.
	FromUserJID string `json:"fromUserJid"`
	// ToUserJID is the bare JID of the receiver.
	ToUserJID string `json:"toUserJid"`
	// Type is one of the constants, or what else the sender's app has written.
	Type MessageType `json:"messageType"`
	// Text is that of a text. A file has none, see Media.
	Text string `json:"message"`
	// NickName is what the sender says of itself: not to be trusted.
	NickName string `json:"nickName"`
	// ReplyTo is the id of the message that this one answers.
	ReplyTo string `json:"replyTo,omitempty"`
	// MentionedUserIDs are the users that the text speaks of, in the order of its placeholders.
	MentionedUserIDs []string `json:"mentionedUsersIds,omitempty"`
	// TopicID is that of WithTopic.
	TopicID string `json:"topicId,omitempty"`
	// Metadata is that of WithMetadata.
	Metadata map[string]string `json:"metaData,omitempty"`
	// Media is nil unless the message is a file.
	Media *MessageMedia `json:"media,omitempty"`
	// Timestamp is when the service took the message; where it does not say so, when the server has
	// stored it for us (XEP-0203), else when it came. JSON has milliseconds since 1970.
	Timestamp time.Time `json:"timestamp"`
	// Edited: it has the text of an edit.
	Edited bool `json:"editedStatus"`
	// Own: this account has sent it.
	Own bool `json:"own,omitempty"`
	// Delayed: the server has kept it until this client came.
	Delayed bool `json:"delayed,omitempty"`
	// Unsealed: the body was not encrypted, or not with the id of this message. Text is what came.
	// XMPP clients that do not know the service write so.
	Unsealed bool `json:"unsealed,omitempty"`
	// Body is the opened body as it was, for types and fields that this library does not know.
	Body json.RawMessage `json:"body,omitempty"`

	handling *handling // nil: it is not one that listeners get
}

// Peer is the bare JID of the other side of the conversation.
func (m Message) Peer() string {
	if m.Own {
		return m.ToUserJID
	}
	return m.FromUserJID
}

// Defer takes over when m counts as handled: when done is called, instead of when the listener
// returns. Call it in the listener, and done in any goroutine, any number of times. Until then the
// sender is not told "delivered", and the server is not told that the message has arrived, so that
// it comes again after a crash (OnMessage says where). Messages may be done in any order, but the
// server counts them in theirs.
func (m Message) Defer() (done func()) {
	if m.handling == nil {
		return func() {}
	}
	return m.handling.postpone()
}

// MessageMedia is the file of a message; DownloadMedia takes its File.
type MessageMedia struct {
	// File says where the file is, and how it is opened. Its Size is 0 for an encrypted file: the
	// message tells only how long it is when it is encrypted.
	File MediaFile `json:"file"`
	// Caption is the text below it.
	Caption string `json:"caption"`
	// Duration is that of sound and film. JSON has milliseconds.
	Duration time.Duration `json:"duration"`
	// Thumbnail is a small picture as the sender has made it; it may be empty, or no picture.
	Thumbnail []byte `json:"thumbnail,omitempty"`
	// Width is in pixels; 0: not known.
	Width int `json:"width,omitempty"`
	// Height is in pixels; 0: not known.
	Height int `json:"height,omitempty"`
}

// millis is how JSON has a point in time: as the JavaScript SDK does, 0 for none.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

type (
	plainMessage Message
	messageJSON  struct {
		plainMessage
		Timestamp int64 `json:"timestamp"`
	}
	plainMedia MessageMedia
	mediaJSON  struct {
		plainMedia
		Duration int64 `json:"duration"`
	}
)

// MarshalJSON writes Timestamp as milliseconds since 1970.
func (m Message) MarshalJSON() ([]byte, error) {
	return json.Marshal(messageJSON{plainMessage(m), millis(m.Timestamp)})
}

// UnmarshalJSON reads what MarshalJSON has written.
func (m *Message) UnmarshalJSON(data []byte) error {
	var read messageJSON
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	*m = Message(read.plainMessage)
	m.Timestamp = fromMillis(read.Timestamp)
	return nil
}

// MarshalJSON writes Duration as milliseconds.
func (m MessageMedia) MarshalJSON() ([]byte, error) {
	return json.Marshal(mediaJSON{plainMedia(m), m.Duration.Milliseconds()})
}

// UnmarshalJSON reads what MarshalJSON has written.
func (m *MessageMedia) UnmarshalJSON(data []byte) error {
	var read mediaJSON
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	*m = MessageMedia(read.plainMedia)
	m.Duration = time.Duration(read.Duration) * time.Millisecond
	return nil
}

// say fills in what a sealed body says. A body that does not open is plain text.
func (m *Message) say(sealed, contentType, iv string) {
	said, opened := body.Open(sealed, m.ID, iv)
	if !opened {
		m.Unsealed, m.Text = true, sealed
		m.Type = MessageType(cmp.Or(contentType, string(MessageTypeText)))
		return
	}
	m.Type = MessageType(cmp.Or(said.Type, contentType, string(MessageTypeText)))
	m.Text, m.NickName, m.ReplyTo, m.MentionedUserIDs = said.Text, said.NickName, said.ReplyTo, said.Mentioned
	m.Body = said.JSON
	if said.Media != nil {
		m.Media = messageMedia(said.Media)
	}
}

func messageMedia(f *body.Media) *MessageMedia {
	m := &MessageMedia{
		File:    MediaFile{FileToken: f.Token, FileKey: f.Key, Name: f.Name, Large: f.Large},
		Caption: f.Caption, Duration: f.Duration, Thumbnail: f.Thumbnail, Width: f.Width, Height: f.Height,
	}
	if f.Key == "" {
		m.File.Size = f.StoredSize
	}
	return m
}
