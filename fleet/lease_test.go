package fleet

import (
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// testClock is a clock of which both hands are moved.
type testClock struct{ at instant }

func (c *testClock) now() instant { return c.at }

func (c *testClock) move(monotonic, wall time.Duration) {
	c.at.monotonic += monotonic
	c.at.wall = c.at.wall.Add(wall)
}

func TestLease(t *testing.T) {
	for name, c := range map[string]struct {
		monotonic, wall time.Duration
		valid           bool
	}{
		"just renewed":                   {0, 0, true},
		"a moment before":                {testTTL - 1, testTTL - 1, true},
		"over":                           {testTTL, testTTL, false},
		"the machine has slept":          {time.Second, time.Hour, false},
		"the wall clock was set back":    {time.Second, -time.Hour, true},
		"set back, and over":             {testTTL, -time.Hour, false},
		"the wall clock was set forward": {time.Second, testTTL, false},
	} {
		t.Run(name, func(t *testing.T) {
			clock := &testClock{instant{time.Minute, time.Unix(1e9, 0)}}
			l := newLease(testTTL, clock.now, clock.now())
			clock.move(c.monotonic, c.wall)
			require.Equal(t, c.valid, l.valid())
			l.renew(clock.now())
			require.True(t, l.valid())
			l.end()
			require.False(t, l.valid())
		})
	}
}

// After a time in which a member heard nothing, its loop knows that before the member goes on:
// others were not silent then.
func TestLateRenewal(t *testing.T) {
	clock := &testClock{instant{time.Minute, time.Unix(1e9, 0)}}
	var told []heartbeat
	var valid []bool
	m := &membership{
		cfg: &Config{TTL: testTTL, Store: newMemory(), Logger: slog.New(slog.DiscardHandler)}, clock: clock.now,
		high: new(atomic.Uint64), bucket: bucketRecord{ID: "one", Shards: 1}, leave: make(chan struct{}),
		tell: func(h heartbeat) {
			told = append(told, h)
			valid = append(valid, h.lease.valid())
		},
	}
	_, err := m.cfg.Store.Create(t.Context(), keyBucket, marshal(m.bucket))
	require.NoError(t, err)
	for _, later := range []time.Duration{0, m.interval(), 2 * testTTL} {
		clock.move(later, later)
		require.NoError(t, m.renew(t.Context()))
		require.True(t, m.lease.valid())
	}
	require.Len(t, told, 3)
	require.False(t, told[1].late)
	require.True(t, told[2].late)
	require.Equal(t, []bool{true, true, false}, valid)
}
