package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/dispatch"
	"github.com/mirrorfly-go/sdk/internal/observe"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// Each counter has a place of its own in Stats.
func TestStatsReadTheirCounters(t *testing.T) {
	c := newClient(t, Config{LicenseKey: "k", APIBaseURL: "https://api.example.com"})
	counters := reflect.ValueOf(&c.observer.Counters).Elem()
	names := map[string]string{"Ignored": "StanzasIgnored"}
	got := func() reflect.Value { return reflect.ValueOf(c.Stats()) }
	for i := range counters.NumField() {
		counters.Field(i).Addr().Interface().(*atomic.Int64).Store(int64(1000 + i))
	}
	for i := range counters.NumField() {
		name := counters.Type().Field(i).Name
		if other, has := names[name]; has {
			name = other
		}
		require.EqualValues(t, 1000+i, got().FieldByName(name).Int(), name)
	}
	require.Equal(t, counters.NumField()+1, got().NumField(), "EventsWaiting is not counted")
}

// Where nobody wants to know, nothing is allocated for it.
func TestNilHooksCostNothing(t *testing.T) {
	for name, hooks := range map[string]*Hooks{"none": nil, "empty": {}} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, Config{LicenseKey: "k", APIBaseURL: "https://api.example.com", Hooks: hooks})
			ctx, request := t.Context(), observe.Request{Kind: observe.HTTP, Name: "login", Attempt: 1}
			require.Zero(t, testing.AllocsPerRun(100, func() {
				within, watched := c.beginCall(ctx, "GetLastSeen")
				below, done := c.observer.StartRequest(within, request)
				if below != ctx || done != nil {
					panic("there is no hook")
				}
				c.observer.Frame(true, 100)
				c.observer.Ignore("no reason")
				c.observer.Overrun()
				c.noteMessage(MessageReceived)
				watched.end(nil)
			}))
			l := &login{client: c}
			require.Zero(t, testing.AllocsPerRun(100, func() {
				within, watched := l.beginConnect(ctx, ConnectInfo{})
				watched.end(within, nil, context.Canceled)
				c.noteDisconnect(ConnectionEvent{}, 0)
			}))
		})
	}
}

// The call of listeners allocates for the hook alone.
func TestEventsWithoutHooksCostNothing(t *testing.T) {
	allocated := func(o *observe.Observer) float64 {
		q := &dispatch.Queue{Log: slog.New(slog.DiscardHandler), Observer: o}
		var l dispatch.Listeners[PresenceEvent]
		l.Add(func(PresenceEvent) {})
		return testing.AllocsPerRun(100, func() { l.Deliver(q, PresenceEvent{}) })
	}
	plain := allocated(nil)
	require.Equal(t, plain, allocated(new(observe.Observer)))
	require.Greater(t, allocated(&observe.Observer{
		Hooks: &observe.Hooks{Event: func(observe.Event) {}},
	}), plain, "what is measured is seen")
}

// Of two objects of a session that is idle the sizes are those of a class of the allocator.
func TestSizeOfAClient(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("the bounds are for 64 bits")
	}
	// With the 8 bytes that the allocator adds, it fills a class of 1024.
	require.LessOrEqual(t, unsafe.Sizeof(Client{}), uintptr(1016))
	require.LessOrEqual(t, unsafe.Sizeof(login{}), uintptr(288))
	require.LessOrEqual(t, unsafe.Sizeof(observe.Observer{}), uintptr(176))
}

// What a server calls its refusal is told as far as the RFC knows it: there are no more labels than
// that.
func TestConditionsAreFew(t *testing.T) {
	refusal := func(condition string) error {
		return fmt.Errorf("xmpp: %w", &xmpp.StanzaError{Condition: condition})
	}
	require.Equal(t, "item-not-found", conditionOf(refusal("item-not-found")))
	require.Equal(t, "undefined-condition", conditionOf(refusal("alice-was-here")))
	require.Empty(t, conditionOf(context.Canceled))
	require.Empty(t, conditionOf(nil))
}

// Of several sentinels the one that says most is told.
func TestSentinelThatSaysMost(t *testing.T) {
	require.Equal(t, ErrReplaced, (&Error{kind: errors.Join(ErrNotConnected, ErrReplaced)}).sentinel())
	require.Equal(t, ErrNetwork, (&Error{kind: errUnreachable}).sentinel())
	require.Equal(t, ErrClosed, errClosed.sentinel())
	require.NoError(t, (&Error{}).sentinel())
}

// What counting, and looking for hooks that are not there, costs a request.
func BenchmarkNilHooks(b *testing.B) {
	c, err := New(Config{LicenseKey: "k", APIBaseURL: "https://api.example.com"})
	require.NoError(b, err)
	ctx, request := b.Context(), observe.Request{Kind: observe.IQ, Name: "last activity", Attempt: 1}
	for b.Loop() {
		within, watched := c.beginCall(ctx, "GetLastSeen")
		_, _ = c.observer.StartRequest(within, request)
		c.observer.Frame(true, 100)
		c.observer.Frame(false, 100)
		watched.end(nil)
	}
}

// What is below the context of a hook ends in the moment in which that of the caller does, and
// knows why: package context needs no goroutine for it.
func TestContextOfAHookEndsAtOnce(t *testing.T) {
	for name, make := range map[string]func(context.Context) context.Context{
		"another": func(context.Context) context.Context {
			ctx, cancel := context.WithCancelCause(context.Background())
			cancel(errors.New("another cause"))
			return ctx
		},
		"below": func(ctx context.Context) context.Context {
			ctx, cancel := context.WithCancel(ctx)
			t.Cleanup(cancel)
			return ctx
		},
		"below, without an end": context.WithoutCancel,
	} {
		t.Run(name, func(t *testing.T) {
			caller, end := context.WithCancelCause(t.Context())
			start := containStart(nil, "", func(ctx context.Context, _ CallInfo) (context.Context, func(CallDone)) {
				return make(ctx), nil
			})
			ctx, _ := start(caller, CallInfo{})
			below, cancel := context.WithCancel(ctx)
			defer cancel()
			require.NoError(t, below.Err())
			end(errClosed)
			require.ErrorIs(t, below.Err(), context.Canceled)
			require.Equal(t, error(errClosed), context.Cause(ctx))
			require.Equal(t, error(errClosed), context.Cause(below))
		})
	}
}
