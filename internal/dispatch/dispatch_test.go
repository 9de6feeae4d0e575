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
	return &Queue{Limit: limit, Log: slog.New(slog.DiscardHandler), OnLoss: func(Loss) {}}
}

func TestEventsArriveInOrderAtEveryListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0)
		numbers := new(Listeners[int])
		var first, second []int
		numbers.Add(func(n int) { first = append(first, n) })
		numbers.Add(func(n int) { second = append(second, n) })
		for n := range 100 {
			numbers.Emit(q, n, Weight{})
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
		numbers, words := new(Listeners[int]), new(Listeners[string])
		var got []any
		numbers.Add(func(n int) { got = append(got, n) })
		words.Add(func(s string) { got = append(got, s) })
		numbers.Emit(q, 1, Weight{})
		words.Emit(q, "a", Weight{Rank: 1})
		numbers.Emit(q, 2, Weight{})
		synctest.Wait()
		require.Equal(t, []any{1, "a", 2}, got)
	})
}

func TestStopInsideAListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0)
		numbers := new(Listeners[int])
		var got []int
		var stop func()
		stop = numbers.Add(func(n int) {
			got = append(got, n)
			stop()
			stop()
			numbers.Add(func(n int) { got = append(got, -n) })
		})
		numbers.Emit(q, 1, Weight{})
		numbers.Emit(q, 2, Weight{})
		synctest.Wait()
		require.Equal(t, []int{1, -2}, got)
	})
}

func TestStopHoldsForEventsAlreadyQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0)
		numbers := new(Listeners[int])
		release := make(chan struct{})
		numbers.Add(func(int) { <-release })
		stop := numbers.Add(func(int) { t.Error("called after stop") })
		numbers.Emit(q, 1, Weight{})
		synctest.Wait()
		stop()
		close(release)
		synctest.Wait()
	})
}

func TestPanicReachesNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		q := &Queue{Log: slog.New(slog.NewTextHandler(&out, nil)), OnLoss: func(Loss) {}}
		numbers := new(Listeners[int])
		var got []int
		numbers.Add(func(int) { panic("boom") })
		numbers.Add(func(n int) { got = append(got, n) })
		numbers.Emit(q, 1, Weight{})
		numbers.Emit(q, 2, Weight{})
		synctest.Wait()
		require.Equal(t, []int{1, 2}, got)
		require.Contains(t, out.String(), "boom")
		require.Contains(t, out.String(), "dispatch_test.go", "the log shows where")
	})
}

func TestListenerThatEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0)
		numbers := new(Listeners[int])
		var got []int
		numbers.Add(nil)
		numbers.Add(func(n int) {
			got = append(got, n)
			if n == 1 {
				runtime.Goexit()
			}
		})
		numbers.Emit(q, 1, Weight{})
		numbers.Emit(q, 2, Weight{})
		synctest.Wait()
		numbers.Emit(q, 3, Weight{})
		synctest.Wait()
		require.Equal(t, []int{1, 2, 3}, got)
	})
}

func TestStuckListenerDropsOldestAndTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lost []int
		losses := new(Listeners[int])
		q := &Queue{Limit: 4, Log: slog.New(slog.DiscardHandler)}
		q.OnLoss = func(l Loss) { losses.Deliver(q, int(l.Events)) }
		losses.Add(func(n int) { lost = append(lost, n) })
		numbers, states := new(Listeners[int]), new(Listeners[string])
		release := make(chan struct{})
		var once sync.Once
		var got []any
		numbers.Add(func(n int) {
			once.Do(func() { <-release })
			got = append(got, n)
		})
		states.Add(func(s string) { got = append(got, s) })
		numbers.Emit(q, 0, Weight{})
		synctest.Wait() // 0 is stuck, four may wait
		states.Emit(q, "down", Weight{Rank: 1})
		for n := range 10 {
			numbers.Emit(q, n+1, Weight{})
		}
		states.Emit(q, "up", Weight{Rank: 1})
		close(release)
		synctest.Wait()
		require.Equal(t, []any{0, "down", 9, 10, "up"}, got)
		require.Equal(t, []int{8}, lost)
	})
}

func TestEventsOfTheHighestRankAreBoundedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(3)
		states := new(Listeners[int])
		release := make(chan struct{})
		var got []int
		states.Add(func(n int) { <-release; got = append(got, n) })
		for n := range 10 {
			states.Emit(q, n, Weight{Rank: 1})
			synctest.Wait()
		}
		close(release)
		synctest.Wait()
		require.Equal(t, []int{0, 7, 8, 9}, got)
	})
}

