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

// message takes a message of the client.
func (st *stream) message(m *element) error {
	kind := FaultNone
	if m.child("body") != nil {
		kind = st.srv.fault(StepMessage)
	}
	reply, reached := st.srv.hub.message(st, m, kind == FaultError)
	if reply == nil {
		return nil
	}
	if st.srv.commit() != nil && reply.attr("type") != "error" {
		reply = stanzaError(m, "wait", "internal-server-error", "", nil)
		reply.set("to", st.jid)
	}
	if handled, err := st.misbehave(kind); handled {
		return err
	}
	if kind == FaultWrongSender {
		reply.set("from", strangerJID)
	}
	if len(reply.nodes) > 0 {
		st.send(reply.String())
	}
	yield(st.ctx, append(reached, st))
	return nil
}

// message carries a message to its receiver (RFC 6121 8.5), or keeps it until the receiver comes.
// It returns the answer to the sender, which is empty when there is nothing to say and nil when the
// message does not count, and the streams that the message has reached.
func (h *hub) message(st *stream, m *element, refused bool) (reply *element, reached []*stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams[st.user][st.resource] != st {
		return nil, nil // it was replaced or expelled: its last stanzas do not count
	}
	if m.attr("to") == "" {
		m = m.readdressed("", h.srv.jid(st.user))
	}
	user, resource, local := h.split(m.attr("to"))
	d := &delivery{origin: st, from: st.user, user: user, resource: resource}
	if m.attr("type") == "error" { // RFC 6120 8.3.1: nothing answers an error
		if t := h.streams[user][resource]; local && t != nil && !h.blockedEither(st.user, user) {
			t.send(m.readdressed(st.jid, m.attr("to")).String())
		}
		return nil, nil
	}
	refuse := h.objection(d, m, local)
	if refuse == nil && refused {
		refuse = &objection{"wait", "internal-server-error", nil}
	}
	if refuse == nil {
		refuse = h.takeLocked(d, m.readdressed(st.jid, ""))
	}
	if refuse != nil {
		reply = stanzaError(m, refuse.kind, refuse.condition, "", refuse.extra)
		reply.set("to", st.jid)
		return reply, nil
	}
	reached = h.passOnLocked(d)
	return h.acknowledgement(st, d), reached
}

// passOnLocked delivers a message that was taken. It returns the streams that got it. h.mu must be
// held.
func (h *hub) passOnLocked(d *delivery) []*stream {
	reached := h.deliverLocked(d)
	if d.user != d.from {
		h.carbonsLocked(d, d.from, "sent", h.copiesLocked(d, d.from, nil))
	}
	if d.m.child("body") != nil {
		h.acquaintLocked(d.from, d.user)
	}
	return reached
}

// objection is why a message is refused.
type objection struct {
	kind, condition string
	extra           *element
}

// objection says why a message is refused. nil: it is not. h.mu must be held.
func (h *hub) objection(d *delivery, m *element, local bool) *objection {
	unavailable := &objection{"cancel", "service-unavailable", nil}
	kind := m.attr("type")
	switch {
	case !local || d.user == "" || kind == "groupchat" || !h.store.exists(d.user):
		return unavailable
	case h.store.hasBlocked(d.from, d.user): // XEP-0191 3.4
		return &objection{"cancel", "not-acceptable", el(nsBlockErr, "blocked")}
	case h.store.hasBlocked(d.user, d.from):
		return unavailable
	}
	if m.child("body") != nil {
		if condition := h.srv.takeRefusal(); condition != "" {
			return &objection{"cancel", condition, nil}
		}
	}
	switch {
	case kind == "headline" || len(h.targetsLocked(d.user, d.resource, kind)) > 0:
		return nil
	case d.resource != "" && kind != "chat": // RFC 6121 8.5.3.2.1
		return unavailable
	case !storable(m):
		if m.child("body") != nil {
			return unavailable
		}
	case !h.store.mayKeep(d.user, len(m.String())):
		return &objection{"wait", "resource-constraint", nil}
	}
	return nil
}

