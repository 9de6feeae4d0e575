package sdktest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

// bare is a server without sockets.
func bare(t *testing.T) *Server {
	t.Helper()
	s := &Server{domain: "x.test"}
	s.ctl = &control{changes: &s.changes, faults: map[Step][]*fault{}}
	s.journal.changes = &s.changes
	var err error
	s.store, err = newStore(s.domain, nil, &s.changes)
	require.NoError(t, err)
	s.hub = newHub(s)
	return s
}

// Each state that a method of Server shows wakes who waits for it.
func TestWaitWakesByChange(t *testing.T) {
	s := trial(t)
	alice := register(t, s, "alice")
	a := connect(t, s, alice, "Web-1")
	post := func(path string, body any) { rest(t, s, "POST", path, alice.Token, body) }
	send := func(id, payload string) {
		a.send(`<message id="%s" to="bob@%s" type="chat" xmlns="jabber:client">%s</message>`, id, s.Domain(), payload)
	}
	message := func(i int) Message { return s.Messages("bob")[i] }
	for _, c := range []struct {
		what   string
		change func()
		met    func() bool
	}{
		{"account", func() { register(t, s, "bob") }, func() bool { return len(s.Users()) == 2 }},
		{"profile", func() {
			require.NoError(t, s.SetProfile(t.Context(), "bob", Profile{Status: "new"}))
		}, func() bool { return s.Profile("bob").Status == "new" }},
		{"message", func() { send("m1", "<body>x</body>") }, func() bool { return s.Waiting("bob") == 1 }},
		{"edit", func() { send("m1", `<body edit_msg_id="e">x</body>`) }, func() bool { return message(0).Edited }},
		{"recall", func() { send("r", `<recall xmlns="urn:xmpp:receipts" id="m1"/>`) }, func() bool {
			return message(0).Recalled
		}},
		{"session", func() { connect(t, s, register(t, s, "bob"), "Web-2") }, func() bool {
			return len(s.Resources("bob")) == 1 && s.Waiting("bob") == 0
		}},
		{"receipt", func() {
			id, err := s.SendMessage(t.Context(), "bob", "alice", "x")
			require.NoError(t, err)
			send("s", `<seen xmlns="urn:xmpp:receipts" id="`+id+`"/>`)
		}, func() bool { return len(s.Messages("bob")) == 2 && message(1).Status == StatusSeen }},
		{"block by the administrator", func() { s.BlockByAdmin("bob", true) }, func() bool {
			return s.Profile("bob").IsAdminBlocked
		}},
		{"block", func() {
			a.send(`<iq id="b" type="set" xmlns="jabber:client"><block xmlns="urn:xmpp:blocking">`+
				`<item jid="c@%s"/></block></iq>`, s.Domain())
		}, func() bool { return len(s.Blocked("alice")) == 1 }},
		{"feedback", func() {
			post("/moderation/feedback", map[string]any{"title": "x", "description": "y"})
		}, func() bool { return len(s.Feedback()) == 1 }},
		{"request", func() { rest(t, s, "GET", "/users/config", alice.Token, nil) }, func() bool {
			return slices.ContainsFunc(s.Requests(), func(r Request) bool { return r.Path == "users/config" })
		}},
		{"media", func() {
			form(t, s, alice.Token, map[string]string{"type": "profile", "toUser": "alice"}, []byte("x"))
		}, func() bool { s.store.mu.Lock(); defer s.store.mu.Unlock(); return len(s.store.state.Media) > 0 }},
		{"feature", func() { s.SetFeature("block", false) }, func() bool { return !s.Features()["block"] }},
		{"fault", func() { s.SetFault(StepIQ, FaultClose) }, func() bool { return len(s.Faults().Steps) == 1 }},
		{"no fault", s.ClearFaults, func() bool { return len(s.Faults().Steps) == 0 }},
		{"failure", func() { s.FailNext("login", 500, "") }, func() bool { return len(s.Faults().Next) == 1 }},
		{"no failure", func() { post("/login", map[string]any{}) }, func() bool { return len(s.Faults().Next) == 0 }},
		{"refusal", func() { s.RefuseNextMessage("x") }, func() bool { return len(s.Faults().Refusals) == 1 }},
		{"no refusal", func() { send("m9", "<body>x</body>") }, func() bool { return len(s.Faults().Refusals) == 0 }},
		{"delay", func() { s.Delay(1) }, func() bool { return s.Faults().Delay == 1 }},
		{"end of a session", s.DropConnections, func() bool { return len(s.Resources("alice")) == 0 }},
		{"deletion", func() { post("/users/deleteMyAccount", map[string]any{"reason": "r"}) }, func() bool {
			return len(s.Deleted()) == 1 && len(s.Users()) == 1
		}},
	} {
		var once sync.Once
		first, told := make(chan bool, 1), make(chan error, 1)
		go func() { // ends when Wait does
			told <- s.Wait(t.Context(), c.what, func() bool {
				met := c.met()
				once.Do(func() { first <- met }) // it may be woken again before the change
				return met
			})
		}()
		require.False(t, patient.Receive(t, first), c.what)
		c.change()
		require.NoError(t, patient.Receive(t, told))
	}
}

