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
	return &Queue{Limit: limit, Log: slog.New(slog.DiscardHandler), OnLoss: func(int) {}}
}

func TestEventsArriveInOrderAtEveryListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0)
		numbers := &Listeners[int]{Queue: q}
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
		numbers, words := &Listeners[int]{Queue: q}, &Listeners[string]{Queue: q}
		var got []any
		numbers.Add(func(n int) { got = append(got, n) })
		words.Add(func(s string) { got = append(got, s) })
		numbers.Emit(1)
		words.EmitKept("a")
		numbers.Emit(2)
		synctest.Wait()
		require.Equal(t, []any{1, "a", 2}, got)
	})
}

func TestStopInsideAListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0)
		numbers := &Listeners[int]{Queue: q}
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
		numbers := &Listeners[int]{Queue: q}
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
		q := &Queue{Log: slog.New(slog.NewTextHandler(&out, nil)), OnLoss: func(int) {}}
		numbers := &Listeners[int]{Queue: q}
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
		numbers := &Listeners[int]{Queue: q}
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
		q := &Queue{Limit: 4, Log: slog.New(slog.DiscardHandler), OnLoss: func(n int) { losses.Deliver(n) }}
		losses = &Listeners[int]{Queue: q}
		losses.Add(func(n int) { lost = append(lost, n) })
		numbers, states := &Listeners[int]{Queue: q}, &Listeners[string]{Queue: q}
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
		states.EmitKept("down")
		for n := range 10 {
			numbers.Emit(n + 1)
		}
		states.EmitKept("up")
		close(release)
		synctest.Wait()
		require.Equal(t, []any{0, "down", 9, 10, "up"}, got)
		require.Equal(t, []int{8}, lost)
	})
}

func TestOnlyKeptEventsAreBoundedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(3)
		states := &Listeners[int]{Queue: q}
		release := make(chan struct{})
		var got []int
		states.Add(func(n int) { <-release; got = append(got, n) })
		for n := range 10 {
			states.EmitKept(n)
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
		numbers := &Listeners[int]{Queue: q}
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
		q := &Queue{Log: slog.New(slog.NewTextHandler(&out, nil)), OnLoss: func(int) {}}
		numbers := &Listeners[int]{Queue: q}
		wait := make(chan struct{})
		numbers.Add(func(int) { <-wait })
		numbers.Emit(1)
		time.AfterFunc(slowAfter+time.Second, func() { close(wait) })
		<-wait
		synctest.Wait()
		require.Contains(t, out.String(), "slow")
	})
}

// In a burst several events leave the queue at a time. Neither a loss nor a listener that ends its goroutine brings them out of order.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 4 * share
		var got []int // a loss is negative
		q := &Queue{Limit: limit, Log: slog.New(slog.DiscardHandler), OnLoss: func(n int) { got = append(got, -n) }}
		numbers := &Listeners[int]{Queue: q}
		held, release := make(chan struct{}), make(chan struct{})
		numbers.Add(func(n int) {
			got = append(got, n)
			switch n {
			case 1, 3:
				held <- struct{}{}
				<-release
			case 4, 6:
				runtime.Goexit()
			}
		})
		numbers.Emit(1)
		<-held
		for n := 2; n <= limit; n++ {
			numbers.Emit(n)
		}
		release <- struct{}{}
		<-held // in 3, while 4 to 6 have left the queue: those after them wait
		for n := limit + 1; n <= 2*limit; n++ {
			numbers.Emit(n)
		}
		close(release)
		synctest.Wait()

		want := []int{1, 2, 3, 4, 5, 6, -(limit - 6)}
		for n := limit + 1; n <= 2*limit; n++ {
			want = append(want, n)
		}
		require.Equal(t, want, got)
	})
}

// Who waits for room before each event loses nothing to listeners that are only slower than the events come.
func TestAwaitRoomLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Limit: 4, Log: slog.New(slog.DiscardHandler), OnLoss: func(int) { t.Error("told a loss") }}
		numbers := &Listeners[int]{Queue: q}
		var got []int
		numbers.Add(func(n int) { time.Sleep(patience/2 - 1); got = append(got, n) })
		for n := range 100 {
			q.AwaitRoom()
			numbers.Emit(n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, got, 100)
		require.IsIncreasing(t, got)
	})
}

func TestAwaitRoomWaitsForAStuckListenerOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := 0
		q := &Queue{Limit: 4, Log: slog.New(slog.DiscardHandler), OnLoss: func(n int) { lost += n }}
		numbers := &Listeners[int]{Queue: q}
		release := make(chan struct{})
		got := 0
		numbers.Add(func(int) { <-release; got++ })
		for round := 1; round <= 3; round++ {
			start := time.Now()
			for n := range 100 {
				q.AwaitRoom()
				numbers.Emit(n)
			}
			require.Equal(t, patience, time.Since(start), "for all of them")
			for range 5 { // the one that runs and the four that wait
				release <- struct{}{}
			}
			synctest.Wait()
			require.Equal(t, 5*round, got)
			require.Equal(t, 95*round, lost)
		}
	})
}

func TestCloseEndsAwaitRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1)
		numbers := &Listeners[int]{Queue: q}
		release := make(chan struct{})
		numbers.Add(func(int) { <-release })
		numbers.Emit(1)
		synctest.Wait() // 1 is stuck, one may wait
		numbers.Emit(2)
		time.AfterFunc(patience/2, q.Close)
		start := time.Now()
		q.AwaitRoom()
		require.Equal(t, patience/2, time.Since(start))
		q.AwaitRoom()
		require.Equal(t, patience/2, time.Since(start))
		close(release)
	})
}

// Slots are used again while the queue is busy, and forgotten when it is idle.
func TestQueueKeepsNoMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(2 * share)
		numbers := &Listeners[int]{Queue: q}
		took := make(chan struct{})
		numbers.Add(func(int) { <-took })
		numbers.Emit(0)
		for n := range 10_000 { // never idle
			numbers.Emit(n)
			took <- struct{}{}
		}
		q.mu.Lock()
		require.LessOrEqual(t, cap(q.slots), 4)
		q.mu.Unlock()
		for n := range 1000 {
			numbers.Emit(n)
		}
		q.mu.Lock()
		require.LessOrEqual(t, cap(q.slots), 8*share)
		q.mu.Unlock()
		close(took)
		synctest.Wait()
		require.Equal(t, [1]call{}, q.first)
		require.Nil(t, q.slots)
		require.Nil(t, q.taken)
	})
}

// An event costs one allocation from Emit to the listeners, whatever its type.
func TestAllocations(t *testing.T) {
	const burst = 500
	q := newQueue(0)
	numbers, profiles := &Listeners[int]{Queue: q}, &Listeners[profile]{Queue: q}
	count, done := 0, make(chan struct{})
	for range 3 {
		profiles.Add(func(profile) { count++ })
	}
	numbers.Add(func(int) {
		if count++; count == 4*burst {
			count = 0
			done <- struct{}{}
		}
	})
	each := testing.AllocsPerRun(20, func() {
		for n := range burst {
			profiles.Emit(profile{"bob"})
			numbers.Emit(1000 + n)
		}
		<-done
	}) / (2 * burst)
	require.LessOrEqual(t, each, 1.1, "the queue grows now and then")
}
