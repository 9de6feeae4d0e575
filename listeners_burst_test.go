package sdk_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// pushes is the size of a burst, the same with the race detector: many times what the queue of the
// listeners holds, and more than sdktest keeps for a client that does not read.
const pushes = 20_000

// burst pushes numbered events to alice: n stanzas, of which so many are in one push.
func burst(t *testing.T, srv *sdktest.Server, n, atOnce int) {
	t.Helper()
	for i := 0; i < n; {
		var b strings.Builder
		for range atOnce {
			fmt.Fprintf(&b, `<message xmlns="jabber:client" from="%s"><user_deleted user="%d@%[1]s"/></message>`,
				srv.Domain(), i)
			i++
		}
		require.Equal(t, 1, srv.Push("alice", b.String()))
	}
}

// requireAnswer makes a request: its answer comes behind all that was pushed before.
func requireAnswer(t *testing.T, srv *sdktest.Server, client *sdk.Client) {
	t.Helper()
	_, err := client.GetLastSeen(t.Context(), "alice@"+srv.Domain())
	require.NoError(t, err)
}

// received counts the events of a burst, and what was told to be missed of it.
type received struct {
	events, missed int
	last           int
	disorder       bool
	done           chan struct{} // closed with the last event
}

// receive counts what the client hears, up to the event number last.
func receive(client *sdk.Client, last int) *received {
	r := &received{last: -1, done: make(chan struct{})}
	client.OnMissed(func(e sdk.MissedEvent) { r.missed += e.Dropped })
	client.OnUserDeleted(func(e sdk.UserDeletedEvent) {
		local, _, _ := strings.Cut(e.UserJID, "@")
		n, err := strconv.Atoi(local)
		r.disorder = r.disorder || err != nil || n <= r.last
		r.last = n
		r.events++
		if n == last {
			close(r.done)
		}
	})
	return r
}

func (r *received) await(t *testing.T) {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(patience):
		t.Fatal("the last event did not come")
	}
	require.False(t, r.disorder, "events are out of order")
}

// A burst that is many times what the queue of the listeners holds reaches them whole and in order,
// as long as they keep up. Beside the server's sockets no time passes in the bubble: however busy
// the machine, the listeners keep up.
func TestBurstLosesNothing(t *testing.T) {
	t.Parallel()
	for transport, atOnce := range map[sdk.Transport]int{sdk.TransportTCP: 1000, sdk.TransportWebSocket: 1} {
		t.Run(string(transport), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := sdktest.New(t)
				cfg := srv.Config()
				cfg.Transport = transport
				client := login(t, cfg, "alice")
				got := receive(client, pushes-1)
				burst(t, srv, pushes, atOnce)
				got.await(t)
				require.Equal(t, pushes, got.events)
				require.Zero(t, got.missed)
			})
		})
	}
}

// A burst that comes faster than its client can read, and a listener that is stuck meanwhile: the
// connection stays, requests are answered, and the client is told how many events it has missed.
// Those that it got and those that it missed are all.
func TestBurstAtAStuckListener(t *testing.T) {
	srv := sdktest.New(t)
	client := login(t, srv.Config(), "alice")
	got := receive(client, pushes-1)
	var ends atomic.Int64
	client.OnConnection(func(sdk.ConnectionEvent) { ends.Add(1) })
	stuck, release := make(chan struct{}), make(chan struct{})
	client.OnAdminBlock(func(sdk.AdminBlockEvent) { close(stuck); <-release })
	srv.Push("alice", `<message xmlns="jabber:client" from="`+srv.Domain()+`"><admin_block block_status="1" jid="bob@`+
		srv.Domain()+`"/></message>`)
	patient.Receive(t, stuck)
	burst(t, srv, pushes, 1)
	requireAnswer(t, srv, client)
	close(release)
	got.await(t)
	require.Equal(t, 1024, got.events, "the last, which the queue holds")
	require.Equal(t, pushes, got.events+got.missed)
	require.Zero(t, ends.Load(), "the connection was not lost")
}
