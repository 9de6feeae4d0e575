package dispatch

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"
)

// drain makes the calls in taken, and those that wait, one after the other.
func (q *Queue) drain(taken *batch) {
	growStack()
	finished := false
	defer func() {
		if !finished {
			q.Log.ErrorContext(context.Background(), "listener has ended its goroutine")
			// A listener has called runtime.Goexit. Owner and end stay the same.
			go q.drain(taken)
		}
	}()
	for start := time.Now(); ; {
		next := taken.pop()
		if next == nil {
			next, taken = q.take(taken)
		}
		if next == nil {
			finished = true
			return
		}
		next.deliver(q)
		if !taken.empty() {
			continue
		}
		end := time.Now()
		if d := end.Sub(start); d > slowAfter {
			q.Log.WarnContext(context.Background(), "listeners are slow: later events wait for them", "dur", d)
		}
		start = end
	}
}

// growStack has a new goroutine take at once the stack that listeners mostly need. Growing from
// step to step, with ever more on it, is a twentieth of the CPU time of a message.
//
//go:noinline
func growStack() {
	var room [6 << 10]byte
	runtime.KeepAlive(&room)
}

// take returns the next call, and b, which must be empty, with calls behind it; nil: nothing waits,
// and the queue is idle now. The news of a loss comes before the call behind the gap.
func (q *Queue) take(b *batch) (deliverer, *batch) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lost != (Loss{}) {
		l := q.lost
		q.lost = Loss{}
		return l, b
	}
	if q.head == len(q.slots) {
		q.idleLocked()
		return nil, nil
	}
	d := q.popLocked()
	b = q.fillLocked(b)
	if q.withinLocked(q.limit()/2, maxBytes/2) {
		q.freeLocked()
	}
	return d, b
}

// protect runs one listener: a panic ends the listener, not the program. It reports whether the
// listener has returned by itself.
func (q *Queue) protect(run func()) (returned bool) {
	defer func() {
		if p := recover(); p != nil {
			// As text: a handler that writes JSON would show what is secret in p.
			q.Log.ErrorContext(
				context.Background(), "listener panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()),
			)
		}
	}()
	run()
	return true
}
