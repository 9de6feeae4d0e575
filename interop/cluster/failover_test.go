package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/tour"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/stretchr/testify/require"
)

// policy is how the clients of these tests come back.
var policy = sdk.ReconnectPolicy{MinDelay: 500 * time.Millisecond, MaxDelay: 4 * time.Second}

func withPolicy(cfg *sdk.Config) { cfg.Reconnect = policy }

// nodeGone ends one node under users that are busy, and starts it again.
func nodeGone(t *testing.T, doomed, left *xmppserver.Server, end func(*xmppserver.Server)) {
	var crowd []*worker
	var bystanders []*users.User
	for _, way := range tour.Ways() {
		s := newService(t, way, left, doomed)
		for _, name := range []string{"anna", "ben"} {
			stays, _ := s.loginAt(t, left, "friend-of-"+name)
			bystanders = append(bystanders, stays)
			u, g := s.loginAt(t, doomed, name, withPolicy)
			s.befriend(t, u, stays)
			stays.AwaitPresence(t, u, "online")
			g.open.Store(true)
			crowd = append(
				crowd,
				&worker{User: u, service: s, contact: stays, busy: make(chan struct{}), back: make(chan struct{})},
			)
		}
	}
	var working sync.WaitGroup
	for _, w := range crowd {
		// ends when the session is back, or with the test
		working.Go(func() { w.work(t.Context()) })
	}
	for _, w := range crowd {
		users.Await(t, w.busy, func(struct{}) bool { return true })
	}
	end(doomed)
	for _, w := range crowd {
		w.requireBack(t)
		close(w.back)
	}
	working.Wait()
	for _, w := range crowd {
		w.requireKept(t, w.User, left)
		w.contact.AwaitPresence(t, w.User, "online") // once more
	}
	for _, u := range bystanders {
		require.Equal(t, sdk.StatusConnected, u.State())
		require.Empty(t, u.Connections, "the node that is left has lost a session too")
	}
	doomed.Start()
	for _, w := range crowd {
		// nor undone by what the node remembers
		w.requireKept(t, w.service.againAt(t, doomed, w.User), doomed)
	}
}

// worker is a user who changes profile and block list without a pause.
type worker struct {
	*users.User
	service *service
	contact *users.User   // who sees this one online
	busy    chan struct{} // closed after some calls
	back    chan struct{} // closed when the session is back

	// What the service has: the profile's status is the number of a call, and not below
	// that of the last one that succeeded. Only for work, until it has returned.
	tried, done int
	blocked     map[bool]bool // what the block list may say of a stranger
	problems    []error       // errors that are not clear
}

// work calls until the session has been lost, and is back.
func (w *worker) work(ctx context.Context) {
	w.blocked = map[bool]bool{false: true}
	for ctx.Err() == nil {
		w.tried++
		lost := w.note(w.setProfile(ctx))
		block := w.tried%2 == 0
		lost = w.note(w.setBlocked(ctx, block)) || lost
		if w.tried == 3 {
			close(w.busy)
		}
		if lost {
			select {
			case <-w.back:
			case <-ctx.Done():
			}
			return
		}
	}
}

func (w *worker) setProfile(ctx context.Context) error {
	_, err := w.SetUserProfile(ctx, sdk.ProfileUpdate{Email: "w@example.com", Status: strconv.Itoa(w.tried)})
	if err == nil {
		w.done = w.tried
	}
	return err
}

func (w *worker) setBlocked(ctx context.Context, block bool) error {
	call := w.UnblockUser
	if block {
		call = w.BlockUser
	}
	_, err := call(ctx, "stranger@"+w.service.Node.Domain)
	if err == nil {
		clear(w.blocked)
	}
	w.blocked[block] = true
	return err
}

// note checks that an error says clearly what happened: the connection is gone, or the
// server has refused while it was stopping.
func (w *worker) note(err error) (lost bool) {
	var failed *sdk.Error
	switch {
	case err == nil:
		return false
	case errors.Is(err, sdk.ErrNotConnected):
		return true
	case errors.As(err, &failed) && failed.Message == "Request Failed" && failed.Condition != "":
		return false
	}
	w.problems = append(w.problems, err)
	return true
}

// requireBack waits until the session is back on the node that is left, and checks that
// every wait on the way was within the bound of the policy.
func (w *worker) requireBack(t *testing.T) {
	t.Helper()
	lost := users.Await(t, w.Connections, func(sdk.ConnectionEvent) bool { return true })
	require.Equal(t, sdk.StatusDisconnected, lost.Status)
	require.Error(t, lost.Err)
	bound := policy.MinDelay
	users.Await(t, w.Connections, func(e sdk.ConnectionEvent) bool {
		if e.Status == sdk.StatusReconnecting {
			require.LessOrEqual(t, e.RetryIn, min(bound, policy.MaxDelay))
			bound *= 2
		}
		return e.Status == sdk.StatusConnected
	})
	w.service.requireAt(t, w.User, w.service.Node)
}

// requireKept checks that nothing is undone that a call had said was done, as the user's
// session at a node sees it. What the other node had passed on may still have to be taken in.
func (w *worker) requireKept(t *testing.T, session *users.User, at *xmppserver.Server) {
	t.Helper()
	require.Empty(t, w.problems)
	require.Positive(t, w.done, "no call succeeded")
	eventually(t, func(c require.TestingT) {
		var card struct{ Content string }
		answer := at.API("get_vcard", map[string]any{"user": w.ID(), "host": at.Domain, "name": "status"})
		require.NoError(c, json.Unmarshal([]byte(answer), &card), answer)
		got, err := strconv.Atoi(card.Content)
		require.NoError(c, err)
		require.GreaterOrEqual(c, got, w.done, "a profile that was set is undone")
		require.LessOrEqual(c, got, w.tried)
		list, err := session.GetUsersIBlocked(t.Context())
		require.NoError(c, err)
		require.True(c, w.blocked[len(list.Data) == 1], "a block or unblock that was done is undone: %v", list.Data)
	})
}

