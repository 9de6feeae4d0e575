package sdktest

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
)

// Bounds of the messages that the server remembers. Above them the oldest ones are dropped.
const (
	maxConversation = 10_000  // messages of two users
	maxMessages     = 200_000 // of all
	maxMetaText     = 4 << 10 // bytes of a message's meta_data
)

// MessageStatus is how far a message has come.
type MessageStatus string

// The states of a message, named as the receipts and the acknowledgement on the wire.
const (
	// StatusAcknowledged: the service has taken it.
	StatusAcknowledged MessageStatus = "acknowledge"
	// StatusDelivered: the receiver's client has it.
	StatusDelivered MessageStatus = "delivered"
	// StatusSeen: the receiver has seen it.
	StatusSeen MessageStatus = "seen"
)

// code is the number that stands for a state on the wire.
func (m MessageStatus) code() int {
	switch m {
	case StatusDelivered:
		return 1
	case StatusSeen:
		return 2
	}
	return 0
}

// logged is a message as the server remembers it. Its JSON is for a StateStore.
type logged struct {
	ID   string `json:"id"`
	From string `json:"from"`
	To   string `json:"to"`
	Type string `json:"type"`
	// Body is as it was sent, that is, sealed.
	Body     string        `json:"body"`
	Time     time.Time     `json:"time"`
	Status   MessageStatus `json:"status"`
	Edited   bool          `json:"edited,omitempty"`
	EditID   string        `json:"editId,omitempty"`
	Recalled bool          `json:"recalled,omitempty"`
	// MetaData is JSON.
	MetaData string `json:"metaData,omitempty"`
	TopicID  string `json:"topicId,omitempty"`
	// row is the number of the message among all.
	row uint64
}

// key is the key of a message in a StateStore. Keys of a conversation are in the order of its
// messages.
func (m *logged) key() string {
	a, b := min(m.From, m.To), max(m.From, m.To)
	return a + "\x00" + b + "\x00" + number(m.row)
}

// peer is the other side of a conversation.
func (m *logged) peer(user string) string {
	if m.From == user {
		return m.To
	}
	return m.From
}

// conversation are the latest messages of two users, oldest first.
type conversation struct {
	list []*logged
	// ids are by author and message id.
	ids map[authored]*logged
}

type authored struct{ author, id string }

// conversationLocked is the conversation of two users; with make it is made when there is none.
// st.mu must be held.
func (st *store) conversationLocked(a, b string, create bool) *conversation {
	c := st.state.Conversations[a][b]
	if c != nil || !create {
		return c
	}
	if st.state.Conversations == nil {
		st.state.Conversations = map[string]map[string]*conversation{}
	}
	c = &conversation{ids: map[authored]*logged{}}
	for _, pair := range [][2]string{{a, b}, {b, a}} {
		mine := st.state.Conversations[pair[0]]
		if mine == nil {
			mine = map[string]*conversation{}
			st.state.Conversations[pair[0]] = mine
		}
		mine[pair[1]] = c
	}
	return c
}

// note remembers what a message says of a conversation: a new message, an edited one, a receipt or
// a recall. It returns why the message is refused, or nil.
func (st *store) note(d *delivery) *objection {
	st.mu.Lock()
	defer st.mu.Unlock()
	if body := d.m.child("body"); body != nil {
		if id := d.m.attr("id"); id != "" && !hinted(d.m, "no-store") && storable(d.m) {
			st.noteMessageLocked(d, id, body)
		}
		return nil
	}
	c := st.conversationLocked(d.from, d.user, false)
	for _, child := range d.m.children() {
		switch {
		case child.name.Space != nsReceipts || c == nil:
		case child.name.Local == "recall":
			if !st.recallLocked(c, d.from, d.user, strings.Split(child.attr("id"), ",")) {
				return &objection{"auth", "forbidden", nil}
			}
		case child.name.Local == "delivered" || child.name.Local == "seen":
			status := MessageStatus(child.name.Local)
			m := c.ids[authored{d.user, child.attr("id")}]
			if m != nil && m.Status.code() < status.code() {
				m.Status = status
				st.keepLocked(kindMessages, m.key(), m)
			}
		}
	}
	return nil
}

