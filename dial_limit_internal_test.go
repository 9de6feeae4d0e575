package sdk

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/unsent"
)

func TestDialLimitSpaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewDialLimit(10, 0)
		begin := time.Now()
		var mu sync.Mutex
		var starts []time.Duration
		var all sync.WaitGroup
		for range 25 {
			all.Go(func() {
				done, err := l.wait(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				defer done()
				mu.Lock()
				defer mu.Unlock()
				starts = append(starts, time.Since(begin))
			})
		}
		all.Wait()
		for i, at := range starts {
			require.Equal(t, time.Duration(i)*100*time.Millisecond, at)
		}
		time.Sleep(time.Minute) // of the bubble: what was not used is not saved up
		begin = time.Now()
		for i := range 3 {
			_, err := l.wait(t.Context())
			require.NoError(t, err)
			require.Equal(t, time.Duration(i)*100*time.Millisecond, time.Since(begin))
		}
	})
}

func TestDialLimitAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewDialLimit(0, 2)
		first, err := l.wait(t.Context())
		require.NoError(t, err)
		_, err = l.wait(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = l.wait(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.True(t, unsent.Is(err))
		first()
		_, err = l.wait(t.Context())
		require.NoError(t, err)
	})
}

func TestNoDialLimit(t *testing.T) {
	for _, l := range []*DialLimit{nil, {}, NewDialLimit(0, 0), NewDialLimit(-1, -1)} {
		for range 100 {
			done, err := l.wait(t.Context())
			require.NoError(t, err)
			done()
		}
	}
}

// Logins that waited for others to end are spaced, too, and do not start all at once.
func TestDialLimitSpacesWhatHasWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewDialLimit(10, 5)
		var hung []func()
		for range 5 {
			done, err := l.wait(t.Context())
			require.NoError(t, err)
			hung = append(hung, done)
		}
		var mu sync.Mutex
		var starts []time.Time
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				done, err := l.wait(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				defer done()
				mu.Lock()
				defer mu.Unlock()
				starts = append(starts, time.Now())
			})
		}
		time.Sleep(time.Minute) // of the bubble: the server is silent, then it answers
		for _, done := range hung {
			done()
		}
		all.Wait()
		for i := range starts[1:] {
			require.GreaterOrEqual(t, starts[i+1].Sub(starts[i]), 100*time.Millisecond, "start %d", i+1)
		}
	})
}

// Who gives up takes no start away from those who come later.
func TestDialLimitForgetsWhoGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewDialLimit(1, 0)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { _, _ = l.wait(ctx) })
		}
		all.Wait()
		begin := time.Now()
		_, err := l.wait(t.Context())
		require.NoError(t, err)
		require.LessOrEqual(t, time.Since(begin), time.Second)
	})
}
