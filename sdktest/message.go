package sdktest

import (
	"strconv"
	"time"
)

// message takes a message of the client. The acknowledgement comes when the message is saved, and
// before its receiver can answer.
func (st *stream) message(m *element) error {
	kind, refused := FaultNone, false
	if m.child("body") != nil {
		about := messageSubject(st.user, m)
		var err error
		if refused, err = st.before(st.srv.fault(StepMessageBefore, about)); err != nil {
			return err
		}
		kind = st.srv.fault(StepMessage, about)
	}
	out := st.srv.hub.message(st, m, refused || kind == FaultError)
	if st.srv.commit() != nil && out.taken != nil {
		out = outcome{reply: (&objection{"wait", "internal-server-error", nil}).reply(st, m)}
	}
	err := st.answerMessage(out.reply, kind)
	reached := []*stream{st}
	if out.taken != nil && !out.waits {
		reached = append(reached, st.srv.hub.passOn(out.taken, out.fault)...)
		_ = st.srv.commit() // of one whose receiver has gone meanwhile; a failure is logged
	}
	if err != nil {
		return err
	}
	if out.fault == FaultError {
		st.send((&objection{"cancel", "service-unavailable", nil}).reply(st, m).String())
	}
	yield(st.ctx, reached)
	return nil
}

// outcome is what becomes of a message.
type outcome struct {
	// reply is the answer to the sender. nil: there is none.
	reply *element
	// taken is the message when it was not refused.
	taken *delivery
	// waits: it is kept until the receiver comes. Otherwise passOn has to follow.
	waits bool
	// fault is that of StepDelivery for it.
	fault FaultKind
}

// message decides what becomes of a message (RFC 6121 8.5), and keeps it when its receiver is not
// there.
func (h *hub) message(st *stream, m *element, refused bool) outcome {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams[st.user][st.resource] != st {
		return outcome{} // it was replaced or expelled: its last stanzas do not count
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
		return outcome{}
	}
	refuse := h.objection(d, m, local)
	if refuse == nil && refused {
		refuse = &objection{"wait", "internal-server-error", nil}
	}
	if refuse == nil {
		refuse = h.takeLocked(d, m.readdressed(st.jid, ""))
	}
	if refuse != nil {
		return outcome{reply: refuse.reply(st, m)}
	}
	out := outcome{reply: h.acknowledgement(st, d), taken: d, fault: h.deliveryFault(d)}
	if out.fault == FaultNone && len(h.targetsLocked(d.user, d.resource, d.m.attr("type"))) == 0 {
		out.waits = true
		h.passOnLocked(d, FaultNone)
	}
	return out
}

// passOn is passOnLocked.
func (h *hub) passOn(d *delivery, kind FaultKind) []*stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.passOnLocked(d, kind)
}

// passOnLocked delivers a message that was taken, with a fault. It returns the streams that got it.
// h.mu must be held.
func (h *hub) passOnLocked(d *delivery, kind FaultKind) []*stream {
	reached := h.deliverLocked(d, kind)
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

// reply is the error that st gets for a message.
func (o *objection) reply(st *stream, m *element) *element {
	e := stanzaError(m, o.kind, o.condition, "", o.extra)
	e.set("to", st.jid)
	return e
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
// nil: nothing is said about what else it has taken.
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
			return nil
		}
	}
	if id == "" { // the sender could not tell what it is about
		return nil
	}
	told := el(nsReceipts, "acknowledge", "id", id, "sent_to", h.srv.jid(d.user), "type", kind)
	return reply.add(told, h.timestamp(d.at))
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
