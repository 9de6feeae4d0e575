package fleet

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// stuckStore has a first watch that does not begin, and a second one that stops in the middle of
// what there is.
type stuckStore struct {
	Store
	watches atomic.Int32
}

func (s *stuckStore) Watch(ctx context.Context) (<-chan Entry, error) {
	switch s.watches.Add(1) {
	case 1:
		<-ctx.Done()
		return nil, ctx.Err()
	case 2:
		ctx, cancel := context.WithCancel(ctx)
		in, err := s.Store.Watch(ctx)
		if err != nil {
			cancel()
			return nil, err
		}
		out := make(chan Entry)
		go func() { // ends with ctx
			defer close(out)
			defer cancel()
			out <- <-in
			<-ctx.Done()
		}()
		return out, nil
	}
	return s.Store.Watch(ctx)
}

// A member does not wait for ever for what there is in the store.
func TestWatchIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory())
		a := w.join("a", 60, nil)
		settle()
		stuck := &stuckStore{}
		b := w.join("b", 60, func(cfg *Config) {
			stuck.Store = cfg.Store
			cfg.Store = stuck
		})
		settle()
		require.Equal(t, []int{30, 30}, w.count(a, b))
		require.Zero(t, w.longest)
		a.leave(t)
		b.leave(t)
	})
}
