package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/stretchr/testify/require"
)

// lastMoment is how many frames of a new connection are moments, in either direction: from the
// stream header over login and binding to what is sent when the session is up.
const lastMoment = 18

// atMoment is a rule for the frame with this number on a connection that is made from now on, for
// the first that gets so far.
func (s *site) atMoment(moment int, do func(packet) fate) {
	known := s.tap.newest().number
	var mu sync.Mutex
	frames := map[int]int{} // by wire
	met := false
	s.tap.tell(func(p packet) fate {
		if p.wire.number <= known {
			return pass(p)
		}
		mu.Lock()
		frames[p.wire.number]++
		mine := !met && frames[p.wire.number] == moment
		met = met || mine
		mu.Unlock()
		if mine {
			return do(p)
		}
		return pass(p)
	})
}

// TestCutAtEachMoment: a connection that is made again is cut at each of its frames. The client
// tries once more, and is back.
func TestCutAtEachMoment(t *testing.T) {
	t.Parallel()
	for _, w := range ways {
		for _, resumable := range []time.Duration{0, time.Hour} {
			t.Run(fmt.Sprintf("%s/resumable=%v", w, resumable > 0), func(t *testing.T) {
				t.Parallel()
				s := newSite(t, auth, w, insider, resumable) // with SCRAM
				s.start()
				s.register()
				s.connect()
				for moment := 1; moment <= lastMoment; moment++ {
					for _, how := range []fault{cut, reset} {
						met := make(chan struct{})
						s.atMoment(moment, func(packet) fate {
							close(met)
							return fate{end: how}
						})
						s.tap.newest().finish(cut)
						for !closed(met) {
							s.awaitCall() // the last frames come only when something is asked
						}
						s.awaitCall()
						s.tap.tell(nil)
					}
				}
				s.requireWorks()
				s.end()
				requireLegal(t, s.heard())
				require.GreaterOrEqual(t, strings.Count(s.heard(), "R"), 3*lastMoment)
			})
		}
	}
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// action is what somebody does at a moment.
type action struct {
	name string
	do   func(context.Context, *site) error
}

var (
	logout = action{"Logout", func(ctx context.Context, s *site) error {
		_, err := s.client.Logout(ctx)
		return err
	}}
	closing  = action{"Close", func(_ context.Context, s *site) error { return s.client.Close() }}
	login    = action{"Connect", callConnect}
	blocked  = action{"GetUsersIBlocked", callBlocked}
	register = action{"Register", func(ctx context.Context, s *site) error {
		_, err := s.client.Register(ctx, "alice")
		return err
	}}
)

// TestEverythingAtEachMoment: at each frame of a connection that is being made again the server
// falls silent, and several goroutines log out, connect, close and ask at once. All of them return.
// In the end there is one session or none, as State says.
func TestEverythingAtEachMoment(t *testing.T) {
	t.Parallel()
	for _, crowd := range [][]action{
		{logout},
		{closing},
		{login},
		{logout, logout, login, login, blocked},
		{closing, login, logout, register, blocked, closing},
	} {
		var names []string
		for _, a := range crowd {
			names = append(names, a.name)
		}
		for _, w := range both {
			t.Run(strings.Join(names, "+")+"/"+string(w), func(t *testing.T) {
				t.Parallel()
				s := newSite(t, idle, w, insider, 0)
				for moment := 1; moment <= lastMoment; moment++ {
					actAt(s, moment, crowd)
				}
			})
		}
	}
}

// actAt has a crowd act on a client of its own at one moment.
func actAt(s *site, moment int, crowd []action) {
	s.label = fmt.Sprintf("%s/%d", s.t.Name(), moment)
	s.trace, s.final = nil, false
	s.start()
	s.register()
	s.connect()
	held, release := make(chan struct{}), make(chan struct{})
	s.atMoment(moment, func(p packet) fate {
		close(held)
		select {
		case <-release:
		case <-p.wire.over:
		}
		return pass(p)
	})
	defer func() { // also when the test fails
		if !closed(release) {
			close(release)
		}
	}()
	s.tap.newest().finish(cut)
	s.driveTo(held)
	s.act(crowd)
	close(release) // what was held arrives late
	s.settle()
	s.end()
	requireLegal(s.t, s.heard())
}

// driveTo makes calls until held is closed: the last frames of a connection come only when
// something is asked.
func (s *site) driveTo(held chan struct{}) {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	asking.Go(func() {
		for ctx.Err() == nil {
			// how it ends does not matter here
			labelled(s.label, func() { _ = callBlocked(ctx, s) })
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	select {
	case <-held:
	case <-ctx.Done():
		require.FailNow(s.t, "the moment has not come", s.heard())
	}
}

// act runs a crowd and requires that everybody returns, and with what is to be expected.
func (s *site) act(crowd []action) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	errs := make(chan error, len(crowd))
	for _, a := range crowd {
		go labelled(s.label, func() { errs <- a.do(ctx, s) }) // ends with the call
	}
	for range crowd {
		err := <-errs
		var e *sdk.Error
		switch {
		case err == nil:
		case errors.Is(err, sdk.ErrClosed), errors.Is(err, sdk.ErrAlreadyLoggedIn),
			errors.Is(err, sdk.ErrNotRegistered), errors.Is(err, sdk.ErrNotConnected):
		default:
			require.ErrorAs(s.t, err, &e)
			require.Fail(s.t, "unexpected", "%v", err)
		}
	}
	require.NoError(s.t, ctx.Err(), "nobody waits for the silent server")
}

// settle waits until the client has arrived where it stays, and the service agrees.
func (s *site) settle() {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		sessions := len(s.srv.Resources("alice"))
		switch s.client.State() {
		case sdk.StatusConnected:
			return sessions == 1
		case sdk.StatusDisconnected:
			return sessions == 0
		}
		return false
	}, patience, 5*time.Millisecond, "one session or none: %s", s.heard())
}
