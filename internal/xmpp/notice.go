package xmpp

import (
	"strings"

	"github.com/mirrorfly-go/sdk/internal/xmltext"
)

// notice is what the service says in a message (protocol.md 6.4): the first element of each known
// name, at any depth, but not in the messages that it forwards.
type notice struct {
	// from is the sender of the message, or of the one that a carbon copies.
	from string
	// copied: the message in a carbon has been read.
	copied bool

	blocked, deleted, admin, logout *xmltext.Element
}

// receiveMessage handles a message: what the service says in it, and what a user does.
func (s *Session) receiveMessage(st *stanza, t ticket) {
	kept := false
	if st.kind == kindError {
		s.receiveRefusal(st)
	} else {
		s.receiveNotice(st)
		kept = s.receiveChat(st, t)
	}
	if !kept {
		t.done()
	}
}

// receiveNotice handles what the service says.
func (s *Session) receiveNotice(st *stanza) {
	n := notice{from: st.from}
	for child := range st.Children() {
		if !child.Is(nsCarbons, "received") {
			n.read(child)
		} else if s.fromAccount(st.from) {
			// Others must not send carbons (XEP-0280 11).
			n.readCarbon(child)
		}
	}
	for _, e := range n.events() {
		if e == nil || !s.believes(n.from, e) {
			s.ignoreFrom("message", n.from, "notice not believed")
			continue
		}
		s.emit(e)
	}
}

// read notes an element, and those inside it, if they have one of the known names.
func (n *notice) read(e xmltext.Element) {
	var slot **xmltext.Element
	switch e.Local {
	case "forwarded", "message", "received":
		// What is inside was said by somebody else.
		return
	case "userblocked":
		slot = &n.blocked
	case "user_deleted":
		slot = &n.deleted
	case "admin_block":
		slot = &n.admin
	case "logout":
		slot = &n.logout
	}
	if slot != nil && *slot == nil {
		noted := e // or every e would go to the heap
		*slot = &noted
	}
	for child := range e.Children() {
		n.read(child)
	}
}

// readCarbon reads the copied message in <received><forwarded> (XEP-0280 7).
func (n *notice) readCarbon(received xmltext.Element) {
	for forwarded := range received.Children() {
		if !forwarded.Is(nsForward, "forwarded") {
			continue
		}
		for message := range forwarded.Children() {
			if message.Local != "message" || n.copied || message.Attr("type") == kindError {
				continue
			}
			n.copied = true
			n.from = message.Attr("from")
			for child := range message.Children() {
				n.read(child)
			}
		}
	}
}

// events returns what the notice says; nil stands for an element that says nothing.
func (n *notice) events() []Event {
	var events []Event
	if n.blocked != nil {
		events = append(events, userBlocked(*n.blocked))
	}
	if n.deleted != nil {
		events = append(events, userDeleted(*n.deleted))
	}
	if n.admin != nil {
		events = append(events, adminBlock(*n.admin))
	}
	if n.logout != nil {
		events = append(events, loggedOut(*n.logout))
	}
	return events
}

func userBlocked(el xmltext.Element) Event {
	user, kind := el.Attr("blocked_user"), el.Attr("type")
	if user == "" || kind != "block_user" && kind != "unblock_user" {
		return nil
	}
	return UserBlocked{User: strings.Clone(user), Blocked: kind == "block_user"}
}

func userDeleted(el xmltext.Element) Event {
	if user := el.Attr("user"); user != "" {
		return UserDeleted{User: strings.Clone(user)}
	}
	return nil
}

func adminBlock(el xmltext.Element) Event {
	status, jid := el.Attr("block_status"), el.Attr("jid")
	if jid == "" {
		return nil
	}
	return AdminBlock{
		JID: strings.Clone(jid), ChatType: strings.Clone(el.Attr("chat_type")),
		Blocked: status == "1" || status == "true",
	}
}

func loggedOut(el xmltext.Element) Event {
	e := LoggedOut{SocketIDs: list(el.Attr("socket_id")), DeviceIDs: list(el.Attr("device_id"))}
	if e.SocketIDs == nil && e.DeviceIDs == nil {
		return nil
	}
	return e
}

// list returns the ids of a text that has commas between them.
func list(text string) (ids []string) {
	for id := range strings.SplitSeq(text, ",") {
		if id = strings.TrimSpace(id); id != "" {
			ids = append(ids, strings.Clone(id))
		}
	}
	return ids
}
