package xmpp

import (
	"slices"
	"sync"
	"time"

	"github.com/mirrorfly-go/sdk/internal/unsent"
)

// outbox knows the messages that are sent and not confirmed. It outlives the connection, as long as
// the stream can be resumed.
type outbox struct {
	mu sync.Mutex
	// byID are those that are not confirmed.
	byID map[string]*sending
	// written are those that are written, in their order. Some may be confirmed already.
	written []*sending
	// unspoken are the ids of the last messages that were confirmed without a word on them. That
	// may come later, and is no word on a younger message with the same id, as an edit has. The
	// next one goes to nextUnspoken.
	unspoken     []string
	nextUnspoken int
	// count numbers what is written, whether the server counts it or not.
	count uint64
	// timer is for messages that are late. timerAt: when it goes off. Zero: it does not.
	timer   *time.Timer
	timerAt time.Time
}

// sending is a message that somebody waits for. All but result is guarded by outbox.mu.
type sending struct {
	id string
	to JID
	// result gets how it ends; its capacity is 1.
	result chan sent
	// deadline is when it ends at the latest. Zero: who waits says when.
	deadline time.Time
	// number is that of XEP-0198, if counted. place is that among all that is written; 0: it is not
	// written.
	number  uint32
	counted bool
	place   uint64
	// over: it has ended, or nobody waits for it any more.
	over bool
	// older is another one with the same id.
	older *sending
}

// sent is how sending a message ends.
type sent struct {
	// at is when the service took it, if it says so.
	at  time.Time
	err error
}

func (o *outbox) add(m *sending) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byID == nil {
		o.byID = make(map[string]*sending)
	}
	m.older = o.byID[m.id]
	o.byID[m.id] = m
	o.wakeLocked(m.deadline)
}

// wakeLocked has the timer go off at a time, or earlier.
func (o *outbox) wakeLocked(at time.Time) {
	if at.IsZero() || !o.timerAt.IsZero() && !at.Before(o.timerAt) {
		return
	}
	o.timerAt = at
	if o.timer == nil {
		o.timer = time.AfterFunc(time.Until(at), o.endLate)
	} else {
		o.timer.Reset(time.Until(at))
	}
}

// endLate ends the messages that have waited long enough. The timer runs it.
func (o *outbox) endLate() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.timerAt = time.Time{}
	now := time.Now()
	for _, m := range o.byID {
		for m != nil {
			older := m.older
			if m.deadline.IsZero() || now.Before(m.deadline) {
				o.wakeLocked(m.deadline)
			} else {
				o.endLocked(m, failed(m, ErrNoReply))
			}
			m = older
		}
	}
}

// waiting returns how many messages are not confirmed, at least one for each id.
func (o *outbox) waiting() int {
	if o == nil {
		return 0
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.byID)
}

// unconfirmed reports whether something is written that is not confirmed.
func (o *outbox) unconfirmed() bool {
	if o == nil {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.ContainsFunc(o.written, func(m *sending) bool { return !m.over })
}

// wrote notes that m is about to be written, and reports false when nobody waits for it any more:
// then it must not be.
func (o *outbox) wrote(m *sending) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if m.over {
		return false
	}
	o.count++
	m.place, m.counted = o.count, false
	o.written = append(o.written, m)
	return true
}

// number notes the number under which the server counts m.
func (o *outbox) number(m *sending, number uint32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	m.number, m.counted = number, true
}

// last returns the place of what was written last.
func (o *outbox) last() uint64 {
	if o == nil {
		return 0
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.count
}

// confirmCounted confirms what the server has counted as handled (XEP-0198).
func (o *outbox) confirmCounted(handled uint32) {
	o.confirm(func(m *sending) bool { return m.counted && int32(handled-m.number) >= 0 })
}

// confirmBehind confirms what was written up to that place: the server, which handles a stream in
// its order, has answered a request that was written behind it (RFC 6120 10.1).
func (o *outbox) confirmBehind(place uint64) {
	o.confirm(func(m *sending) bool { return m.place <= place })
}

// confirm confirms the messages up to the first that is not.
func (o *outbox) confirm(is func(*sending) bool) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for n < len(o.written) && (o.written[n].over || is(o.written[n])) {
		if m := o.written[n]; !m.over {
			o.endLocked(m, sent{})
			o.unspokenLocked(m.id)
		}
		n++
	}
	clear(o.written[:n])
	if o.written = o.written[n:]; len(o.written) == 0 {
		o.written = nil
	}
}

// maxUnspoken is how many messages are remembered of which the service may still speak.
const maxUnspoken = 64

func (o *outbox) unspokenLocked(id string) {
	if len(o.unspoken) < maxUnspoken {
		o.unspoken = append(o.unspoken, id)
		return
	}
	o.unspoken[o.nextUnspoken] = id
	o.nextUnspoken = (o.nextUnspoken + 1) % maxUnspoken
}

// isOfEarlier reports whether a word on that id is on a message that was confirmed without one.
func (o *outbox) isOfEarlier(id string) bool {
	if o == nil {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	at := slices.Index(o.unspoken, id)
	if at >= 0 {
		o.unspoken[at] = ""
	}
	return at >= 0
}

// confirmID confirms a message by name.
func (o *outbox) confirmID(id string, at time.Time) {
	o.endID(id, func(*sending) bool { return true }, sent{at: at})
}

// refuse ends a message that somebody has refused who may: believed says so of the addressee.
func (o *outbox) refuse(id string, believed func(to JID) bool, err error) (was bool) {
	return o.endID(id, func(m *sending) bool { return believed(m.to) }, sent{err: err})
}

// endID ends one message of that id: of several, such as a message and its edit, the server speaks
// of the one that it got first.
func (o *outbox) endID(id string, which func(*sending) bool, how sent) (was bool) {
	if o == nil {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	var first *sending
	for m := o.byID[id]; m != nil; m = m.older {
		if m.place > 0 && which(m) && (first == nil || m.place < first.place) {
			first = m
		}
	}
	if first != nil {
		o.endLocked(first, how)
	}
	return first != nil
}

// hasEnded reports whether nobody waits for m any more.
func (o *outbox) hasEnded(m *sending) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return m.over
}

// knows reports whether a message of that id is not confirmed.
func (o *outbox) knows(id string) bool {
	if o == nil {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.byID[id] != nil
}

// endLocked ends m, once.
func (o *outbox) endLocked(m *sending, how sent) {
	if m.over {
		return
	}
	m.over = true
	m.result <- how
	for at := o.byID[m.id]; at != nil; at = at.older {
		switch {
		case at == m && m.older == nil:
			delete(o.byID, m.id)
		case at == m:
			o.byID[m.id] = m.older
		case at.older == m:
			at.older = m.older
		default:
			continue
		}
		return
	}
}

// giveUp ends the wait for m because of cause, unless it has ended by now. A message that is not
// written never will be, and the error says so.
func (o *outbox) giveUp(m *sending, cause error) sent {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.endLocked(m, failed(m, cause))
	return <-m.result
}

// fail ends all that is not confirmed.
func (o *outbox) fail(cause error) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.byID {
		for m != nil {
			older := m.older
			o.endLocked(m, failed(m, cause))
			m = older
		}
	}
	o.written = nil
	if o.timer != nil {
		o.timer.Stop()
		o.timerAt = time.Time{}
	}
}

func failed(m *sending, cause error) sent {
	if m.place == 0 {
		return sent{err: unsent.Mark(cause)}
	}
	return sent{err: cause}
}

// again forgets the order in which messages were written: those that the server does not have are
// written anew.
func (o *outbox) again() {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.written = nil
}
