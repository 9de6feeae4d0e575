package sdk_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestConnectTakesTurns(t *testing.T) {
	srv := sdktest.New(t)
	cfg := srv.Config()
	cfg.Dials = sdk.NewDialLimit(100, 1)
	var all sync.WaitGroup
	for _, name := range []string{"anna", "ben", "carl", "dora"} {
		client, credentials := register(t, cfg, name)
		all.Go(func() {
			if _, err := client.Connect(t.Context(), credentials.Username, credentials.Password); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// Whether another attempt follows is told with the event.
func TestFinal(t *testing.T) {
	final := func(e sdk.ConnectionEvent) bool { return e.Final }
	t.Run("attempts used up", func(t *testing.T) {
		srv := sdktest.New(t)
		cfg := quick(srv.Config())
		cfg.Reconnect.MaxAttempts = 2
		client, credentials := register(t, cfg, "alice")
		connection := collect(client.OnConnection)
		connect(t, client, credentials)
		srv.SetFault(sdktest.StepUpgrade, sdktest.FaultError)
		srv.DropConnections()
		last := connection.until(t, final)
		require.Equal(t, sdk.StatusConnectionFailed, last.Status)
		require.Equal(t, 2, last.Attempt)
	})
	t.Run("replaced", func(t *testing.T) {
		srv := sdktest.New(t)
		client, credentials := register(t, quick(srv.Config()), "alice")
		connection := collect(client.OnConnection)
		connect(t, client, credentials)
		srv.Push("alice", `<stream:error xmlns:stream="http://etherx.jabber.org/streams">`+
			`<conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error>`)
		require.Equal(t, sdk.StatusDisconnected, connection.until(t, final).Status)
	})
	t.Run("refused", func(t *testing.T) {
		srv := sdktest.New(t)
		client, credentials := register(t, quick(srv.Config()), "alice")
		connection := collect(client.OnConnection)
		srv.SetFault(sdktest.StepAuth, sdktest.FaultError)
		_, err := client.Connect(t.Context(), credentials.Username, credentials.Password)
		require.ErrorIs(t, err, sdk.ErrInvalidCredentials)
		require.Equal(t, sdk.StatusAuthFail, connection.until(t, final).Status)
	})
	t.Run("asked for", func(t *testing.T) {
		srv := sdktest.New(t)
		client := login(t, quick(srv.Config()), "alice")
		connection := collect(client.OnConnection)
		srv.DropConnections()
		connection.until(t, isBack)
		for _, e := range connection.list() {
			require.False(t, e.Final, "%+v", e)
		}
		require.NoError(t, client.Close())
		require.Equal(t, sdk.StatusDisconnected, connection.until(t, final).Status)
	})
}
