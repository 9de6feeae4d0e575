// Package dispatch runs event listeners one at a time, in order, and never in
// the goroutine that has the event.
package dispatch

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

const (
	defaultLimit = 1024
	// maxBytes bounds the weights of what waits.
	maxBytes = 16 << 20
	// share is how many parts either bound has; one of them leaves the queue at a time, at most.
	share = 32
	// slowAfter is for what has left it at a time.
	slowAfter = 5 * time.Second
	// patience is how long awaitRoom waits for listeners.
	patience = 100 * time.Millisecond
)

// Queue is a bounded, ordered queue of calls. A goroutine makes them while there
// are any and ends when there are none, so an idle queue costs no goroutine.
// Pushing never blocks: a call that is stuck delays later calls and nothing else.
//
// It is bounded in number and in bytes, since one event may be as large as a stanza. What has left
// the queue for its turn comes on top: a 32nd of both bounds, and the event that is with the
// listeners.
type Queue struct {
	// Limit is how many calls may wait; 0: 1024. It is immutable.
	Limit int
	// Log is immutable.
	Log *slog.Logger
	// OnLoss is called, in order with the other calls, with how many were dropped. It is immutable.
	OnLoss func(lost int)

	mu sync.Mutex
	// slots has those that wait from head on, oldest first.
	slots []call
	head  int
	// first is where slots begin: an event now and then needs no other memory.
	first [1]call
	// lost are dropped and not yet told.
	lost int
	// bytes is the weight of those that wait.
	bytes int32
	// running: a goroutine drains the queue.
	running bool
	closed  bool
	// stuck: awaitRoom has waited in vain since half of the queue was free.
	stuck bool
	// room is made by awaitRoom, and closed when half of the queue is free.
	room chan struct{}

	// taken is of the goroutine that drains; nil: it has not taken any yet.
	taken *batch
}

// Weight is what an event costs while it waits, and what it is worth.
type Weight struct {
	// Bytes is what it holds besides itself: its texts.
	Bytes int32
	Rank  Rank
}

// Rank is what goes first when the queue is full: the lowest rank, and of that the oldest.
type Rank uint8

// batch is calls that have left the queue: in a burst who drains it and who pushes would take mu in turn for each of them.
type batch struct {
	calls     [defaultLimit / share]deliverer
	next, end int
}

func (b *batch) empty() bool { return b == nil || b.next == b.end }

func (b *batch) pop() deliverer {
	d := b.calls[b.next]
	b.calls[b.next] = nil
	b.next++
	return d
}

type call struct {
	deliverer
	Weight
}

// deliverer is an event on its way: one of any type, or the news that some were lost.
type deliverer interface{ deliver() }

func (q *Queue) limit() int { return cmp.Or(q.Limit, defaultLimit) }

// push adds a call. When the queue is then too full, it drops what is worth least; that may be the
// new call.
func (q *Queue) push(c call) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	if len(q.slots) == cap(q.slots) && q.head >= len(q.slots)/2 { // most of it is free: no need to grow
		n := copy(q.slots, q.slots[q.head:])
		clear(q.slots[n:])
		q.slots, q.head = q.slots[:n], 0
	}
	if q.slots == nil {
		q.slots = q.first[:0]
	}
	q.slots = append(q.slots, c)
	q.bytes += c.Bytes
	for !q.within(q.limit(), maxBytes) {
		q.dropLeast()
	}
	if !q.running {
		q.running = true
		go q.drain() // owner: the queue; ends when nothing waits
	}
}

// within reports whether no more than so many calls wait, and so many bytes. It needs mu.
func (q *Queue) within(calls int, bytes int32) bool {
	return len(q.slots)-q.head <= calls && q.bytes <= bytes
}

// dropLeast drops the oldest call of the lowest rank. It needs mu, and something that waits.
func (q *Queue) dropLeast() {
	waiting := q.slots[q.head:]
	least := 0
	for i := range waiting {
		if waiting[i].Rank < waiting[least].Rank {
			least = i
		}
	}
	gone := waiting[least]
	copy(waiting[1:least+1], waiting[:least])
	waiting[0] = gone
	q.pop()
	q.lost++
}

func (q *Queue) drain() {
	done := false
	defer func() {
		if !done {
			go q.drain() // a listener has called runtime.Goexit; owner and end stay the same
		}
	}()
	for start := time.Now(); ; {
		next, ok := q.next()
		if !ok {
			done = true
			return
		}
		next.deliver()
		if !q.taken.empty() {
			continue // a look at the clock takes as long as the rest
		}
		end := time.Now() // and the start of the next
		if d := end.Sub(start); d > slowAfter {
			q.Log.WarnContext(context.Background(), "listeners are slow: later events wait for them", "dur", d)
		}
		start = end
	}
}

// pop needs mu, and something that waits.
func (q *Queue) pop() deliverer {
	c := q.slots[q.head]
	q.slots[q.head] = call{}
	q.head++
	q.bytes -= c.Bytes
	return c.deliverer
}

// free needs mu.
func (q *Queue) free() {
	q.stuck = false
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
}

// next tells a loss before the call that comes after the gap.
func (q *Queue) next() (deliverer, bool) {
	if !q.taken.empty() {
		return q.taken.pop(), true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lost > 0 {
		l := loss{queue: q, count: q.lost}
		q.lost = 0
		return l, true
	}
	if q.head == len(q.slots) {
		q.first = [1]call{}
		q.slots, q.head, q.running = nil, 0, false // an idle queue holds no other memory
		q.taken = nil
		return nil, false
	}
	d := q.pop()
	q.takeMore()
	if q.within(q.limit()/2, maxBytes/2) {
		q.free()
	}
	return d, true
}

// takeMore needs mu.
func (q *Queue) takeMore() {
	n, bytes := 0, int32(0)
	for _, c := range q.slots[q.head:min(len(q.slots), q.head+min(q.limit()/share, len(batch{}.calls)))] {
		if bytes += c.Bytes; bytes > maxBytes/share {
			break
		}
		n++
	}
	if n == 0 {
		return
	}
	if q.taken == nil {
		q.taken = new(batch)
	}
	for i := range n {
		q.taken.calls[i] = q.pop()
	}
	q.taken.next, q.taken.end = 0, n
}

type loss struct {
	queue *Queue
	count int
}

func (l loss) deliver() {
	l.queue.Log.WarnContext(context.Background(), "listeners too slow: events dropped", "count", l.count)
	l.queue.OnLoss(l.count)
}

// awaitRoom waits, when w does not fit into the queue, until half of it is free: the rest of a
// burst stays where it is, and listeners that keep up lose nothing of it. Listeners that take more
// than 100 ms for that count as stuck: they are not waited for again before they have done it.
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
		q.stuck = q.room == room // else it is free by now
	}
}

// roomFor returns what is closed when half of the queue is free; nil: there is nothing to wait for.
func (q *Queue) roomFor(w Weight) chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.within(q.limit()-1, maxBytes-w.Bytes) || q.stuck || q.closed {
		return nil
	}
	if q.room == nil {
		q.room = make(chan struct{})
	}
	return q.room
}

// Close lets what waits run and takes nothing more. It waits for nothing: the
// call that is running may be the one that closes.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.free()
}

// protect runs one listener: a panic ends the listener, not the program.
func (q *Queue) protect(run func()) {
	defer func() {
		if p := recover(); p != nil {
			// As text: a handler that writes JSON would ask no value inside p what of it is secret.
			q.Log.ErrorContext(context.Background(), "listener panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	run()
}
