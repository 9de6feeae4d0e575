package sdk

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestCallEndsWithItsLifetime(t *testing.T) {
	var l lifetime
	before := l.begin(t.Context(), time.Minute)
	require.NoError(t, before.Err())
	require.False(t, l.ended())

	goroutines := runtime.NumGoroutine()
	var below []context.Context
	for range 100 { // what net/http and the WebSocket library do
		ctx, cancel := context.WithCancel(before)
		defer cancel()
		below = append(below, ctx)
	}
	require.Less(t, runtime.NumGoroutine(), goroutines+50, "a context below it costs a goroutine")

	l.end(errClosed)
	l.end(errors.New("again"))
	require.True(t, l.ended())
	after := l.begin(t.Context(), 0)
	for _, ctx := range append(below, before, after) {
		<-ctx.Done()
		require.ErrorIs(t, ctx.Err(), context.Canceled)
		require.Equal(t, error(errClosed), context.Cause(ctx))
	}
	before.over()
	after.over()
	require.Equal(t, error(errClosed), context.Cause(before), "the first cause counts")
}

func TestCallThatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lifetime
		start := time.Now()
		k := l.begin(context.Background(), time.Minute)
		below, cancel := context.WithTimeout(k, time.Hour)
		defer cancel()
		for _, ctx := range []context.Context{k, below} {
			until, has := ctx.Deadline()
			require.True(t, has)
			require.Equal(t, start.Add(time.Minute), until)
		}
		<-below.Done()
		require.Equal(t, time.Minute, time.Since(start))
		for _, ctx := range []context.Context{k, below} {
			require.Equal(t, context.DeadlineExceeded, ctx.Err())
			require.Equal(t, context.DeadlineExceeded, context.Cause(ctx))
		}
		k.over()
		require.Equal(t, context.DeadlineExceeded, k.Err())
	})
}

// WaitConnected waits as long as its caller does: RequestTimeout is not for it.
func TestWaitConnectedIsUnbounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, Config{LicenseKey: "k", APIBaseURL: "https://api.example.com"})
		c.setConnecting(true)
		go func() {
			time.Sleep(24 * c.cfg.RequestTimeout)
			c.setConnecting(false)
		}()
		start := time.Now()
		require.ErrorIs(t, c.WaitConnected(context.Background()), ErrNotRegistered)
		require.Equal(t, 24*c.cfg.RequestTimeout, time.Since(start))
	})
}

func TestCallGoesByItsCaller(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		var l lifetime
		start := time.Now()
		theirs, cancel := context.WithTimeout(context.WithValue(context.Background(), key{}, "value"), time.Hour)
		defer cancel()
		k := l.begin(theirs, time.Minute)
		defer k.over()
		require.Equal(t, "value", k.Value(key{}))
		until, has := k.Deadline()
		require.True(t, has)
		require.Equal(t, start.Add(time.Hour), until, "he has said how long")
		<-k.Done()
		require.Equal(t, time.Hour, time.Since(start))
		require.Equal(t, context.DeadlineExceeded, k.Err())
	})
	var l lifetime
	theirs, cancel := context.WithCancelCause(t.Context())
	k := l.begin(theirs, time.Minute)
	defer k.over()
	why := errors.New("enough")
	cancel(why)
	require.Equal(t, context.Canceled, k.Err())
	require.Equal(t, why, context.Cause(k))

	theirs, cancel = context.WithCancelCause(t.Context())
	k = l.begin(theirs, time.Minute)
	defer k.over()
	cancel(context.DeadlineExceeded)
	require.Equal(t, context.Canceled, k.Err(), "it was cancelled, whatever for")
}

// Calls begin and end in any order, at once, while the lifetime ends: each of them ends, and nothing of them stays.
func TestCallsAtOnce(t *testing.T) {
	var l lifetime
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var under []*call
			for range 500 {
				under = append(under, l.begin(context.Background(), time.Minute))
				if rand.N(3) == 0 {
					i := rand.N(len(under))
					under[i].over()
					under[i].over()
					under = append(under[:i], under[i+1:]...)
				}
			}
			for !l.ended() {
				runtime.Gosched()
			}
			for _, k := range under {
				<-k.Done()
				k.over()
			}
		})
	}
	l.end(errClosed)
	wg.Wait()
	require.Nil(t, l.ties)
}

// The runtime hands out memory in sizes, here 1024 of which it needs 8. One more field, and each client takes 128 bytes more.
func TestClientFitsItsSize(t *testing.T) {
	require.LessOrEqual(t, unsafe.Sizeof(Client{}), uintptr(1016))
}
