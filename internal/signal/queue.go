package signal

import (
	"context"
	"slices"
	"sync"
)

const (
	// events that wait for the reader
	maxWaiting = 64
	// of arguments that wait for the reader
	maxWaitingBytes = 4 << 20
)

// queue holds events between the connection, which must not wait, and the reader.
type queue struct {
	// immutable; has an element after each change
	wake chan struct{}

	mu sync.Mutex
	// oldest first
	events []Event
	// of all events
	bytes int
	ended bool
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// push adds ev and reports how many others it has pushed out.
func (q *queue) push(ev Event) (lost int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.events) >= maxWaiting || (len(q.events) > 0 && q.bytes+ev.size() > maxWaitingBytes) {
		q.remove(q.oldest(ev.Name))
		lost++
	}
	q.events = append(q.events, ev)
	q.bytes += ev.size()
	q.signal()
	return lost
}

// oldest is the index of the oldest event of that name, or of any when there is none.
func (q *queue) oldest(name string) int {
	for i, ev := range q.events {
		if ev.Name == name {
			return i
		}
	}
	return 0
}

func (q *queue) remove(i int) Event {
	ev := q.events[i]
	q.events = slices.Delete(q.events, i, i+1)
	q.bytes -= ev.size()
	return ev
}

// end lets deliver return when it has handed over what waits.
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

// deliver hands events to out and closes it, at the end of ctx or of the queue.
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
	return q.remove(0), true, q.ended
}

func (ev Event) size() int {
	n := len(ev.Name)
	for _, arg := range ev.Args {
		n += len(arg)
	}
	return n
}
