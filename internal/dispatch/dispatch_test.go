package dispatch

import (
	"bytes"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newQueue(limit int) *Queue {
	return NewQueue(limit, slog.New(slog.DiscardHandler), func(int) {})
}

func TestEventsArriveInOrderAtEveryListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0)
		numbers := NewListeners[int](q, false)
		var first, second []int
		numbers.Add(func(n int) { first = append(first, n) })
		numbers.Add(func(n int) { second = append(second, n) })
		for n := range 100 {
			numbers.Emit(n)
		}
		synctest.Wait()
		require.Len(t, first, 100)
		require.IsIncreasing(t, first)
		require.Equal(t, first, second)
	})
}

func TestKindsOfEventsShareOneOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0)
		numbers, words := NewListeners[int](q, false), NewListeners[string](q, true)
		var got []any
		numbers.Add(func(n int) { got = append(got, n) })
		words.Add(func(s string) { got = append(got, s) })
		numbers.Emit(1)
		words.Emit("a")
		numbers.Emit(2)
		synctest.Wait()
		require.Equal(t, []any{1, "a", 2}, got)
	})
}

func TestStopInsideAListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0)
		numbers := NewListeners[int](q, false)
		var got []int
		var stop func()
		stop = numbers.Add(func(n int) {
			got = append(got, n)
			stop()
			stop()
			numbers.Add(func(n int) { got = append(got, -n) })
		})
		numbers.Emit(1)
		numbers.Emit(2)
		synctest.Wait()
		require.Equal(t, []int{1, -2}, got)
	})
}

func TestStopHoldsForEventsAlreadyQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0)
		numbers := NewListeners[int](q, false)
		release := make(chan struct{})
		numbers.Add(func(int) { <-release })
		stop := numbers.Add(func(int) { t.Error("called after stop") })
		numbers.Emit(1)
		synctest.Wait()
		stop()
		close(release)
		synctest.Wait()
	})
}

func TestPanicReachesNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		q := NewQueue(0, slog.New(slog.NewTextHandler(&out, nil)), func(int) {})
		numbers := NewListeners[int](q, false)
		var got []int
		numbers.Add(func(int) { panic("boom") })
		numbers.Add(func(n int) { got = append(got, n) })
		numbers.Emit(1)
		numbers.Emit(2)
		synctest.Wait()
		require.Equal(t, []int{1, 2}, got)
		require.Contains(t, out.String(), "boom")
		require.Contains(t, out.String(), "dispatch_test.go", "the log shows where")
	})
}

func TestListenerThatEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0)
		numbers := NewListeners[int](q, false)
		var got []int
		numbers.Add(nil)
		numbers.Add(func(n int) {
			got = append(got, n)
			if n == 1 {
				runtime.Goexit()
			}
		})
		numbers.Emit(1)
		numbers.Emit(2)
		synctest.Wait()
		numbers.Emit(3)
		synctest.Wait()
		require.Equal(t, []int{1, 2, 3}, got)
	})
}

func TestStuckListenerDropsOldestAndTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost []int
		var losses *Listeners[int]
		q := NewQueue(4, slog.New(slog.DiscardHandler), func(n int) { losses.Deliver(n) })
		losses = NewListeners[int](q, true)
		losses.Add(func(n int) { lost = append(lost, n) })
		numbers, states := NewListeners[int](q, false), NewListeners[string](q, true)
		release := make(chan struct{})
		var once sync.Once
		var got []any
		numbers.Add(func(n int) {
			once.Do(func() { <-release })
			got = append(got, n)
		})
		states.Add(func(s string) { got = append(got, s) })
		numbers.Emit(0)
		synctest.Wait() // 0 is stuck, four may wait
		states.Emit("down")
		for n := range 10 {
			numbers.Emit(n + 1)
		}
		states.Emit("up")
		close(release)
		synctest.Wait()
		require.Equal(t, []any{0, "down", 9, 10, "up"}, got)
		require.Equal(t, []int{8}, lost)
	})
}

func TestOnlyKeptEventsAreBoundedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(3)
		states := NewListeners[int](q, true)
		release := make(chan struct{})
		var got []int
		states.Add(func(n int) { <-release; got = append(got, n) })
		for n := range 10 {
			states.Emit(n)
			synctest.Wait()
		}
		close(release)
		synctest.Wait()
		require.Equal(t, []int{0, 7, 8, 9}, got)
	})
}

func TestCloseDeliversWhatWaitsAndTakesNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0)
		numbers := NewListeners[int](q, false)
		var got []int
		both := make(chan struct{})
		numbers.Add(func(n int) {
			<-both
			got = append(got, n)
			q.Close()
			numbers.Emit(n + 100)
		})
		numbers.Emit(1)
		numbers.Emit(2)
		close(both)
		synctest.Wait()
		require.Equal(t, []int{1, 2}, got)
	})
}

func TestSlowListenerIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		q := NewQueue(0, slog.New(slog.NewTextHandler(&out, nil)), func(int) {})
		numbers := NewListeners[int](q, false)
		wait := make(chan struct{})
		numbers.Add(func(int) { <-wait })
		numbers.Emit(1)
		time.AfterFunc(slowAfter+time.Second, func() { close(wait) })
		<-wait
		synctest.Wait()
		require.Contains(t, out.String(), "slow")
	})
}

func BenchmarkDispatchTo10Listeners(b *testing.B) {
	const burst = 1000 // fits the queue: nothing is dropped
	q := newQueue(burst)
	numbers := NewListeners[int](q, false)
	var done sync.WaitGroup
	for range 10 {
		numbers.Add(func(int) { done.Done() })
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		done.Add(10)
		numbers.Emit(n)
		if n%burst == burst-1 {
			done.Wait()
		}
	}
	done.Wait()
}
