package xmpp

import (
	"encoding/xml"
	"strings"
)

// notice is what the service says in a message (protocol.md 6.4): the first
// element of each known name, at any depth, but not in what the message forwards.
type notice struct {
	from   string // sender of the message, or of the one that a carbon copies
	carbon bool
	copied bool // the carbon's message has been read

	blocked, deleted, admin, logout *xml.StartElement
}

func (s *Session) receiveMessage(st *stanza) error {
	if st.kind == kindError {
		return st.skip()
	}
	n := notice{from: st.from}
	err := eachChild(st.dec, func(start xml.StartElement) error {
		if (start.Name != xml.Name{Space: nsCarbons, Local: "received"}) {
			return n.read(st.dec, start)
		}
		if !s.fromAccount(st.from) { // XEP-0280 11: nobody else sends carbons
			s.ignored.Add(1)
			return st.dec.Skip()
		}
		n.carbon = true
		return n.readCarbon(st.dec)
	})
	if err != nil {
		return badXML(err)
	}
	for _, e := range n.events() {
		if e == nil || !s.believes(n.from, e) {
			s.ignored.Add(1)
			s.log.Debug("stanza ignored", "op", "receive", "why", "notice not believed", "jid", clip(n.from))
			continue
		}
		s.emit(e)
	}
	return nil
}

// read notes an element, if it is one of those looked for, and what is in it.
func (n *notice) read(dec *xml.Decoder, start xml.StartElement) error {
	var slot **xml.StartElement
	switch start.Name.Local {
	case "forwarded", "message", "received":
		return dec.Skip() // somebody else's words
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
		kept := start.Copy()
		*slot = &kept
	}
	return eachChild(dec, func(start xml.StartElement) error { return n.read(dec, start) })
}

// readCarbon reads the copied message in <received><forwarded> (XEP-0280 7).
func (n *notice) readCarbon(dec *xml.Decoder) error {
	return eachChild(dec, func(start xml.StartElement) error {
		if (start.Name != xml.Name{Space: nsForward, Local: "forwarded"}) {
			return dec.Skip()
		}
		return eachChild(dec, func(start xml.StartElement) error {
			if start.Name.Local != "message" || n.copied || attr(start, "type") == kindError {
				return dec.Skip()
			}
			n.copied = true
			n.from = attr(start, "from")
			return eachChild(dec, func(start xml.StartElement) error { return n.read(dec, start) })
		})
	})
}

// eachChild calls f for each child of the element whose start tag was read
// last. f reads the child to its end.
func eachChild(dec *xml.Decoder, f func(xml.StartElement) error) error {
	for {
		tok, err := dec.Token()
		if err != nil {
			return err
		}
		switch tok := tok.(type) {
		case xml.EndElement:
			return nil
		case xml.StartElement:
			if err := f(tok); err != nil {
				return err
			}
		}
	}
}

// events returns what the notice says; nil stands for an element that says nothing.
func (n *notice) events() []Event {
	var events []Event
	if n.blocked != nil {
		events = append(events, userBlocked(*n.blocked, n.carbon))
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

func userBlocked(el xml.StartElement, carbon bool) Event {
	user, kind := attr(el, "blocked_user"), attr(el, "type")
	if user == "" || kind != "block_user" && kind != "unblock_user" {
		return nil
	}
	return UserBlocked{User: user, Blocked: kind == "block_user", Carbon: carbon}
}

func userDeleted(el xml.StartElement) Event {
	if user := attr(el, "user"); user != "" {
		return UserDeleted{User: user}
	}
	return nil
}

func adminBlock(el xml.StartElement) Event {
	status, jid := attr(el, "block_status"), attr(el, "jid")
	if jid == "" {
		return nil
	}
	return AdminBlock{JID: jid, ChatType: attr(el, "chat_type"), Blocked: status == "1" || status == "true"}
}

func loggedOut(el xml.StartElement) Event {
	var ids []string
	for id := range strings.SplitSeq(attr(el, "socket_id"), ",") {
		if id = strings.TrimSpace(id); id != "" {
			ids = append(ids, id)
		}
	}
	if ids == nil {
		return nil
	}
	return LoggedOut{SocketIDs: ids}
}

// believes reports whether the sender may tell this: our account and our server
// everything, a user only that it blocked us itself (protocol.md 13).
func (s *Session) believes(from string, e Event) bool {
	if s.trusted(from) {
		return true
	}
	blocked, ok := e.(UserBlocked)
	if !ok {
		return false
	}
	sender, err := ParseJID(from)
	named, err2 := ParseJID(blocked.User + "@" + s.jid.Domain)
	return err == nil && err2 == nil && sender.Bare() == named
}
