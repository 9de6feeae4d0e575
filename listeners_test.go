package sdk_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// A listener may ask the service, log out, connect again, stop itself and close the client.
func TestListenerMayCallAnything(t *testing.T) {
	srv := sdktest.New(t)
	client, credentials := register(t, srv.Config(), "alice")
	done := make(chan error, 1)
	again := false
	client.OnConnection(func(e sdk.ConnectionEvent) {
		if e.Status != sdk.StatusConnected {
			return
		}
		calls := []func() error{
			func() error {
				_, err := client.SetUserProfile(t.Context(), sdk.ProfileUpdate{Name: "A", Email: "a@example.com"})
				return err
			},
			func() error { _, err := client.GetUserProfile(t.Context(), "alice"); return err },
			func() error { _, err := client.GetLastSeen(t.Context(), credentials.UserJID); return err },
			func() error { _, err := client.Logout(t.Context()); return err },
			func() error {
				_, err := client.Connect(t.Context(), credentials.Username, credentials.Password)
				return err
			},
		}
		if again {
			calls = []func() error{client.Close}
		}
		again = true
		for _, call := range calls {
			if err := call(); err != nil {
				done <- err
				return
			}
		}
		if client.State() == sdk.StatusDisconnected {
			done <- nil
		}
	})
	connect(t, client, credentials)
	require.NoError(t, <-done)
}

func TestStopInsideAListener(t *testing.T) {
	srv := sdktest.New(t)
	bob := login(t, srv.Config(), "bob")
	var stop func()
	calls := make(chan sdk.Profile, 10)
	stop = bob.OnUserProfile(func(p sdk.Profile) { stop(); calls <- p })
	after := collect(bob.OnUserProfile)
	for range 3 {
		_, err := bob.GetUserProfile(t.Context(), "bob")
		require.NoError(t, err)
	}
	count := 0
	after.until(t, func(sdk.Profile) bool { count++; return count == 3 })
	require.Len(t, calls, 1)
}

// A listener that never returns stops neither requests nor Close.
func TestStuckListener(t *testing.T) {
	srv := sdktest.New(t)
	client, credentials := register(t, srv.Config(), "alice")
	release := make(chan struct{})
	stuck := make(chan struct{})
	client.OnConnection(func(sdk.ConnectionEvent) { close(stuck); <-release })
	connect(t, client, credentials)
	<-stuck
	_, err := client.GetUserProfile(t.Context(), "alice")
	require.NoError(t, err)
	require.NoError(t, client.Close())
	close(release)
}
