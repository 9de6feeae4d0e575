package sdk

import (
	"context"
	"time"

	"github.com/mirrorfly-go/sdk/internal/unsent"
)

// A DialLimiter says when a login may begin: Connect, a QR login and each attempt to reconnect ask
// it, see [Config].Dials. [DialLimit] is the one for a process; what spans several machines brings
// its own.
type DialLimiter interface {
	// Wait returns when a login may begin, or with an error, at the latest when ctx ends. Connect
	// fails with that error; an attempt to reconnect has failed then. done is called once, when the
	// login is over; nil: it need not be.
	Wait(ctx context.Context) (done func(), err error)
}

// awaitTurn is Wait of a limiter that may be missing. Nothing has been sent when it fails.
func awaitTurn(ctx context.Context, limiter DialLimiter) (done func(), err error) {
	if limiter == nil {
		return func() {}, nil
	}
	done, err = limiter.Wait(ctx)
	if err != nil {
		return nil, unsent.Mark(err)
	}
	if done == nil {
		done = func() {}
	}
	return done, nil
}

// DialLimit spreads the logins of many Clients, so that a server that comes back is not run over by
// all of them at once. Clients share it by having it in their Config.Dials: there is no limit
// behind the back of the program. Connect and each attempt to reconnect wait for their turn; what
// is connected already is not touched.
type DialLimit struct {
	interval time.Duration // between two starts; 0: any
	slots    chan struct{} // one for each login under way; nil: any number

	turn chan struct{} // capacity 1: held by the login that starts next, which alone looks at next
	next time.Time     // when it may start
}

// NewDialLimit lets perSecond logins start in a second, evenly spaced, and atOnce be under way.
// Zero or less is no limit of that kind.
func NewDialLimit(perSecond, atOnce int) *DialLimit {
	l := &DialLimit{turn: make(chan struct{}, 1)}
	if perSecond > 0 {
		l.interval = time.Second / time.Duration(perSecond)
	}
	if atOnce > 0 {
		l.slots = make(chan struct{}, atOnce)
	}
	return l
}

// Wait returns when a login may start, or the error of ctx. done says that it is over. A nil
// DialLimit is no limit.
//
// The slot comes first: those that have waited for one are spaced, too.
func (l *DialLimit) Wait(ctx context.Context) (done func(), err error) {
	done = func() {}
	if l == nil {
		return done, nil
	}
	if l.slots != nil {
		select {
		case l.slots <- struct{}{}:
			done = func() { <-l.slots }
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if err := l.awaitStart(ctx); err != nil {
		done()
		return nil, err
	}
	return done, nil
}

// awaitStart takes no time away from others when ctx ends before its turn.
func (l *DialLimit) awaitStart(ctx context.Context) error {
	if l.interval == 0 {
		return nil
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	timer := time.NewTimer(time.Until(l.next))
	defer timer.Stop()
	select {
	case <-timer.C:
		l.next = time.Now().Add(l.interval)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