// noteMessageLocked remembers a message with a body. The same id of the same author again is an
// edit when it has an edit_msg_id of its own, and else a repetition, which changes nothing. st.mu
// must be held.
func (st *store) noteMessageLocked(d *delivery, id string, body *element) {
	c := st.conversationLocked(d.from, d.user, true)
	content := d.m.child("chatcontent")
	if content == nil {
		content = body
	}
	edit := content.attr("edit_msg_id")
	if edit == id {
		edit = ""
	}
	m := c.ids[authored{d.from, id}]
	switch {
	case m != nil && edit == "":
		return
	case m == nil:
		st.makeRoomLocked(c)
		st.state.rows++
		m = &logged{ID: id, From: d.from, To: d.user, Time: d.at, Status: StatusAcknowledged, row: st.state.rows}
		c.list = append(c.list, m)
		c.ids[authored{d.from, id}] = m
		st.state.messages++
	}
	m.Type, m.Body, m.Edited, m.EditID = typeOf(d.m), body.text(), edit != "", edit
	// The official SDK edits without the topic, and with the meta_data "null" when there was none.
	if topic := content.attr("topic_id"); topic != "" {
		m.TopicID = topic
	}
	if meta := content.attr("meta_data"); len(meta) <= maxMetaText && json.Valid([]byte(meta)) && meta != "null" {
		m.MetaData = meta
	}
	st.keepLocked(kindMessages, m.key(), m)
}

// makeRoomLocked drops the oldest message of a conversation when there are too many. When there are
// too many messages in all, and this conversation has none, it drops one of the longest. st.mu must
// be held.
func (st *store) makeRoomLocked(c *conversation) {
	if len(c.list) < maxConversation && st.state.messages < maxMessages {
		return
	}
	if len(c.list) == 0 {
		for _, mine := range st.state.Conversations {
			for _, other := range mine {
				if len(other.list) > len(c.list) {
					c = other
				}
			}
		}
	}
	m := c.list[0]
	c.list[0] = nil // let go of it
	c.list = c.list[1:]
	delete(c.ids, authored{m.From, m.ID})
	st.state.messages--
	st.forgetLocked(kindMessages, m.key())
}

// recallLocked marks messages of an author as recalled. It returns false, and marks none, when one
// is the other user's. st.mu must be held.
func (st *store) recallLocked(c *conversation, author, other string, ids []string) bool {
	for _, id := range ids {
		if c.ids[authored{author, id}] == nil && c.ids[authored{other, id}] != nil {
			return false
		}
	}
	for _, id := range ids {
		if m := c.ids[authored{author, id}]; m != nil && !m.Recalled {
			m.Recalled = true
			st.keepLocked(kindMessages, m.key(), m)
		}
	}
	return true
}

// forgetMessagesLocked drops all messages of a user, and what waits for the user. st.mu must be
// held.
func (st *store) forgetMessagesLocked(user string) {
	st.takeWaitingLocked(user)
	for other, c := range st.state.Conversations[user] {
		for _, m := range c.list {
			st.forgetLocked(kindMessages, m.key())
		}
		st.state.messages -= len(c.list)
		if delete(st.state.Conversations[other], user); len(st.state.Conversations[other]) == 0 {
			delete(st.state.Conversations, other)
		}
	}
	delete(st.state.Conversations, user)
}

// loadMessage is for load. The keys of a conversation come in the order of its messages.
func (st *store) loadMessage(key string, m *logged) error {
	if len(key) < 8 {
		return errors.New("the key has no number")
	}
	m.row = numberOf(key[len(key)-8:])
	if m.key() != key {
		return errors.New("it is not of this conversation")
	}
	if st.state.Accounts[m.From] == nil || st.state.Accounts[m.To] == nil {
		return errors.New("there is no such account")
	}
	c := st.conversationLocked(m.From, m.To, true)
	if c.ids[authored{m.From, m.ID}] != nil {
		return errors.New("it is there twice")
	}
	c.list = append(c.list, m)
	c.ids[authored{m.From, m.ID}] = m
	st.state.rows = max(st.state.rows, m.row)
	st.state.messages++
	return nil
}

// history is a copy of the messages of two users, oldest first.
func (st *store) history(a, b string) []logged {
	st.mu.Lock()
	defer st.mu.Unlock()
	c := st.conversationLocked(a, b, false)
	if c == nil {
		return nil
	}
	return c.copyLocked()
}

func (c *conversation) copyLocked() []logged {
	out := make([]logged, len(c.list))
	for i, m := range c.list {
		out[i] = *m
	}
	return out
}

// recent is the newest message of each conversation of a user, newest first, with the number of
// those that the user has not seen.
func (st *store) recent(user string) (last []logged, unread map[string]int) {
	st.mu.Lock()
	defer st.mu.Unlock()
	unread = map[string]int{}
	for other, c := range st.state.Conversations[user] {
		if len(c.list) == 0 {
			continue
		}
		last = append(last, *c.list[len(c.list)-1])
		for _, m := range c.list {
			if m.To == user && m.Status != StatusSeen && !m.Recalled {
				unread[other]++
			}
		}
	}
	slices.SortFunc(last, func(a, b logged) int { return cmp.Compare(b.row, a.row) })
	return last, unread
}

// find is a message of one of a user's conversations.
func (st *store) find(user, id string) (logged, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for other, c := range st.state.Conversations[user] {
		for _, author := range []string{user, other} {
			if m := c.ids[authored{author, id}]; m != nil {
				return *m, true
			}
		}
	}
	return logged{}, false
}
