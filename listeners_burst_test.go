package sdk_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// pushes is the size of a burst, the same with the race detector.
const pushes = 30_000

// burst pushes numbered events to alice, 1000 stanzas in one write over TCP. Over WebSocket each is
// a message of its own, and sdktest cuts off who lets 1024 pile up: so it awaits now and then that
// they are read.
func burst(t *testing.T, srv *sdktest.Server, client *sdk.Client, transport sdk.Transport) {
	t.Helper()
	atOnce := 1000
	if transport == sdk.TransportWebSocket {
		atOnce = 1
	}
	for n := 0; n < pushes; {
		var b strings.Builder
		for range atOnce {
			fmt.Fprintf(&b, `<message xmlns="jabber:client" from="%s"><user_deleted user="%d@%[1]s"/></message>`,
				srv.Domain(), n)
			n++
		}
		require.Equal(t, 1, srv.Push("alice", b.String()))
		if n%500 == 0 && transport == sdk.TransportWebSocket {
			requireAnswer(t, srv, client)
		}
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

func receive(client *sdk.Client) *received {
	r := &received{last: -1, done: make(chan struct{})}
	client.OnMissed(func(e sdk.MissedEvent) { r.missed += e.Dropped })
	client.OnUserDeleted(func(e sdk.UserDeletedEvent) {
		local, _, _ := strings.Cut(e.UserJID, "@")
		n, err := strconv.Atoi(local)
		r.disorder = r.disorder || err != nil || n <= r.last
		r.last = n
		r.events++
		if n == pushes-1 {
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
	for _, transport := range []sdk.Transport{sdk.TransportTCP, sdk.TransportWebSocket} {
		t.Run(string(transport), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := sdktest.New(t)
				cfg := srv.Config()
				cfg.Transport = transport
				client := login(t, cfg, "alice")
				got := receive(client)
				burst(t, srv, client, transport)
				got.await(t)
				require.Equal(t, pushes, got.events)
				require.Zero(t, got.missed)
			})
		})
	}
}

// A listener that is stuck during a burst stops no request, and is told how many events it has
// missed: those that it got and those that it missed are all.
func TestBurstAtAStuckListener(t *testing.T) {
	srv := sdktest.New(t)
	cfg := srv.Config()
	cfg.Transport = sdk.TransportTCP
	client := login(t, cfg, "alice")
	got := receive(client)
	stuck, release := make(chan struct{}), make(chan struct{})
	client.OnAdminBlock(func(sdk.AdminBlockEvent) { close(stuck); <-release })
	srv.Push("alice", `<message xmlns="jabber:client" from="`+srv.Domain()+`"><admin_block block_status="1" jid="bob@`+
		srv.Domain()+`"/></message>`)
	<-stuck
	burst(t, srv, client, cfg.Transport)
	requireAnswer(t, srv, client)
	close(release)
	got.await(t)
	require.Equal(t, 1024, got.events, "the last, which the queue holds")
	require.Equal(t, pushes, got.events+got.missed)
}
