package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	sdk "github.com/mirrorfly-go/sdk"
)

// watcher has the listeners of one Client and checks events as they come. The service numbers what
// it pushes for this purpose.
type watcher struct {
	book *book
	// who is session and account.
	who  string
	user string

	mu     sync.Mutex
	status sdk.ConnectionStatus
	// attempt is that of the last RECONNECTING; 0 after a connection.
	attempt int
	// final: the library says that it will not connect by itself.
	final bool
	// loggedOut: likewise, after a Logout that has succeeded. When the connection was lost before,
	// only that is told.
	loggedOut bool
	// before: there was a connection before this one.
	before bool
	// owesGap: CONNECTED was told for a new stream, and the gap was not told yet.
	owesGap bool
	// mayGap: likewise, by a call of Connect, which may have come instead of an attempt to
	// reconnect.
	mayGap bool
	// next is the number that must come next.
	next int
	// excused: what was pushed before the next number may be missing, as OnMissed has told.
	excused bool
	// dropped is how many more may be missing anywhere, as OnMissed has told: events are not
	// dropped in their order.
	dropped int
	// lossless: nothing was lost since the last settle, not even a connection.
	lossless  bool
	lastCause string
	// blocks are the own changes that were told since the last settle.
	blocks map[blockChange]int
	// profiles are the own profiles that were told since then, by version.
	profiles map[string]int
	// changed has capacity 1. An element means that something has changed.
	changed chan struct{}
}

// blockChange is a change of the own block list.
type blockChange struct {
	jid     string
	blocked bool
}

func newWatcher(b *book, who, user string, next int) *watcher {
	return &watcher{
		book: b, who: who, user: user, next: next, excused: true, lossless: true,
		blocks: map[blockChange]int{}, profiles: map[string]int{}, changed: make(chan struct{}, 1),
	}
}

// listen registers listeners for everything that client tells.
func (w *watcher) listen(client *sdk.Client) {
	client.OnConnection(w.connection)
	client.OnMissed(w.missed)
	client.OnPresence(func(e sdk.PresenceEvent) { w.about(e.FromUserJID) })
	client.OnUserDeleted(func(e sdk.UserDeletedEvent) { w.about(e.UserJID) })
	client.OnAdminBlock(func(e sdk.AdminBlockEvent) { w.about(e.JID) })
	client.OnBlock(w.block)
	client.OnUserProfile(w.profile)
}

// follows is the order that ConnectionEvent promises. The phone can end a login at any time.
var follows = map[sdk.ConnectionStatus][]sdk.ConnectionStatus{
	"":                  {sdk.StatusConnected, sdk.StatusConnectionFailed, sdk.StatusAuthFail},
	sdk.StatusConnected: {sdk.StatusDisconnected, sdk.StatusLoggedOut},
	sdk.StatusLoggedOut: {sdk.StatusDisconnected},
	sdk.StatusDisconnected: {
		sdk.StatusDisconnected, sdk.StatusReconnecting, sdk.StatusConnected, sdk.StatusConnectionFailed,
		sdk.StatusAuthFail, sdk.StatusLoggedOut,
	},
	sdk.StatusReconnecting: {
		sdk.StatusConnected, sdk.StatusConnectionFailed, sdk.StatusAuthFail, sdk.StatusDisconnected,
		sdk.StatusLoggedOut,
	},
	sdk.StatusConnectionFailed: {
		sdk.StatusReconnecting, sdk.StatusConnected, sdk.StatusConnectionFailed, sdk.StatusAuthFail,
		sdk.StatusDisconnected, sdk.StatusLoggedOut,
	},
	sdk.StatusAuthFail: {
		sdk.StatusConnected, sdk.StatusConnectionFailed, sdk.StatusAuthFail, sdk.StatusDisconnected,
		sdk.StatusLoggedOut,
	},
}

func (w *watcher) connection(e sdk.ConnectionEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.wakeLocked()
	if !slices.Contains(follows[w.status], e.Status) {
		w.failLocked("event out of order", fmt.Sprintf("%s after %q", e.Status, w.status))
	}
	w.noGapOwed("a connection event")
	w.checkAttempt(e)
	w.checkFinal(e)
	w.book.checked("order of events")
	w.status, w.lastCause = e.Status, ""
	if e.Err != nil {
		w.lastCause = e.Err.Error()
	}
	w.final = e.Final
	switch e.Status {
	case sdk.StatusConnected:
		w.connected(e)
	case sdk.StatusReconnecting:
		w.attempt = e.Attempt
		w.book.seen("attempt to reconnect")
	case sdk.StatusDisconnected:
		w.attempt, w.lossless = 0, false
		w.book.seen("disconnected")
	case sdk.StatusConnectionFailed:
		w.attempt = e.Attempt
		w.book.seen("attempt failed")
	case sdk.StatusAuthFail:
		w.attempt = 0
		w.book.seen("credentials refused")
	case sdk.StatusLoggedOut:
		w.book.seen("logged out by the phone")
	}
}

func (w *watcher) connected(e sdk.ConnectionEvent) {
	switch {
	case e.Resumed && !w.before:
		w.failLocked("resumed without a loss", string(e.Status))
	case e.Resumed:
		w.book.seen("reconnected, resumed")
	// A call of Connect did that.
	case e.Attempt == 0:
		w.excused, w.mayGap = true, true
		w.book.seen("connected")
	default:
		w.owesGap = true
		w.book.seen("reconnected, not resumed")
	}
	w.attempt, w.before = 0, true
}

