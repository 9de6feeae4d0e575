// Package dispatch calls event listeners one at a time, in order, and never in the goroutine that
// emits the event.
package dispatch

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/mirrorfly-go/sdk/internal/observe"
)

const (
	defaultLimit = 1024
	// maxBytes bounds the weights of the events that wait.
	maxBytes = 16 << 20
	// keptSlots is how many slots an idle queue keeps for the next events.
	keptSlots = 4
	// slowAfter is how long the listeners may take, for an event or for a batch, before that is
	// logged.
	slowAfter = 5 * time.Second
	// patience is how long awaitRoom waits for listeners.
	patience = 100 * time.Millisecond
)

// Queue is a bounded, ordered queue of calls. A goroutine makes the calls while there are any and
// ends when there are none, so an idle queue costs no goroutine. Pushing never blocks: a call that
// is stuck delays later calls and nothing else.
//
// The queue is bounded in number and in bytes, since one event may be as large as a stanza. What
// has left it comes on top: a batch of at most a 32nd of both bounds, and the event that is with
// the listeners.
type Queue struct {
	// Limit is how many calls may wait; 0: 1024. It is immutable.
	Limit int
	// Log is immutable.
	Log *slog.Logger
	// OnLoss is called, in order with the other calls, with what was dropped. It is immutable.
	OnLoss func(Loss)
	// Observer is told of events that listeners were given, and of those that were dropped. nil:
	// nobody is. It is immutable.
	Observer *observe.Observer

	mu sync.Mutex
	// slots holds the calls that wait from head on, oldest first.
	slots []call
	head  int
	// lost is what was dropped since OnLoss was last called.
	lost Loss
	// untold is what the Observer has not been told of yet.
	untold Loss
	// bytes is the weight of the calls that wait.
	bytes int32
	// running is true while a goroutine drains the queue.
	running bool
	closed  bool
	// stuck is true once awaitRoom has waited in vain, until half of the queue is free.
	stuck bool
	// room is closed when half of the queue is free. awaitRoom makes it.
	room chan struct{}
}

// Weight is what an event costs while it waits, and what it is worth.
type Weight struct {
	// Bytes is the length of its texts, which it holds besides itself.
	Bytes int32
	Rank  Rank
}

// Rank says which events are dropped first when the queue is full: those of the lowest rank, and of
// these the oldest.
type Rank uint8

type call struct {
	deliverer
	Weight
}

// Loss is how many events were dropped. Tracked are those of them whose fate is told.
type Loss struct{ Events, Tracked int32 }

// deliverer is an event of any type for its listeners, or the news that events were lost.
type deliverer interface{ deliver(*Queue) }

func (q *Queue) limit() int { return cmp.Or(q.Limit, defaultLimit) }

// push adds a call. When the queue is then too full, it drops what is worth least; that may be the
// new call.
func (q *Queue) push(c call) { q.add(c).Tell() }

// add is push, but for telling the fate of what was dropped.
func (q *Queue) add(c call) (dropped Dropping) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return appendTracked(nil, c.deliverer)
	}
	q.appendLocked(c)
	for !q.withinLocked(q.limit(), maxBytes) {
		dropped = appendTracked(dropped, q.dropLeastLocked())
	}
	if !q.running {
		q.running = true
		// The queue owns it. It ends when nothing waits.
		go q.drain(nil)
	}
	return dropped
}

func appendTracked(all Dropping, d deliverer) Dropping {
	if t, is := d.(tracked); is {
		return append(all, t)
	}
	return all
}

// appendLocked puts a call behind those that wait. It moves them to the front of the slots when at
// least half of the slots are free, so that the slots do not grow while the queue is never empty.
func (q *Queue) appendLocked(c call) {
	if len(q.slots) == cap(q.slots) && q.head >= len(q.slots)/2 {
		n := copy(q.slots, q.slots[q.head:])
		clear(q.slots[n:])
		q.slots, q.head = q.slots[:n], 0
	}
	q.slots = append(q.slots, c)
	q.bytes += c.Bytes
}

// withinLocked reports whether no more than that many calls wait, and no more than that many bytes.
func (q *Queue) withinLocked(calls int, bytes int32) bool {
	return len(q.slots)-q.head <= calls && q.bytes <= bytes
}

// dropLeastLocked drops the oldest call of the lowest rank, and returns it. The queue must not be
// empty.
func (q *Queue) dropLeastLocked() deliverer {
	waiting := q.slots[q.head:]
	least := 0
	for i := range waiting {
		if waiting[i].Rank < waiting[least].Rank {
			least = i
		}
	}
	dropped := waiting[least]
	copy(waiting[1:least+1], waiting[:least])
	waiting[0] = dropped
	_, isTracked := dropped.deliverer.(tracked)
	q.lost.add(isTracked)
	q.untold.add(isTracked)
	q.Observer.Drop()
	return q.popLocked()
}

// popLocked takes the oldest call. The queue must not be empty.
func (q *Queue) popLocked() deliverer {
	c := q.slots[q.head]
	q.slots[q.head] = call{}
	q.head++
	q.bytes -= c.Bytes
	return c.deliverer
}

// freeLocked wakes those who wait in awaitRoom.
func (q *Queue) freeLocked() {
	q.stuck = false
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
}

// idleLocked makes the queue idle. It keeps a few slots, and gives back what a burst has needed.
func (q *Queue) idleLocked() {
	q.slots, q.head, q.running = q.slots[:0], 0, false
	if cap(q.slots) > keptSlots {
		q.slots = nil
	}
}

func (l *Loss) add(tracked bool) {
	l.Events++
	if tracked {
		l.Tracked++
	}
}

func (l Loss) deliver(q *Queue) {
	q.tellDrops()
	q.Log.WarnContext(context.Background(), "listeners too slow: events dropped", "count", l.Events)
	q.OnLoss(l)
}

// awaitRoom waits, when an event of weight w does not fit into the queue, until half of the queue
// is free. Meanwhile the rest of a burst stays in the connection, and listeners that keep up lose
// nothing of it. Listeners that do not free half of the queue within 100 ms count as stuck:
// awaitRoom does not wait for them again until they have done so.
func (q *Queue) awaitRoom(w Weight) {
	room := q.roomFor(w)
	if room == nil {
		return
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-room:
	case <-timer.C:
		q.mu.Lock()
		defer q.mu.Unlock()
		// Another room, or none, means that half of the queue has become free by now.
		q.stuck = q.room == room
	}
}

// roomFor returns a channel that is closed when half of the queue is free; nil: there is nothing to
// wait for.
func (q *Queue) roomFor(w Weight) chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.withinLocked(q.limit()-1, maxBytes-w.Bytes) || q.stuck || q.closed {
		return nil
	}
	if q.room == nil {
		q.room = make(chan struct{})
	}
	return q.room
}

// Close takes no more calls. It does not wait for those that are in the queue, which are still
// made: the call that is running may be the one that closes.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.freeLocked()
}
