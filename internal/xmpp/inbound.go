package xmpp

import (
	"strconv"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk/internal/xmltext"
)

// Message is a message with a body. Its reader has to call Handled once.
type Message struct {
	// From and To are bare JIDs. FromUser: the sender is a user, not a server.
	From, To string
	FromUser bool
	// ID may be empty. EditID is empty, ID, or when the message is an edit, the id of that.
	ID, EditID string
	// Body is sealed, or plain text.
	Body string
	// Type is what chatcontent says, and may be empty.
	Type string
	// Metadata is JSON text, TopicID an id; they may be empty.
	Metadata, TopicID string
	// At is when the service took the message; zero: it does not say so.
	At time.Time
	// Stored is when the server has stored the message for us (XEP-0203); zero: it has not.
	Stored time.Time
	// Own: another device of ours has sent it. Copy: it is a carbon (XEP-0280).
	Own, Copy bool

	ticket ticket
}

// Handled says that the message is handled: only from then on it counts in what the server is told
// (XEP-0198).
func (m *Message) Handled() { m.ticket.done() }

// SameStream reports whether other came over the same stream, be it before a resumption of it.
func (m *Message) SameStream(other *Message) bool { return m.ticket.in == other.ticket.in }

// KeepTicket forgets all but the ticket, so that a message which waits holds nothing twice.
func (m *Message) KeepTicket() { *m = Message{ticket: m.ticket} }

// Status is what became of a message that we have sent (protocol.md 14.3, 14.4).
type Status struct {
	// Kind is "acknowledge", "delivered" or "seen".
	Kind string
	// Peer is the bare JID of the other side of the conversation.
	Peer      string
	MessageID string
	// At is zero if the stanza does not say.
	At time.Time
}

// Refused is a message that was sent, and that the server or the addressee has refused since.
type Refused struct {
	// Peer is the bare JID of the addressee.
	Peer      string
	MessageID string
	Err       *StanzaError
}

// ChatState says that a user writes, or has stopped (XEP-0085).
type ChatState struct {
	// From is a bare JID.
	From   string
	Typing bool
}

// Recalled says that messages were deleted for everybody, by who sent them.
type Recalled struct {
	// From and To are bare JIDs.
	From, To   string
	MessageIDs []string
	// Own: another device of ours has done it.
	Own bool
}

func (*Message) event()  {}
func (Status) event()    {}
func (Refused) event()   {}
func (ChatState) event() {}
func (Recalled) event()  {}

// maxRecalled is how many messages one stanza deletes at most.
const maxRecalled = 1000

// chat is a message between users, as it was sent: itself, or what a carbon copies.
type chat struct {
	xmltext.Element
	from, to JID
	id       string
	// sentByUs: our account has sent it. copied: it is a carbon.
	sentByUs, copied bool
	stored           time.Time
}

// receiveChat handles what users say to each other, and the service of it. kept: the ticket is with
// the event.
func (s *Session) receiveChat(st *stanza, t ticket) (kept bool) {
	c, ok := s.chatOf(st)
	if !ok {
		return false
	}
	if c.from == s.jid {
		// This device has sent it, to its own user.
		return false
	}
	if body, has := c.Child(c.Space, "body"); has {
		s.emit(c.message(body, t))
		return true
	}
	for child := range c.Children() {
		if e, known := s.said(c, child); known {
			if e != nil {
				s.emit(e)
			}
			return false
		}
	}
	return false
}

// chatOf returns the message that a stanza is, or carries as a carbon. False: it is none between
// two users, or from somebody who must not send such a thing, which is counted.
func (s *Session) chatOf(st *stanza) (c chat, ok bool) {
	element, from, to, id, kind := st.Element, st.from, st.to, st.id, st.kind
	copied, direction := carbon(st.Element)
	sent := direction == "sent"
	if direction != "" {
		if !s.fromAccount(st.from) {
			s.ignore(st, "carbon from somebody else")
			return c, false
		}
		c.copied = true
		c.stored = storedAt(copied.around)
		element, kind = copied.message, copied.message.Attr("type")
		from, to, id = element.Attr("from"), element.Attr("to"), element.Attr("id")
	}
	switch kind {
	case "chat", "normal", "headline", "":
	default:
		return c, false
	}
	var err error
	if c.from, err = s.parseOwn(from); err != nil {
		return c, false
	}
	if c.to, err = s.parseOwn(to); err != nil {
		return c, false
	}
	c.Element, c.id = element, id
	c.sentByUs = c.from.Bare() == s.jid.Bare()
	if sent && !c.sentByUs {
		s.ignore(st, "carbon of what somebody else has sent")
		return c, false
	}
	if at := storedAt(element); !at.IsZero() {
		c.stored = at
	}
	return c, true
}

// parseOwn reads a JID; none is our own account (RFC 6120 8.1.1.2, 8.1.2.1).
func (s *Session) parseOwn(jid string) (JID, error) {
	if jid == "" {
		return s.jid.Bare(), nil
	}
	return ParseJID(jid)
}

// copiedMessage is the message in a carbon, and the element around it.
type copiedMessage struct{ message, around xmltext.Element }

// carbon returns what a carbon copies (XEP-0280 7). direction is "sent" or "received"; "": it is no
// carbon.
func carbon(message xmltext.Element) (c copiedMessage, direction string) {
	for child := range message.Children() {
		if child.Space != nsCarbons || child.Local != "sent" && child.Local != "received" {
			continue
		}
		forwarded, _ := child.Child(nsForward, "forwarded")
		copied, _ := forwarded.Child(nsClient, "message")
		return copiedMessage{copied, forwarded}, child.Local
	}
	return c, ""
}

