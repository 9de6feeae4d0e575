package sdk

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
)

// contain returns hooks that do what those of h do, and that nothing goes wrong in. nil stays nil.
// Of those that were joined each is contained for itself.
func (h *Hooks) contain(log *slog.Logger) *Hooks {
	if h == nil {
		return nil
	}
	if len(h.joined) > 0 {
		each := make([]*Hooks, len(h.joined))
		for i, part := range h.joined {
			each[i] = part.contain(log)
		}
		return JoinHooks(each...)
	}
	return &Hooks{
		StartCall:    containStart(log, "StartCall", h.StartCall),
		StartRequest: containStart(log, "StartRequest", h.StartRequest),
		StartConnect: containStart(log, "StartConnect", h.StartConnect),
		Disconnected: contain(log, "Disconnected", h.Disconnected),
		Frame:        contain(log, "Frame", h.Frame),
		Ignored:      contain(log, "Ignored", h.Ignored),
		Message:      contain(log, "Message", h.Message),
		Event:        contain(log, "Event", h.Event),
		Dropped:      contain(log, "Dropped", h.Dropped),
		Client:       contain(log, "Client", h.Client),
	}
}

// fence catches the panics of one hook, and logs the first.
type fence struct {
	log  *slog.Logger
	name string
	once sync.Once
}

// catch is to be deferred.
func (f *fence) catch() {
	if p := recover(); p != nil {
		f.once.Do(func() {
			// As text: a handler that writes JSON would show what is secret in p.
			f.log.ErrorContext(context.Background(), "hook panicked",
				"hook", f.name, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		})
	}
}

func contain[I any](log *slog.Logger, name string, hook func(I)) func(I) {
	return fenced(&fence{log: log, name: name}, hook)
}

func fenced[I any](f *fence, hook func(I)) func(I) {
	if hook == nil {
		return nil
	}
	return func(info I) {
		defer f.catch()
		hook(info)
	}
}

func containStart[I, D any](log *slog.Logger, name string, hook startHook[I, D]) startHook[I, D] {
	if hook == nil {
		return nil
	}
	f := &fence{log: log, name: name}
	return func(ctx context.Context, info I) (context.Context, func(D)) {
		ctx = context.WithValue(ctx, givenKey{}, new(given))
		next, done := startFenced(f, ctx, info, hook)
		return bounded(ctx, next), fenced(f, done)
	}
}

// startFenced returns nothing for a hook that has panicked.
func startFenced[I, D any](
	f *fence, ctx context.Context, info I, hook startHook[I, D],
) (next context.Context, done func(D)) {
	defer f.catch()
	return hook(ctx, info)
}

// given marks the context that a hook was given, under givenKey: one that descends from it has the
// mark.
type (
	given    struct{ _ byte }
	givenKey struct{}
)

// bounded returns a context with the values of next that ends with ctx, whatever a hook has made
// next of.
func bounded(ctx, next context.Context) context.Context {
	if next == nil || next == ctx {
		return ctx
	}
	return hookContext{ctx, next, next.Value(givenKey{}) == ctx.Value(givenKey{})}
}

// hookContext is the context that a hook has returned, as far as it counts: its values. All else is
// that of the context which the hook was given.
type hookContext struct {
	context.Context
	hooks context.Context
	// complete: hooks has the values of the other one, too. So nothing is looked for twice.
	complete bool
}

// Value returns that of the hook's context first.
func (c hookContext) Value(key any) any {
	if key == canceller {
		return c.Context.Value(key)
	}
	if value := c.hooks.Value(key); value != nil || c.complete {
		return value
	}
	return c.Context.Value(key)
}

// canceller is the key under which package context finds what ends a context. It has to find that
// of hookContext's own Done: else it takes a goroutine for each context below, and knows no cause.
var canceller = func() any {
	seen := &keySeen{Context: context.Background()}
	_ = context.Cause(seen) // it looks for the canceller of seen
	return seen.key
}()

// keySeen is a context that has ended, and notes the key that it is asked for.
type keySeen struct {
	context.Context
	key any
}

func (*keySeen) Err() error { return context.Canceled }

func (c *keySeen) Value(key any) any {
	c.key = key
	return nil
}
