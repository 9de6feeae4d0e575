package sdktest

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"
)

// Bounds of what is kept for one user who is not there.
const (
	maxWaiting      = 1000     // messages that are taken
	maxWaitingBytes = 16 << 20 // of them
	// Messages that were given back come on top, but not above these.
	maxReturned      = 100_000
	maxReturnedBytes = 128 << 20
)

// firstWaiting is the number of the first message that waits for a user. Those that were given back
// are put before the others, and so have smaller numbers.
const firstWaiting = 1 << 32

// waiting is a message that is kept for a user.
type waiting struct {
	Stanza string    `json:"stanza"`
	From   string    `json:"from"`
	Time   time.Time `json:"time"`
	number uint64
}

// mailbox are the messages that wait for a user, in the order in which the user gets them.
type mailbox struct {
	list  []waiting
	bytes int
}

// mayKeep reports whether there is room for one more message to a user.
func (st *store) mayKeep(user string, size int) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	box := st.state.Waiting[user]
	return box == nil || len(box.list) < maxWaiting && box.bytes+size <= maxWaitingBytes
}

// keepWaiting keeps a message for a user who is not there. It does nothing when the account is
// gone. mayKeep has said that there is room, when the message was taken.
func (st *store) keepWaiting(user string, d *delivery) {
	st.mu.Lock()
	defer st.mu.Unlock()
	box := st.boxLocked(user)
	if box == nil {
		return
	}
	next := uint64(firstWaiting)
	if n := len(box.list); n > 0 {
		next = box.list[n-1].number + 1
	}
	w := d.waiting(next)
	if len(box.list) >= maxReturned || box.bytes+len(w.Stanza) > maxReturnedBytes {
		return
	}
	box.bytes += len(w.Stanza)
	box.list = append(box.list, w)
	st.keepLocked(kindWaiting, waitingKey(user, next), w)
}

func (d *delivery) waiting(number uint64) waiting {
	return waiting{Stanza: d.m.String(), From: d.from, Time: d.at, number: number}
}

func waitingKey(user string, n uint64) string { return user + "\x00" + number(n) }

// boxLocked is the mailbox of a user, or nil when there is no such user. st.mu must be held.
func (st *store) boxLocked(user string) *mailbox {
	if st.state.Accounts[user] == nil {
		return nil
	}
	box := st.state.Waiting[user]
	if box == nil {
		if st.state.Waiting == nil {
			st.state.Waiting = map[string]*mailbox{}
		}
		box = &mailbox{}
		st.state.Waiting[user] = box
	}
	return box
}

// putBack keeps messages again that were given out, oldest first, before those that wait already.
// It leaves out what waits there already, which two streams may have given back.
func (st *store) putBack(user string, list []*delivery) {
	st.mu.Lock()
	defer st.mu.Unlock()
	box := st.boxLocked(user)
	if box == nil || len(list) == 0 {
		return
	}
	have := make(map[string]bool, len(box.list))
	for _, w := range box.list {
		have[w.Stanza] = true
	}
	first := uint64(firstWaiting)
	if len(box.list) > 0 {
		first = box.list[0].number
	}
	var back []waiting
	for i, d := range list {
		w := d.waiting(first - uint64(len(list)-i))
		if have[w.Stanza] || len(box.list)+len(back) >= maxReturned || box.bytes+len(w.Stanza) > maxReturnedBytes {
			continue
		}
		have[w.Stanza] = true
		box.bytes += len(w.Stanza)
		back = append(back, w)
		st.keepLocked(kindWaiting, waitingKey(user, w.number), w)
	}
	box.list = slices.Concat(back, box.list)
}

// takeWaiting takes the messages that wait for a user.
func (st *store) takeWaiting(user string) []waiting {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.takeWaitingLocked(user)
}

// takeWaitingLocked is takeWaiting. st.mu must be held.
func (st *store) takeWaitingLocked(user string) []waiting {
	box := st.state.Waiting[user]
	if box == nil {
		return nil
	}
	delete(st.state.Waiting, user)
	for _, w := range box.list {
		st.forgetLocked(kindWaiting, waitingKey(user, w.number))
	}
	return box.list
}

// loadWaiting is for load. The keys come in the order of the messages.
func (st *store) loadWaiting(key string, w *waiting) error {
	user, n, found := strings.Cut(key, "\x00")
	if !found || len(n) != 8 {
		return errors.New("the key is not a user and a number")
	}
	box := st.boxLocked(user)
	if box == nil {
		return errors.New("there is no such account")
	}
	if _, err := parseElement([]byte(w.Stanza)); err != nil {
		return errors.New("it is not a stanza")
	}
	w.number = numberOf(n)
	box.list = append(box.list, *w)
	box.bytes += len(w.Stanza)
	return nil
}

// giveOutLocked sends st what waits for its user (RFC 6121 8.5.2.2.1), each with its time
// (XEP-0203). h.mu must be held.
func (h *hub) giveOutLocked(st *stream) {
	for _, w := range h.store.takeWaiting(st.user) {
		m, err := parseElement([]byte(w.Stanza))
		if err != nil { // loadWaiting has parsed it
			continue
		}
		d := &delivery{m: m, from: w.From, user: st.user, at: w.Time}
		st.deliver(frame{raw: h.delayed(d).String(), spared: true, back: &returnable{delivery: d, sole: true}})
	}
}

// delayed is a message with the time since when the server had it.
func (h *hub) delayed(d *delivery) *element {
	m := &element{name: d.m.name, attrs: d.m.attrs, nodes: slices.Clone(d.m.nodes)}
	return m.add(el(nsDelay, "delay", "from", h.srv.domain, "stamp", d.at.UTC().Format("2006-01-02T15:04:05.000Z")))
}

// giveBackLocked takes the messages that the client of a stream has not got, or has not
// acknowledged (XEP-0198), when the stream has ended. They wait for the user again. When the user
// has other streams, these get what nobody else has got. h.mu must be held.
func (h *hub) giveBackLocked(st *stream) {
	if st.out == nil {
		return
	}
	lost := st.out.reclaim()
	if l := st.ledger.Load(); l != nil {
		lost = l.reclaim() // which includes what is queued
	}
	var back []*delivery
	for _, r := range lost {
		others := h.targetsLocked(st.user, "", "chat")
		switch {
		case len(others) == 0:
			back = append(back, r.delivery)
		case r.sole:
			raw := h.delayed(r.delivery).readdressed("", h.srv.jid(st.user)).String()
			again := &returnable{delivery: r.delivery, sole: len(others) == 1}
			for _, other := range others {
				other.deliver(frame{raw: raw, spared: true, back: again})
			}
		}
	}
	slices.SortStableFunc(back, func(a, b *delivery) int { return cmp.Compare(a.at.UnixMicro(), b.at.UnixMicro()) })
	h.store.putBack(st.user, back)
}
