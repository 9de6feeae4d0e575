package sdk

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk/internal/body"
	"github.com/mirrorfly-go/sdk/internal/uuid"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// SentMessage is a message that the server has taken.
type SentMessage struct {
	// ID is that of WithMessageID, or a new one. After an edit it is still that of the message.
	ID string `json:"msgId"`
	// ToUserJID is the bare JID of the receiver.
	ToUserJID string `json:"toUserJid"`
	// Timestamp is when the service took it, if it has said so by then, else when it was sent. JSON
	// has milliseconds since 1970.
	Timestamp time.Time `json:"timestamp"`
	// Media is the file of SendMediaFileMessage.
	Media MediaFile `json:"media,omitzero"`
}

type (
	plainSent SentMessage
	sentJSON  struct {
		plainSent
		Timestamp int64 `json:"timestamp"`
	}
)

// MarshalJSON writes Timestamp as milliseconds since 1970.
func (m SentMessage) MarshalJSON() ([]byte, error) {
	return json.Marshal(sentJSON{plainSent(m), millis(m.Timestamp)})
}

// UnmarshalJSON reads what MarshalJSON has written.
func (m *SentMessage) UnmarshalJSON(data []byte) error {
	var read sentJSON
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	*m = SentMessage(read.plainSent)
	m.Timestamp = fromMillis(read.Timestamp)
	return nil
}

// SendTextMessage sends a text to a user, and waits until the server has taken it (protocol.md
// 14.3). That says nothing of the receiver: OnMessageStatus tells when it was delivered and seen,
// and when it was refused later on. toJID is a bare JID, as GetJID makes it.
//
// The text is sealed with the message id as the key, which travels with it: the server can read it,
// and so can whoever has the stanza. It is no end-to-end encryption.
//
// When the connection is lost meanwhile, the call goes on waiting as long as the stream can be
// resumed. It does not wait for a new connection: WaitConnected does.
//
// Errors: 400 ErrInvalidArgument; 400 ErrNotRegistered; 500 ErrNotConnected, with OutcomeUnknown
// when the message may have arrived; 500 "Request Failed" with a Condition when it was refused; 599
// ErrNetwork when nothing has confirmed it in time.
func (c *Client) SendTextMessage(
	ctx context.Context, toJID, text string, opts ...MessageOption,
) (Result[SentMessage], error) {
	return ask(ctx, c, "SendTextMessage", func(ctx context.Context) (SentMessage, error) {
		l, err := c.registered()
		if err != nil {
			return SentMessage{}, err
		}
		o := optionsOf(opts)
		me := l.account()
		checks := append(o.checks(), isUTF8("text", text))
		checks = append(append(checks, me.receiver(toJID)...), notEmpty("text", text, "Provided text message is empty"))
		if err := validate(checks...); err != nil {
			return SentMessage{}, err
		}
		id := cmp.Or(o.id, uuid.New())
		said := body.Body{
			Text: text, Type: string(MessageTypeText), NickName: l.nickName(), ReplyTo: o.replyTo,
			Mentioned: o.mentioned,
		}
		return l.sendContent(ctx, o, said, id, id, toJID)
	})
}

// EditTextMessage changes the text of a message that this account has sent (protocol.md 14.6). By
// its documentation the service permits that for 15 minutes. It takes WithMentions, and
// WithMessageID for the edit's own id, which makes it safe to repeat the edit.
//
// Errors: those of SendTextMessage; 400 ErrInvalidArgument for other options.
func (c *Client) EditTextMessage(
	ctx context.Context, toJID, messageID, text string, opts ...MessageOption,
) (Result[SentMessage], error) {
	return ask(ctx, c, "EditTextMessage", func(ctx context.Context) (SentMessage, error) {
		l, err := c.registered()
		if err != nil {
			return SentMessage{}, err
		}
		o := optionsOf(opts)
		me := l.account()
		checks := append(o.checks(), onlyOfEdits(o, messageID), isUTF8("text", text))
		checks = append(checks, me.receiver(toJID)...)
		checks = append(checks, messageIDFormat("messageID", messageID),
			notEmpty("messageID", messageID, "Message id can't be empty"),
			notEmpty("text", text, "EditMessage content cannot be empty"))
		if err := validate(checks...); err != nil {
			return SentMessage{}, err
		}
		said := body.Body{Text: text, Type: string(MessageTypeText), NickName: l.nickName(), Mentioned: o.mentioned}
		return l.sendContent(ctx, o, said, messageID, cmp.Or(o.id, uuid.New()), toJID)
	})
}

