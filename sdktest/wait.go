package sdktest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	// waitLimit is how long Wait waits when its context has no deadline.
	waitLimit = 30 * time.Second
	// maxTold is how many users the error of Wait names.
	maxTold = 10
)

var errClosed = errors.New("the server is closed")

// Wait returns nil when met reports true. It calls met at once, and again whenever something has
// changed that a method of Server reads (Resources, Messages, Requests, Faults, ...); it does not
// poll. what says what is waited for, such as "bob is connected". The error has it, with the users,
// sessions, numbers and faults that the server had last, but no message and no profile:
//
//	err := srv.Wait(ctx, "bob is connected", func() bool { return len(srv.Resources("bob")) > 0 })
//
// It fails when ctx ends, or after 30 seconds when ctx has no deadline, when the server is closed,
// and when met is nil. met is called by the goroutine that calls Wait, one call at a time, and may
// call any method of Server. What met reads elsewhere, for example of a client, is only looked at
// when something changes here.
func (s *Server) Wait(ctx context.Context, what string, met func() bool) error {
	if met == nil {
		return fmt.Errorf("sdktest: wait until %s: met is nil", what)
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, waitLimit)
		defer cancel()
	}
	for {
		// Before met, so that no change between met and the wait is missed.
		changed := s.changes.next()
		if met() {
			return nil
		}
		if s.isClosed() {
			return fmt.Errorf("sdktest: wait until %s: %w; %s", what, errClosed, s.summary())
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("sdktest: wait until %s: %w; %s", what, ctx.Err(), s.summary())
		}
	}
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// summary is what the server has, as far as it fits into an error and is no secret.
func (s *Server) summary() string {
	users := s.Users()
	if len(users) == 0 {
		return "last there were no users" + s.counts()
	}
	var b strings.Builder
	b.WriteString("last there were ")
	for i, user := range users {
		if i == maxTold {
			fmt.Fprintf(&b, ", and %d more users", len(users)-maxTold)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		sessions := strings.Join(s.Resources(user), " and ")
		if sessions == "" {
			sessions = "not connected"
		}
		fmt.Fprintf(&b, "%s (%s", user, sessions)
		if n := s.Waiting(user); n > 0 {
			fmt.Fprintf(&b, ", %d waiting", n)
		}
		b.WriteString(")")
	}
	return b.String() + s.counts()
}

// counts is the part of summary that is not about single users.
func (s *Server) counts() string {
	var b strings.Builder
	s.store.mu.Lock()
	messages, last := s.store.state.messages, s.store.newestLocked()
	for _, n := range []struct {
		name string
		n    int
	}{
		{"messages", messages},
		{"feedback", len(s.store.state.Feedback.list)},
		{"reports", len(s.store.state.Reports.list)},
		{"deletions", len(s.store.state.Deleted.list)},
	} {
		fmt.Fprintf(&b, ", %s: %d", n.name, n.n)
		if n.name == "messages" && last != nil {
			fmt.Fprintf(&b, " (the last from %s to %s, %s)", last.From, last.To, last.Status)
		}
	}
	s.store.mu.Unlock()
	requests, newest := s.journal.newest()
	fmt.Fprintf(&b, ", requests: %d", requests)
	if requests > 0 {
		fmt.Fprintf(&b, " (the last %s)", newest.name())
	}
	f := s.Faults()
	for _, step := range Steps() {
		if kind := f.Steps[step]; kind != FaultNone {
			fmt.Fprintf(&b, ", fault at %s: %s", step, kind)
		}
	}
	for i, m := range f.Matched {
		if i == maxTold {
			fmt.Fprintf(&b, ", and %d more faults", len(f.Matched)-maxTold)
			break
		}
		fmt.Fprintf(&b, ", fault at %s: %s for %+v", m.Step, m.Kind, m.Match)
	}
	return b.String()
}

// newestLocked is the newest message, or nil. st.mu must be held.
func (st *store) newestLocked() (newest *logged) {
	for _, mine := range st.state.Conversations {
		for _, c := range mine {
			if n := len(c.list); n > 0 && (newest == nil || c.list[n-1].row > newest.row) {
				newest = c.list[n-1]
			}
		}
	}
	return newest
}

// newest is how many requests there were, and the last of them.
func (j *journal) newest() (n int, last Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.list) > 0 {
		last = j.list[len(j.list)-1]
	}
	return j.added, last
}

// name is what was asked and by whom, without what it says.
func (r *Request) name() string {
	what := r.Kind
	switch {
	case r.Path != "":
		what = r.Method + " " + r.Path
	case r.Stanza != "":
		name, _, _ := strings.Cut(strings.TrimPrefix(r.Stanza, "<"), " ")
		what = "<" + strings.TrimSuffix(name, ">") + ">"
	}
	if r.User != "" {
		what += " of " + r.User
	}
	return what
}

// changes wakes those who wait for another state. tell comes after a change, or before the lock
// that it is made under is unlocked. No other lock is taken while mu is held.
type changes struct {
	mu sync.Mutex
	// woken is closed by the next change. nil: nobody waits.
	woken chan struct{}
}

func (c *changes) next() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.woken == nil {
		c.woken = make(chan struct{})
	}
	return c.woken
}

func (c *changes) tell() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.woken != nil {
		close(c.woken)
		c.woken = nil
	}
}