// The lowest rank is dropped first, even when it came last. Of the same rank, the oldest is
// dropped.
func TestRanks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := 0
		q := &Queue{Limit: 4, Log: slog.New(slog.DiscardHandler), OnLoss: func(l Loss) { lost += int(l.Events) }}
		words := new(Listeners[string])
		release := make(chan struct{})
		var got []string
		words.Add(func(s string) { <-release; got = append(got, s) })
		words.Emit(q, "stuck", Weight{})
		synctest.Wait()
		for _, e := range []struct {
			word string
			rank Rank
		}{
			{"c1", 2}, {"a1", 0}, {"b1", 1}, {"a2", 0}, // that is four
			{"b2", 1}, // a1 goes
			{"c2", 2}, // a2 goes
			{"a3", 0}, // goes itself
			{"b3", 1}, // b1 goes
			{"c3", 2}, // b2 goes
			{"d1", 3}, // b3 goes
			{"d2", 3}, // c1 goes
			{"b4", 1}, // goes itself
		} {
			words.Emit(q, e.word, Weight{Rank: e.rank})
		}
		close(release)
		synctest.Wait()
		require.Equal(t, []string{"stuck", "c2", "c3", "d1", "d2"}, got)
		require.Equal(t, 8, lost)
	})
}

// A few large events fill the queue as many small ones do, and what they leave free can be used
// again.
func TestBytesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const mib = 1 << 20
		lost := 0
		q := &Queue{Log: slog.New(slog.DiscardHandler), OnLoss: func(l Loss) { lost += int(l.Events) }}
		numbers := new(Listeners[int])
		release := make(chan struct{})
		var got []int
		numbers.Add(func(n int) { <-release; got = append(got, n) })
		for range 2 {
			got, lost = nil, 0
			numbers.Emit(q, -1, Weight{Bytes: mib})
			synctest.Wait()
			// -1 is with the listener.
			numbers.Emit(q, -2, Weight{Bytes: mib, Rank: 1})
			for n := range 40 {
				numbers.Emit(q, n, Weight{Bytes: mib})
			}
			numbers.Emit(q, 40, Weight{Bytes: 3 * mib})
			numbers.Emit(q, 41, Weight{})
			for range 1 + 1 + 12 + 2 {
				release <- struct{}{}
			}
			synctest.Wait()
			require.Equal(t, []int{-1, -2, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41}, got)
			require.Equal(t, 28, lost)
		}
	})
}

// An event that does not fit alone is dropped and told, also when nothing else waits.
func TestEventLargerThanTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := 0
		q := &Queue{Log: slog.New(slog.DiscardHandler), OnLoss: func(l Loss) { lost += int(l.Events) }}
		numbers := new(Listeners[int])
		var got []int
		numbers.Add(func(n int) { got = append(got, n) })
		numbers.Emit(q, 1, Weight{Bytes: maxBytes + 1})
		synctest.Wait()
		require.Equal(t, 1, lost)
		numbers.Emit(q, 2, Weight{Bytes: maxBytes})
		synctest.Wait()
		require.Equal(t, []int{2}, got)
	})
}

// A batch is bounded in bytes, too.
func TestLargeEventsLeaveTheQueueOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := 0
		q := &Queue{Log: slog.New(slog.DiscardHandler), OnLoss: func(l Loss) { lost += int(l.Events) }}
		numbers := new(Listeners[int])
		release := make(chan struct{})
		var got []int
		numbers.Add(func(n int) { <-release; got = append(got, n) })
		for n := range 10 {
			numbers.Emit(q, n, Weight{Bytes: batchBytes - 1})
			synctest.Wait()
		}
		release <- struct{}{}
		synctest.Wait()
		// 1 is with the listener, and 2 is in the batch.
		numbers.Emit(q, 10, Weight{Bytes: maxBytes, Rank: 1})
		close(release)
		synctest.Wait()
		require.Equal(t, []int{0, 1, 2, 10}, got)
		require.Equal(t, 7, lost)
	})
}

func TestCloseDeliversWhatWaitsAndTakesNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0)
		numbers := new(Listeners[int])
		var got []int
		both := make(chan struct{})
		numbers.Add(func(n int) {
			<-both
			got = append(got, n)
			q.Close()
			numbers.Emit(q, n+100, Weight{})
		})
		numbers.Emit(q, 1, Weight{})
		numbers.Emit(q, 2, Weight{})
		close(both)
		synctest.Wait()
		require.Equal(t, []int{1, 2}, got)
	})
}

func TestSlowListenerIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		q := &Queue{Log: slog.New(slog.NewTextHandler(&out, nil)), OnLoss: func(Loss) {}}
		numbers := new(Listeners[int])
		wait := make(chan struct{})
		numbers.Add(func(int) { <-wait })
		numbers.Emit(q, 1, Weight{})
		time.AfterFunc(slowAfter+time.Second, func() { close(wait) })
		<-wait
		synctest.Wait()
		require.Contains(t, out.String(), "slow")
	})
}

