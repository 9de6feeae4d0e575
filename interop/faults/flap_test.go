package faults

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/stretchr/testify/require"
)

// flapEvery is how long the network stays up, and down.
const flapEvery = 200 * time.Millisecond

// TestFlapping: the network comes and goes every 200 ms, for as long as -flap says (`make soak`: a
// minute), while calls are made and pushes come. In the end there is one session that works. Until
// then calls fail as they should, events come in a legal order, no push comes twice or out of
// order, and where one is missing OnMissed has told so. With stream management only what cannot be
// resumed is missed.
func TestFlapping(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		way       way
		resumable bool
	}{{webSocket, false}, {startTLS, false}, {directTLS, false}, {webSocket, true}, {startTLS, true}} {
		t.Run(fmt.Sprintf("%s/resumable=%v", c.way, c.resumable), func(t *testing.T) {
			t.Parallel()
			var resumable time.Duration
			// longer than the network is away; those that the client cannot know how to resume are
			// gone soon, too
			if c.resumable {
				resumable = 10 * flapEvery
			}
			s := newSite(t, idle, c.way, network, resumable)
			s.start()
			numbers := s.countPushes()
			s.register()
			s.connect()
			flap(s)
			s.line.open()
			s.awaitCall()
			s.requireSessions(1)
			s.requireWorks()
			missing := numbers.check(t)
			losses := strings.Count(s.heard(), "D")
			t.Logf("%d losses, %d resumed, %d gaps told, in which %d pushes were missed",
				losses, strings.Count(s.heard(), "r"), strings.Count(s.heard(), "G"), missing)
			require.Positive(t, losses)
			if !c.resumable {
				require.NotContains(t, s.heard(), "r")
			}
			requireLegal(t, s.heard())
			s.with(func(ctx context.Context) error {
				_, err := s.client.Logout(ctx)
				return err
			})
			require.Equal(t, sdk.StatusDisconnected, s.client.State())
			s.end()
			requireLegal(t, s.heard())
		})
	}
}

// flap opens and closes the line, calls, and pushes, for as long as the network flaps.
func flap(s *site) {
	ctx, cancel := context.WithTimeout(s.t.Context(), *flapFor)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { s.keepCalling(ctx) })
	tick := time.NewTicker(flapEvery / 10)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		s.srv.Push("alice", s.numberedPush(n))
		switch n % 20 {
		case 9:
			s.line.refuse()
		case 19:
			s.line.open()
		}
	}
}

// keepCalling makes calls until ctx ends, and checks how they fail.
func (s *site) keepCalling(ctx context.Context) {
	for ctx.Err() == nil {
		var err error
		labelled(s.label, func() { _, err = s.client.GetUsersIBlocked(ctx) })
		var e *sdk.Error
		switch {
		case err == nil:
			continue
		case ctx.Err() != nil:
			return
		case !errors.As(err, &e) || !errors.Is(err, sdk.ErrNotConnected) || e.StatusCode != 500:
			s.t.Errorf("a call over a flapping network: %v", err)
			return
		}
		select { // until there may be a connection
		case <-time.After(flapEvery / 10):
		case <-ctx.Done():
		}
	}
}

// pushNumbers are the numbers of the pushes that were heard, and -1 for a gap that was told.
type pushNumbers struct {
	mu    sync.Mutex
	heard []int
}

func (s *site) numberedPush(n int) string { return s.profilePush("n" + strconv.Itoa(n)) }

// countPushes listens to numbered pushes.
func (s *site) countPushes() *pushNumbers {
	p := new(pushNumbers)
	add := func(n int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.heard = append(p.heard, n)
	}
	s.client.OnUserProfile(func(profile sdk.Profile) {
		if digits, is := strings.CutPrefix(profile.Status, pushMark+"n"); is {
			n, err := strconv.Atoi(digits)
			if err != nil {
				s.t.Error(err)
			}
			add(n)
		}
	})
	s.client.OnMissed(func(e sdk.MissedEvent) {
		if e.Gap {
			add(-1)
		}
	})
	return p
}

// check returns how many are missing.
func (p *pushNumbers) check(t *testing.T) (missing int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	last, gap := -1, false
	for _, n := range p.heard {
		if n < 0 {
			gap = true
			continue
		}
		require.Greater(t, n, last, "once, and in order")
		if n > last+1 {
			require.True(t, gap, "from %d to %d without a word", last, n)
			missing += n - last - 1
		}
		last, gap = n, false
	}
	require.NotEmpty(t, p.heard)
	return missing
}
