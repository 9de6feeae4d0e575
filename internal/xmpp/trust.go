package xmpp

// trusted reports whether a stanza is from our own account, with any resource, or from our server.
// A stanza without a sender is from the account (RFC 6120 8.1.2.1).
func (s *Session) trusted(from string) bool {
	if from == "" {
		return true
	}
	jid, err := ParseJID(from)
	return err == nil && s.trusts(jid)
}

// trusts is trusted for a JID that has been read.
func (s *Session) trusts(from JID) bool {
	return from.Bare() == s.jid.Bare() || from == s.server()
}

// fromAccount reports whether a stanza is from our account itself, not from one of its devices.
func (s *Session) fromAccount(from string) bool {
	jid, err := ParseJID(from)
	return from == "" || err == nil && jid == s.jid.Bare()
}

func (s *Session) believesBlock(from string) bool {
	if s.fromAccount(from) {
		return true
	}
	jid, err := ParseJID(from)
	return err == nil && jid == s.server()
}

// believes reports whether the sender may say this: our account and our server everything, a user
// only that this user blocked us (protocol.md 13).
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
