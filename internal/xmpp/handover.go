package xmpp

import (
	"errors"
	"time"
)

// ErrHandOver is what [Session.Serve] returns from time to time, when it has handled what has come:
// call it again, in a new goroutine. Handling a stanza takes a deeper stack than waiting for one,
// and a goroutine keeps the stack that it has once needed. An idle session waits on a new one: that
// is a quarter of its memory (docs/performance.md, "Idle sessions").
var ErrHandOver = errors.New("go on in a new goroutine")

const (
	// handOverEvery is how often Serve hands over in the long run: a busy session gains nothing.
	handOverEvery = time.Second
	// handOversAhead is how often it may do so at once. The first stanzas of a session come
	// together, and any may be the last for long.
	handOversAhead = 16
)

// handovers spreads them over time.
type handovers struct {
	// due is when the next one would be, if they came at regular intervals, in nanoseconds of the
	// system's clock. When that is set back, a session that waits takes more memory for a while.
	due int64
}

// now reports whether it is time for one.
func (h *handovers) now() bool {
	now := time.Now().UnixNano()
	if now < h.due-int64(handOversAhead*handOverEvery) {
		return false
	}
	h.due = max(h.due, now) + int64(handOverEvery)
	return true
}
