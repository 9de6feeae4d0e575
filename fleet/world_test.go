package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
)

// world is a service that knows sessions alone, and judges: nobody writes for an account after
// somebody with a higher epoch has.
type world struct {
	t     *testing.T
	store Store

	mu       sync.Mutex
	sessions map[string]*worldSession // by account
	epochs   map[string]uint64        // the highest that has written, by account
	bare     map[string]time.Time     // since when accounts that have had a session have none
	longest  time.Duration            // that one was without
	anew     bool                     // epochs begin anew: they say nothing
}

type worldSession struct {
	member  *testMember
	account string
	lost    chan struct{}
}

// testMember is a member whose way to the store can be cut, and which can be killed.
type testMember struct {
	*Fleet
	link   *link
	cancel context.CancelFunc
	ended  chan error
	// ahead is how far its wall clock is ahead, in nanoseconds.
	ahead atomic.Int64

	mu     sync.Mutex
	killed bool
}

// link is the way of a member to the store.
type link struct {
	Store
	mu  sync.Mutex
	cut bool
}

var errCut = errors.New("the way to the store is cut")

func (l *link) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
}

func (l *link) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return errCut
	}
	return nil
}

func (l *link) Get(ctx context.Context, key string) (Entry, error) {
	if err := l.err(); err != nil {
		return Entry{}, err
	}
	return l.Store.Get(ctx, key)
}

func (l *link) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	if err := l.err(); err != nil {
		return 0, err
	}
	return l.Store.Create(ctx, key, value)
}

func (l *link) Update(ctx context.Context, key string, value []byte, last uint64) (uint64, error) {
	if err := l.err(); err != nil {
		return 0, err
	}
	return l.Store.Update(ctx, key, value, last)
}

func (l *link) Delete(ctx context.Context, key string, last uint64) error {
	if err := l.err(); err != nil {
		return err
	}
	return l.Store.Delete(ctx, key, last)
}

func newWorld(t *testing.T, store Store) *world {
	return &world{
		t: t, store: store, sessions: make(map[string]*worldSession), epochs: make(map[string]uint64),
		bare: make(map[string]time.Time),
	}
}

const (
	testTTL    = 6 * time.Second
	testLogins = 50
)

// accounts are as many.
func accounts(n int) []Account {
	all := make([]Account, n)
	for i := range all {
		all[i] = Account{Username: fmt.Sprintf("account%d", i), Password: "secret"}
	}
	return all
}

// join starts a member; change may change its configuration.
func (w *world) join(name string, n int, change func(*Config)) *testMember {
	m := &testMember{link: &link{Store: w.store}, ended: make(chan error, 1)}
	cfg := Config{
		Client:   sdk.Config{LicenseKey: "key", APIBaseURL: "https://api.example.com"},
		Accounts: func(context.Context) ([]Account, error) { return accounts(n), nil },
		Store:    m.link, Name: name, TTL: testTTL, LoginsPerSecond: testLogins,
	}
	if change != nil {
		change(&cfg)
	}
	f, err := New(cfg)
	require.NoError(w.t, err)
	m.Fleet = f
	f.session = func(r *runner) { w.serve(m, r) }
	f.clock = func() instant {
		at := now()
		at.wall = at.wall.Add(time.Duration(m.ahead.Load()))
		return at
	}
	var ctx context.Context
	ctx, m.cancel = context.WithCancel(context.Background())
	go func() { m.ended <- f.Run(ctx) }() // ends with leave
	return m
}

// leave tells a member to end, and waits for that.
func (m *testMember) leave(t *testing.T) {
	t.Helper()
	m.cancel()
	require.NoError(t, <-m.ended)
}

// kill ends its sessions and its way to the store, as if the process were gone.
func (w *world) kill(m *testMember) {
	m.link.set(true)
	m.mu.Lock()
	m.killed = true
	m.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sessions {
		if s.member == m {
			w.dropLocked(s)
		}
	}
}

func (m *testMember) isKilled() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.killed
}

// serve is the session of a runner.
func (w *world) serve(m *testMember, r *runner) {
	done, err := m.pace.Wait(r.using)
	if err != nil || m.isKilled() || r.gate.pass(nil) != nil {
		return
	}
	done()
	s := w.login(m, r)
	defer w.logout(s)
	r.book.set(r, StateUp, nil)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	life, end := context.WithCancel(r.life)
	defer end()
	go func() { // ends with life
		select {
		case <-s.lost:
			end()
		case <-life.Done():
		}
	}()
	for {
		select {
		case <-life.Done():
			return
		case <-tick.C:
			if r.gate.pass(life.Done()) == nil {
				w.wrote(r)
			}
		}
	}
}

func (w *world) login(m *testMember, r *runner) *worldSession {
	w.mu.Lock()
	s := &worldSession{m, r.account.Username, make(chan struct{})}
	if old := w.sessions[s.account]; old != nil {
		close(old.lost)
	}
	if since, was := w.bare[s.account]; was {
		w.longest = max(w.longest, time.Since(since))
		delete(w.bare, s.account)
	}
	w.sessions[s.account] = s
	w.mu.Unlock()
	w.wrote(r)
	return s
}

func (w *world) logout(s *worldSession) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sessions[s.account] == s {
		w.dropLocked(s)
	}
}

func (w *world) dropLocked(s *worldSession) {
	delete(w.sessions, s.account)
	w.bare[s.account] = time.Now()
}

func (w *world) wrote(r *runner) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if highest := w.epochs[r.account.Username]; r.status.Epoch < highest && !w.anew {
		w.t.Errorf("%s: epoch %d writes after %d", r.account.Username, r.status.Epoch, highest)
	}
	w.epochs[r.account.Username] = r.status.Epoch
}

// count is how many sessions each of the members has.
func (w *world) count(members ...*testMember) []int {
	w.mu.Lock()
	defer w.mu.Unlock()
	counts := make([]int, len(members))
	for _, s := range w.sessions {
		if i := slices.Index(members, s.member); i >= 0 {
			counts[i]++
		}
	}
	return counts
}

func (w *world) total() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sessions)
}

// until waits until all of n accounts have a session, and fails when that takes longer than limit.
func (w *world) until(n int, limit time.Duration) {
	w.t.Helper()
	for begin := time.Now(); w.total() != n; time.Sleep(10 * time.Millisecond) { // of the bubble
		require.Less(w.t, time.Since(begin), limit, "%d of %d accounts have a session", w.total(), n)
	}
}

// settle lets everything come to rest.
func settle() {
	time.Sleep(30 * time.Second) // of the bubble
	synctest.Wait()
}
