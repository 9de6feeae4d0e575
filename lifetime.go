package sdk

import (
	"context"
	"errors"
	"sync"
	"time"
)

// lifetime is that of a Client, or of a login. What ends with it is bound to it. A context would do the same, but keeps the room
// for its children for as long as it lasts, and binding a call to one takes as many allocations as all the rest of a request.
// The zero value has begun.
type lifetime struct {
	mu    sync.Mutex
	cause error // why it is over; nil: it is not
	ties  *tie  // a list, the youngest first
}

// tie binds one who ends to a lifetime.
type tie struct {
	who        interface{ end(cause error) }
	prev, next *tie // guarded by lifetime.mu
}

// bind has t's who end when l does, for the same cause: at once if that has been. It holds until release.
func (l *lifetime) bind(t *tie) {
	l.mu.Lock()
	cause := l.cause
	if cause == nil {
		if t.next = l.ties; t.next != nil {
			t.next.prev = t
		}
		l.ties = t
	}
	l.mu.Unlock()
	if cause != nil {
		t.who.end(cause)
	}
}

// release undoes bind, also if that has been done.
func (l *lifetime) release(t *tie) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.prev != nil {
		t.prev.next = t.next
	} else if l.ties == t {
		l.ties = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	t.prev, t.next = nil, nil
}

// ended reports whether l is over. Those that are bound to it have ended, or do so right now.
func (l *lifetime) ended() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cause != nil
}

// end ends l. Only the first cause counts.
func (l *lifetime) end(cause error) {
	l.mu.Lock()
	if l.cause == nil {
		l.cause = cause
	}
	cause = l.cause
	var bound []*tie
	for t := l.ties; t != nil; t = t.next {
		bound = append(bound, t)
	}
	l.mu.Unlock()
	for _, t := range bound {
		t.who.end(cause)
	}
}

// call is the context of something that is under way: the caller's, which also ends with a lifetime, and when its time is over.
type call struct {
	context.Context
	cancel context.CancelCauseFunc
	stop   context.CancelFunc // of the call's own time, or nil
	life   *lifetime
	tie    tie
}

// begin makes the context of what may take as long as ctx says, and if that says nothing, for timeout; 0: for ever.
func (l *lifetime) begin(ctx context.Context, timeout time.Duration) *call {
	k := &call{life: l}
	k.tie.who = k
	k.Context, k.cancel = context.WithCancelCause(ctx)
	if _, has := ctx.Deadline(); !has && timeout > 0 {
		k.Context, k.stop = context.WithTimeout(k.Context, timeout)
	}
	l.bind(&k.tie)
	return k
}

// givenUp reports whether the caller's context has ended it, not its own time.
func (k *call) givenUp() bool {
	err := k.Err()
	return err != nil && (k.stop == nil || !errors.Is(err, context.DeadlineExceeded))
}

// over says that it is done.
func (k *call) over() {
	k.life.release(&k.tie)
	if k.stop != nil {
		k.stop()
	}
	k.cancel(nil)
}

func (k *call) end(cause error) { k.cancel(cause) }
