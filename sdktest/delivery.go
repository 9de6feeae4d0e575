package sdktest

import (
	"slices"
	"strconv"
	"time"
)

// delivery is a message on its way. Its fields do not change once it is stamped.
type delivery struct {
	// origin is the stream that has sent it. nil: none has.
	origin *stream
	// m is the message as its receivers get it.
	m *element
	// from is the user who sends it, user and resource are whom it is for.
	from, user, resource string
	// private: the sender wants no carbons of it (XEP-0280 8).
	private bool
	at      time.Time
}

// returnable is a message that is not lost with the stream that it was sent on.
type returnable struct {
	*delivery
	// sole: no other stream got it.
	sole bool
}

// arriveLocked sends a message to the streams of its receiver, with carbons, or keeps it. h.mu must
// be held.
func (h *hub) arriveLocked(d *delivery) []*stream {
	targets := h.targetsLocked(d.user, d.resource, d.m.attr("type"))
	for _, t := range targets {
		if t.ledger.Load().full() {
			h.dropLocked(t, "policy-violation", "Too many unacknowledged stanzas")
			return h.arriveLocked(d)
		}
	}
	if len(targets) == 0 {
		if storable(d.m) {
			h.store.keepWaiting(d.user, d)
		}
		return nil
	}
	copies := h.copiesLocked(d, d.user, targets)
	f := frame{raw: d.m.String()}
	if storable(d.m) {
		f.back = &returnable{delivery: d, sole: len(targets) == 1 && len(copies) == 0}
	}
	for _, t := range targets {
		t.deliver(f)
	}
	h.carbonsLocked(d, d.user, "received", copies)
	return targets
}

// targetsLocked are the streams that a message to a user, or to one resource, reaches. A resource
// that is not there counts as the user (RFC 6121 8.5.3.2.1). To a user goes a headline to all
// available resources, and anything else to those of the highest priority, as on ejabberd: the
// others get it as a carbon (XEP-0280), when they have asked for that. A negative priority gets
// nothing that is for the user (RFC 6121 8.5.2.1.1). h.mu must be held.
func (h *hub) targetsLocked(user, resource, kind string) []*stream {
	if resource != "" {
		if t := h.streams[user][resource]; t != nil {
			return []*stream{t}
		}
		if kind != "chat" {
			return nil
		}
	}
	list, highest := h.onlineLocked(user), 0
	if kind != "headline" {
		for _, st := range list {
			highest = max(highest, priority(st.available))
		}
	}
	return slices.DeleteFunc(list, func(st *stream) bool { return priority(st.available) < highest })
}

// priority is that of a presence. One that is no number counts as 0.
func priority(p *element) int {
	n, _ := strconv.ParseInt(childText(p, "priority"), 10, 8)
	return int(n)
}

// copiesLocked are the streams of a user that want a carbon of a message (XEP-0280 6.1), without
// those that have it. h.mu must be held.
func (h *hub) copiesLocked(d *delivery, user string, have []*stream) (out []*stream) {
	kind := d.m.attr("type")
	eligible := kind == "chat" || (kind == "" || kind == "normal") && d.m.child("body") != nil
	if !eligible || d.private {
		return nil
	}
	for _, st := range h.streams[user] {
		if st.carbons && st != d.origin && !slices.Contains(have, st) {
			out = append(out, st)
		}
	}
	return out
}

// carbonsLocked sends carbons of a message to streams of a user. h.mu must be held.
func (h *hub) carbonsLocked(d *delivery, user, wrapper string, to []*stream) {
	for _, st := range to {
		c := el(nsClient, "message", "from", h.srv.jid(user), "to", st.jid, "type", d.m.attr("type"))
		st.send(c.add(el(nsCarbons, wrapper).add(el(nsForward, "forwarded").add(d.m))).String())
	}
}

// hinted reports whether a message has a processing hint (XEP-0334).
func hinted(m *element, hint string) bool {
	return slices.ContainsFunc(m.children(), func(c *element) bool { return c.is(nsHints, hint) })
}

// storable reports whether a message is kept for a user who is not there: it is one of a
// conversation without the hint not to. The official JavaScript SDK has the hint inside the chat
// state.
func storable(m *element) bool {
	kind := m.attr("type")
	if kind != "" && kind != "normal" && kind != "chat" || hinted(m, "no-store") || m.first() == nil {
		return false
	}
	return !slices.ContainsFunc(m.children(), func(c *element) bool {
		state := c.name.Local == "composing" || c.name.Local == "gone"
		return state && hinted(c, "no-store")
	})
}
