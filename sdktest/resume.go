package sdktest

import (
	"context"
	"strconv"
	"sync"
	"time"
)

const nsManagement = "urn:xmpp:sm:3"

// SetResumeLocation sets the host:port of an XMPP port that the server names as the place where new
// streams are to be resumed (Options.ResumeTimeout). Empty: it names none.
func (s *Server) SetResumeLocation(address string) {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	s.ctl.resumeAt = address
}

func (s *Server) resumeLocation() string {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	return s.ctl.resumeAt
}

// What is kept for a client that does not acknowledge stanzas. With more the stream ends, or cannot
// be resumed.
const (
	maxUnacked      = 64 << 10
	maxUnackedBytes = 64 << 20
)

// ackEvery is after how many stanzas the client is asked what it has.
const ackEvery = 100

// ledger counts the stanzas of a stream in both directions and keeps those that the client
// has not acknowledged, so that another connection can continue the stream (XEP-0198). mu may
// be taken while hub.mu is held. No other lock is taken while mu is held.
type ledger struct {
	id string

	mu sync.Mutex
	// owner is the stream whose connection serves it now. nil: the connection is lost.
	owner *stream
	// received counts the stanzas of the client.
	received uint32
	// acked is how many of our stanzas the client has handled.
	acked   uint32
	unacked []frame
	// held are the bytes of unacked. spared is how many of them were kept for the client before,
	// and do not count for the bound.
	held, spared int
	// spilled is true when there were more stanzas than are kept: the stream cannot be resumed.
	spilled bool
	// forget ends the wait for another connection. nil: there is no wait.
	forget func()
}

// manage handles an element of stream management on a bound stream.
func (st *stream) manage(e *element) error {
	switch {
	case e.name.Local == "enable" && st.ledger.Load() == nil:
		l := &ledger{id: randomHex(16), owner: st}
		answer := el(nsManagement, "enabled")
		if r := e.attr("resume"); r == "true" || r == "1" {
			answer.set("resume", "true")
			answer.set("id", l.id)
			answer.set("max", strconv.Itoa(max(1, int(st.srv.opts.ResumeTimeout/time.Second))))
			if to := st.srv.resumeLocation(); to != "" {
				answer.set("location", to)
			}
		} else {
			l.id = ""
		}
		st.sending.Lock() // no stanza may come between the answer and the beginning of the count
		defer st.sending.Unlock()
		st.tell(answer)
		st.ledger.Store(l)
		return nil
	case e.name.Local == "r" && st.ledger.Load() != nil:
		l := st.ledger.Load()
		l.mu.Lock()
		h := l.received
		l.mu.Unlock()
		st.tell(el(nsManagement, "a", "h", strconv.FormatUint(uint64(h), 10)))
		return nil
	case e.name.Local == "a" && st.ledger.Load() != nil:
		return st.ledger.Load().acknowledge(e)
	}
	st.tell(el(nsManagement, "failed").add(el(nsStanzas, "unexpected-request")))
	return nil
}

// acknowledge forgets the stanzas that the client has handled.
func (l *ledger) acknowledge(e *element) error {
	h, err := strconv.ParseUint(e.attr("h"), 10, 32)
	if err != nil {
		return &streamError{"bad-format", "bad count of handled stanzas"}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	n := int(uint32(h) - l.acked)
	if n < 0 || n > len(l.unacked) {
		return &streamError{"undefined-condition", "handled-count-too-high"}
	}
	for i := range l.unacked[:n] {
		l.held -= len(l.unacked[i].raw)
		l.unacked[i] = frame{} // let go of what it holds
	}
	l.spared = max(0, l.spared-n)
	if l.acked, l.unacked = uint32(h), l.unacked[n:]; len(l.unacked) == 0 {
		l.unacked = nil
	}
	return nil
}

// send keeps a stanza for the client, and queues it when there is a connection. st may
// be a stream that was replaced just now.
func (l *ledger) send(st *stream, f frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owner != nil && l.owner != st {
		return
	}
	if f.spared || !l.fullLocked() {
		l.unacked = append(l.unacked, f)
		l.held += len(f.raw)
		if f.spared {
			l.spared++
		}
	} else {
		l.spilled = true
	}
	if l.owner == st {
		st.queue(f)
		if len(l.unacked)%ackEvery == 0 {
			st.tell(el(nsManagement, "r"))
		}
	}
}

func (l *ledger) fullLocked() bool {
	return len(l.unacked)-l.spared >= maxUnacked || l.held >= maxUnackedBytes
}

// full reports whether nothing more can be kept for the client.
func (l *ledger) full() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fullLocked()
}

// reclaim takes the messages that must not get lost, as far as they are not acknowledged.
func (l *ledger) reclaim() (out []*returnable) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.unacked {
		if f.back != nil {
			out = append(out, f.back)
		}
	}
	l.unacked, l.held, l.spared = nil, 0, 0
	l.spilled = true // what is gone cannot be sent again
	return out
}

// count notes a stanza that st has handled for the client.
func (l *ledger) count(st *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owner == st {
		l.received++
	}
}

// lose notes that the connection is gone and reports whether the stream waits for another.
func (l *ledger) lose(st *stream) bool {
	if l == nil || l.id == "" {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owner != st || l.spilled {
		return false
	}
	l.owner = nil
	return true
}

// await keeps a stream that has lost its connection while it may be resumed.
func (st *stream) await(run context.Context) {
	// run, so that the wait also ends when the server stops.
	wait, forget := context.WithTimeout(run, st.srv.opts.ResumeTimeout)
	l := st.ledger.Load()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owner != nil { // it was resumed already
		forget()
		return
	}
	l.forget = forget
	context.AfterFunc(wait, func() {
		forget()
		st.srv.hub.unbind(st) // it does nothing to a stream that was resumed
	})
}

// resume resumes a lost stream instead of binding a resource.
func (st *stream) resume(e *element) error {
	kind := st.srv.fault(StepResume, subject{user: st.user})
	if handled, err := st.misbehave(kind); handled {
		return err
	}
	if kind != FaultError {
		taken, err := st.srv.hub.resume(st, e)
		if taken || err != nil {
			return err
		}
	}
	return st.t.write(el(nsManagement, "failed").add(el(nsStanzas, "item-not-found")).String())
}

// resume puts st in the place of the stream that e names, and queues again what the
// client did not get. It returns false when there is no such stream.
func (h *hub) resume(st *stream, e *element) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var old *stream
	for _, other := range h.streams[st.user] {
		if l := other.ledger.Load(); l != nil && l.id != "" && l.id == e.attr("previd") && !l.spilled {
			old = other
		}
	}
	if old == nil {
		return false, nil
	}
	l := old.ledger.Load()
	if err := l.acknowledge(e); err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owner != nil {
		l.owner.cancel() // the client has lost that connection, which is only half open
	}
	if l.forget != nil {
		l.forget()
		l.forget = nil
	}
	l.owner = st
	st.resource, st.jid = old.resource, old.jid
	st.available, st.left, st.carbons, st.since = old.available, old.left, old.carbons, old.since
	st.out = newOutbox()
	st.tell(el(nsManagement, "resumed", "previd", l.id, "h", strconv.FormatUint(uint64(l.received), 10)))
	for _, f := range l.unacked {
		f.spared = true
		st.queue(f)
	}
	st.ledger.Store(l)
	h.streams[st.user][st.resource] = st
	return true, nil
}

// tell queues an element that is not a stanza, and so does not count.
func (st *stream) tell(e *element) { st.queue(frame{raw: e.String()}) }