// message returns the event for a message with that body.
func (c *chat) message(body xmltext.Element, t ticket) *Message {
	m := &Message{
		From: c.from.Bare().String(), FromUser: c.from.Local != "", To: c.to.Bare().String(),
		ID: strings.Clone(c.id), Body: strings.Clone(body.Text()), At: timeOf(c.Element), Stored: c.stored,
		Own: c.sentByUs, Copy: c.copied, ticket: t,
	}
	content, _ := c.Child(nsContent, "chatcontent")
	for name, value := range content.Attributes() {
		switch name {
		case "message_type":
			m.Type = strings.Clone(value)
		case "edit_msg_id":
			m.EditID = strings.Clone(value)
		case "meta_data":
			m.Metadata = strings.Clone(value)
		case "topic_id":
			m.TopicID = strings.Clone(value)
		}
	}
	return m
}

// said returns the event for an element of a message without a body. known: it is one of these; the
// event is nil when that is of no interest.
func (s *Session) said(c chat, e xmltext.Element) (_ Event, known bool) {
	ofOthers := !c.sentByUs && e.Attr("group_id") == ""
	switch {
	case e.Is(nsReceipts, "acknowledge"):
		return s.acknowledged(c, e), true
	case e.Is(nsReceipts, "delivered"), e.Is(nsReceipts, "seen"):
		if !ofOthers {
			return nil, true
		}
		return Status{
			Kind: strings.Clone(e.Local), Peer: c.from.Bare().String(),
			MessageID: strings.Clone(e.Attr("id")), At: timeOf(c.Element),
		}, true
	case e.Is(nsReceipts, "recall"):
		ids := list(e.Attr("id"))
		if len(ids) == 0 || len(ids) > maxRecalled {
			s.ignoreFrom("message", c.from.String(), "too many messages deleted, or none")
			return nil, true
		}
		return Recalled{From: c.from.Bare().String(), To: c.to.Bare().String(), MessageIDs: ids, Own: c.sentByUs}, true
	case isChatState(e):
		// What the server has kept is over: Prosody, and everybody for the JavaScript SDK's typing,
		// keeps chat states for who is away.
		if !ofOthers || !c.stored.IsZero() {
			return nil, true
		}
		return ChatState{From: c.from.Bare().String(), Typing: e.Local == "composing"}, true
	}
	return nil, false
}

// isChatState knows both namespaces: the JavaScript SDK writes the wrong one.
func isChatState(e xmltext.Element) bool {
	return (e.Local == "composing" || e.Local == "gone") &&
		(e.Space == nsChatStates || e.Space == "https://jabber.org/protocol/chatstates")
}

// acknowledged confirms the message that the service has taken. Only our server and our own account
// may say so (protocol.md 14.3). That it has taken a receipt is of no interest.
func (s *Session) acknowledged(c chat, e xmltext.Element) Event {
	if !s.trusts(c.from) {
		s.ignoreFrom("message", c.from.String(), "acknowledge not believed")
		return nil
	}
	if e.Attr("type") != "acknowledge" {
		return nil
	}
	status := Status{Kind: "acknowledge", MessageID: strings.Clone(e.Attr("id")), At: timeOf(c.Element)}
	if to, err := ParseJID(e.Attr("sent_to")); err == nil {
		status.Peer = to.Bare().String()
	}
	if out := s.outbox(); !out.isOfEarlier(status.MessageID) {
		out.confirmID(status.MessageID, status.At)
	}
	return status
}

// receiveRefusal handles a message of type error. It is believed of the addressee, of our server,
// and of our account; of a message that is not known any more, the addressee is who says it.
func (s *Session) receiveRefusal(st *stanza) {
	from, err := s.parseOwn(st.from)
	if err != nil || st.id == "" {
		return
	}
	refusal := st.refusal()
	out := s.outbox()
	earlier := out.isOfEarlier(st.id)
	believed := func(to JID) bool { return from.Bare() == to || s.trusts(from) }
	if !earlier && out.refuse(st.id, believed, &MessageRefused{refusal}) ||
		s.wasQuiet(st.id) || ofReceipt(st.Element) {
		return
	}
	if !earlier && out.knows(st.id) {
		s.ignore(st, "refusal by somebody else")
		return
	}
	refused := Refused{MessageID: strings.Clone(st.id), Err: refusal}
	if !s.trusts(from) {
		refused.Peer = from.Bare().String()
	}
	s.emit(refused)
}

// ofReceipt reports whether what was refused is a receipt or a chat state, which most refusals
// repeat: an earlier session may have sent it.
func ofReceipt(refusal xmltext.Element) bool {
	for child := range refusal.Children() {
		if child.Is(nsReceipts, "delivered") || child.Is(nsReceipts, "seen") || isChatState(child) {
			return true
		}
	}
	return false
}

// timeOf is when the service took a message: in microseconds, or in milliseconds.
func timeOf(message xmltext.Element) time.Time {
	stamp, has := message.Child(nsTime, "timestamp")
	if !has {
		return time.Time{} // nearly always so, and an error costs
	}
	text := stamp.Attr("time")
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || n <= 0:
	case len(text) == 16:
		return time.UnixMicro(n)
	case len(text) == 13:
		return time.UnixMilli(n)
	}
	return time.Time{}
}

// storedAt is the stamp of XEP-0203.
func storedAt(e xmltext.Element) time.Time {
	delay, has := e.Child(nsDelay, "delay")
	if !has {
		return time.Time{} // likewise
	}
	at, err := time.Parse(time.RFC3339, delay.Attr("stamp"))
	if err != nil {
		return time.Time{}
	}
	return at
}