func onlyOfEdits(o messageOptions, messageID string) finding {
	const text = "an edit takes no option but WithMentions and WithMessageID"
	switch {
	case o.hasID && o.id == messageID:
		return finding{optionID.name, optionID.name + " is that of the message: an edit has one of its own"}
	case o.hasReply:
		return finding{optionReplyTo.name, text}
	case o.hasTopic:
		return finding{optionTopic.name, text}
	case o.metadata != nil:
		return finding{optionMetadata.name, text}
	}
	return finding{}
}

// sendContent seals a body, sends it and waits for the server.
func (l *login) sendContent(
	ctx context.Context, o messageOptions, said body.Body, id, edit, toJID string,
) (SentMessage, error) {
	message, err := l.content(o, said, id, edit, toJID)
	if err != nil {
		return SentMessage{}, err
	}
	at, err := l.send(ctx, message)
	return SentMessage{ID: id, ToUserJID: strings.ToLower(toJID), Timestamp: at}, err
}

// content returns the message as it goes over the wire.
func (l *login) content(o messageOptions, said body.Body, id, edit, toJID string) (xmpp.Outgoing, error) {
	me := l.account()
	sealed, err := said.Seal(id, me.chatIV())
	if err != nil {
		return xmpp.Outgoing{}, err
	}
	message := xmpp.Content{
		ID: id, EditID: edit, To: strings.ToLower(toJID), Type: said.Type, Body: sealed, Metadata: o.meta(),
		TopicID: o.topic,
	}.Outgoing()
	if !message.Fits() {
		return xmpp.Outgoing{}, tooLarge(o, said)
	}
	return message, nil
}

// tooLarge names the largest part of what is larger than a message may be.
func tooLarge(o messageOptions, said body.Body) error {
	type part struct {
		name string
		size int
	}
	most := part{"text", len(said.Text)}
	parts := []part{
		{optionTopic.name, len(o.topic)},
		{optionMetadata.name, len(o.meta())},
		{optionMentions.name, len(strings.Join(o.mentioned, ","))},
		{"NickName", len(said.NickName)}, // of the own profile, which goes with every message
	}
	if m := said.Media; m != nil {
		most = part{"Name", len(m.Name)}
		parts = append(parts, part{"Caption", len(m.Caption)}, part{"Thumbnail", len(m.Thumbnail)})
	}
	for _, p := range parts {
		if p.size > most.size {
			most = p
		}
	}
	return invalid(most.name, "%s is too large, it has %d bytes: a message has at most %d on the wire",
		most.name, most.size, xmpp.MaxMessage)
}

// send sends a message and waits until the server has taken it over. at is when, or when it was
// sent.
func (l *login) send(ctx context.Context, message xmpp.Outgoing) (at time.Time, err error) {
	s, err := l.open()
	if err != nil {
		return time.Time{}, err
	}
	sentAt := time.Now()
	if at, err = s.Send(ctx, message); err == nil && at.IsZero() {
		at = sentAt
	}
	return at, err
}

// maxRecalled is how many messages one call deletes: receivers believe no more.
const maxRecalled = 1000

