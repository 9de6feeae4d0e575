package sdktest

import (
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

// A lost stream that was resumed is forgotten.
func TestLostStreamIsFreed(t *testing.T) {
	srv := New(t, Options{ResumeTimeout: time.Hour})
	cfg := srv.Config()
	cfg.Reconnect.MinDelay, cfg.Reconnect.MaxDelay = time.Millisecond, time.Millisecond
	client, err := sdk.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	back := make(chan struct{}, 4)
	client.OnConnection(func(e sdk.ConnectionEvent) {
		if e.Resumed {
			back <- struct{}{}
		}
	})
	res, err := client.Register(t.Context(), "alice")
	require.NoError(t, err)
	_, err = client.Connect(t.Context(), res.Data.Username, res.Data.Password)
	require.NoError(t, err)
	_, err = client.GetUsersIBlocked(t.Context())
	require.NoError(t, err)
	var old weak.Pointer[stream]
	srv.hub.mu.Lock()
	for _, st := range srv.hub.streams["alice"] {
		old = weak.Make(st)
	}
	srv.hub.mu.Unlock()
	srv.DropConnections()
	patient.Receive(t, back)
	require.Eventually(t, func() bool {
		runtime.GC()
		return old.Value() == nil
	}, patience, 20*time.Millisecond, "held for as long as it could be resumed")
}
