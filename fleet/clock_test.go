package fleet

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// The wall clock of a member is set while it runs.
func TestWallClockIsSet(t *testing.T) {
	const again = testTTL/3 + time.Second // until the next heartbeat, and its logins
	for name, c := range map[string]struct {
		jumps []time.Duration // how far the clock is ahead, one after the other
		bare  time.Duration   // how long an account may be without a session
	}{
		"forwards by less than the TTL": {[]time.Duration{testTTL / 2}, 0},
		"forwards":                      {[]time.Duration{time.Hour}, again},
		"forwards twice":                {[]time.Duration{time.Hour, 2 * time.Hour}, again},
		"backwards":                     {[]time.Duration{-time.Hour}, 0},
		"backwards and forwards again":  {[]time.Duration{-time.Hour, 0}, again},
		"forwards and backwards again":  {[]time.Duration{time.Hour, 0}, again},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newMemory()
				w := newWorld(t, store)
				a, b := w.join("a", 60, nil), w.join("b", 60, nil)
				settle()
				before := store.shards()
				for _, ahead := range c.jumps {
					a.ahead.Store(int64(ahead))
					settle()
					require.Equal(t, []int{30, 30}, w.count(a, b))
				}
				require.Equal(t, before, store.shards(), "nothing has moved")
				require.LessOrEqual(t, w.longest, c.bare+loginTime(30))
				require.Equal(t, c.bare > 0, w.longest > 0)
				a.leave(t)
				b.leave(t)
			})
		})
	}
}

// A wall clock that was set back does not have a member go on for longer than its TTL.
func TestWallClockIsSetBackWithoutStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory())
		a, b := w.join("a", 60, nil), w.join("b", 60, nil)
		settle()
		b.link.set(true)
		b.ahead.Store(-int64(time.Hour))
		time.Sleep(testTTL + time.Second)
		require.Equal(t, []int{30, 0}, w.count(a, b))
		w.until(60, margin(testTTL)+2*time.Second)
		a.leave(t)
		b.leave(t)
	})
}