// DeleteMessagesForEveryone takes back messages that this account has sent to a user, on all
// devices (protocol.md 14.6), where OnMessageDeleted tells it: at most 1,000 in a call.
//
// Errors: those of SendTextMessage; 403 ErrFeatureUnavailable, checked before the arguments.
func (c *Client) DeleteMessagesForEveryone(
	ctx context.Context, toJID string, messageIDs ...string,
) (Result[None], error) {
	return ask(ctx, c, "DeleteMessagesForEveryone", func(ctx context.Context) (None, error) {
		if err := c.gate(func(f Features) bool { return f.DeleteMessage }); err != nil {
			return None{}, err
		}
		l, err := c.registered()
		if err != nil {
			return None{}, err
		}
		var checks []finding
		ids := argument{"messageIDs", "msgIds"}
		for _, id := range messageIDs {
			checks = append(checks, messageIDFormat(ids.name, id))
		}
		checks = append(checks, jidFormat(receiverJID, toJID), required(receiverJID, toJID))
		if len(messageIDs) > maxRecalled {
			checks = append(checks, finding{ids.name, ids.name + " has more than 1000 entries"})
		}
		if len(messageIDs) == 0 || slices.Contains(messageIDs, "") {
			checks = append(checks, ids.isInJS(" should be Valid data type"))
		}
		if err := validate(checks...); err != nil {
			return None{}, err
		}
		message := xmpp.Recall(strings.ToLower(toJID), strings.Join(messageIDs, ","))
		if !message.Fits() {
			return None{}, invalid(ids.name, "%s are too many: a message has at most %d bytes on the wire",
				ids.name, xmpp.MaxMessage)
		}
		_, err = l.send(ctx, message)
		return None{}, err
	})
}

// SendSeenStatus tells the sender of a message that it was read (protocol.md 14.4).
//
// Errors: those of SendTextMessage.
func (c *Client) SendSeenStatus(ctx context.Context, toJID, messageID string) (Result[None], error) {
	return ask(ctx, c, "SendSeenStatus", func(ctx context.Context) (None, error) {
		l, err := c.registered()
		if err != nil {
			return None{}, err
		}
		id := argument{"messageID", "msgId"}
		err = validate(
			jidFormat(receiverJID, toJID), required(receiverJID, toJID), messageIDFormat(id.name, messageID),
			required(id, messageID),
		)
		if err != nil {
			return None{}, err
		}
		_, err = l.send(ctx, xmpp.Receipt(string(receiptSeen), strings.ToLower(toJID), messageID))
		return None{}, err
	})
}

// SendTypingStatus tells a user that this one is writing (protocol.md 14.4, XEP-0085). Nobody keeps
// that, and nothing confirms it. Apps show it for a few seconds, so repeat it for as long as it is
// true.
//
// Errors: 400 ErrInvalidArgument; 400 ErrNotRegistered; 500 ErrNotConnected.
func (c *Client) SendTypingStatus(ctx context.Context, toJID string) (Result[None], error) {
	return c.tellTyping(ctx, "SendTypingStatus", toJID, true)
}

// SendTypingGoneStatus takes SendTypingStatus back. Its errors are the same.
func (c *Client) SendTypingGoneStatus(ctx context.Context, toJID string) (Result[None], error) {
	return c.tellTyping(ctx, "SendTypingGoneStatus", toJID, false)
}

func (c *Client) tellTyping(ctx context.Context, op, toJID string, typing bool) (Result[None], error) {
	return ask(ctx, c, op, func(ctx context.Context) (None, error) {
		l, err := c.registered()
		if err != nil {
			return None{}, err
		}
		if err := validate(jidFormat(receiverJID, toJID), required(receiverJID, toJID)); err != nil {
			return None{}, err
		}
		s, err := l.open()
		if err != nil {
			return None{}, err
		}
		return None{}, s.Tell(xmpp.Typing(strings.ToLower(toJID), typing), false)
	})
}

// receiver checks to whom a text goes, in the order of the JavaScript SDK (protocol.md 14.3). That
// looks at nothing but the format for files, receipts, typing and deletions.
func (a *account) receiver(toJID string) []finding {
	mine := a.bareJID()
	_, host, _ := strings.Cut(mine, "@")
	_, domain, _ := strings.Cut(toJID, "@")
	var other finding
	switch {
	case toJID == "":
	case strings.EqualFold(toJID, mine):
		other = receiverJID.isInJS(" should not be current user jid")
	case !strings.EqualFold(domain, host):
		other = foreign(receiverJID)
	}
	return []finding{jidFormat(receiverJID, toJID), required(receiverJID, toJID), other}
}

// receiverJID is to whom a message goes.
var receiverJID = argument{"toJID", "toJid"}

func notEmpty(name, value, text string) finding {
	if value == "" {
		return finding{name, text}
	}
	return finding{}
}
