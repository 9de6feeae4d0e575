package sdktest

import "slices"

// maxHeld is how many messages, and how many acknowledgements, a fault holds up.
const maxHeld = 1000

// lateReply is an acknowledgement that FaultHeld holds up.
type lateReply struct{ user, resource, raw string }

// answerMessage sends the answer to a message, with the fault of StepMessage.
func (st *stream) answerMessage(reply *element, kind FaultKind) error {
	if reply == nil {
		return nil
	}
	if handled, err := st.misbehave(kind); handled {
		return err
	}
	switch kind {
	case FaultHeld:
		st.srv.hub.hold(lateReply{st.user, st.resource, reply.String()})
		return nil
	case FaultTwice:
		st.send(reply.String())
	case FaultWrongSender:
		reply.set("from", strangerJID)
	}
	st.send(reply.String())
	return nil
}

// hold keeps an acknowledgement until release, and sends the oldest one when there are too many.
func (h *hub) hold(late lateReply) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.late = append(h.late, late)
	if len(h.late) > maxHeld {
		h.sendLateLocked(h.late[0])
		h.late = slices.Delete(h.late, 0, 1)
	}
}

// sendLateLocked sends an acknowledgement to the resource that it is for, if that is still there.
// h.mu must be held.
func (h *hub) sendLateLocked(late lateReply) {
	if st := h.streams[late.user][late.resource]; st != nil {
		st.send(late.raw)
	}
}

// release sends what the faults of a step have held up.
func (h *hub) release(step Step) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch step {
	case StepMessage:
		for _, late := range h.late {
			h.sendLateLocked(late)
		}
		h.late = nil
	case StepDelivery:
		held := h.held
		h.held = nil
		for _, d := range held {
			h.arriveLocked(d.delivery)
		}
	}
}

// deliveryFault is the fault of StepDelivery for a message.
func (h *hub) deliveryFault(d *delivery) FaultKind {
	if d.m.child("body") == nil {
		return FaultNone
	}
	return h.srv.fault(StepDelivery, messageSubject(d.user, d.m))
}

// heldDelivery is a message that a fault holds up.
type heldDelivery struct {
	*delivery
	// reordered: it comes after the next message to its user.
	reordered bool
}

// deliverLocked brings a message to its receiver, with a fault. It returns the streams that got it.
// h.mu must be held.
func (h *hub) deliverLocked(d *delivery, kind FaultKind) []*stream {
	hasBody := d.m.child("body") != nil
	behind := func(other heldDelivery) bool { return hasBody && other.reordered && other.user == d.user }
	late := slices.IndexFunc(h.held, behind)
	var reached []*stream
	switch {
	case kind == FaultSilent || kind == FaultError:
		return nil
	case kind == FaultHeld, kind == FaultReordered && late < 0:
		h.held = append(h.held, heldDelivery{d, kind == FaultReordered})
		if len(h.held) <= maxHeld {
			return nil
		}
		oldest := h.held[0].delivery
		h.held = slices.Delete(h.held, 0, 1)
		return h.arriveLocked(oldest)
	case kind == FaultWrongSender:
		c := *d
		c.m = d.m.readdressed(strangerJID, "")
		reached = h.arriveLocked(&c)
	case kind == FaultTwice:
		reached = append(h.arriveLocked(d), h.arriveLocked(d)...)
	default:
		reached = h.arriveLocked(d)
	}
	if late >= 0 {
		other := h.held[late].delivery
		h.held = slices.Delete(h.held, late, late+1)
		reached = append(reached, h.arriveLocked(other)...)
	}
	return reached
}