// checkAttempt: attempts are counted from 1 after each loss, and what comes of one has its number.
func (w *watcher) checkAttempt(e sdk.ConnectionEvent) {
	want := 0
	switch {
	case e.Status == sdk.StatusReconnecting:
		want = w.attempt + 1
	case e.Status == sdk.StatusDisconnected, e.Status == sdk.StatusLoggedOut:
	case w.status == sdk.StatusReconnecting:
		want = w.attempt
	}
	if e.Attempt != want {
		w.failLocked(
			"wrong number of an attempt",
			fmt.Sprintf("%s with %d and not %d after %s", e.Status, e.Attempt, want, w.status),
		)
	}
}

// checkFinal: nothing follows a final event by itself, and the end that a call asked for is told
// only once.
func (w *watcher) checkFinal(e sdk.ConnectionEvent) {
	switch {
	case w.final && e.Status == sdk.StatusReconnecting:
		w.failLocked("goes on after what was final", fmt.Sprintf("%s after %s", e.Status, w.status))
	case e.Final && (e.Status == sdk.StatusConnected || e.Status == sdk.StatusReconnecting),
		!e.Final && e.Status == sdk.StatusLoggedOut,
		e.Status == sdk.StatusDisconnected && w.status == sdk.StatusDisconnected && (w.final || !e.Final):
		w.failLocked("final, or told twice", fmt.Sprintf("%+v after %s", e, w.status))
	}
}

func (w *watcher) missed(e sdk.MissedEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lossless = false
	switch {
	case e.Gap && !w.owesGap && !w.mayGap:
		w.failLocked("a gap without a new session", fmt.Sprintf("%+v when %s", e, w.status))
	case e.Gap:
		w.excused, w.owesGap, w.mayGap = true, false, false
		w.book.seen("gap told")
	case e.Dropped > 0:
		w.dropped += e.Dropped
		w.book.seen("drop told")
	default:
		w.failLocked("nothing was missed", fmt.Sprintf("%+v", e))
	}
	w.wakeLocked()
}

// noGapOwed: the gap of a new session is told before any of its events.
func (w *watcher) noGapOwed(what string) {
	w.mayGap = false
	if w.owesGap {
		w.owesGap = false
		w.failLocked("the gap was not told", what+" came first")
	}
}

func (w *watcher) block(e sdk.BlockEvent) {
	if isNumbered(e.UserJID) {
		w.about(e.UserJID)
		return
	}
	if !e.ByMe {
		w.book.seen("block by another session")
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.blocks[blockChange{e.UserJID, e.Blocked}]++
	w.book.seen("own block")
}

func (w *watcher) profile(p sdk.Profile) {
	if p.UserID != w.user {
		w.about(p.UserJID)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.profiles[p.Status]++
	w.book.seen("own profile")
}

// about hears an event about somebody: those that were pushed for this are about a number, those
// that were forged about a forger, and all others are not for here.
func (w *watcher) about(jid string) {
	user, _, _ := strings.Cut(jid, "@")
	w.mu.Lock()
	defer w.mu.Unlock()
	if user == forged {
		w.failLocked("a forged event was told", jid)
		return
	}
	digits, found := strings.CutPrefix(user, numbered)
	n, err := strconv.Atoi(digits)
	if !found || err != nil {
		return
	}
	w.noGapOwed("push " + user)
	switch {
	case n < w.next:
		w.failLocked("an event came twice, or out of order", fmt.Sprintf("push %d, after %d", n, w.next-1))
	case n > w.next && !w.excused:
		if w.dropped -= n - w.next; w.dropped < 0 {
			w.failLocked("an event is missing, and that was not told", fmt.Sprintf("push %d, after %d", n, w.next-1))
			w.dropped = 0
		}
	}
	w.excused = false
	w.next = max(w.next, n+1)
	w.book.seen("numbered push")
	w.book.checked("number of a push")
	w.wakeLocked()
}

func (w *watcher) failLocked(what, seen string) {
	w.book.fail(violation{where: w.who, what: what, held: seen})
}

func (w *watcher) wakeLocked() {
	select {
	case w.changed <- struct{}{}:
	// The goroutine that waits has not taken the earlier element yet.
	default:
	}
}

// await waits until is, which is called with mu held, returns true. Only one goroutine at a time
// may wait.
func (w *watcher) await(ctx context.Context, is func() bool) error {
	for {
		w.mu.Lock()
		holds := is()
		w.mu.Unlock()
		if holds {
			return nil
		}
		select {
		case <-w.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// settledLocked: the connection is there, or it takes a login to make one.
func (w *watcher) settledLocked() bool {
	return w.status == sdk.StatusConnected || w.outsideLocked()
}

func (w *watcher) outsideLocked() bool {
	return w.status == "" || w.final || w.loggedOut && w.status != sdk.StatusConnected
}

// enter and leave note that a login, or its end, was told to be done.
func (w *watcher) enter() { w.setLoggedOut(false) }
func (w *watcher) leave() { w.setLoggedOut(true) }

func (w *watcher) setLoggedOut(out bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.loggedOut = out
	w.wakeLocked()
}

// outside reports whether only a login can connect again.
func (w *watcher) outside() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.outsideLocked()
}

// isLossless reports whether no event can be missing since the last reset.
func (w *watcher) isLossless() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lossless && w.status == sdk.StatusConnected
}

// heard returns copies of the own changes that were told since the last reset.
func (w *watcher) heard() (map[blockChange]int, map[string]int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.blocks), maps.Clone(w.profiles)
}

func (w *watcher) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lossless = true
	clear(w.blocks)
	clear(w.profiles)
}

// String says where it stands.
func (w *watcher) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("last told %q (%s), next push %d", w.status, w.lastCause, w.next)
}
