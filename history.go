package sdk

import (
	"cmp"
	"context"
	"iter"
	"net/http"
	"slices"
	"strings"

	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/seal"
)

// ChatQuery asks for a part of the conversation with a user.
type ChatQuery struct {
	// UserJID is the bare JID of the user.
	UserJID string
	// Before is the id of a message: what came before it is read. Empty, as After: the newest.
	Before string
	// After is the id of a message: what came after it is read.
	After string
	// Size is how many messages a page has, at most 100; 0: 20, as in the JavaScript SDK.
	Size int
	// MarkSeen tells the senders that their messages were seen.
	MarkSeen bool
}

// ChatPage is a part of a conversation.
type ChatPage struct {
	// Messages are the newest first, with ChatQuery.After the oldest first. It is never nil.
	Messages []Message `json:"messages"`
	// Total is how many messages there are, as the service says; 0: it does not. Whether it counts
	// what is left out here is not known.
	Total int `json:"total"`
	// More: there are others in that direction. Ask with the id of the last of Messages. Where the
	// service has not said, a full page counts as followed by another, which may turn out to be
	// empty.
	More bool `json:"more"`
}

// defaultChatSize is that of the JavaScript SDK.
const defaultChatSize = 20

// GetChatMessages reads a page of the conversation with a user from the history of the service
// (protocol.md 14.6): the newest messages, or those before or after one of them. Messages that were
// deleted for everyone are left out; a page of nothing else is passed over. A message whose body
// does not open is Unsealed.
//
// It tells nobody anything, unless ChatQuery.MarkSeen is set. Then the senders are told "seen" for
// the messages that were returned, where the service does not know that yet, and "delivered" before
// that where it is missing. A receipt that cannot be sent is logged, and does not fail the call.
//
// A server that knows no history, such as a stock XMPP server, has no REST API to ask.
//
// Errors: 400 ErrInvalidArgument for a UserJID that is no bare JID of a user of this service, for
// both Before and After, for an id with a comma, white space or control characters or above 255
// bytes, and for a Size above 100; 400 ErrNotRegistered; the service's status and text; 599
// ErrNetwork.
func (c *Client) GetChatMessages(ctx context.Context, q ChatQuery) (Result[ChatPage], error) {
	return run(ctx, c, "GetChatMessages", success, func(ctx context.Context) (ChatPage, error) {
		v, err := c.conversation(q)
		if err != nil {
			return ChatPage{}, err
		}
		found, err := v.read(ctx)
		if err != nil {
			return ChatPage{}, err
		}
		page := ChatPage{Messages: make([]Message, len(found.items)), Total: found.total, More: found.more}
		for i, m := range found.items {
			page.Messages[i] = m.Message
		}
		if q.MarkSeen {
			v.markSeen(found.items)
		}
		return page, nil
	})
}

// ChatMessages reads the conversation with a user message by message, and page by page from the
// service: from the newest back to the oldest, with ChatQuery.After from the oldest on to the
// newest. Size is that of a page. With MarkSeen a message counts as seen when the loop has done
// with it.
//
// It ends with the conversation, with the loop, or with an error, which comes as the last pair: one
// of GetChatMessages, or ErrNotRegistered when the login has ended meanwhile. Each page has the
// time of a call of its own, Config.RequestTimeout, unless ctx has a deadline.
func (c *Client) ChatMessages(ctx context.Context, q ChatQuery) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		var v *conversation
		all := pages(ctx, c, "ChatMessages", func() (_ readPart[keptMessage], err error) {
			if v, err = c.conversation(q); err != nil {
				return nil, err
			}
			return v.read, nil
		})
		for m, err := range all {
			goesOn := yield(m.Message, err)
			if q.MarkSeen && err == nil {
				v.markSeen([]keptMessage{m})
			}
			if !goesOn {
				return
			}
		}
	}
}

// conversation is one that is read page by page.
type conversation struct {
	c    *Client
	l    *login
	me   account
	peer string // bare JID
	size int
	next rest.ChatQuery
	// begun are the messages at which pages have begun, and those of the page before. They end what
	// a server would repeat for ever.
	begun, before map[string]bool
}

