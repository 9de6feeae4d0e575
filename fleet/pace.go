package fleet

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/mirrorfly-go/sdk"
)

// pace spreads the logins of a member: evenly, so many a second as it has of those of the fleet.
type pace struct {
	interval atomic.Int64    // nanoseconds between two logins
	turn     chan struct{}   // has an element while a login is the next one
	last     time.Time       // when the last one began; of who has the turn
	then     sdk.DialLimiter // the program's own; nil: none
}

func newPace(then sdk.DialLimiter) *pace { return &pace{turn: make(chan struct{}, 1), then: then} }

// slowest is the least number of logins in a second: a member without a share may have to
// reconnect, too.
const slowest = 0.1

// set sets how many logins may begin in a second.
func (p *pace) set(perSecond float64) {
	p.interval.Store(int64(float64(time.Second) / max(perSecond, slowest)))
}

// Wait returns when a login may begin.
func (p *pace) Wait(ctx context.Context) (done func(), err error) {
	if err := p.await(ctx); err != nil {
		return nil, err
	}
	if p.then == nil {
		return func() {}, nil
	}
	return p.then.Wait(ctx)
}

func (p *pace) await(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	timer := time.NewTimer(time.Until(p.last.Add(time.Duration(p.interval.Load()))))
	defer timer.Stop()
	select {
	case <-timer.C:
		p.last = time.Now()
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
