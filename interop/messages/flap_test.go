package messages

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/tour"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/stretchr/testify/require"
)

// TestFlapping: the connection of the bot is cut again and again while messages come, as often as
// -kills says. Its stream is resumed: each message is told once, in the order of its sender, and
// none is lost.
func TestFlapping(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			node := server.start(t, resumeTimeout)
			for _, way := range tour.Ways() {
				t.Run(way.Name, func(t *testing.T) {
					t.Parallel()
					flap(t, tour.New(t, way, node), way.Name)
				})
			}
		})
	}
}

func flap(t *testing.T, s *tour.Service, way string) {
	var line users.Line
	o := newOrder(t, s)
	bot := users.New(t, s.Config(tour.Quickly, func(cfg *sdk.Config) {
		cfg.DialContext, cfg.DeviceID = line.Dial, device
	}))
	bot.Account = sdk.Credentials{Username: o.Username, Password: o.Password, UserJID: o.JID}
	h := handleLater(t, bot)
	bot.Login(t)
	all := newPeers(t, s, o)
	stop := all.keepSending(t, nil)
	defer stop()
	// A stream can be resumed once the server has said so, which it does before it sends a message.
	untilHeard := func() {
		n := len(h.handled())
		require.Eventually(t, func() bool { return len(h.handled()) > n }, users.Patience, time.Millisecond)
	}
	untilHeard()
	before, resumed := s.Node.ResumptionsTimedOut(o.JID), 0
	for range *kills {
		<-time.After(time.Duration(rand.IntN(200)) * time.Millisecond)
		mend := line.Cut()
		bot.AwaitStatus(t, sdk.StatusDisconnected)
		<-time.After(time.Duration(rand.IntN(100)) * time.Millisecond)
		mend()
		if bot.AwaitStatus(t, sdk.StatusConnected).Resumed {
			resumed++
		}
	}
	stop()
	want := all.confirmed()
	if s.Node.ResumptionsTimedOut(o.JID) > before {
		// Over WebSocket ejabberd sometimes cannot take a stream over from a connection that has
		// broken: what it held comes minutes later, or never (docs/messages.md).
		t.Logf("%d messages confirmed, %d told, and the server could not resume a stream", len(want), len(h.handled()))
		require.Equal(t, "websocket", strings.ToLower(way), "this is known of WebSocket alone")
		return
	}
	if resumed < *kills {
		// On a machine with much else to do a server sometimes says that it does not know the
		// stream. What that held is then the server's to send, or to lose (docs/messages.md).
		t.Logf("%d cuts, %d resumed; %d messages confirmed, %d told", *kills, resumed, len(want), len(h.handled()))
		require.GreaterOrEqual(t, 4*resumed, 3**kills)
		return
	}
	require.Eventually(t, func() bool { return len(h.handled()) >= len(want) }, users.Patience, 10*time.Millisecond)
	got := h.handled()
	t.Logf("%d cuts, all resumed; %d messages confirmed, %d told", *kills, len(want), len(got))
	require.ElementsMatch(t, want, got)
	all.requireNotRefused(t)
	for _, p := range all {
		own := slices.DeleteFunc(slices.Clone(got), func(id string) bool { return !strings.HasPrefix(id, p.name) })
		if strings.Contains(t.Name(), "ejabberd") {
			requireNearlyInOrder(t, p.taken, own)
			continue
		}
		require.Equal(t, p.taken, own)
	}
}

// requireNearlyInOrder: when a stream is resumed, ejabberd sometimes sends a message before the one
// that was sent before it (docs/messages.md). None is farther from its place than a burst is long.
func requireNearlyInOrder(t testing.TB, want, got []string) {
	t.Helper()
	require.Len(t, got, len(want))
	for i, id := range want {
		require.InDelta(t, i, slices.Index(got, id), maxBurst, "%s is far from its place", id)
	}
}

// later handles messages behind the listener, which does not wait for that.
type later struct {
	mu   sync.Mutex
	done []string
}

func handleLater(t testing.TB, u *users.User) *later {
	h := new(later)
	work := make(chan open, 10_000)
	ended := t.Context().Done() // before the clean-up, during which messages may still come
	var working sync.WaitGroup
	working.Go(func() {
		for {
			select {
			case o := <-work:
				h.mu.Lock()
				h.done = append(h.done, o.id)
				h.mu.Unlock()
				o.done()
			case <-ended:
				return
			}
		}
	})
	stop := u.OnMessage(func(m sdk.Message) { work <- open{m.ID, m.Defer()} })
	t.Cleanup(func() {
		stop()
		working.Wait()
	})
	return h
}

func (h *later) handled() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.done)
}
