package messages

import (
	"slices"
	"testing"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/tour"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/stretchr/testify/require"
)

// TestEnd: the bot ends without having handled what it was told: in order by Close, and by SIGKILL.
// Its next process is told of that again. With Prosody over WebSocket it is so only after Close:
// what a killed process had not acknowledged is lost there (docs/messages.md).
func TestEnd(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			node := server.start(t, resumeTimeout)
			for _, way := range tour.Ways() {
				for name, end := range ends {
					if name == sigkill && server.name == "Prosody" && way.Name == webSocket {
						continue
					}
					t.Run(way.Name+"/"+name, func(t *testing.T) {
						t.Parallel()
						leaveOpen(t, tour.New(t, way, node), end)
					})
				}
			}
		})
	}
}

// ends are the ways in which a process ends.
var ends = map[string]func(*life){"Close": (*life).leave, sigkill: (*life).kill}

const sigkill = "SIGKILL"

func leaveOpen(t *testing.T, s *tour.Service, end func(*life)) {
	o := newOrder(t, s)
	all := newPeers(t, s, o)
	const some = 20
	o.Manner = never
	var r record
	first := r.begin(t, o)
	first.awaitUp()
	for range some {
		for _, p := range all {
			require.NoError(t, p.send(t.Context()))
		}
	}
	require.True(t, first.await(users.Patience, func() bool { return len(first.told) == some*len(all) }))
	end(first)
	require.Empty(t, first.handled)

	o.Manner = prompt
	r.complete(t, o, all)
	r.check(t, all)

	// What was handled does not come again, but for the last one, whose listener may not have
	// returned.
	last := r.lives[len(r.lives)-1].handled
	next := r.begin(t, o)
	next.awaitUp()
	require.NoError(t, all[0].send(t.Context()))
	fresh := all[0].taken[some]
	require.True(t, next.await(users.Patience, func() bool { return slices.Contains(next.handled, fresh) }))
	next.leave()
	require.Subset(t, []string{last[len(last)-1], fresh}, next.wire)
}

// TestAnotherDevice: the bot is killed, and comes back with another DeviceID. What the first device
// was told and has not handled does not come to the other one: when its stream cannot be resumed
// any more, the server returns it to the sender, who was told that the server has it.
func TestAnotherDevice(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			node := server.start(t, "5")
			s := tour.New(t, startTLS(), node)
			o := newOrder(t, s)
			all := newPeers(t, s, o)
			o.Manner = never
			var r record
			first := r.begin(t, o)
			first.awaitUp()
			require.NoError(t, all[0].send(t.Context()))
			require.True(t, first.await(users.Patience, func() bool { return len(first.told) > 0 }))
			first.kill()

			o.Device, o.Manner = "bot-2", prompt
			second := r.begin(t, o)
			second.awaitUp()
			refused := users.Await(t, all[0].refusals, func(sdk.MessageStatusEvent) bool { return true })
			var cause *sdk.Error
			require.ErrorAs(t, refused.Err, &cause)
			require.Equal(t, server.returnsAs, cause.Condition)
			require.Equal(t, all[0].taken[0], refused.MessageID)
			second.leave()
			require.Empty(t, second.wire)
		})
	}
}
