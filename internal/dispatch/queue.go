// Package dispatch runs event listeners one at a time, in order, and never in
// the goroutine that has the event.
package dispatch

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

const (
	defaultLimit = 1024
	slowAfter    = 5 * time.Second
)

// Queue is a bounded, ordered queue of calls. A goroutine makes them while there
// are any and ends when there are none, so an idle queue costs no goroutine.
// Pushing never blocks: a call that is stuck delays later calls and nothing else.
type Queue struct {
	limit  int            // immutable
	log    *slog.Logger   // immutable
	onLoss func(lost int) // immutable

	mu      sync.Mutex
	waiting []call // oldest first
	running bool   // a goroutine drains the queue
	lost    int    // dropped and not yet told
	closed  bool
}

type call struct {
	run  func()
	keep bool // dropped only when nothing else is left to drop
}

// NewQueue returns a queue in which at most limit calls wait (0: 1024). onLoss is
// called, in order with the other calls, with how many were dropped.
func NewQueue(limit int, log *slog.Logger, onLoss func(lost int)) *Queue {
	if limit <= 0 {
		limit = defaultLimit
	}
	return &Queue{limit: limit, log: log, onLoss: onLoss}
}

// push adds a call. When the queue is full the oldest call without keep goes, and
// when there is none the oldest of all: what comes last is always there.
func (q *Queue) push(c call) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	if len(q.waiting) >= q.limit {
		q.dropOldest()
	}
	q.waiting = append(q.waiting, c)
	if !q.running {
		q.running = true
		go q.drain() // owner: the queue; ends when nothing waits
	}
}

// dropOldest needs mu.
func (q *Queue) dropOldest() {
	oldest := 0
	for i, c := range q.waiting {
		if !c.keep {
			oldest = i
			break
		}
	}
	copy(q.waiting[1:oldest+1], q.waiting[:oldest])
	q.waiting[0] = call{}
	q.waiting = q.waiting[1:]
	q.lost++
}

func (q *Queue) drain() {
	done := false
	defer func() {
		if !done {
			go q.drain() // a listener has called runtime.Goexit; owner and end stay the same
		}
	}()
	for {
		next, ok := q.next()
		if !ok {
			done = true
			return
		}
		next()
	}
}

// next tells a loss before the call that comes after the gap.
func (q *Queue) next() (func(), bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if lost := q.lost; lost > 0 {
		q.lost = 0
		return func() {
			q.log.WarnContext(context.Background(), "listeners too slow: events dropped", "count", lost)
			q.onLoss(lost)
		}, true
	}
	if len(q.waiting) == 0 {
		q.waiting, q.running = nil, false // an idle queue holds no memory
		return nil, false
	}
	c := q.waiting[0]
	q.waiting[0] = call{}
	q.waiting = q.waiting[1:]
	return c.run, true
}

// Close lets what waits run and takes nothing more. It waits for nothing: the
// call that is running may be the one that closes.
func (q *Queue) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

// protect runs one listener: a panic ends the listener, not the program.
func (q *Queue) protect(run func()) {
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			// As text: a handler that writes JSON would ask no value inside p what of it is secret.
			q.log.ErrorContext(context.Background(), "listener panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
		if d := time.Since(start); d > slowAfter {
			q.log.WarnContext(context.Background(), "listener is slow: later events wait for it", "dur", d)
		}
	}()
	run()
}