// takeLocked stamps a message and notes what it says of the conversation. h.mu must be held.
func (h *hub) takeLocked(d *delivery, m *element) *objection {
	h.stamped = max(h.stamped+1, time.Now().UnixMicro())
	d.at = time.UnixMicro(h.stamped).UTC()
	d.m = &element{name: m.name, attrs: m.attrs}
	d.private = hinted(m, "no-copy")
	isTimed := m.child("body") != nil
	for _, n := range m.nodes {
		switch {
		case n.el.is(nsCarbons, "private"):
			d.private = true
		case n.el != nil && n.el.name.Local == "timestamp":
		case n.el.is(nsReceipts, "delivered"), n.el.is(nsReceipts, "seen"):
			d.m.add(withStatus(n.el))
			isTimed = true
		default:
			isTimed = isTimed || n.el.is(nsReceipts, "recall")
			d.m.nodes = append(d.m.nodes, n)
		}
	}
	if isTimed {
		d.m.add(h.timestamp(d.at))
	}
	return h.store.note(d)
}

func (h *hub) timestamp(at time.Time) *element {
	return el(nsTime, "timestamp", "time", strconv.FormatInt(at.UnixMicro(), 10))
}

// withStatus is a receipt as the service passes it on.
func withStatus(receipt *element) *element {
	c := receipt.readdressed("", "")
	c.set("message_status", map[string]string{"delivered": "1", "seen": "2"}[receipt.name.Local])
	return c
}

// acknowledgement tells the sender that the service has taken a message, a receipt or a recall.
func (h *hub) acknowledgement(st *stream, d *delivery) *element {
	id, kind := d.m.attr("id"), "acknowledge"
	reply := el(nsClient, "message", "from", h.srv.domain, "to", st.jid, "id", randomHex(8), "type", "chat")
	if d.m.child("body") == nil {
		for _, c := range d.m.children() {
			if c.is(nsReceipts, "delivered") || c.is(nsReceipts, "seen") || c.is(nsReceipts, "recall") {
				id, kind = c.attr("id"), c.name.Local
			}
		}
		if kind == "acknowledge" {
			return reply
		}
	}
	if id == "" { // the sender could not tell what it is about
		return reply
	}
	told := el(nsReceipts, "acknowledge", "id", id, "sent_to", h.srv.jid(d.user), "type", kind)
	return reply.add(told, h.timestamp(d.at))
}

// deliverLocked brings a message to its receiver, with the fault of StepDelivery. It returns the
// streams that got it. h.mu must be held.
func (h *hub) deliverLocked(d *delivery) []*stream {
	if d.m.child("body") == nil {
		return h.arriveLocked(d)
	}
	switch h.srv.fault(StepDelivery) {
	case FaultSilent:
		return nil
	case FaultWrongSender:
		c := *d
		c.m = d.m.readdressed(strangerJID, "")
		return h.arriveLocked(&c)
	case FaultTwice:
		return append(h.arriveLocked(d), h.arriveLocked(d)...)
	case FaultHeld:
		h.held = append(h.held, d)
		if len(h.held) > maxHeld {
			first := h.held[0]
			h.held = slices.Delete(h.held, 0, 1)
			return h.arriveLocked(first)
		}
		return nil
	case FaultReordered:
		i := slices.IndexFunc(h.held, func(other *delivery) bool { return other.user == d.user })
		if i < 0 {
			h.held = append(h.held, d)
			return nil
		}
		other := h.held[i]
		h.held = slices.Delete(h.held, i, i+1)
		return append(h.arriveLocked(d), h.arriveLocked(other)...)
	}
	return h.arriveLocked(d)
}

// release delivers what FaultHeld and FaultReordered have held up.
func (h *hub) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.held
	h.held = nil
	for _, d := range held {
		h.arriveLocked(d)
	}
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
