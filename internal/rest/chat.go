package rest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// ChatMessage is a message as the service keeps it (protocol.md 14.6). Its Body, and the names of
// users, are still sealed.
type ChatMessage struct {
	ID   string
	Type string
	Body string
	// From and To are user ids or JIDs, as the service has them.
	From, To string
	// FromName is what the sender is called.
	FromName string
	// Sent is zero where the service does not say it.
	Sent time.Time
	// Edited: it has the text of an edit.
	Edited bool
	// Gone: its sender has deleted it for everyone, or this user for himself.
	Gone bool
	// Delivery is 0 for a message that its receiver has not acknowledged, 1 for a delivered one,
	// and 2 for one that was seen.
	Delivery int
	TopicID  string
	Metadata map[string]string
	// ReplyTo is the id of the message that this one answers.
	ReplyTo string
}

// chatMessage is a [ChatMessage] on the wire. It is also the newest message of a conversation, with
// what the list of those says besides (see [RecentChat]).
type chatMessage struct {
	MessageID   text `json:"messageId"`
	MessageType text `json:"messageType"`
	Message     text `json:"message"`
	// MessageContent and CreatedAt take the places of Message and EpochTimestamp in the answer to
	// a request for one message.
	MessageContent text     `json:"messageContent"`
	CreatedAt      text     `json:"createdAt"`
	FromUser       text     `json:"fromUser"`
	FromUserName   text     `json:"fromUserName"`
	FromUserImage  text     `json:"fromUserImage"`
	ToUser         text     `json:"toUser"`
	ToUserName     text     `json:"toUserName"`
	ToUserImage    text     `json:"toUserImage"`
	SentTime       number   `json:"sentTime"`
	EpochTimestamp number   `json:"epochTimestamp"`
	RecallStatus   flag     `json:"recallStatus"`
	DeletedStatus  flag     `json:"deletedStatus"`
	EditStatus     flag     `json:"editStatus"`
	EditMessageID  text     `json:"editMessageId"`
	DeliveryStatus number   `json:"deliveryStatus"`
	TopicID        text     `json:"topicId"`
	MetaData       metadata `json:"metaData"`
	ParentMessage  object[struct {
		MessageID text `json:"messageId"`
	}] `json:"parentMessage"`

	ChatType         text   `json:"chatType"`
	Participant      text   `json:"participant"`
	ParticipantName  text   `json:"participantName"`
	ParticipantImage text   `json:"participantImage"`
	Unread           number `json:"unread"`
	UnreadCount      number `json:"unreadCount"`
}

func (m *chatMessage) message() ChatMessage {
	sent := moment(m.EpochTimestamp)
	if sent.IsZero() {
		sent = moment(m.SentTime)
	}
	if sent.IsZero() {
		sent, _ = time.Parse(time.RFC3339, string(m.CreatedAt)) // zero where it is none
	}
	return ChatMessage{
		ID: string(m.MessageID), Type: string(m.MessageType), Body: string(cmp.Or(m.Message, m.MessageContent)),
		From: string(m.FromUser), To: string(m.ToUser), FromName: string(m.FromUserName), Sent: sent,
		Edited:   bool(m.EditStatus) || m.EditMessageID != "" && m.EditMessageID != m.MessageID,
		Gone:     bool(m.RecallStatus || m.DeletedStatus),
		Delivery: int(min(max(0, m.DeliveryStatus), 2)),
		TopicID:  string(m.TopicID), Metadata: m.MetaData, ReplyTo: string(m.ParentMessage.value.MessageID),
	}
}

// metadata is an object of texts, or such an object as JSON text: which of them the service writes
// is not known.
type metadata map[string]string

func (m *metadata) UnmarshalJSON(b []byte) error {
	*m = nil
	if b[0] == '"' {
		var inner string
		if json.Unmarshal(b, &inner) != nil {
			return nil
		}
		b = bytes.TrimSpace([]byte(inner))
	}
	var fields map[string]text
	if len(b) == 0 || b[0] != '{' || json.Unmarshal(b, &fields) != nil || len(fields) == 0 {
		return nil
	}
	*m = make(metadata, len(fields))
	for name, value := range fields {
		(*m)[name] = string(value)
	}
	return nil
}

// moment reads a time since 1970. The service writes microseconds; seconds and milliseconds, as it
// documents them for some calls, are so much smaller that they cannot be meant otherwise.
func moment(n number) time.Time {
	const (
		leastMicros = 1e14 // 1973
		leastMillis = 1e11 // 1973
		most        = 253402300799999999
	)
	switch {
	case n <= 0 || n > most:
		return time.Time{}
	case n >= leastMicros:
		return time.UnixMicro(int64(n))
	case n >= leastMillis:
		return time.UnixMilli(int64(n))
	}
	return time.Unix(int64(n), 0)
}

// ChatQuery asks for a part of the conversation with a user.
type ChatQuery struct {
	UserID string
	// MessageID is where the part begins; empty: with the newest message. Whether the service
	// returns that message, too, is not certain.
	MessageID string
	// Forward asks for what came after MessageID, not before it.
	Forward bool
	Size    int
}

