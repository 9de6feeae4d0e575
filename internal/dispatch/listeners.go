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

	all list
}

// list is the same for all kinds of events, so that a program has it once.
type list struct {
	mu      sync.Mutex
	current atomic.Pointer[[]*listener] // replaced under mu, never changed in place
}

type listener struct {
	f       any // func(T)
	stopped atomic.Bool
}

// Add registers f. The function that it returns removes f again: once it has
// returned, no new call of f starts. It may be called any number of times, also by f.
// A nil f is nobody.
func (l *Listeners[T]) Add(f func(T)) (stop func()) {
	if f == nil {
		return func() {}
	}
	return l.all.add(&listener{f: f})
}

func (l *list) add(added *listener) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := append(slices.Clone(l.load()), added)
	l.current.Store(&next)
	return func() { l.remove(added) }
}

func (l *list) remove(gone *listener) {
	gone.stopped.Store(true) // also for events that are already on their way
	l.mu.Lock()
	defer l.mu.Unlock()
	next := slices.DeleteFunc(slices.Clone(l.load()), func(x *listener) bool { return x == gone })
	l.current.Store(&next)
}

func (l *list) load() []*listener {
	if p := l.current.Load(); p != nil {
		return *p
	}
	return nil
}

// Emit queues event for the listeners that are registered when its turn comes.
func (l *Listeners[T]) Emit(event T) {
	if len(l.all.load()) == 0 {
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
	for _, each := range d.to.all.load() {
		if !each.stopped.Load() {
			d.to.Queue.protect(func() { each.f.(func(T))(d.event) })
		}
	}
}

// Deliver calls the listeners at once. Only for what runs in the queue already, such as onLoss: telling
// a loss through a full queue would lose the next event.
func (l *Listeners[T]) Deliver(event T) { (&delivery[T]{l, event}).deliver() }