// keptMessage is one of the history.
type keptMessage struct {
	Message
	// delivery is 0 until its sender was told that it was delivered, 1 until that it was seen.
	delivery int
}

// conversation checks a query.
func (c *Client) conversation(q ChatQuery) (*conversation, error) {
	l, err := c.registered()
	if err != nil {
		return nil, err
	}
	me, to := l.account(), argument{"UserJID", "toJid"}
	err = validate(
		messageIDFormat("After", q.After), messageIDFormat("Before", q.Before),
		jidFormat(to, q.UserJID), required(to, q.UserJID), ofService(to, q.UserJID, me),
	)
	if err != nil {
		return nil, err
	}
	if q.Before != "" && q.After != "" {
		return nil, invalid("Before", "Before and After exclude each other")
	}
	size, err := pageSize(q.Size, defaultChatSize)
	if err != nil {
		return nil, err
	}
	v := &conversation{
		c: c, l: l, me: me, peer: me.jidOf(q.UserJID), size: size,
		next:  rest.ChatQuery{UserID: localPart(me.jidOf(q.UserJID)), Forward: q.After != "", Size: size},
		begun: make(map[string]bool),
	}
	if from := cmp.Or(q.Before, q.After); from != "" {
		v.beginAt(from)
	}
	return v, nil
}

// beginAt makes the next page begin at a message. One more is asked for, as the JavaScript SDK
// does: the service counts that message, too, or shows that there are others.
func (v *conversation) beginAt(id string) {
	v.begun[id] = true
	v.next.MessageID, v.next.Size = id, v.size+1
}

// read reads the next page that has messages.
func (v *conversation) read(ctx context.Context) (found part[keptMessage], err error) {
	ctx = rest.ForLogin(ctx, v.me.number)
	for range maxEmptyPages {
		page, err := v.c.rest.Chat(ctx, v.next)
		if err != nil {
			return part[keptMessage]{}, err
		}
		rows, more := v.rows(page)
		found.total, found.more = page.Total, more
		for i := range rows {
			if !rows[i].Gone && isOfConversation(v.me, v.peer, &rows[i]) {
				found.items = append(found.items, v.c.keptMessage(v.me, v.peer, &rows[i]))
			}
		}
		if len(found.items) > 0 || !more {
			break
		}
	}
	return found, nil
}

// rows are the messages of a page that belong to it, in the promised order.
func (v *conversation) rows(page rest.ChatPage) (rows []rest.ChatMessage, more bool) {
	rows = page.Messages
	if len(rows) > 1 && isBackwards(rows, v.next.Forward) {
		slices.Reverse(rows)
	}
	if v.next.MessageID != "" {
		more = len(rows) > v.size
	} else {
		untold := page.Total == 0 && page.Pages == 0
		more = page.Pages > 1 || page.Total > len(rows) || untold && len(rows) >= v.size
	}
	rows = slices.DeleteFunc(rows, func(m rest.ChatMessage) bool {
		return m.ID == v.next.MessageID || v.before[m.ID]
	})
	if len(rows) > v.size {
		rows, more = rows[:v.size], true
	}
	if len(rows) == 0 || v.begun[rows[len(rows)-1].ID] {
		return rows, false
	}
	v.before = make(map[string]bool, len(rows))
	for i := range rows {
		v.before[rows[i].ID] = true
	}
	v.beginAt(rows[len(rows)-1].ID)
	return rows, more
}

// isBackwards reports whether messages come in the other order than they should. In which one the
// service has them is not known.
func isBackwards(rows []rest.ChatMessage, forward bool) bool {
	first, last := rows[0].Sent, rows[len(rows)-1].Sent
	if forward {
		first, last = last, first
	}
	return !first.IsZero() && !last.IsZero() && first.Before(last)
}

// markSeen sends what receipts are missing, for the oldest message first.
func (v *conversation) markSeen(messages []keptMessage) {
	for i := range messages {
		m := &messages[i]
		if !v.next.Forward {
			m = &messages[len(messages)-1-i]
		}
		for _, kind := range m.missing() {
			v.l.sendReceipt(kind, v.peer, m.ID)
		}
	}
}

