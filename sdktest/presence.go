package sdktest

import "strings"

// presence takes a presence stanza (RFC 6121 4). Who is a contact is the service's business
// (contacts), so there are no subscriptions to look at.
func (h *hub) presence(st *stream, p *element) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams[st.user][st.resource] != st {
		return // replaced or expelled, its last stanzas are void
	}
	if to := p.attr("to"); to != "" {
		h.direct(st, p, to)
		return
	}
	switch p.attr("type") {
	case "":
		first := st.available == nil
		st.available, st.left = p, false
		h.broadcast(st, p)
		if first {
			h.probe(st)
		}
	case "unavailable":
		h.broadcast(st, p)
		st.left = true
		if st.available != nil {
			st.available = nil
			h.store.seen(st.user)
		}
	}
}

// broadcast sends p, from st, to the user's own streams and to all contacts online.
func (h *hub) broadcast(st *stream, p *element) {
	for _, own := range h.online(st.user) {
		own.send(p.readdressed(st.jid, own.jid).String())
	}
	for _, other := range h.others(st.user) {
		h.present(st, p, other)
	}
}

func (h *hub) present(st *stream, p *element, user string) {
	for _, to := range h.online(user) {
		to.send(p.readdressed(st.jid, to.jid).String())
	}
}

// probe tells a stream that has just come online who else is.
func (h *hub) probe(st *stream) {
	for _, own := range h.online(st.user) {
		if own != st {
			st.send(own.available.readdressed(own.jid, st.jid).String())
		}
	}
	for _, other := range h.others(st.user) {
		h.showTo(other, st)
	}
}

// showTo sends the presence of all of user's streams to st.
func (h *hub) showTo(user string, st *stream) {
	for _, from := range h.online(user) {
		st.send(from.available.readdressed(from.jid, st.jid).String())
	}
}

// direct carries presence to one user or stream, subscription requests among it.
func (h *hub) direct(st *stream, p *element, to string) {
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
			h.showTo(user, st)
		}
		return
	}
	for _, target := range h.online(user) {
		if resource == "" || resource == target.resource {
			target.send(p.readdressed(from, to).String())
		}
	}
}

// split takes a JID apart; local: it is the service's or one of its users'.
func (h *hub) split(jid string) (user, resource string, local bool) {
	bare, resource, _ := strings.Cut(jid, "/")
	bare = strings.ToLower(bare)
	user, domain, found := strings.Cut(bare, "@")
	if !found {
		return "", resource, bare == h.srv.domain
	}
	return user, resource, domain == h.srv.domain
}
