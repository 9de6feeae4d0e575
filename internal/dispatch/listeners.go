package dispatch

import (
	"slices"
	"sync/atomic"
)

// Listeners are the functions that want one kind of event. They are part of what has them: a client has many kinds, and most have
// no listener.
type Listeners[T any] struct {
	Queue *Queue // immutable; what their events go through

	all list
}

// list is the same for all kinds of events, so that a program has it once.
type list struct {
	current atomic.Pointer[[]*listener] // replaced, never changed in place
}

type listener struct {
	f       any // func(T)
	stopped atomic.Bool
}

// Add registers f. The function that it returns removes f again: once it has
// returned, no call of f comes any more, but one that was just about to start. It may be called any number of times, also by f.
// A nil f is nobody.
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
	gone.stopped.Store(true) // also for events that are already on their way
	l.change(func(all []*listener) []*listener {
		return slices.DeleteFunc(all, func(x *listener) bool { return x == gone })
	})
}

// change replaces l by what f makes of a copy of it, which it may be asked to do again when somebody else was faster.
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

// Emit queues event for the listeners that are registered when its turn comes. It never waits.
func (l *Listeners[T]) Emit(event T, w Weight) {
	if len(l.all.load()) > 0 {
		l.push(event, w)
	}
}

// EmitPaced is Emit for who takes events off the network: it gives listeners that keep up up to 100
// ms to make room.
func (l *Listeners[T]) EmitPaced(event T, w Weight) {
	if len(l.all.load()) > 0 {
		l.Queue.awaitRoom(w)
		l.push(event, w)
	}
}

func (l *Listeners[T]) push(event T, w Weight) {
	l.Queue.push(call{deliverer: &delivery[T]{l, event}, Weight: w})
}

// delivery is an event and whom it is for, in one piece of memory.
type delivery[T any] struct {
	to    *Listeners[T]
	event T
}

func (d *delivery[T]) deliver() {
	for _, each := range d.to.all.load() {
		if !each.stopped.Load() {
			d.to.Queue.protect(func() { each.f.(func(T))(d.event) })
		}
	}
}

// Deliver calls the listeners at once. Only for what runs in the queue already, such as onLoss: telling
// a loss through a full queue would lose the next event.
func (l *Listeners[T]) Deliver(event T) { (&delivery[T]{l, event}).deliver() }
