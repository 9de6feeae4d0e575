package sdk_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
)

// dialsThat is a DialLimiter that asks f.
type dialsThat func(context.Context) error

func (f dialsThat) Wait(ctx context.Context) (done func(), err error) { return nil, f(ctx) }

// An attempt to reconnect that Config.Dials refuses is told and counted as each other one. One that
// Close ends while it waits is none.
func TestAttemptsWithoutADialAreTold(t *testing.T) {
	refused, waiting := errors.New("refused"), make(chan struct{})
	asked := 0 // by one goroutine at a time
	r := new(hookLog)
	w := withHooks(t, hooksThat(r.note), func(cfg *sdk.Config) {
		cfg.Dials = dialsThat(func(ctx context.Context) error {
			switch asked++; asked {
			case 1:
				return nil // the first Connect
			case 2:
				return refused
			}
			close(waiting)
			<-ctx.Done()
			return ctx.Err()
		})
	})
	require.Len(t, toldOf[sdk.ConnectInfo](r), 1)
	w.srv.DropConnections()
	await(t, waiting)
	require.NoError(t, w.client.Close())
	failed := toldOf[sdk.ConnectDone](r)
	require.Len(t, failed, 2)
	require.ErrorIs(t, failed[1].Err, refused)
	require.Positive(t, failed[1].Down)
	require.Equal(t, 1, lastTold[sdk.ConnectInfo](t, r, nil).Attempt)
	require.EqualValues(t, 1, w.client.Stats().ConnectsFailed)
}
