package dispatch

import (
	"log/slog"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestTheFateOfAnEventIsTold(t *testing.T) {
	returns := func(int) {}
	for name, test := range map[string]struct {
		listeners []func(int)
		want      Fate
	}{
		"nobody listens":                 {nil, Unheard},
		"a listener returns":             {[]func(int){returns}, Returned},
		"all listeners return":           {[]func(int){returns, returns}, Returned},
		"the first of two panics":        {[]func(int){func(int) { panic("boom") }, returns}, Failed},
		"the last of two panics":         {[]func(int){returns, func(int) { panic("boom") }}, Failed},
		"a listener ends its goroutine":  {[]func(int){func(int) { runtime.Goexit() }}, Failed},
		"a listener panics with nothing": {[]func(int){func(int) { panic(nil) }}, Failed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(0)
				l := Listeners[int]{}
				for _, f := range test.listeners {
					l.Add(f)
				}
				var fates []Fate
				l.EmitTracked(q, 1, Weight{}, func(f Fate) { fates = append(fates, f) })
				synctest.Wait()
				require.Equal(t, []Fate{test.want}, fates)
			})
		})
	}
}

func TestTheFateOfAnEventWhoseListenersHaveGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0)
		l := Listeners[int]{}
		gate := make(chan struct{})
		first := Listeners[string]{}
		first.Add(func(string) { <-gate })
		first.Emit(q, "stuck", Weight{})
		stop := l.Add(func(int) { t.Error("called") })
		var fates []Fate
		l.EmitTracked(q, 1, Weight{}, func(f Fate) { fates = append(fates, f) })
		stop()
		close(gate)
		synctest.Wait()
		require.Equal(t, []Fate{Unheard}, fates)
	})
}

func TestTheFateOfEventsThatDoNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var losses []Loss
		q := &Queue{Limit: 4, Log: slog.New(slog.DiscardHandler), OnLoss: func(l Loss) { losses = append(losses, l) }}
		l := Listeners[int]{}
		gate := make(chan struct{})
		l.Add(func(int) { <-gate })
		fates := map[int]Fate{}
		emit := func(i int) { l.EmitTracked(q, i, Weight{Rank: 1}, func(f Fate) { fates[i] = f }) }
		emit(0)
		synctest.Wait() // it is with the listener
		for i := 1; i <= 6; i++ {
			emit(i)
		}
		require.Equal(t, map[int]Fate{1: Dropped, 2: Dropped}, fates, "the oldest that wait")
		other := Listeners[string]{}
		other.Add(func(string) {})
		other.Emit(q, "worth less", Weight{})
		dropping := other.EmitLocked(q, "worth more", Weight{Rank: 2})
		require.NotContains(t, fates, 3, "its caller holds a lock")
		dropping.Tell()
		require.Equal(t, Dropped, fates[3])
		require.Empty(t, (&Listeners[string]{}).EmitLocked(q, "nobody listens", Weight{Rank: 2}))
		close(gate)
		synctest.Wait()
		require.Equal(t, []Loss{{Events: 4, Tracked: 3}}, losses)
		require.Len(t, fates, 7, "each is told once")
		q.Close()
		emit(7)
		require.Equal(t, Dropped, fates[7])
	})
}
