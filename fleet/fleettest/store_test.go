package fleettest_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mirrorfly-go/sdk/fleet"
	"github.com/mirrorfly-go/sdk/fleet/fleettest"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A store that is away answers nothing and tells nothing. One that was made anew ends its watches.
func TestAwayAndAnew(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	store := fleettest.NewStore()
	first, err := store.Create(ctx, "a", []byte("1"))
	require.NoError(t, err)
	entries, err := store.Watch(ctx)
	require.NoError(t, err)
	require.Equal(t, "a", patient.Receive(t, entries).Key)
	require.Empty(t, patient.Receive(t, entries).Key)

	store.SetAway(true)
	_, err = store.Get(ctx, "a")
	require.Error(t, err)
	_, err = store.Update(ctx, "a", []byte("2"), first)
	require.Error(t, err)
	require.NotErrorIs(t, err, fleet.ErrConflict)
	_, err = store.Watch(ctx)
	require.Error(t, err)
	require.Equal(t, 1, store.Writes())

	store.SetAway(false)
	second, err := store.Update(ctx, "a", []byte("2"), first)
	require.NoError(t, err)
	require.Equal(t, fleet.Entry{Key: "a", Value: []byte("2"), Revision: second}, patient.Receive(t, entries))
	require.Equal(t, []fleet.Entry{{Key: "a", Value: []byte("2"), Revision: second}}, store.Records())

	store.Reset()
	_, open := <-entries
	require.False(t, open)
	require.Empty(t, store.Records())
	anew, err := store.Create(ctx, "a", []byte("3"))
	require.NoError(t, err)
	require.Equal(t, first, anew, "revisions begin anew")
}
