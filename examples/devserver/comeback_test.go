package main

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

// Clients of an emulator that was killed come back by themselves when it is started again with the
// same data, those among them that use TCP.
func TestClientsComeBack(t *testing.T) {
	const many, overTCP = 30, 6
	t.Setenv("TMPDIR", t.TempDir()) // a killed program cannot clean up
	data := t.TempDir()
	cmd, at := startAt(t, "-data", data, "-contacts", "none")
	clients := make([]*sdk.Client, many)
	connected := make([]chan struct{}, many)
	var wg sync.WaitGroup
	for i := range clients {
		client := at
		if i < overTCP {
			client.XMPPURL = "xmpp://" + at.XMPPAddress
		}
		clients[i], connected[i] = newUser(t, client), make(chan struct{}, 10)
		clients[i].OnConnection(func(e sdk.ConnectionEvent) {
			if e.Status == sdk.StatusConnected {
				connected[i] <- struct{}{}
			}
		})
		wg.Go(func() { login(t, clients[i], fmt.Sprintf("bot-%02d", i)) })
	}
	wg.Wait()
	require.False(t, t.Failed(), "all have logged in")
	for _, c := range connected {
		patient.Receive(t, c)
	}
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())

	cmd, again := startAt(t, "-data", data, "-contacts", "none", "-listen", hostOf(at.SignalURL))
	require.Equal(t, at, again)
	for i, c := range connected {
		patient.Receive(t, c)
		_, err := clients[i].GetUserProfile(t.Context(), fmt.Sprintf("bot-%02d", many-1-i))
		require.NoError(t, err)
		require.NoError(t, clients[i].Close())
	}
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
}
