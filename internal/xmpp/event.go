package xmpp

import "encoding/xml"

// Event is what the server tells unasked: one of the types below. Their senders
// have been checked (protocol.md 13, "Who is believed"); what is inside is verbatim.
type Event interface{ event() }

// Presence is that somebody came, went, or wants something (protocol.md 6.1).
// Our own account's is not told.
type Presence struct {
	From JID
	Type string // empty: online; "unavailable"; anything else as the server sent it
}

// VCardPush is a changed profile (protocol.md 6.2). From is its owner.
type VCardPush struct {
	From  JID // bare
	VCard VCard
	Empty bool // the vCard has no children
}

// BlockPush is our own block list, changed on any of our devices (protocol.md
// 6.3). An unblock without JIDs empties the list (XEP-0191 3.5).
type BlockPush struct {
	Blocked bool
	JIDs    []string
}

// UserBlocked is that a user blocked or unblocked us (protocol.md 6.4).
type UserBlocked struct {
	User    string // id
	Blocked bool
	Carbon  bool // it came as a copy of what another device got
}

// UserDeleted is that an account is gone (protocol.md 6.4).
type UserDeleted struct {
	User string // as the service names it: a JID
}

// AdminBlock is that the service's admin blocked or unblocked a user, a group or
// ourselves (protocol.md 6.4).
type AdminBlock struct {
	JID, ChatType string
	Blocked       bool
}

// LoggedOut is that the phone ended the QR sessions of these signalling sockets
// (protocol.md 6.4, 7.5).
type LoggedOut struct{ SocketIDs []string }

func (Presence) event()    {}
func (VCardPush) event()   {}
func (BlockPush) event()   {}
func (UserBlocked) event() {}
func (UserDeleted) event() {}
func (AdminBlock) event()  {}
func (LoggedOut) event()   {}

// trusted reports whether a stanza is from our own account, whichever the
// resource, or from our server. Without a sender it is from the account (RFC
// 6120 8.1.2.1).
func (s *Session) trusted(from string) bool {
	if from == "" {
		return true
	}
	jid, err := ParseJID(from)
	return err == nil && (jid.Bare() == s.jid.Bare() || jid == s.server())
}

// fromAccount reports whether a stanza is from our account itself, not from one
// of its devices.
func (s *Session) fromAccount(from string) bool {
	jid, err := ParseJID(from)
	return from == "" || err == nil && jid == s.jid.Bare()
}

func (s *Session) receivePresence(st *stanza) error {
	if st.from == "" {
		return st.skip() // our own
	}
	from, err := ParseJID(st.from)
	if err != nil {
		return s.ignore(st, "bad sender")
	}
	if err := st.skip(); err != nil {
		return err
	}
	if from.Bare() != s.jid.Bare() {
		s.emit(Presence{From: from, Type: st.kind})
	}
	return nil
}

func (s *Session) receiveIQ(st *stanza) error {
	switch st.kind {
	case kindResult, kindError:
		if w := s.claim(st); w != nil {
			return w.settle(st)
		}
		if st.kind == kindResult {
			return s.receiveVCard(st)
		}
	case kindGet, kindSet:
		return s.receiveRequest(st)
	}
	return s.ignore(st, "reply to nothing")
}

// receiveVCard takes a result that answers no request of ours: a profile push,
// if it comes from the account of a user of our server. Other users cannot send
// from that address, only from one with a resource.
func (s *Session) receiveVCard(st *stanza) error {
	from, err := ParseJID(st.from)
	if err != nil || from.Local == "" || from.Resource != "" || from.Domain != s.jid.Domain {
		return s.ignore(st, "reply to nothing")
	}
	var push struct {
		VCard *struct {
			Children []struct {
				XMLName xml.Name
				Text    string `xml:",chardata"`
			} `xml:",any"`
		} `xml:"vcard-temp vCard"`
	}
	if err := st.decode(&push); err != nil {
		return err
	}
	if push.VCard == nil {
		s.ignored.Add(1)
		return nil
	}
	e := VCardPush{From: from, Empty: len(push.VCard.Children) == 0}
	for _, child := range push.VCard.Children {
		if field := e.VCard.field(child.XMLName.Local); field != nil && *field == "" {
			*field = child.Text
		}
	}
	s.emit(e)
	return nil
}

// field returns the field that an element name stands for, or nil.
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

// receiveRequest answers what the server asks: pings, pushes of our block list,
// and everything else with service-unavailable (protocol.md 4.7, 4.8, 6.3).
func (s *Session) receiveRequest(st *stanza) error {
	var req struct {
		Ping    *struct{} `xml:"urn:xmpp:ping ping"`
		Block   *blocking `xml:"urn:xmpp:blocking block"`
		Unblock *blocking `xml:"urn:xmpp:blocking unblock"`
	}
	if err := st.decode(&req); err != nil {
		return err
	}
	if st.id == "" {
		s.ignored.Add(1) // it cannot be answered
		return nil
	}
	if st.kind == kindGet && req.Ping != nil {
		s.answer(&iq{From: st.to, ID: st.id, To: st.from, Type: kindResult})
		return nil
	}
	if push, ok := blockPush(req.Block, req.Unblock); ok && st.kind == kindSet && s.believesBlock(st.from) {
		s.answer(&iq{ID: st.id, To: st.from, Type: kindResult})
		s.emit(push)
		return nil
	}
	s.ignored.Add(1)
	s.answer(&iq{ID: st.id, To: st.from, Type: kindError, Payload: &errorPayload{
		Type: "cancel", Condition: empty(nsStanzas, "service-unavailable"),
	}})
	return nil
}

// answer sends a reply. It fails only when the session ends, which is known by then.
func (s *Session) answer(reply *iq) {
	if frame, err := encode(reply); err == nil {
		_ = s.post(outgoing{frame: frame, stanza: true}, nil)
	}
}

func (s *Session) believesBlock(from string) bool {
	if s.fromAccount(from) {
		return true
	}
	jid, err := ParseJID(from)
	return err == nil && jid == s.server()
}

func blockPush(block, unblock *blocking) (BlockPush, bool) {
	switch {
	case block != nil:
		jids := block.jids()
		return BlockPush{Blocked: true, JIDs: jids}, len(jids) > 0
	case unblock != nil:
		jids := unblock.jids()
		return BlockPush{JIDs: jids}, len(jids) == len(unblock.Items)
	}
	return BlockPush{}, false
}
