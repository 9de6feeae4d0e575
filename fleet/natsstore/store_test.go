package natsstore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mirrorfly-go/sdk/fleet"
	"github.com/mirrorfly-go/sdk/fleet/fleettest"
	"github.com/mirrorfly-go/sdk/fleet/natsstore"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

// connect connects to a server for the time of the test.
func connect(t *testing.T, urls string) jetstream.JetStream {
	t.Helper()
	conn, js, err := natsstore.Connect(urls)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	return js
}

func embedded(t *testing.T, dir string) *natsstore.Server {
	t.Helper()
	server, err := natsstore.Embedded(dir)
	require.NoError(t, err)
	t.Cleanup(server.Close)
	return server
}

// Both stores do what fleet.Store says.
func TestStore(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) fleet.Store{
		"in memory": func(*testing.T) fleet.Store { return fleettest.NewStore() },
		"NATS": func(t *testing.T) fleet.Store {
			store, err := natsstore.New(connect(t, embedded(t, t.TempDir()).URL()), natsstore.Options{})
			require.NoError(t, err)
			return store
		},
	} {
		t.Run(name, func(t *testing.T) { testStore(t, open(t)) })
	}
}

func testStore(t *testing.T, store fleet.Store) {
	t.Helper()
	ctx := t.Context()
	_, err := store.Get(ctx, "shard.1")
	require.ErrorIs(t, err, fleet.ErrNotFound)
	first, err := store.Create(ctx, "shard.1", []byte("one"))
	require.NoError(t, err)
	_, err = store.Create(ctx, "shard.1", []byte("again"))
	require.ErrorIs(t, err, fleet.ErrConflict)
	_, err = store.Update(ctx, "shard.2", []byte("never made"), first)
	require.ErrorIs(t, err, fleet.ErrConflict)
	second, err := store.Update(ctx, "shard.1", []byte("two"), first)
	require.NoError(t, err)
	require.Greater(t, second, first)
	_, err = store.Update(ctx, "shard.1", []byte("late"), first)
	require.ErrorIs(t, err, fleet.ErrConflict)
	e, err := store.Get(ctx, "shard.1")
	require.NoError(t, err)
	require.Equal(t, fleet.Entry{Key: "shard.1", Value: []byte("two"), Revision: second}, e)

	watching, stop := context.WithCancel(ctx)
	defer stop()
	entries, err := store.Watch(watching)
	require.NoError(t, err)
	require.Equal(t, e, patient.Receive(t, entries))
	require.Empty(t, patient.Receive(t, entries).Key, "all is told")

	require.ErrorIs(t, store.Delete(ctx, "shard.1", first), fleet.ErrConflict)
	require.NoError(t, store.Delete(ctx, "shard.1", second))
	gone := patient.Receive(t, entries)
	require.Empty(t, gone.Value)
	require.Greater(t, gone.Revision, second)
	_, err = store.Get(ctx, "shard.1")
	require.ErrorIs(t, err, fleet.ErrNotFound)
	third, err := store.Create(ctx, "shard.1", []byte("three"))
	require.NoError(t, err)
	require.Greater(t, third, second)
	require.Equal(t, fleet.Entry{Key: "shard.1", Value: []byte("three"), Revision: third}, patient.Receive(t, entries))

	stop()
	for range entries { // closed soon
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = store.Create(ended, "shard.3", []byte("x"))
	require.Error(t, err)
	require.NotErrorIs(t, err, fleet.ErrConflict)
}

// A server that is started again is where it was, with what it has kept.
func TestEmbeddedAgain(t *testing.T) {
	dir := t.TempDir()
	server, err := natsstore.Embedded(dir)
	require.NoError(t, err)
	url := server.URL()
	store, err := natsstore.New(connect(t, url), natsstore.Options{Bucket: "mine"})
	require.NoError(t, err)
	revision, err := store.Create(t.Context(), "bucket", []byte("kept"))
	require.NoError(t, err)
	server.Close()

	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = store.Update(ctx, "bucket", []byte("lost"), revision)
	require.Error(t, err)
	require.NotErrorIs(t, err, fleet.ErrConflict)

	require.Equal(t, url, embedded(t, dir).URL())
	require.Eventually(t, func() bool {
		_, err := store.Update(t.Context(), "bucket", []byte("new"), revision)
		return err == nil
	}, time.Minute, 20*time.Millisecond, "the connection comes back")
}

// A password of NATS is not told to who reads errors.
func TestConnectRefuses(t *testing.T) {
	for _, address := range []string{
		"nats://me:secret@host:port", "nats://me:secret", "nats://me:sec%ret@127.0.0.1:1", "http://me:secret@127.0.0.1:1",
		"nats://me:secret@127.0.0.1:1", "\x00secret",
	} {
		_, _, err := natsstore.Connect(address)
		require.ErrorContains(t, err, "natsstore")
		require.NotContains(t, err.Error(), "secret", address)
	}
}

// What is wrong is told at once.
func TestNewRefuses(t *testing.T) {
	js := connect(t, embedded(t, t.TempDir()).URL())
	_, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "short", TTL: time.Hour})
	require.NoError(t, err)
	for text, opts := range map[string]natsstore.Options{
		"Options.Bucket":   {Bucket: "a b"},
		"Options.Replicas": {Replicas: 2},
		"forgets records":  {Bucket: "short"},
	} {
		begin := time.Now()
		_, err := natsstore.New(js, opts)
		require.ErrorContains(t, err, text)
		require.Less(t, time.Since(begin), limit/4, "it does not try again")
	}
}

func TestEmbeddedRefuses(t *testing.T) {
	_, err := natsstore.Embedded("")
	require.ErrorContains(t, err, "directory")
}

// A watch that is left while it tells what there is leaves nothing behind, whether the connection
// lasts or not.
func TestWatchIsLeft(t *testing.T) {
	server := embedded(t, t.TempDir())
	conn, js, err := natsstore.Connect(server.URL())
	require.NoError(t, err)
	defer conn.Close()
	store, err := natsstore.New(js, natsstore.Options{})
	require.NoError(t, err)
	const more = 1000 // than anybody keeps for who does not read
	for i := range more {
		_, err := js.PublishAsync(fmt.Sprintf("$KV.mirrorfly-fleet.shard.%d", i), []byte("{}"))
		require.NoError(t, err)
	}
	<-js.PublishAsyncComplete()
	before := goleak.IgnoreCurrent()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	left, err := store.Watch(ctx)
	require.NoError(t, err)
	require.Equal(t, "shard.0", (<-left).Key)
	stop()
	for range left { // closed soon
	}
	goleak.VerifyNone(t, before)

	lost, err := store.Watch(t.Context())
	require.NoError(t, err)
	conn.Close()
	for range lost { // closed soon
	}
}
