package dispatch

import (
	"slices"
	"sync/atomic"
)

// Listeners are the functions that want one kind of event. Its zero value has none: a client has
// many kinds of events, and most have no listener. All methods are given the queue that the events
// go through.
type Listeners[T any] struct{ all list }

// list is the part of Listeners that does not depend on the kind of event: a program holds its code
// once, not once for each kind.
type list struct {
	// current is replaced and never changed in place, so it can be read without a lock.
	current atomic.Pointer[[]*listener]
}

type listener struct {
	// f is a func(T).
	f       any
	stopped atomic.Bool
}

// Add registers f. The function that it returns removes f again: once that has returned, no call of
// f begins any more, except one that was just about to begin. It may be called any number of times,
// also by f. A nil f is ignored.
func (l *Listeners[T]) Add(f func(T)) (stop func()) {
	if f == nil {
		return func() {}
	}
	return l.all.add(&listener{f: f})
}

func (l *list) add(added *listener) (stop func()) {
	l.change(func(all []*listener) []*listener { return append(all, added) })
	return func() { l.remove(added) }
}

func (l *list) remove(gone *listener) {
	// Events that are already on their way have the old list: they must not call it either.
	gone.stopped.Store(true)
	l.change(func(all []*listener) []*listener {
		return slices.DeleteFunc(all, func(x *listener) bool { return x == gone })
	})
}

// change replaces the list by what f makes of a copy of it. When another call has replaced the list
// meanwhile, f is called again with the new one.
func (l *list) change(f func([]*listener) []*listener) {
	for {
		old := l.current.Load()
		var all []*listener
		if old != nil {
			all = slices.Clone(*old)
		}
		all = f(all)
		if l.current.CompareAndSwap(old, &all) {
			return
		}
	}
}

func (l *list) load() []*listener {
	if p := l.current.Load(); p != nil {
		return *p
	}
	return nil
}

// Emit queues event for the listeners that are registered when its turn comes. It never waits. The
// fate of what it drops is told at once: its caller must hold no lock.
func (l *Listeners[T]) Emit(q *Queue, event T, w Weight) {
	if len(l.all.load()) > 0 {
		l.push(q, event, w)
	}
}

// EmitLocked is Emit for a caller that holds a lock. It tells the fate of nothing: its caller does,
// under no lock.
func (l *Listeners[T]) EmitLocked(q *Queue, event T, w Weight) Dropping {
	if len(l.all.load()) == 0 {
		return nil
	}
	return q.add(l.call(event, w))
}

// EmitPaced is Emit for a caller that reads events from the network. When the queue is full, it
// gives the listeners up to 100 ms to make room.
func (l *Listeners[T]) EmitPaced(q *Queue, event T, w Weight) {
	if len(l.all.load()) > 0 {
		q.awaitRoom(w)
		l.push(q, event, w)
		q.tellDrops()
	}
}

func (l *Listeners[T]) push(q *Queue, event T, w Weight) { q.push(l.call(event, w)) }

func (l *Listeners[T]) call(event T, w Weight) call {
	return call{deliverer: &delivery[T]{l, event}, Weight: w}
}

// delivery is an event and its listeners, in one allocation.
type delivery[T any] struct {
	to    *Listeners[T]
	event T
}

func (d *delivery[T]) deliver(q *Queue) { q.run(d) }

func (d *delivery[T]) listeners() []*listener { return d.to.all.load() }

func (d *delivery[T]) value() any { return d.event }

// call calls one listener, unless it has been removed. It reports whether it was there, and whether
// it has returned by itself.
func (d *delivery[T]) call(q *Queue, each *listener) (there, returned bool) {
	if each.stopped.Load() {
		return false, false
	}
	return true, q.protect(func() { each.f.(func(T))(d.event) })
}

// Deliver calls the listeners at once. It is only for calls that the queue makes, such as OnLoss:
// to emit the news of a loss into a full queue would drop one more event.
func (l *Listeners[T]) Deliver(q *Queue, event T) { (&delivery[T]{l, event}).deliver(q) }
