package sdk

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/unsent"
)

// queueUp has n logins wait for their turn. The returned function tells when each has started.
func queueUp(t *testing.T, l *DialLimit, n int) (starts func() []time.Time) {
	var mu sync.Mutex
	var told []time.Time
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			done, err := l.Wait(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			defer done()
			mu.Lock()
			defer mu.Unlock()
			told = append(told, time.Now())
		})
	}
	return func() []time.Time {
		all.Wait()
		require.Len(t, told, n)
		return told
	}
}

func TestDialLimitSpaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewDialLimit(10, 0)
		begin := time.Now()
		for i, at := range queueUp(t, l, 25)() {
			require.Equal(t, time.Duration(i)*100*time.Millisecond, at.Sub(begin))
		}
		time.Sleep(time.Minute) // of the bubble: what was not used is not saved up
		begin = time.Now()
		for i := range 3 {
			_, err := l.Wait(t.Context())
			require.NoError(t, err)
			require.Equal(t, time.Duration(i)*100*time.Millisecond, time.Since(begin))
		}
	})
}

func TestDialLimitAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewDialLimit(0, 2)
		first, err := l.Wait(t.Context())
		require.NoError(t, err)
		_, err = l.Wait(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = awaitTurn(ctx, l)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.True(t, unsent.Is(err))
		first()
		_, err = l.Wait(t.Context())
		require.NoError(t, err)
	})
}

func TestNoDialLimit(t *testing.T) {
	for _, l := range []*DialLimit{nil, {}, NewDialLimit(0, 0), NewDialLimit(-1, -1)} {
		for range 100 {
			done, err := l.Wait(t.Context())
			require.NoError(t, err)
			done()
		}
	}
}

// limiter is a DialLimiter of somebody else.
type limiter func(ctx context.Context) (done func(), err error)

func (l limiter) Wait(ctx context.Context) (func(), error) { return l(ctx) }

func TestAwaitTurn(t *testing.T) {
	refusal := errors.New("not today")
	for name, c := range map[string]struct {
		limiter DialLimiter
		err     error
	}{
		"none":               {nil, nil},
		"a nil DialLimit":    {(*DialLimit)(nil), nil},
		"nothing to be done": {limiter(func(context.Context) (func(), error) { return nil, nil }), nil},
		"refused":            {limiter(func(context.Context) (func(), error) { return nil, refusal }), refusal},
	} {
		t.Run(name, func(t *testing.T) {
			done, err := awaitTurn(t.Context(), c.limiter)
			require.ErrorIs(t, err, c.err)
			if c.err != nil {
				require.True(t, unsent.Is(err))
				return
			}
			done()
		})
	}
}

// A limiter that refuses fails Connect before anything is sent.
func TestConnectRefusedByItsLimiter(t *testing.T) {
	refusal := errors.New("not today")
	client := newClient(t, Config{
		LicenseKey: "key", APIBaseURL: "https://api.example.com", HTTPClient: &http.Client{Transport: blocking{}},
		Dials: limiter(func(context.Context) (func(), error) { return nil, refusal }),
	})
	_, err := client.Connect(t.Context(), "emil", "password")
	failure := (*Error)(nil)
	require.ErrorAs(t, err, &failure)
	require.ErrorContains(t, err, "not today")
	require.Equal(t, OutcomeNotSent, failure.Outcome)
}

// blocking is a service that answers every request with 403.
type blocking struct{}

func (blocking) RoundTrip(r *http.Request) (*http.Response, error) {
	text := `{"status":403,"message":"blocked"}`
	return &http.Response{
		StatusCode: 403, Request: r, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(text)),
	}, nil
}

// Waiting for a turn is not what RequestTimeout bounds; a deadline of the caller is kept.
func TestConnectWaitsForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := NewDialLimit(0, 1)
		client := newClient(t, Config{
			LicenseKey: "key", APIBaseURL: "https://api.example.com", TrialLicense: true,
			HTTPClient: &http.Client{Transport: blocking{}}, RequestTimeout: time.Second, Dials: limit,
		})
		other, err := limit.Wait(t.Context())
		require.NoError(t, err)

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		_, err = client.Connect(ctx, "emil", "password")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, ErrNetwork)
		failure := (*Error)(nil)
		require.ErrorAs(t, err, &failure)
		require.Equal(t, OutcomeNotSent, failure.Outcome)
		require.Equal(t, time.Minute, time.Since(begin))

		connected := make(chan error, 1)
		go func() { // ends when the other does
			_, err := client.Connect(t.Context(), "emil", "password")
			connected <- err
		}()
		time.Sleep(time.Hour) // of the bubble
		synctest.Wait()
		require.Empty(t, connected)
		other()
		require.ErrorIs(t, <-connected, ErrBlockedByAdmin, "the service was asked")
	})
}

// Logins that waited for others to end are spaced, too, and do not start all at once.
func TestDialLimitSpacesWhatHasWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewDialLimit(10, 5)
		var hung []func()
		for range 5 {
			done, err := l.Wait(t.Context())
			require.NoError(t, err)
			hung = append(hung, done)
		}
		told := queueUp(t, l, 20)
		time.Sleep(time.Minute) // of the bubble: the server is silent, then it answers
		for _, done := range hung {
			done()
		}
		starts := told()
		for i := range starts[1:] {
			require.GreaterOrEqual(t, starts[i+1].Sub(starts[i]), 100*time.Millisecond, "start %d", i+1)
		}
	})
}

// Who gives up takes no start away from those who come later.
func TestDialLimitForgetsWhoGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewDialLimit(1, 0)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { _, _ = l.Wait(ctx) })
		}
		all.Wait()
		begin := time.Now()
		_, err := l.Wait(t.Context())
		require.NoError(t, err)
		require.LessOrEqual(t, time.Since(begin), time.Second)
	})
}
