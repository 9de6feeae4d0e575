package sdktest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// Message is a message between two users that the service has taken. It remembers the latest
// 10,000 of each conversation, but no message with the hint no-store (XEP-0334).
type Message struct {
	// ID is the message id, which is also the key of the body.
	ID string
	// From is the id of the user who sent it.
	From string
	// To is the id of the user whom it is for.
	To string
	// Type is the message_type: "text", "image", ... Empty: the sender named none.
	Type string
	// Text is the message in the body. When the body is not sealed, or not with ID, it is the body
	// as it came.
	Text string
	// Body is the opened body. nil: it is not sealed, or no JSON.
	Body json.RawMessage
	// ReplyTo is the id of the message that it answers. It may be empty.
	ReplyTo string
	// TopicID is as sent. It may be empty.
	TopicID string
	// Metadata is the meta_data, as far as its values are strings.
	Metadata map[string]string
	// Time is when the service took it, in microseconds.
	Time time.Time
	// Status is what the receiver has told by receipts.
	Status MessageStatus
	// Edited: the author has edited it. Type, Text, Body and what follows from Body are the new
	// ones.
	Edited bool
	// EditID is the edit_msg_id of the last edit.
	EditID string
	// Recalled: the author has deleted it for everyone. The body stays.
	Recalled bool
}

// Messages are the messages that a user (id or JID) has sent and got, oldest first.
func (s *Server) Messages(user string) []Message {
	id := localpart(user)
	var all []logged
	s.store.mu.Lock()
	for _, c := range s.store.state.Conversations[id] {
		all = append(all, c.copyLocked()...)
	}
	s.store.mu.Unlock()
	slices.SortFunc(all, func(a, b logged) int { return cmp.Compare(a.row, b.row) })
	iv, _ := s.store.ivs()
	out := make([]Message, len(all))
	for i, m := range all {
		out[i] = m.message(iv)
	}
	return out
}

// Waiting is how many messages, receipts among them, are kept for a user (id or JID) who is not
// there.
func (s *Server) Waiting(user string) int {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	if box := s.store.state.Waiting[localpart(user)]; box != nil {
		return len(box.list)
	}
	return 0
}

// message is m with its body opened by the IV of chats.
func (m *logged) message(iv string) Message {
	out := Message{
		ID: m.ID, From: m.From, To: m.To, Type: m.Type, Text: m.Body, TopicID: m.TopicID, Time: m.Time,
		Status: m.Status, Edited: m.Edited, EditID: m.EditID, Recalled: m.Recalled,
	}
	if m.MetaData != "" {
		var meta map[string]any
		_ = json.Unmarshal([]byte(m.MetaData), &meta) // it was JSON, but maybe no object
		for k, v := range meta {
			if text, isText := v.(string); isText {
				if out.Metadata == nil {
					out.Metadata = map[string]string{}
				}
				out.Metadata[k] = text
			}
		}
	}
	if body, opened := m.open(iv); opened {
		out.Text, out.ReplyTo = body.Message, body.ReplyTo
		out.Body = body.raw
	}
	return out
}

// content is what the service reads of an opened body.
type content struct {
	Message string `json:"message"`
	ReplyTo string `json:"replyTo"`
	raw     json.RawMessage
}

// open opens the body. It returns false when it is not sealed with the message id.
func (m *logged) open(iv string) (content, bool) {
	var c content
	plain, err := seal.OpenStrict(m.Body, m.ID, iv)
	if err != nil || json.Unmarshal([]byte(plain), &c) != nil {
		return content{}, false
	}
	c.raw = json.RawMessage(plain)
	return c, true
}

// SendMessage sends a text in the name of a user to another one (ids or JIDs), as a client would,
// and returns the message id. It registers users who are not registered. When a lot waits for the
// receiver's connections, it waits until they have read most of it. It fails when the message is
// refused, for example because the receiver has blocked the sender.
func (s *Server) SendMessage(ctx context.Context, from, to, text string) (id string, err error) {
	if id, err = s.sendMessage(ctx, localpart(from), localpart(to), text); err != nil {
		return "", fmt.Errorf("sdktest: send message: %w", err)
	}
	return id, nil
}

func (s *Server) sendMessage(ctx context.Context, from, to, text string) (string, error) {
	if s.external != nil {
		return "", errors.New("the messages are the external XMPP server's")
	}
	for _, id := range []string{from, to} {
		if err := s.Phone(id).ensure(ctx); err != nil {
			return "", err
		}
	}
	body, err := json.Marshal(map[string]any{
		"message": text, "message_type": "text", "mentionedUsersIds": []string{}, "nickName": "",
	})
	if err != nil {
		return "", err
	}
	iv, _ := s.store.ivs()
	id := messageID()
	m := el(nsClient, "message", "id", id, "to", s.jid(to), "from", s.jid(from), "type", "chat")
	m.add(el(nsContent, "chatcontent", "message_type", "text", "edit_msg_id", id, "meta_data", "{}"))
	m.add(el("", "body", "message_type", "text").txt(seal.Seal(string(body), id, iv)))
	if len(m.String()) > maxStanza {
		return "", errors.New("the text is too long for a stanza")
	}
	reached, err := s.hub.inject(&delivery{from: from, user: to}, m)
	if err != nil {
		return "", err
	}
	yield(ctx, reached)
	return id, s.store.commit()
}

// messageID is a new id in the form of a UUID.
func messageID() string {
	h := randomHex(16)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-8" + h[17:20] + "-" + h[20:]
}

// inject takes a message that no client has sent. It returns the streams that got it.
func (h *hub) inject(d *delivery, m *element) ([]*stream, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	refuse := h.objection(d, m, true)
	if refuse == nil {
		refuse = h.takeLocked(d, m)
	}
	if refuse != nil {
		return nil, errors.New(refuse.condition)
	}
	return h.passOnLocked(d, h.deliveryFault(d)), nil
}
