package sdk

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/unsent"
)

// Who waits longest is next. One that asks again and again does not keep the others out, and one that gives up is passed over.
func TestTurnsAreTakenInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Client
		require.NoError(t, c.takeTurn(t.Context()))
		order := make(chan string, 10)
		wait := func(ctx context.Context, name string) {
			go func() {
				if err := c.takeTurn(ctx); err != nil {
					assert.ErrorIs(t, err, context.Canceled)
					assert.True(t, unsent.Is(err))
					order <- name + " gave up"
					return
				}
				order <- name
				c.endTurn()
			}()
			synctest.Wait()
		}
		impatient, giveUp := context.WithCancel(t.Context())
		wait(t.Context(), "first")
		wait(impatient, "second")
		wait(t.Context(), "third")
		giveUp()
		synctest.Wait()

		c.endTurn()
		require.NoError(t, c.takeTurn(t.Context())) // again
		order <- "again"
		c.endTurn()
		for _, want := range []string{"second gave up", "first", "third", "again"} {
			require.Equal(t, want, <-order)
		}
		require.Nil(t, c.turn, "nobody needs it any more")
		require.Zero(t, c.turns)
	})
}