// TestNodeDies: a stream is taken up at the other node while its own runs. When that dies, its
// streams begin anew, and the calls that it has taken, and will never answer, end and say so.
func TestNodeDies(t *testing.T) {
	t.Parallel()
	doomed, left := xmppserver.Cluster(t, xmppserver.Options{})
	overEach(t, left, doomed, func(t *testing.T, s *service) { s.resumeAtTheOtherNode(t) })
	var idle []*users.User
	var callers []*caller
	for _, way := range tour.Ways() {
		s := newService(t, way, left, doomed)
		idle = append(idle, s.idleAtTheOtherNode(t))
		callers = append(callers, s.callerAtTheOtherNode(t))
	}
	freeze(t, doomed)
	for _, c := range callers {
		c.call(t)
	}
	for _, c := range callers {
		require.Empty(t, c.outcomes, "answered by a node that stands still")
		c.gate.open.Store(true)
	}
	doomed.Kill()
	for _, c := range callers {
		c.requireLost(t)
	}
	for _, u := range idle {
		requireGap(t, u)
	}
}

// caller is a user with calls in flight.
type caller struct {
	*users.User
	gate     *gate
	sent     chan string // the first tag of every frame
	calls    []func() error
	outcomes chan error
}

func (s *service) callerAtTheOtherNode(t *testing.T) *caller {
	sent := make(chan string, 100)
	u, g := s.loginAt(t, s.other, "carl", withPolicy, func(cfg *sdk.Config) { cfg.Logger = slog.New(sentFrames(sent)) })
	dora, _ := s.loginAt(t, s.Node, "dora")
	calls := []func() error{
		func() error { _, err := u.GetUsersIBlocked(t.Context()); return err },
		func() error { _, err := u.BlockUser(t.Context(), dora.JID()); return err },
		func() error {
			_, err := u.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "a@example.com"})
			return err
		},
	}
	u.RequireIBlocked(t) // what the session sends by itself is out
	return &caller{User: u, gate: g, sent: sent, calls: calls, outcomes: make(chan error, len(calls))}
}

// call makes the calls, and returns when they are sent.
func (c *caller) call(t *testing.T) {
	drain(c.sent)
	for _, call := range c.calls {
		go func() { c.outcomes <- call() }() // ends with the connection
	}
	for range c.calls {
		users.Await(t, c.sent, func(tag string) bool { return strings.HasPrefix(tag, "<iq ") })
	}
}

// requireLost waits until the calls have ended with the connection, and say so.
func (c *caller) requireLost(t *testing.T) {
	for range c.calls {
		users.RequireLost(t, users.Await(t, c.outcomes, func(error) bool { return true }))
	}
	c.AwaitStatus(t, sdk.StatusConnected)
	c.RequireIBlocked(t) // what had no answer was not done either: the node stood still
}

// freeze stops every thread of a node where it is. Kill ends it all the same, and so does the
// guard of the scripts, which goes on.
func freeze(t *testing.T, node *xmppserver.Server) {
	t.Helper()
	group, err := os.ReadFile(filepath.Join(node.Dir, "ejabberd.pid"))
	require.NoError(t, err)
	// proc(5): pid, name, state, parent, group
	erlang := regexp.MustCompile(`^(\d+) \(beam\.smp\) \w \d+ ` + strings.TrimSpace(string(group)) + ` `)
	found := statsThatFit(t, "/proc/[0-9]*/stat", erlang)
	require.Len(t, found, 1)
	pid, err := strconv.Atoi(found[0])
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	running := regexp.MustCompile(`^(\d+) \(.*\) [^T] `)
	require.Eventually(t, func() bool {
		return len(statsThatFit(t, fmt.Sprintf("/proc/%d/task/[0-9]*/stat", pid), running)) == 0
	}, users.Patience, 10*time.Millisecond)
}

// statsThatFit returns what the pattern captures in each of these files that it fits.
func statsThatFit(t require.TestingT, files string, pattern *regexp.Regexp) (found []string) {
	names, err := filepath.Glob(files)
	require.NoError(t, err)
	for _, name := range names {
		stat, _ := os.ReadFile(name) // ended since: none of ours
		if m := pattern.FindSubmatch(stat); m != nil {
			found = append(found, string(m[1]))
		}
	}
	return found
}

// sentFrames is a log handler that keeps the first tag of every frame that is sent.
type sentFrames chan<- string

func (sentFrames) Enabled(context.Context, slog.Level) bool { return true }
func (s sentFrames) WithAttrs([]slog.Attr) slog.Handler     { return s }
func (s sentFrames) WithGroup(string) slog.Handler          { return s }

func (s sentFrames) Handle(_ context.Context, r slog.Record) error {
	found := map[string]string{}
	r.Attrs(func(a slog.Attr) bool {
		found[a.Key] = a.Value.String()
		return true
	})
	if r.Message == "xmpp frame" && found["op"] == "send" {
		s <- found["tag"]
	}
	return nil
}

func drain(c chan string) {
	for len(c) > 0 {
		<-c
	}
}
