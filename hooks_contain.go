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

// given marks the context that a hook was given, under givenKey.
type (
	given    struct{ _ byte }
	givenKey struct{}
)

// bounded returns a context with the values of next that ends with ctx, whatever a hook has made
// next of.
func bounded(ctx, next context.Context) context.Context {
	switch {
	case next == nil:
		return ctx
	case next.Value(givenKey{}) == ctx.Value(givenKey{}):
		return next
	}
	return callContext{ctx, next}
}
