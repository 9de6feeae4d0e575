package fleet

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A member that does not know the accounts yet is given none: nobody else would log them in.
func TestMemberWithoutAccountsGetsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory())
		a := w.join("a", 60, nil)
		settle()
		var mu sync.Mutex
		broken := true
		b := w.join("b", 60, func(cfg *Config) {
			told := cfg.Accounts
			cfg.Accounts = func(ctx context.Context) ([]Account, error) {
				mu.Lock()
				defer mu.Unlock()
				if broken {
					return nil, errors.New("the database is away")
				}
				return told(ctx)
			}
		})
		settle()
		require.Equal(t, []int{60, 0}, w.count(a, b))
		require.False(t, b.Joined())
		mu.Lock()
		broken = false
		mu.Unlock()
		time.Sleep(2 * defaultRefresh)
		settle()
		require.Equal(t, []int{30, 30}, w.count(a, b))
		require.Zero(t, w.longest)
		a.leave(t)
		b.leave(t)
	})
}

// A member that ends before it knows the accounts has never been there.
func TestMemberEndsWithoutAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		w := newWorld(t, store)
		a := w.join("a", 0, nil)
		settle()
		a.leave(t)
		require.Equal(t, 1, store.written(), "the record of the bucket")
	})
}