// In a burst several events leave the queue at a time. Neither a loss nor a listener that ends its
// goroutine brings them out of order.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 4 * batchPart
		var got []int // a loss is negative
		onLoss := func(l Loss) { got = append(got, -int(l.Events)) }
		q := &Queue{Limit: limit, Log: slog.New(slog.DiscardHandler), OnLoss: onLoss}
		numbers := new(Listeners[int])
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
		numbers.Emit(q, 1, Weight{})
		<-held
		for n := 2; n <= limit; n++ {
			numbers.Emit(q, n, Weight{})
		}
		release <- struct{}{}
		<-held // in 3, while 4 to 6 have left the queue: those after them wait
		for n := limit + 1; n <= 2*limit; n++ {
			numbers.Emit(q, n, Weight{})
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

// EmitPaced loses no event when the listeners are only a little slower than the events.
func TestPacedLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Limit: 4, Log: slog.New(slog.DiscardHandler), OnLoss: func(Loss) { t.Error("told a loss") }}
		numbers := new(Listeners[int])
		var got []int
		numbers.Add(func(n int) { time.Sleep(patience/2 - 1); got = append(got, n) })
		for n := range 100 {
			numbers.EmitPaced(q, n, Weight{})
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, got, 100)
		require.IsIncreasing(t, got)
	})
}

// The same with large events, of which few fit.
func TestPacedLosesNoLargeEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Queue{Log: slog.New(slog.DiscardHandler), OnLoss: func(Loss) { t.Error("told a loss") }}
		numbers := new(Listeners[int])
		var got []int
		numbers.Add(func(n int) { time.Sleep(patience/9 - 1); got = append(got, n) })
		for n := range 100 {
			numbers.EmitPaced(q, n, Weight{Bytes: 1 << 20})
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, got, 100)
		require.IsIncreasing(t, got)
	})
}

func TestPacedWaitsForAStuckListenerOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := 0
		q := &Queue{Limit: 4, Log: slog.New(slog.DiscardHandler), OnLoss: func(l Loss) { lost += int(l.Events) }}
		numbers := new(Listeners[int])
		release := make(chan struct{})
		got := 0
		numbers.Add(func(int) { <-release; got++ })
		for round := 1; round <= 3; round++ {
			start := time.Now()
			for n := range 100 {
				numbers.EmitPaced(q, n, Weight{})
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

func TestCloseEndsTheWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1)
		numbers := new(Listeners[int])
		release := make(chan struct{})
		numbers.Add(func(int) { <-release })
		numbers.Emit(q, 1, Weight{})
		synctest.Wait() // 1 is stuck, one may wait
		numbers.Emit(q, 2, Weight{})
		time.AfterFunc(patience/2, q.Close)
		start := time.Now()
		q.awaitRoom(Weight{})
		require.Equal(t, patience/2, time.Since(start))
		q.awaitRoom(Weight{})
		require.Equal(t, patience/2, time.Since(start))
		close(release)
	})
}

// Slots are used again while the queue is busy. An idle queue keeps no event, and few slots.
func TestQueueKeepsNoMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(2 * batchPart)
		numbers := new(Listeners[int])
		took := make(chan struct{})
		numbers.Add(func(int) { <-took })
		numbers.Emit(q, 0, Weight{})
		for n := range 10_000 { // never idle
			numbers.Emit(q, n, Weight{})
			took <- struct{}{}
		}
		q.mu.Lock()
		require.LessOrEqual(t, cap(q.slots), 4)
		q.mu.Unlock()
		for n := range 1000 {
			numbers.Emit(q, n, Weight{})
		}
		q.mu.Lock()
		require.LessOrEqual(t, cap(q.slots), 8*batchPart)
		q.mu.Unlock()
		close(took)
		synctest.Wait()
		require.Nil(t, q.slots)

		numbers.Emit(q, 0, Weight{})
		synctest.Wait()
		require.LessOrEqual(t, cap(q.slots), keptSlots)
		for _, slot := range q.slots[:cap(q.slots)] {
			require.Equal(t, call{}, slot)
		}
	})
}

// An event costs one allocation from Emit to the listeners, whatever its type.
func TestAllocations(t *testing.T) {
	const burst = 500
	q := newQueue(0)
	numbers, profiles := new(Listeners[int]), new(Listeners[profile])
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
			profiles.Emit(q, profile{"bob"}, Weight{})
			numbers.Emit(q, 1000+n, Weight{})
		}
		<-done
	}) / (2 * burst)
	require.LessOrEqual(t, each, 1.1, "the queue grows now and then")
}
