package dispatch

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Listeners are the functions that want one kind of event. They are part of what has them: a client has many kinds, and most have
// no listener.
type Listeners[T any] struct {
	Queue *Queue // immutable; what their events go through
	Keep  bool   // immutable; an event is dropped only when nothing else is left to drop

	mu   sync.Mutex
	list atomic.Pointer[[]*listener[T]] // replaced under mu, never changed in place
}

type listener[T any] struct {
	f       func(T)
	stopped atomic.Bool
}

// Add registers f. The function that it returns removes f again: once it has
// returned, no new call of f starts. It may be called any number of times, also by f.
// A nil f is nobody.
func (l *Listeners[T]) Add(f func(T)) (stop func()) {
	if f == nil {
		return func() {}
	}
	added := &listener[T]{f: f}
	l.mu.Lock()
	defer l.mu.Unlock()
	next := append(slices.Clone(l.load()), added)
	l.list.Store(&next)
	return func() { l.remove(added) }
}

func (l *Listeners[T]) remove(gone *listener[T]) {
	gone.stopped.Store(true) // also for events that are already on their way
	l.mu.Lock()
	defer l.mu.Unlock()
	next := slices.DeleteFunc(slices.Clone(l.load()), func(x *listener[T]) bool { return x == gone })
	l.list.Store(&next)
}

func (l *Listeners[T]) load() []*listener[T] {
	if p := l.list.Load(); p != nil {
		return *p
	}
	return nil
}

// Emit queues event for the listeners that are registered when its turn comes.
func (l *Listeners[T]) Emit(event T) {
	if len(l.load()) == 0 {
		return
	}
	l.Queue.push(call{deliverer: &delivery[T]{l, event}, keep: l.Keep})
}

// delivery is an event and whom it is for, in one piece of memory.
type delivery[T any] struct {
	to    *Listeners[T]
	event T
}

func (d *delivery[T]) deliver() {
	for _, each := range d.to.load() {
		if !each.stopped.Load() {
			d.to.Queue.protect(func() { each.f(d.event) })
		}
	}
}

// Deliver calls the listeners at once. Only for what runs in the queue already, such as onLoss: telling
// a loss through a full queue would lose the next event.
func (l *Listeners[T]) Deliver(event T) { (&delivery[T]{l, event}).deliver() }
