package messages

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/tour"
	"github.com/stretchr/testify/require"
)

// TestCrash: the bot is killed at random moments, and starts again with the same DeviceID, as often
// as -kills says (`make soak`: 200). What two others send meanwhile, and the server has taken from
// them, is handled at least once. Each process is told of it once, in the order of the server; only
// Prosody keeps the order of each sender over a crash.
//
// The ejabberd is not a stock one: lockOfflineMessages keeps it from losing what it stores.
//
// There is no WebSocket here: what was not acknowledged comes minutes late from ejabberd, and never
// from Prosody (docs/messages.md).
func TestCrash(t *testing.T) {
	t.Parallel()
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			node := server.start(t, resumeTimeout)
			for _, way := range tour.Ways() {
				if way.Name == webSocket {
					continue
				}
				t.Run(way.Name, func(t *testing.T) {
					t.Parallel()
					crash(t, tour.New(t, way, node), server.keepsOrder)
				})
			}
		})
	}
}

func crash(t *testing.T, s *tour.Service, keepsOrder bool) {
	o := newOrder(t, s)
	peers := newPeers(t, s, o)
	var r record
	stop := peers.keepSending(t, &r)
	defer stop()
	manners := []manner{prompt, slow, deferred, never, prompt}
	for n := range *kills {
		o.Manner = manners[n%len(manners)]
		l := r.begin(t, o)
		if n%4 != 3 { // each fourth may die in its login
			l.awaitUp()
		}
		<-time.After(time.Duration(rand.IntN(400)) * time.Millisecond)
		l.kill()
	}
	stop()
	o.Manner = prompt
	r.complete(t, o, peers)
	r.check(t, peers)
	if keepsOrder {
		require.Zero(t, r.disordered())
	}
}

// settleFor is how long one process waits for what is missing. Another login may be needed: what
// ejabberd stores in the moment of a login comes with the next one.
const settleFor = 3 * time.Second

// complete starts the bot until everything is handled, or until that becomes hopeless.
func (r *record) complete(t *testing.T, o order, peers peers) {
	t.Helper()
	for range 20 {
		l := r.begin(t, o)
		l.awaitUp()
		all := l.await(settleFor, func() bool { return len(r.missing(peers.confirmed())) == 0 })
		l.leave()
		if all {
			return
		}
	}
}

// device is the DeviceID of all processes of a bot.
const device = "bot-1"

// newOrder makes an account for a bot.
func newOrder(t testing.TB, s *tour.Service) order {
	t.Helper()
	cfg := s.Config(func(cfg *sdk.Config) { cfg.DeviceID = device })
	u := s.Register(t, "bot", func(cfg *sdk.Config) { cfg.DeviceID = device })
	return order{
		License: cfg.LicenseKey, API: cfg.APIBaseURL, Lookup: cfg.APIConfigURL,
		Host: cfg.XMPPHost, XMPP: cfg.XMPPAddress, Transport: cfg.Transport, Device: device,
		CAFiles: []string{s.REST.CAFile(), s.Node.CAFile}, Username: u.ID(), Password: u.Account.Password, JID: u.JID(),
	}
}

// peers are those who send to a bot.
type peers []*peer

func newPeers(t testing.TB, s *tour.Service, o order) (all peers) {
	t.Helper()
	for _, name := range []string{"anna", "ben"} {
		all = append(all, newPeer(s.Login(t, name), name, o.JID))
	}
	return all
}

// keepSending has all of them send until stop is called, which waits for what is under way. Each
// waits while too much of its own is not handled. A nil record: it does not.
func (all peers) keepSending(t testing.TB, r *record) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var sending sync.WaitGroup
	for _, p := range all {
		sending.Go(func() { p.keepSending(ctx, t, r) })
	}
	return func() {
		cancel()
		sending.Wait()
	}
}

// confirmed are the messages that the server has taken from them.
func (all peers) confirmed() (ids []string) {
	for _, p := range all {
		p.mu.Lock()
		ids = append(ids, p.taken...)
		p.mu.Unlock()
	}
	return ids
}

// requireNotRefused checks that nothing was refused that the server had taken.
func (all peers) requireNotRefused(t testing.TB) {
	t.Helper()
	for _, p := range all {
		require.Empty(t, p.refusals)
	}
}
