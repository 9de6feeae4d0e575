package fleet

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// loginTime is how long so many logins of the fleet take.
func loginTime(accounts int) time.Duration {
	return time.Duration(accounts) * time.Second / testLogins
}

func TestMembersShareTheAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory())
		a, b, c := w.join("a", 90, nil), w.join("b", 90, nil), w.join("c", 90, nil)
		w.until(90, loginTime(90)+5*time.Second)
		settle()
		require.Equal(t, []int{30, 30, 30}, w.count(a, b, c))
		require.Len(t, a.Accounts(), 30)
		for _, s := range a.Accounts() {
			require.Equal(t, StateUp, s.State)
			require.NotZero(t, s.Epoch)
		}
		require.Zero(t, a.Nobodys())
		for _, m := range []*testMember{a, b, c} {
			m.leave(t)
		}
		require.Zero(t, w.total())
	})
}

func TestKilledMemberIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory())
		a, b, c := w.join("a", 90, nil), w.join("b", 90, nil), w.join("c", 90, nil)
		settle()
		w.kill(b)
		require.Equal(t, 60, w.total())
		w.until(90, testTTL+margin(testTTL)+time.Second+loginTime(30))
		settle()
		require.Equal(t, []int{45, 0, 45}, w.count(a, b, c))
		for _, m := range []*testMember{a, b, c} {
			m.leave(t)
		}
	})
}

func TestLeavingMemberHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory())
		a, b, c := w.join("a", 90, nil), w.join("b", 90, nil), w.join("c", 90, nil)
		settle()
		begin := time.Now()
		b.leave(t)
		require.Less(t, time.Since(begin), loginTime(30)+3*time.Second)
		require.Equal(t, 90, w.total())
		require.Zero(t, w.longest, "no account was ever without a session")
		require.Equal(t, []int{45, 0, 45}, w.count(a, b, c))
		a.leave(t)
		c.leave(t)
	})
}

func TestNewMemberGetsItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory())
		a, b, c := w.join("a", 90, nil), w.join("b", 90, nil), w.join("c", 90, nil)
		settle()
		d := w.join("d", 90, nil)
		settle()
		for _, n := range w.count(a, b, c, d) {
			require.InDelta(t, 90/4, n, 1)
		}
		require.Zero(t, w.longest)
		for _, m := range []*testMember{a, b, c, d} {
			m.leave(t)
		}
	})
}

func TestStoreIsAway(t *testing.T) {
	for name, c := range map[string]struct {
		away time.Duration
		left int
	}{
		"for less than the TTL": {testTTL / 2, 60},
		"for longer":            {2 * testTTL, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newMemory()
				w := newWorld(t, store)
				a, b := w.join("a", 60, nil), w.join("b", 60, nil)
				settle()
				before := store.shards()
				store.setAway(true)
				time.Sleep(c.away)
				synctest.Wait()
				require.Equal(t, c.left, w.total())
				require.Equal(t, c.left > 0, a.Joined())
				store.setAway(false)
				settle()
				require.Equal(t, []int{30, 30}, w.count(a, b))
				require.Equal(t, before, store.shards(), "nobody counts as gone, since nobody could be heard")
				require.True(t, a.Joined())
				a.leave(t)
				require.False(t, a.Joined())
				b.leave(t)
			})
		})
	}
}

// A member that has lost its way to the store stops before others take over.
func TestMemberWithoutStoreStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory())
		a, b := w.join("a", 60, nil), w.join("b", 60, nil)
		settle()
		b.link.set(true)
		time.Sleep(testTTL + time.Second)
		require.Equal(t, []int{30, 0}, w.count(a, b))
		require.Empty(t, b.Accounts())
		w.until(60, margin(testTTL)+2*time.Second)
		require.Equal(t, []int{60, 0}, w.count(a, b))
		b.link.set(false)
		settle()
		require.Equal(t, []int{30, 30}, w.count(a, b), "it comes back as another member")
		a.leave(t)
		b.leave(t)
	})
}

func TestBucketMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		w := newWorld(t, store)
		a, b := w.join("a", 60, nil), w.join("b", 60, func(cfg *Config) { cfg.NewBucket = true })
		settle()
		w.anew = true
		store.reset()
		require.ErrorIs(t, <-a.ended, ErrBucket)
		require.Empty(t, a.Accounts())
		settle()
		require.Equal(t, []int{0, 60}, w.count(a, b))
		b.leave(t)
	})
}

// A member that was away for so long that others have deleted its record comes back, too.
func TestForgottenMemberComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		w := newWorld(t, store)
		a, b := w.join("a", 60, nil), w.join("b", 60, nil)
		settle()
		b.link.set(true)
		time.Sleep(forgetAfter + time.Minute)
		require.Equal(t, []int{60, 0}, w.count(a, b))
		records := 0
		store.mu.Lock()
		all := store.sinceLocked(0)
		store.mu.Unlock()
		for _, e := range all {
			if strings.HasPrefix(e.Key, prefixMember) && len(e.Value) > 0 {
				records++
			}
		}
		require.Equal(t, 1, records)
		b.link.set(false)
		settle()
		require.Equal(t, []int{30, 30}, w.count(a, b))
		a.leave(t)
		b.leave(t)
	})
}

// A bucket that was put back as it was is not the one that members knew: neither for who was in it
// then, nor for who was not, even when others have written more since than was lost.
func TestBucketRestored(t *testing.T) {
	for name, c := range map[string]struct {
		later  time.Duration // between the snapshot and its return
		writes int           // by others, at once
	}{
		"a moment later":       {time.Second, 0},
		"long after":           {time.Minute, 0},
		"much written already": {time.Minute, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newMemory()
				w := newWorld(t, store)
				a := w.join("a", 60, nil)
				settle()
				time.Sleep(testTTL / 24)
				restore := store.snapshot()
				b := w.join("b", 60, nil)
				time.Sleep(c.later)
				w.anew = true
				restore()
				for i := range c.writes {
					_, err := store.Create(t.Context(), fmt.Sprint("other.", i), []byte("{}"))
					require.NoError(t, err)
				}
				for _, m := range []*testMember{a, b} {
					select {
					case err := <-m.ended:
						require.ErrorIs(t, err, ErrBucket)
					case <-time.After(testTTL): // of the bubble
						t.Error("a member has noticed nothing")
						m.leave(t)
					}
				}
				require.Zero(t, w.total())
			})
		})
	}
}

func TestMax(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory())
		limit := func(n int) func(*Config) { return func(cfg *Config) { cfg.Max = n } }
		a, b := w.join("a", 100, limit(40)), w.join("b", 100, limit(20))
		settle()
		require.Equal(t, []int{40, 20}, w.count(a, b))
		require.Equal(t, 40, a.Nobodys())
		c := w.join("c", 100, nil)
		settle()
		require.Zero(t, a.Nobodys())
		require.Equal(t, 100, w.total())
		require.Equal(t, []int{40, 20, 40}, w.count(a, b, c))
		c.leave(t)
		settle()
		require.Equal(t, []int{40, 20}, w.count(a, b))
		a.leave(t)
		b.leave(t)
	})
}

// What the store has to do grows with members, not with accounts.
func TestSteadyState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		w := newWorld(t, store)
		a, b := w.join("a", 200, nil), w.join("b", 200, nil)
		settle()
		before := store.written()
		time.Sleep(time.Minute)
		require.InDelta(t, 2*time.Minute/(testTTL/3), store.written()-before, 2)
		a.leave(t)
		b.leave(t)
	})
}
