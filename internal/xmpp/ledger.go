package xmpp

import (
	"slices"
	"sync"
	"sync/atomic"
)

// maxOpen is how many stanzas may stay unacknowledged because a message among them is not handled:
// a server ends a stream for which it keeps too much.
const maxOpen = 256

// ledger counts the stanzas of the server, and knows how many of them are handled. It outlives the
// connection: what is handled later counts in the stream that goes on.
type ledger struct {
	// handled is how many stanzas are handled without a gap, as the server is told. Counters wrap.
	handled atomic.Uint32
	// teller is the session that tells the server.
	teller atomic.Pointer[Session]

	mu sync.Mutex
	// received is how many have come. open are the numbers of those that are not handled.
	received uint32
	open     []uint32
}

// ticket stands for a stanza that has come and is not handled. The zero ticket stands for none.
type ticket struct {
	in     *ledger
	number uint32
}

// receive counts a stanza. One that is held is open until it is handled. full: too many are, and
// the oldest counts as handled.
func (l *ledger) receive(held bool) (t ticket, full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.received++
	if held {
		l.open = append(l.open, l.received)
		t = ticket{l, l.received}
	}
	if full = len(l.open) > 0 && l.received-l.open[0] >= maxOpen; full {
		l.open = slices.Delete(l.open, 0, 1)
	}
	l.countLocked()
	return t, full
}

// done notes that the stanza is handled.
func (t ticket) done() {
	if t.in != nil && t.in.close(t.number) {
		if s := t.in.teller.Load(); s != nil {
			s.handledMore()
		}
	}
}

// close closes an open stanza, and reports whether the server has more to be told.
func (l *ledger) close(number uint32) (more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := slices.Index(l.open, number); at >= 0 {
		l.open = slices.Delete(l.open, at, at+1)
	}
	return l.countLocked()
}

func (l *ledger) countLocked() (more bool) {
	handled := l.received
	if len(l.open) > 0 {
		handled = l.open[0] - 1
	}
	return l.handled.Swap(handled) != handled
}

// position returns how many stanzas are handled, and how many have come besides: the server sends
// these again.
func (l *ledger) position() (handled, again uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	handled = l.handled.Load()
	return handled, l.received - handled
}