// Where nothing changes nothing is looked at: there is no poll.
func TestWaitDoesNotPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := bare(t)
		begin, looks := time.Now(), 0
		never := func() bool { looks++; return false }
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		require.ErrorIs(t, s.Wait(ctx, "never", never), context.DeadlineExceeded)
		require.Equal(t, []any{1, time.Hour}, []any{looks, time.Since(begin)})
		begin, looks = time.Now(), 0
		require.ErrorIs(t, s.Wait(t.Context(), "never", never), context.DeadlineExceeded)
		require.Equal(t, []any{1, waitLimit}, []any{looks, time.Since(begin)}, "ctx has no deadline")
		begin = time.Now()
		go func() { // ends with the sleep
			time.Sleep(time.Second)
			s.Delay(1)
		}()
		require.NoError(t, s.Wait(t.Context(), "a delay", func() bool { return s.Faults().Delay == 1 }))
		require.Equal(t, time.Second, time.Since(begin))
	})
}

// What is there needs no context that lasts.
func TestWaitForWhatIsThere(t *testing.T) {
	s := bare(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, s.Wait(ctx, "nothing", func() bool { return true }))
	require.ErrorIs(t, s.Wait(ctx, "nothing", func() bool { return false }), context.Canceled)
	require.EqualError(t, s.Wait(ctx, "x", nil), "sdktest: wait until x: met is nil")
}

func TestWaitEndsWithTheServer(t *testing.T) {
	s := trial(t)
	var once sync.Once
	waits, told := make(chan struct{}), make(chan error, 1)
	go func() { // ends when the server does
		told <- s.Wait(t.Context(), "never", func() bool {
			once.Do(func() { close(waits) })
			return false
		})
	}()
	patient.Receive(t, waits)
	s.Close()
	require.ErrorIs(t, patient.Receive(t, told), errClosed)
	require.ErrorIs(t, s.Wait(t.Context(), "never", func() bool { return false }), errClosed)
}

// The error says what was waited for and what there was, and no secret.
func TestWaitTellsTheState(t *testing.T) {
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("not told"))
	s := trial(t)
	wait := func() string { return s.Wait(ended, "carol writes", func() bool { return false }).Error() }
	require.Equal(t, "sdktest: wait until carol writes: context canceled; last there were no users, messages: 0, "+
		"feedback: 0, reports: 0, deletions: 0, requests: 0", wait())
	connect(t, s, register(t, s, "alice"), "Web-1").settle()
	for _, to := range []string{"alice", "bob"} {
		_, err := s.SendMessage(t.Context(), "alice", to, "secret")
		require.NoError(t, err)
	}
	s.SetFault(StepIQ, FaultSilent)
	s.SetFault(StepREST, FaultClose, Match{User: "bob", Nth: 2})
	require.Equal(t, "sdktest: wait until carol writes: context canceled; last there were alice (Web-1), "+
		"bob (not connected, 1 waiting), messages: 2 (the last from alice to bob, acknowledge), feedback: 0, "+
		"reports: 0, deletions: 0, requests: 4 (the last <iq> of alice), fault at iq: silent, "+
		"fault at rest: close for {User:bob Op: Nth:2 Times:0}", wait())
	for i := range 2 * maxTold {
		_, err := s.store.register(fmt.Sprintf("u%02d", i), true, nil, 0)
		require.NoError(t, err)
	}
	require.Contains(t, wait(), "u07 (not connected), and 12 more users, messages: 2")
}

// gone waits until a user has no session any more.
func gone(t *testing.T, s *Server, user string) {
	t.Helper()
	require.NoError(t, s.Wait(t.Context(), user+" is gone", func() bool { return len(s.Resources(user)) == 0 }))
}
