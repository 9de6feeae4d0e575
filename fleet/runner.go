package fleet

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/backoff"
	"github.com/mirrorfly-go/sdk/internal/dial"
)

// Reasons why an account is given up.
var (
	errMoved   = errors.New("the shard has moved to another member")
	errSilent  = errors.New("the store was not reached for the TTL")
	errLeaving = errors.New("this member leaves")
	errRemoved = errors.New("the account does not belong to the fleet any more, or was changed")
	errFull    = errors.New("no member has room for the account")
)

// runner keeps one account logged in. It has one goroutine.
type runner struct {
	account Account
	gate    *gate
	book    *book
	status  AccountStatus // under the lock of book

	// using ends when the account is given up: it is the context of Setup.
	using    context.Context
	endUsing context.CancelCauseFunc
	// life ends when the session must end, too.
	life    context.Context
	endLife context.CancelFunc
	// ended is closed when nothing is left.
	ended chan struct{}
}

func newRunner(a Account, epoch uint64, g *gate, b *book) *runner {
	r := &runner{
		account: a, gate: g, book: b, ended: make(chan struct{}),
		status: AccountStatus{Username: a.Username, Epoch: epoch, State: StateDown, Since: time.Now()},
	}
	r.life, r.endLife = context.WithCancel(context.Background())
	r.using, r.endUsing = context.WithCancelCause(r.life)
	return r
}

// giveUp ends what uses the account. The session lasts until another one replaces it.
func (r *runner) giveUp(reason error) { r.endUsing(reason) }

// stop ends the session, too.
func (r *runner) stop(reason error) {
	r.endUsing(reason)
	r.endLife()
}

// session keeps an account logged in until r.life ends, or after r.using until the session is lost.
// Tests of what happens between members have another one.
type session func(r *runner)

// run is the goroutine of r.
func (r *runner) run(s session) {
	defer close(r.ended)
	defer r.endLife()
	if before := r.book.enter(r); before != nil {
		<-before.ended // it was told to
	}
	s(r)
	<-r.using.Done()
	r.book.set(r, StateDown, context.Cause(r.using))
	r.book.leave(r)
}

// login is the session of a runner on the service.
type login struct {
	cfg  Config
	pace *pace
	// patience is how long a session that was replaced waits for the store to say who has it.
	patience time.Duration
}

// run logs r in, and keeps it so.
func (l *login) run(r *runner) {
	lost := make(chan error, 1)
	client, err := sdk.New(l.clientConfig(r.gate, lost))
	if err != nil { // New of the fleet has tried it
		r.book.set(r, StateParked, err)
		return
	}
	defer client.Close()
	if l.cfg.Setup != nil {
		if err := l.cfg.Setup(r.using, r.account, r.status.Epoch, client); err != nil {
			r.park(err)
			return
		}
	}
	var replaced time.Time
	for failures := 0; ; failures++ {
		_, err := client.Connect(r.using, r.account.Username, r.account.Password)
		if err == nil {
			failures = 0
			err = r.hold(client, lost)
		}
		if r.using.Err() != nil {
			return
		}
		wait := backoff.Delay(time.Second, time.Minute, failures)
		switch failure := (*sdk.Error)(nil); {
		case errors.Is(err, sdk.ErrReplaced):
			// Another member has the shard, or the store will say within patience that it has not.
			// Who replaces it then again does not belong to the fleet, and is not fought.
			if time.Since(replaced) < fightless {
				r.park(err)
				return
			}
			replaced, wait = time.Now(), l.patience
		case isFinal(err):
			r.park(err)
			return
		case errors.As(err, &failure) && failure.RetryAfter > wait:
			wait = failure.RetryAfter
		}
		r.book.set(r, StateDown, err)
		if !r.sleep(wait) {
			return
		}
	}
}

// fightless is the time in which a session is not made twice after others have replaced it.
const fightless = 10 * time.Minute

// isFinal reports whether another attempt would end the same.
func isFinal(err error) bool {
	for _, final := range []error{
		sdk.ErrInvalidCredentials, sdk.ErrBlockedByAdmin, sdk.ErrInvalidArgument, sdk.ErrNotRegistered,
		sdk.ErrAlreadyLoggedIn, sdk.ErrInsecure, sdk.ErrClosed,
	} {
		if errors.Is(err, final) {
			return true
		}
	}
	return false
}

// clientConfig is that of one account.
func (l *login) clientConfig(g *gate, lost chan<- error) sdk.Config {
	cfg := l.cfg.Client
	cfg.Dials = l.pace
	cfg.Hooks = sdk.JoinHooks(cfg.Hooks, &sdk.Hooks{Disconnected: func(info sdk.DisconnectInfo) {
		select {
		case lost <- info.Err:
		default: // it is known that one was lost
		}
	}})
	next := cfg.DialContext
	if next == nil {
		next = new(dial.Dialer).DialContext
	}
	cfg.DialContext = g.dialer(next)
	if cfg.HTTPClient != nil {
		guarded := *cfg.HTTPClient
		guarded.Transport = &transport{base: baseOf(guarded.Transport), gate: g}
		cfg.HTTPClient = &guarded
	}
	return cfg
}

func baseOf(rt http.RoundTripper) http.RoundTripper {
	if rt == nil {
		return http.DefaultTransport
	}
	return rt
}

// hold returns when there is no session and none will come by itself, with the reason, or when the
// account was given up and its session is over.
func (r *runner) hold(client *sdk.Client, lost <-chan error) error {
	for {
		if client.State() == sdk.StatusConnected && r.using.Err() == nil {
			r.book.set(r, StateUp, nil)
		}
		var reason error
		select {
		case reason = <-lost:
		case <-r.life.Done():
			return context.Cause(r.using)
		}
		if r.using.Err() != nil {
			return context.Cause(r.using)
		}
		if client.State() != sdk.StatusConnected {
			r.book.set(r, StateDown, cmp.Or(reason, errLost))
		}
		if err := client.WaitConnected(r.using); err != nil {
			return err
		}
	}
}

// errLost is why an account is down that reconnects.
var errLost = errors.New("the session was lost, another one is being made")

// park waits until the account is given up.
func (r *runner) park(reason error) {
	r.book.set(r, StateParked, reason)
	<-r.using.Done()
}

// sleep returns false when the account was given up.
func (r *runner) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.using.Done():
		return false
	}
}
