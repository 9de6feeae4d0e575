package storm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	sdk "github.com/mirrorfly-go/sdk"
)

const workers = 16 // how many members of a crowd are made to do something at a time

// crowd is many sessions in this process.
type crowd struct {
	members []*sdk.Client
	dials   dials

	mu      sync.Mutex
	up      int           // how many are connected
	changed chan struct{} // capacity 1: up is another
}

// gather makes n users and logs them in.
func gather(t *testing.T, b *box, prefix string, n int, limit *sdk.DialLimit) *crowd {
	t.Helper()
	c := &crowd{members: make([]*sdk.Client, n), changed: make(chan struct{}, 1)}
	cfg := b.config()
	cfg.DialContext = c.dials.dialer()
	cfg.Dials = limit
	for i := range c.members {
		client, err := sdk.New(cfg)
		require.NoError(t, err)
		client.OnConnection(c.heard)
		c.members[i] = client
	}
	t.Cleanup(func() { c.close(t) })
	c.each(t, func(ctx context.Context, i int, client *sdk.Client) error {
		res, err := client.Register(ctx, fmt.Sprintf("%s-%d", prefix, i))
		if err != nil {
			return err
		}
		// a busy machine may need longer than an address is given
		for err = sdk.ErrNetwork; errors.Is(err, sdk.ErrNetwork) && ctx.Err() == nil; {
			_, err = client.Connect(ctx, res.Data.Username, res.Data.Password)
		}
		return err
	})
	return c
}

func (c *crowd) heard(e sdk.ConnectionEvent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e.Status {
	case sdk.StatusConnected:
		c.up++
	case sdk.StatusDisconnected:
		c.up--
	default:
		return
	}
	select {
	case c.changed <- struct{}{}:
	default: // the earlier element was not taken yet
	}
}

// awaitUp waits until n members are connected.
func (c *crowd) awaitUp(t *testing.T, n int, atMost time.Duration) {
	t.Helper()
	timeout := time.NewTimer(atMost)
	defer timeout.Stop()
	for {
		c.mu.Lock()
		up := c.up
		c.mu.Unlock()
		if up == n {
			return
		}
		select {
		case <-c.changed:
		case <-timeout.C:
			require.Fail(t, "too few or too many are connected", "%d and not %d after %v", up, n, atMost)
		}
	}
}

// each has every member do something, some at a time, and fails with the first that cannot.
func (c *crowd) each(t *testing.T, do func(ctx context.Context, i int, client *sdk.Client) error) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), atMost, errors.New("the machine is too slow"))
	defer cancel()
	next := make(chan int)
	failed := make(chan error, workers)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range next {
				if err := do(ctx, i, c.members[i]); err != nil {
					failed <- fmt.Errorf("member %d: %w", i, err)
					return
				}
			}
		})
	}
	var first error
	for i := 0; i < len(c.members) && first == nil; i++ {
		select {
		case next <- i:
		case first = <-failed:
		}
	}
	close(next)
	wg.Wait()
	close(failed)
	for err := range failed {
		if first == nil {
			first = err
		}
	}
	require.NoError(t, first)
}

// use makes a call of each kind for every member: one over XMPP, one over REST.
func (c *crowd) use(t *testing.T) {
	t.Helper()
	c.each(t, func(ctx context.Context, _ int, client *sdk.Client) error {
		me, err := client.GetCurrentUserJID()
		if err != nil {
			return err
		}
		if _, err := client.GetUsersIBlocked(ctx); err != nil {
			return err
		}
		_, err = client.GetUserProfile(ctx, me.Data)
		return err
	})
}

func (c *crowd) close(t *testing.T) {
	var wg sync.WaitGroup
	for _, client := range c.members {
		wg.Go(func() {
			if err := client.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