// ChatPage is a part of a conversation, in the order of the service.
type ChatPage struct {
	// Messages may be more or fewer than were asked for.
	Messages []ChatMessage
	// Total and Pages are 0 where the service does not tell them.
	Total, Pages int
}

// chatList is how the service answers with messages.
type chatList struct {
	TotalPages   number                `json:"totalPages"`
	TotalRecords number                `json:"totalRecords"`
	TotalCount   number                `json:"totalCount"`
	ChatList     []object[chatMessage] `json:"chatList"`
}

func (l *chatList) total() int { return count(max(l.TotalRecords, l.TotalCount)) }

// count is a number of things, which a server may say wrongly.
func count(n number) int {
	const most = 1<<31 - 1
	return int(min(max(0, n), most))
}

// Chat reads a part of a conversation (GET /chat/chat-history, protocol.md 14.6). Messages without
// an id are left out.
func (c *Client) Chat(ctx context.Context, q ChatQuery) (ChatPage, error) {
	path := fmt.Sprintf("/chat/chat-history?chatType=singlechat&participant=%s&skipDeleted=true&size=%d",
		seal.EncodeURIComponent(q.UserID), q.Size)
	if q.MessageID != "" {
		path += "&messageId=" + seal.EncodeURIComponent(q.MessageID)
	}
	direction := "backward"
	if q.Forward {
		direction = "forward"
	}
	var list chatList
	r := &request{
		op: "chat history", method: http.MethodGet, auth: true, idempotent: true,
		path: path + "&direction=" + direction + "&topicId=",
	}
	if err := c.json(ctx, r, &list); err != nil {
		return ChatPage{}, err
	}
	page := ChatPage{Total: list.total(), Pages: count(list.TotalPages)}
	for i := range list.ChatList {
		if m := &list.ChatList[i].value; m.MessageID != "" {
			page.Messages = append(page.Messages, m.message())
		}
	}
	return page, nil
}

// Message reads one message of the conversation with a user (GET /chat/message, protocol.md 14.6).
// One that there is not is an [*Error] of [KindNoMessage].
func (c *Client) Message(ctx context.Context, userID, messageID string) (*ChatMessage, error) {
	r := &request{
		op: "message", method: http.MethodGet, auth: true, idempotent: true,
		path: fmt.Sprintf("/chat/message?messageId=%s&chatId=%s&chatType=singleChat",
			seal.EncodeURIComponent(messageID), seal.EncodeURIComponent(userID)),
	}
	var found *chatMessage
	if err := c.json(ctx, r, &found); err != nil {
		if e := asError(err); e.Status == http.StatusNoContent || e.Status == http.StatusNotFound && e.Told() {
			e.kind = KindNoMessage
		}
		return nil, err
	}
	if found == nil || found.MessageID == "" {
		return nil, noMessage()
	}
	m := found.message()
	switch {
	case m.ID != messageID:
		return nil, unexpected("another message")
	case m.Gone:
		return nil, noMessage()
	}
	return &m, nil
}

// noMessage is an answer without the message that was asked for.
func noMessage() *Error {
	e := unexpected("no message")
	e.answered, e.kind = http.StatusOK, KindNoMessage
	return e
}

// RecentChat is a conversation with its newest message. Names are still sealed.
type RecentChat struct {
	Last ChatMessage
	// Group: it is not a conversation between two.
	Group bool
	// With is the other side, a user id or a JID. It may be empty, as its Name and Image.
	With, Name, Image string
	// FromImage is that of the sender of Last.
	FromImage string
	// ToName and ToImage are those of the receiver of Last.
	ToName, ToImage string
	Unread          int
}

// RecentPage is a part of the list of conversations, in the order of the service.
type RecentPage struct {
	Chats []RecentChat
	// Total is 0 where the service does not tell it.
	Total int
}

// RecentChats reads the conversations whose newest message came before a moment; zero: the newest
// (GET /chat/recent-chats, protocol.md 14.6).
func (c *Client) RecentChats(ctx context.Context, size int, before time.Time) (RecentPage, error) {
	path := fmt.Sprintf("/chat/recent-chats?size=%d", size)
	if !before.IsZero() {
		path += fmt.Sprintf("&messageTime=%d", before.UnixMicro())
	}
	var list chatList
	r := &request{op: "recent chats", method: http.MethodGet, auth: true, idempotent: true, path: path}
	if err := c.json(ctx, r, &list); err != nil {
		return RecentPage{}, err
	}
	page := RecentPage{Total: list.total()}
	for i := range list.ChatList {
		m := &list.ChatList[i].value
		if m.MessageID == "" {
			continue
		}
		page.Chats = append(page.Chats, RecentChat{
			Last: m.message(), Group: strings.HasPrefix(strings.ToLower(string(m.ChatType)), "group"),
			With: string(m.Participant), Name: string(m.ParticipantName), Image: string(m.ParticipantImage),
			FromImage: string(m.FromUserImage), ToName: string(m.ToUserName), ToImage: string(m.ToUserImage),
			Unread: count(max(m.Unread, m.UnreadCount)),
		})
	}
	return page, nil
}
