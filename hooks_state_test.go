package sdk_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
)

// A hook may ask for the state also when it is told of a message that a change of the state has
// pushed out of a full queue.
func TestHookAsksForTheState(t *testing.T) {
	const tooMany = 1100 // more than wait
	var client atomic.Pointer[sdk.Client]
	var lost atomic.Bool
	asked := make(chan sdk.ConnectionStatus, tooMany)
	w := withHooks(t, &sdk.Hooks{
		Client: func(c sdk.ClientInfo) { client.Store(c.Client) },
		Message: func(m sdk.MessageInfo) {
			if m.Stage == sdk.MessageDropped && lost.Load() {
				asked <- client.Load().State()
			}
		},
	}, nil)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	w.client.OnMessage(func(sdk.Message) { <-release })
	var burst strings.Builder
	for range tooMany {
		burst.WriteString(w.message())
	}
	w.push(t, burst.String())
	require.Positive(t, w.client.Stats().MessagesDropped)
	lost.Store(true)
	w.srv.DropConnections()
	select {
	case state := <-asked:
		require.NotEmpty(t, state)
	case <-time.After(patience):
		require.FailNow(t, "the client hangs")
	}
	require.NoError(t, w.client.Close())
}
