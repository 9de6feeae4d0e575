package xmpp

import (
	"strings"

	"github.com/mirrorfly-go/sdk/internal/xmltext"
)

// Event is what the server says without a request: one of the types below. Their senders have been
// checked (protocol.md 13, "Who is believed"); what is inside is as the server sent it.
type Event interface{ event() }

// Presence says that a user came, went, or wants something (protocol.md 6.1). There is none for our
// own account.
type Presence struct {
	From JID
	// Type is empty for online, "unavailable", or anything else that the server sent.
	Type string
}

// VCardPush says that a profile has changed (protocol.md 6.2). From is its owner.
type VCardPush struct {
	// From is a bare JID.
	From  JID
	VCard VCard
}

// BlockPush says that our own block list was changed on one of our devices (protocol.md 6.3). An
// unblock without JIDs empties the list (XEP-0191 3.5).
type BlockPush struct {
	Blocked bool
	JIDs    []string
}

// UserBlocked says that a user blocked or unblocked us (protocol.md 6.4).
type UserBlocked struct {
	// User is the id of the user.
	User    string
	Blocked bool
}

// UserDeleted says that an account is gone (protocol.md 6.4).
type UserDeleted struct {
	// User is a JID.
	User string
}

// AdminBlock says that the service's admin blocked or unblocked a user, a group or
// ourselves (protocol.md 6.4).
type AdminBlock struct {
	JID, ChatType string
	Blocked       bool
}

// LoggedOut says that the phone ended the QR sessions of these signalling sockets, or the service
// the sessions of these devices, as Register has named them (protocol.md 6.4, 7.5, 13).
type LoggedOut struct{ SocketIDs, DeviceIDs []string }

func (Presence) event()    {}
func (VCardPush) event()   {}
func (BlockPush) event()   {}
func (UserBlocked) event() {}
func (UserDeleted) event() {}
func (AdminBlock) event()  {}
func (LoggedOut) event()   {}

func (s *Session) receivePresence(st *stanza) {
	if st.from == "" {
		// It is our own.
		return
	}
	from, err := ParseJID(st.from)
	switch {
	case err != nil:
		s.ignore(st, "bad sender")
	case from.Bare() != s.jid.Bare():
		s.emit(Presence{From: from.clone(), Type: strings.Clone(st.kind)})
	}
}

func (s *Session) receiveIQ(st *stanza) {
	switch st.kind {
	case kindResult, kindError:
		if w := s.claim(st); w != nil {
			w.settle(st)
			return
		}
		if st.kind == kindResult {
			s.receiveVCard(st)
			return
		}
	case kindGet, kindSet:
		s.receiveRequest(st)
		return
	}
	s.ignore(st, "reply to nothing")
}

// receiveVCard handles a result that answers no request of ours. It is a profile push if it comes
// from the account of a user of our server. Other users cannot send
// from that address, only from one with a resource.
func (s *Session) receiveVCard(st *stanza) {
	from, err := ParseJID(st.from)
	if err != nil || from.Local == "" || from.Resource != "" || from.Domain != s.jid.Domain {
		s.ignore(st, "reply to nothing")
		return
	}
	card, ok := st.Child(nsVCard, "vCard")
	if !ok {
		s.ignore(st, "reply to nothing")
		return
	}
	e := VCardPush{From: from.clone()}
	for child := range card.Children() {
		if field := e.VCard.field(child.Local); field != nil && *field == "" {
			*field = strings.Clone(child.Text())
		}
	}
	s.emit(e)
}

// field returns the field for the element of that name, or nil.
func (v *VCard) field(name string) *string {
	switch name {
	case "nickName":
		return &v.NickName
	case "image":
		return &v.Image
	case "thumbImage":
		return &v.ThumbImage
	case "email":
		return &v.Email
	case "mobileNumber":
		return &v.MobileNumber
	case "status":
		return &v.Status
	}
	return nil
}

// maxEcho is how many bytes of a request an answer may repeat: its id, its sender and its receiver.
// Escaped, these can become five times as many.
const maxEcho = 4 << 10

// receiveRequest answers requests: pings, pushes of our block list, and everything else with
// service-unavailable (protocol.md 4.7, 4.8, 6.3). A request without an id, or one whose answer
// would be much larger than that of any real one, gets no answer.
func (s *Session) receiveRequest(st *stanza) {
	if st.id == "" || len(st.id)+len(st.from)+len(st.to) > maxEcho {
		s.ignore(st, "request that cannot be answered")
		return
	}
	if _, ping := st.Child(nsPing, "ping"); ping && st.kind == kindGet {
		s.answer(&iq{from: st.to, id: st.id, to: st.from, kind: kindResult})
		return
	}
	if push, ok := blockPush(st.Element); ok && st.kind == kindSet && s.believesBlock(st.from) {
		s.answer(&iq{id: st.id, to: st.from, kind: kindResult})
		s.emit(push)
		return
	}
	s.ignore(st, "unknown request")
	s.answer(&iq{id: st.id, to: st.from, kind: kindError, payload: xmltext.Markup{
		Name: "error", Attrs: []string{"type", "cancel"},
		Children: []xmltext.Markup{empty(nsStanzas, "service-unavailable")},
	}})
}

// answer sends a reply. That fails only when the session ends, which is noticed elsewhere.
func (s *Session) answer(reply *iq) { _ = s.post(outgoing{frame: reply.frame(), stanza: true}, nil) }

func blockPush(request xmltext.Element) (BlockPush, bool) {
	list, blocked := request.Child(nsBlocking, "block")
	if !blocked {
		var unblocked bool
		if list, unblocked = request.Child(nsBlocking, "unblock"); !unblocked {
			return BlockPush{}, false
		}
	}
	jids, items := jidsIn(list)
	return BlockPush{Blocked: blocked, JIDs: jids}, !blocked && len(jids) == items || blocked && len(jids) > 0
}
