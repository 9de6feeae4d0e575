package fleet

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// lateStore does writes of shards after their member has given them up, and tells the member
// nothing of any change from then on, while it is late.
type lateStore struct {
	Store
	mu     sync.Mutex
	late   bool
	writes int
	hidden chan struct{} // closed when changes are told again; nil: they are told
}

func (s *lateStore) set(late bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = late
	if !late && s.hidden != nil {
		close(s.hidden)
		s.hidden = nil
	}
}

func (s *lateStore) isLate() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.late {
		s.writes++
		if s.hidden == nil {
			s.hidden = make(chan struct{})
		}
	}
	return s.late
}

func (s *lateStore) written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

func (s *lateStore) Update(ctx context.Context, key string, value []byte, last uint64) (uint64, error) {
	if !strings.HasPrefix(key, prefixShard) || !s.isLate() {
		return s.Store.Update(ctx, key, value, last)
	}
	time.AfterFunc(testTTL, func() { _, _ = s.Store.Update(context.Background(), key, value, last) })
	<-ctx.Done()
	return 0, ctx.Err()
}

func (s *lateStore) Watch(ctx context.Context) (<-chan Entry, error) {
	in, err := s.Store.Watch(ctx)
	if err != nil {
		return nil, err
	}
	out := make(chan Entry)
	go func() { // ends with ctx
		defer close(out)
		for e := range in {
			s.mu.Lock()
			hidden := s.hidden
			s.mu.Unlock()
			if hidden != nil {
				select {
				case <-hidden:
				case <-ctx.Done():
				}
			}
			select {
			case out <- e:
			case <-ctx.Done():
			}
		}
	}()
	return out, nil
}

// requireApart fails when two members may write for the same account at the same time.
func requireApart(t *testing.T, a, b *testMember, during time.Duration) {
	t.Helper()
	// The time is that of the bubble.
	for begin := time.Now(); time.Since(begin) < during; time.Sleep(100 * time.Millisecond) {
		synctest.Wait()
		others := b.mayWrite()
		for account, may := range a.mayWrite() {
			require.False(t, may && others[account], "%s after %v", account, time.Since(begin))
		}
	}
}

// mayWrite are the accounts for which the member lets writes pass.
func (m *testMember) mayWrite() map[string]bool {
	m.book.mu.Lock()
	defer m.book.mu.Unlock()
	may := make(map[string]bool)
	for account, r := range m.book.of {
		r.gate.mu.Lock()
		may[account] = r.gate.state == gateOpen && r.gate.lease.valid()
		r.gate.mu.Unlock()
	}
	return may
}

// lateMember joins with a store that can be late.
func lateMember(w *world, n int, change func(*Config)) (*testMember, *lateStore) {
	late := &lateStore{}
	m := w.join("late", n, func(cfg *Config) {
		late.Store = cfg.Store
		cfg.Store = late
		change(cfg)
	})
	return m, late
}

// A shard that another member may get by a write of which this member does not know what became is
// not begun with again, here after it had to stop meanwhile.
func TestGiftOfUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory())
		a, late := lateMember(w, 60, func(*Config) {})
		settle()
		late.set(true)
		b := w.join("b", 60, nil)
		for late.written() == 0 {
			time.Sleep(10 * time.Millisecond) // of the bubble
		}
		a.ahead.Store(int64(time.Hour)) // it stops everything, and begins again with what it has
		requireApart(t, a, b, 3*testTTL)
		late.set(false)
		settle()
		require.Equal(t, []int{30, 30}, w.count(a, b))
		a.leave(t)
		b.leave(t)
	})
}

// The same with a shard that nobody had room for, which somebody has then.
func TestReleaseOfUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory())
		all := accounts(10)
		var mu sync.Mutex
		a, late := lateMember(w, 0, func(cfg *Config) {
			cfg.Max, cfg.Refresh = 10, time.Second
			cfg.Accounts = func(context.Context) ([]Account, error) {
				mu.Lock()
				defer mu.Unlock()
				return all, nil
			}
		})
		settle()
		require.Equal(t, 10, w.total())
		late.set(true)
		mu.Lock()
		all = append(accounts(10), sibling(all[0]))
		mu.Unlock()
		for late.written() == 0 {
			time.Sleep(10 * time.Millisecond) // of the bubble
		}
		b := w.join("b", 0, func(cfg *Config) {
			cfg.Accounts = func(context.Context) ([]Account, error) { return all, nil }
		})
		requireApart(t, a, b, 3*testTTL)
		late.set(false)
		settle()
		require.Equal(t, 11, w.total())
		a.leave(t)
		b.leave(t)
	})
}

// sibling is an account of the same shard.
func sibling(of Account) Account {
	for i := 0; ; i++ {
		name := fmt.Sprint("sibling", i)
		if shardOf(name, defaultShards) == shardOf(of.Username, defaultShards) {
			return Account{Username: name, Password: "secret"}
		}
	}
}
