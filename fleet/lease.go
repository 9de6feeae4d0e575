package fleet

import (
	"sync/atomic"
	"time"
)

// instant is one moment by both clocks. The monotonic one stands still while a machine sleeps, the
// wall clock can be set.
type instant struct {
	monotonic time.Duration
	wall      time.Time
}

var processStart = time.Now()

func now() instant {
	t := time.Now()
	return instant{t.Sub(processStart), t.Round(0)}
}

// lease says until when a member may do what it does: for its TTL since it has begun the last
// renewal that was successful. A member that was gone for others gets another one.
type lease struct {
	ttl   time.Duration
	clock func() instant
	// renewed is when the last successful renewal began; nil: it has ended for ever.
	renewed atomic.Pointer[instant]
}

func newLease(ttl time.Duration, clock func() instant, since instant) *lease {
	l := &lease{ttl: ttl, clock: clock}
	l.renewed.Store(&since)
	return l
}

// valid is asked before each write.
func (l *lease) valid() bool {
	since := l.renewed.Load()
	if since == nil {
		return false
	}
	at := l.clock()
	return at.monotonic-since.monotonic < l.ttl && at.wall.Sub(since.wall) < l.ttl
}

// renew is called by the one goroutine that renews.
func (l *lease) renew(since instant) { l.renewed.Store(&since) }

// end ends it for ever.
func (l *lease) end() { l.renewed.Store(nil) }
