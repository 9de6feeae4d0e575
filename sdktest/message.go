package sdktest

// message carries a message to its receiver (RFC 6121 8.5). There is no offline storage.
func (h *hub) message(st *stream, m *element) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams[st.user][st.resource] != st || m.attr("type") == "error" {
		return
	}
	to := m.attr("to")
	if to == "" {
		to = h.srv.jid(st.user)
	}
	user, resource, local := h.split(to)
	refuse := func(kind, condition string, extra *element) {
		reply := stanzaError(m, kind, condition, "", extra)
		reply.set("from", to)
		reply.set("to", st.jid)
		st.send(reply.String())
	}
	switch {
	case !local || user == "" || m.attr("type") == "groupchat":
		refuse("cancel", "service-unavailable", nil)
		return
	case h.store.hasBlocked(st.user, user): // XEP-0191 3.4
		refuse("cancel", "not-acceptable", el(nsBlockErr, "blocked"))
		return
	case h.store.hasBlocked(user, st.user):
		refuse("cancel", "service-unavailable", nil)
		return
	}
	targets := h.targetsLocked(user, resource)
	if len(targets) == 0 {
		if m.attr("type") != "headline" {
			refuse("cancel", "service-unavailable", nil)
		}
		return
	}
	out := m.readdressed(st.jid, to)
	for _, t := range targets {
		t.send(out.String())
	}
	h.carbonsLocked(st, user, targets, out)
	if m.child("body") != nil {
		h.acquaintLocked(st.user, user)
	}
}

// targetsLocked are the streams that a message to a user, or to one resource, reaches. h.mu must be
// held.
func (h *hub) targetsLocked(user, resource string) []*stream {
	if resource != "" {
		if t := h.streams[user][resource]; t != nil {
			return []*stream{t}
		}
	}
	return h.onlineLocked(user)
}

// carbonsLocked copies a chat message to the other streams of both users (XEP-0280). h.mu must be
// held.
func (h *hub) carbonsLocked(from *stream, user string, reached []*stream, m *element) {
	if m.attr("type") != "chat" && m.child("body") == nil {
		return
	}
	has := map[*stream]bool{from: true}
	for _, t := range reached {
		has[t] = true
	}
	for _, copyTo := range []struct{ user, wrapper string }{{from.user, "sent"}, {user, "received"}} {
		for _, st := range h.ofLocked(copyTo.user) {
			if !st.carbons || has[st] {
				continue
			}
			has[st] = true
			c := el(nsClient, "message", "from", h.srv.jid(copyTo.user), "to", st.jid, "type", m.attr("type"))
			st.send(c.add(el(nsCarbons, copyTo.wrapper).add(el(nsForward, "forwarded").add(m))).String())
		}
	}
}

// stanzaError is the error answer to a stanza (RFC 6120 8.3).
func stanzaError(to *element, kind, condition, text string, extra *element) *element {
	e := el("", "error", "type", kind).add(el(nsStanzas, condition))
	if text != "" {
		e.add(el(nsStanzas, "text").txt(text))
	}
	e.add(extra)
	return el(nsClient, to.name.Local,
		"type", "error", "id", to.attr("id"), "from", to.attr("to"), "to", to.attr("from")).add(e)
}
