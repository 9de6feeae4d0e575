package natsstore_test

import (
	"os"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/fleet"
	"github.com/mirrorfly-go/sdk/fleet/natsstore"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// Members notice that older files of the server were put back: one that is in them, and one that
// came later.
func TestBucketRestored(t *testing.T) {
	srv := sdktest.New(t)
	accounts := register(t, srv, 4)
	dir, copied := t.TempDir(), t.TempDir()
	first, err := natsstore.Embedded(dir)
	require.NoError(t, err)
	js := connect(t, first.URL())
	a := join(t, srv, js, 1, accounts)
	shared(t, 4, a)
	first.Close()
	require.NoError(t, os.CopyFS(copied, os.DirFS(dir)))

	second, err := natsstore.Embedded(dir)
	require.NoError(t, err)
	require.Equal(t, first.URL(), second.URL())
	b := join(t, srv, js, 1, accounts)
	shared(t, 2, a, b)
	second.Close()

	require.Equal(t, first.URL(), embedded(t, copied).URL())
	require.ErrorIs(t, <-a.ended, fleet.ErrBucket)
	require.ErrorIs(t, <-b.ended, fleet.ErrBucket)
	require.Empty(t, append(a.Accounts(), b.Accounts()...))
}

// The same where a bucket is made again under its name and old records are put into it, while the
// server runs.
func TestOldRecordsPutBack(t *testing.T) {
	srv := sdktest.New(t)
	accounts := register(t, srv, 4)
	js := connect(t, embedded(t, t.TempDir()).URL())
	a := join(t, srv, js, 1, accounts)
	shared(t, 4, a)
	old := records(t, js)
	b := join(t, srv, js, 1, accounts)
	shared(t, 2, a, b)

	require.NoError(t, js.DeleteKeyValue(t.Context(), bucket))
	store, err := natsstore.New(js, natsstore.Options{Bucket: bucket})
	require.NoError(t, err)
	for _, e := range old {
		_, err := store.Create(t.Context(), e.Key(), e.Value())
		require.NoError(t, err)
	}
	require.ErrorIs(t, <-a.ended, fleet.ErrBucket)
	require.ErrorIs(t, <-b.ended, fleet.ErrBucket)
}

// records are those of the bucket, in the order of their revisions.
func records(t *testing.T, js jetstream.JetStream) []jetstream.KeyValueEntry {
	t.Helper()
	kv, err := js.KeyValue(t.Context(), bucket)
	require.NoError(t, err)
	watch, err := kv.WatchAll(t.Context())
	require.NoError(t, err)
	var all []jetstream.KeyValueEntry
	for e := range watch.Updates() {
		if e == nil {
			require.NoError(t, watch.Stop())
			return all
		}
		all = append(all, e)
	}
	require.FailNow(t, "the watch has ended")
	return nil
}
