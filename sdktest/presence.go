package sdktest

import "strings"

// presence takes a presence stanza (RFC 6121 4). There are no subscriptions: the service decides
// who is a contact (see contacts).
func (h *hub) presence(st *stream, p *element) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams[st.user][st.resource] != st {
		return // it was replaced or expelled: its last stanzas do not count
	}
	if to := p.attr("to"); to != "" {
		h.directLocked(st, p, to)
		return
	}
	switch p.attr("type") {
	case "":
		first := st.available == nil
		waited := first || priority(st.available) < 0
		st.available, st.left = p, false
		h.broadcastLocked(st, p)
		if first {
			h.probeLocked(st)
		}
		if waited && priority(p) >= 0 {
			h.giveOutLocked(st)
		}
	case "unavailable":
		h.broadcastLocked(st, p)
		st.left = true
		if st.available != nil {
			st.available = nil
			h.store.seen(st.user)
		}
	}
}

// broadcastLocked sends p of st to the user's own streams and to all contacts online. h.mu must be
// held.
func (h *hub) broadcastLocked(st *stream, p *element) {
	for _, own := range h.onlineLocked(st.user) {
		own.send(p.readdressed(st.jid, own.jid).String())
	}
	for _, other := range h.othersLocked(st.user) {
		h.presentLocked(st, p, other)
	}
}

// presentLocked sends p of st to a user. h.mu must be held.
func (h *hub) presentLocked(st *stream, p *element, user string) {
	for _, to := range h.onlineLocked(user) {
		to.send(p.readdressed(st.jid, to.jid).String())
	}
}

// probeLocked tells a stream that has just come online who else is online. h.mu must be held.
func (h *hub) probeLocked(st *stream) {
	for _, own := range h.onlineLocked(st.user) {
		if own != st {
			st.send(own.available.readdressed(own.jid, st.jid).String())
		}
	}
	for _, other := range h.othersLocked(st.user) {
		h.showToLocked(other, st)
	}
}

// showToLocked sends the presence of all streams of a user to st. h.mu must be held.
func (h *hub) showToLocked(user string, st *stream) {
	for _, from := range h.onlineLocked(user) {
		st.send(from.available.readdressed(from.jid, st.jid).String())
	}
}

// directLocked carries presence to one user or stream, also subscription requests. h.mu must be
// held.
func (h *hub) directLocked(st *stream, p *element, to string) {
	user, resource, local := h.split(to)
	if !local || user == "" || h.blockedEither(st.user, user) {
		return
	}
	from := st.jid
	switch p.attr("type") {
	case "subscribe", "subscribed", "unsubscribe", "unsubscribed":
		from = h.srv.jid(st.user)
	case "probe":
		if h.related(st.user, user) {
			h.showToLocked(user, st)
		}
		return
	}
	for _, target := range h.onlineLocked(user) {
		if resource == "" || resource == target.resource {
			target.send(p.readdressed(from, to).String())
		}
	}
}

// split takes a JID apart. local is true for the JIDs of the service and of its users.
func (h *hub) split(jid string) (user, resource string, local bool) {
	bare, resource, _ := strings.Cut(jid, "/")
	bare = strings.ToLower(bare)
	user, domain, found := strings.Cut(bare, "@")
	if !found {
		return "", resource, bare == h.srv.domain
	}
	return user, resource, domain == h.srv.domain
}