// missing are the receipts that the sender of m has not got.
func (m *keptMessage) missing() []receiptKind {
	switch {
	case m.Own:
		return nil
	case m.delivery == 0:
		return []receiptKind{receiptDelivered, receiptSeen}
	case m.delivery == 1:
		return []receiptKind{receiptSeen}
	}
	return nil
}

// keptMessage opens a message of the conversation with peer, a bare JID.
func (c *Client) keptMessage(me account, peer string, row *rest.ChatMessage) keptMessage {
	m := Message{
		ID: row.ID, ChatType: ChatTypeChat, FromUserJID: peer, ToUserJID: me.bareJID(), Type: MessageType(row.Type),
		TopicID: row.TopicID, Metadata: row.Metadata, Timestamp: row.Sent, Edited: row.Edited,
		Own: isOwn(me, peer, row),
	}
	if m.Own {
		m.FromUserJID, m.ToUserJID = m.ToUserJID, m.FromUserJID
	}
	if !row.Gone {
		m.say(row.Body, row.Type, me.chatIV())
	}
	m.ReplyTo = cmp.Or(m.ReplyTo, row.ReplyTo)
	m.NickName = cmp.Or(m.NickName, seal.Open(row.FromName, localPart(m.FromUserJID), c.profileIV(me)))
	return keptMessage{Message: m, delivery: row.Delivery}
}

// isOfConversation reports whether a message is between this account and peer, as far as the
// service names who has sent it.
func isOfConversation(me account, peer string, row *rest.ChatMessage) bool {
	from := localPart(row.From)
	return from == "" || sameUser(from, me.id()) || sameUser(from, localPart(peer))
}

// isOwn reports whether this account has sent a message. Where the service does not name a sender,
// the receiver tells.
func isOwn(me account, peer string, row *rest.ChatMessage) bool {
	if row.From == "" {
		return sameUser(localPart(row.To), localPart(peer))
	}
	return sameUser(localPart(row.From), me.id())
}

// ofService refuses JIDs of another domain than the own: history and uploads go by user ids alone.
func ofService(a argument, jid string, me account) finding {
	_, theirs, _ := strings.Cut(me.jidOf(jid), "@")
	if _, ours, _ := strings.Cut(me.bareJID(), "@"); isUserJID(jid) && theirs != ours {
		return foreign(a)
	}
	return finding{}
}

func foreign(a argument) finding {
	return finding{a.name, "Invalid " + a.js + ", Please get " + a.js + " from SDK.getJid() by passing user identifier"}
}

// GetMessageByID reads one message of the conversation with a user from the history of the service
// (protocol.md 14.6). It tells nobody anything.
//
// Errors: 400 "Invalid msgId" where the service has no such message, or its sender has deleted it
// for everyone; 400 ErrInvalidArgument for a userJID that is no bare JID of a user of this service,
// and for an empty messageID, one with a comma, white space or control characters, or above 255
// bytes; 400 ErrNotRegistered; the service's status and text; 599 ErrNetwork.
func (c *Client) GetMessageByID(ctx context.Context, userJID, messageID string) (Result[Message], error) {
	return run(ctx, c, "GetMessageByID", success, func(ctx context.Context) (Message, error) {
		l, err := c.registered()
		if err != nil {
			return Message{}, err
		}
		me, id, chat := l.account(), argument{"messageID", "msgId"}, argument{"userJID", "chatJid"}
		err = validate(
			messageIDFormat(id.name, messageID), required(id, messageID),
			jidFormat(chat, userJID), required(chat, userJID), ofService(chat, userJID, me),
		)
		if err != nil {
			return Message{}, err
		}
		peer := me.jidOf(userJID)
		found, err := c.rest.Message(rest.ForLogin(ctx, me.number), localPart(peer), messageID)
		if err != nil {
			return Message{}, err
		}
		if !isOfConversation(me, peer, found) {
			return Message{}, refused(http.StatusBadRequest, nil, "Invalid msgId")
		}
		return c.keptMessage(me, peer, found).Message, nil
	})
}
