package dispatch

import (
	"time"

	"github.com/mirrorfly-go/sdk/internal/observe"
)

// delivering is a delivery of any type: a program holds the code for it once.
type delivering interface {
	listeners() []*listener
	call(q *Queue, each *listener) (there, returned bool)
	value() any
}

// run calls all listeners of an event, and reports whether there was one, and whether one has
// failed.
func (q *Queue) run(d delivering) (heard, failed bool) {
	seen := q.Observer.SeesEvents()
	var began time.Time
	if seen {
		began = time.Now()
	}
	// It stays so when a listener calls runtime.Goexit.
	exits := true
	defer func() {
		if !heard && !exits {
			return
		}
		q.Observer.Delivered()
		if seen {
			q.Observer.Hooks.Event(observe.Event{
				Value: d.value(), Ran: time.Since(began), Failed: failed || exits, Waiting: q.Waiting(),
			})
		}
	}()
	for _, each := range d.listeners() {
		there, returned := d.call(q, each)
		heard = heard || there
		failed = failed || there && !returned
	}
	exits = false
	return heard, failed
}

// Waiting returns how many events wait, besides those that are with the listeners.
func (q *Queue) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.slots) - q.head
}

// tellDrops tells the hook what was dropped. It is called under no lock, so not by Emit, whose
// callers may hold one: the next event or listener does it for that.
func (q *Queue) tellDrops() {
	if !q.Observer.SeesDrops() {
		return
	}
	q.mu.Lock()
	untold := q.untold
	q.untold = Loss{}
	q.mu.Unlock()
	if untold != (Loss{}) {
		q.Observer.Hooks.Dropped(int(untold.Events), int(untold.Tracked))
	}
}
