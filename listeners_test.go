package sdk_test

import (
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
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
	require.NoError(t, patient.Receive(t, done))
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
	patient.Receive(t, stuck)
	_, err := client.GetUserProfile(t.Context(), "alice")
	require.NoError(t, err)
	require.NoError(t, client.Close())
	close(release)
}

// Behind a listener that is stuck the memory of the program does not grow with what others push:
// large profiles, of which the queue could hold as many as small ones.
func TestStuckListenerAndLargeProfiles(t *testing.T) {
	const pushes, size = 32, 1000 << 10
	srv := sdktest.New(t)
	client := login(t, srv.Config(), "alice")
	missed, last := collect(client.OnMissed), collect(client.OnUserDeleted)
	stuck, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	client.OnUserProfile(func(sdk.Profile) { once.Do(func() { close(stuck); <-release }) })
	push := `<iq xmlns="jabber:client" type="result" id="p" from="mallory@` + srv.Domain() + `">` +
		`<vCard xmlns="vcard-temp"><status>` + strings.Repeat("x", size) + `</status></vCard></iq>`
	before := liveHeap()
	for range pushes {
		srv.Push("alice", push)
		requireAnswer(t, srv, client)
	}
	patient.Receive(t, stuck)
	require.Less(t, liveHeap(), before+24<<20, "bytes held after %d pushes of %d", pushes, size)
	srv.Push("alice", `<message xmlns="jabber:client" from="`+srv.Domain()+`"><user_deleted user="bob"/></message>`)
	requireAnswer(t, srv, client)
	close(release)
	last.until(t, func(sdk.UserDeletedEvent) bool { return true })
	require.Len(t, missed.list(), 1)
	require.Equal(t, pushes-1-16, missed.list()[0].Dropped, "one was with the listener, 16 MiB hold 16")
}

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestListenerThatEndsItsGoroutine(t *testing.T) {
	srv := sdktest.New(t)
	client := login(t, srv.Config(), "alice")
	client.OnUserProfile(nil)
	client.OnUserProfile(func(sdk.Profile) { runtime.Goexit() })
	profiles := collect(client.OnPresence)
	_, err := client.GetUserProfile(t.Context(), "alice")
	require.NoError(t, err)
	login(t, srv.Config(), "bob")
	profiles.until(t, func(e sdk.PresenceEvent) bool { return e.Status == "online" })
}
