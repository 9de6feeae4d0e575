package signal

import (
	"context"
	"slices"
	"sync"
)

const (
	// maxWaiting is how many events may wait for the reader.
	maxWaiting = 64
	// maxWaitingBytes is how long these events may be in all.
	maxWaitingBytes = 4 << 20
)

// queue holds events between the connection, which must not wait, and the reader.
type queue struct {
	// wake has an element after each change. It is immutable.
	wake chan struct{}

	mu sync.Mutex
	// events are in order, oldest first.
	events []Event
	// bytes is the size of all events.
	bytes int
	ended bool
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// push adds ev and returns how many others it has dropped.
func (q *queue) push(ev Event) (lost int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.events) >= maxWaiting || (len(q.events) > 0 && q.bytes+ev.size() > maxWaitingBytes) {
		q.removeLocked(q.oldestLocked(ev.Name))
		lost++
	}
	q.events = append(q.events, ev)
	q.bytes += ev.size()
	q.signal()
	return lost
}

// oldestLocked is the index of the oldest event of that name, or of any when there is none.
func (q *queue) oldestLocked(name string) int {
	for i, ev := range q.events {
		if ev.Name == name {
			return i
		}
	}
	return 0
}

func (q *queue) removeLocked(i int) Event {
	ev := q.events[i]
	q.events = slices.Delete(q.events, i, i+1)
	q.bytes -= ev.size()
	return ev
}

// end lets deliver return once it has handed over the events that wait.
func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// deliver sends the events to out. At the end of ctx or of the queue it closes out.
func (q *queue) deliver(ctx context.Context, out chan<- Event) {
	defer close(out)
	for {
		ev, ok, ended := q.pop()
		if !ok && ended {
			return
		}
		if !ok {
			select {
			case <-q.wake:
			case <-ctx.Done():
				return
			}
			continue
		}
		select {
		case out <- ev:
		case <-ctx.Done():
			return
		}
	}
}

func (q *queue) pop() (ev Event, ok, ended bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.events) == 0 {
		return Event{}, false, q.ended
	}
	return q.removeLocked(0), true, q.ended
}

func (ev Event) size() int {
	n := len(ev.Name)
	for _, arg := range ev.Args {
		n += len(arg)
	}
	return n
}
