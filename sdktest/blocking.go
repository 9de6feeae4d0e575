package sdktest

import (
	"slices"
	"strings"
)

const selfBlock = "Blocking/Unblocking of self account is not allowed"

// blocklist is XEP-0191 3.2.
func blocklist(a account) *element {
	list := el(nsBlocking, "blocklist")
	for _, jid := range a.Blocked {
		list.add(el("", "item", "jid", jid))
	}
	return list
}

// changeBlocklist is block and unblock (XEP-0191 3.3 and 3.5, protocol.md 5.4).
// unblock without items empties the list.
func (st *stream) changeBlocklist(iq, q *element) (reply *element, after func()) {
	var jids []string
	for _, item := range q.children() {
		if item.name.Local != "item" {
			continue
		}
		jid, valid := bareJID(item.attr("jid"))
		if !valid {
			return iqError(iq, "modify", "jid-malformed", ""), nil
		}
		jids = append(jids, jid)
	}
	s := st.srv
	// The service refuses this over REST, so it is refused here, too.
	if slices.Contains(jids, s.jid(st.user)) {
		return iqError(iq, "cancel", "not-allowed", selfBlock), nil
	}
	if q.name.Local == "unblock" {
		removed := s.store.unblock(st.user, jids)
		return iqResult(iq, nil), func() { s.hub.unblocked(st.user, q, removed) }
	}
	if len(jids) == 0 {
		return iqError(iq, "modify", "bad-request", ""), nil
	}
	added, err := s.hub.block(st.user, jids)
	if err != nil {
		return iqError(iq, "wait", "resource-constraint", ""), nil
	}
	return iqResult(iq, nil), func() { s.hub.tellBlocked(st.user, q, added, "block_user") }
}

// block puts JIDs on the list of a user. Those who saw the user online see the user leave.
func (h *hub) block(user string, jids []string) ([]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var saw []string
	for _, jid := range jids {
		if other, _, local := h.split(jid); local && h.related(user, other) {
			saw = append(saw, other)
		}
	}
	added, err := h.store.block(user, jids)
	if err != nil {
		return nil, err
	}
	for _, other := range saw {
		for _, st := range h.onlineLocked(user) {
			h.presentLocked(st, el(nsClient, "presence", "type", "unavailable"), other)
		}
	}
	return added, nil
}

// unblocked tells everybody, and sends presence to those who may see each other again.
func (h *hub) unblocked(user string, q *element, removed []string) {
	h.tellBlocked(user, q, removed, "unblock_user")
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, jid := range removed {
		other, _, local := h.split(jid)
		if !local || other == "" || !h.related(user, other) {
			continue
		}
		h.introduceLocked(user, other)
	}
}

// tellBlocked pushes a change of the list to all streams of its owner (XEP-0191 3.3; as on ejabberd
// that includes the stream that has made the change), and tells the users who were blocked or
// unblocked (protocol.md 6.4).
func (h *hub) tellBlocked(user string, q *element, changed []string, kind string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, st := range h.ofLocked(user) {
		push := el(nsClient, "iq", "type", "set", "id", randomHex(8), "from", h.srv.jid(user), "to", st.jid)
		st.send(push.add(q).String())
	}
	for _, jid := range changed {
		if other, _, local := h.split(jid); local && other != "" {
			h.notifyLocked(other, el("", "userblocked", "blocked_user", user, "type", kind))
		}
	}
}

// bareJID removes the resource and makes the rest lowercase. A domain may be blocked, too, but that
// has no effect here.
func bareJID(jid string) (string, bool) {
	bare, _, _ := strings.Cut(strings.ToLower(jid), "/")
	local, domain, found := strings.Cut(bare, "@")
	if !found {
		local, domain = "x", bare
	}
	if local == "" || domain == "" || len(bare) > 2047 || strings.ContainsAny(bare, " \"&'/:<>\\\t\r\n") {
		return "", false
	}
	return bare, true
}
