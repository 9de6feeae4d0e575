package xmpp

import (
	"context"
	"fmt"
	"time"

	"github.com/mirrorfly-go/sdk/internal/observe"
	"github.com/mirrorfly-go/sdk/internal/unsent"
	"github.com/mirrorfly-go/sdk/internal/uuid"
)

// waiter is a request whose reply has not come.
type waiter struct {
	id string
	// to is who was asked and may answer, as our own account and server may. Zero: nobody else may.
	to JID
	// reply gets the answer; its capacity is 1. nil: nobody waits for it.
	reply chan reply
	// deadline is when it is given up. Zero: never.
	deadline time.Time
	// written: the server may have it. behind is the place of the message that was written last
	// before it. Guarded by Session.mu.
	written bool
	behind  uint64
}

// ErrNoReply is what a request ends with that was not answered within [Config].RequestTimeout.
var ErrNoReply = fmt.Errorf("no reply in time: %w", context.DeadlineExceeded)

// reply is how a request ends: with a result, with a [*StanzaError] or [ErrNoReply], or with
// neither when the session has ended.
type reply struct {
	*stanza
	refused error
}

// request sends an iq and waits for its reply, the end of ctx or the end of the session. to is who
// may answer. The error of a request that was not written, and never will be, is marked as unsent.
func (s *Session) request(ctx context.Context, op string, req *iq, to JID) (*stanza, error) {
	ctx, done := s.observer.StartRequest(ctx, observe.Request{Kind: observe.IQ, Name: op, Attempt: 1})
	st, err := s.exchange(ctx, req, to)
	if done != nil {
		done(observe.RequestDone{Err: err})
	}
	if err != nil {
		return nil, fmt.Errorf("xmpp: %s: %w", op, err)
	}
	return st, nil
}

func (s *Session) exchange(ctx context.Context, req *iq, to JID) (*stanza, error) {
	if err := ctx.Err(); err != nil {
		return nil, unsent.Mark(err)
	}
	req.id = uuid.New()
	w := &waiter{id: req.id, to: to, reply: make(chan reply, 1)}
	if _, has := ctx.Deadline(); !has && s.requestTimeout > 0 {
		w.deadline = time.Now().Add(s.requestTimeout)
	}
	if err := s.post(outgoing{frame: req.frame(), stanza: true, id: req.id}, w); err != nil {
		return nil, unsent.Mark(err)
	}
	select {
	case r := <-w.reply:
		switch {
		case r == (reply{}):
			return nil, s.giveUp(w, s.gone())
		case r.refused == ErrNoReply:
			return nil, s.giveUp(w, ErrNoReply)
		}
		return r.stanza, r.refused
	case <-ctx.Done():
		return nil, s.giveUp(w, ctx.Err())
	}
}

// tell sends an iq whose reply is of no interest, whatever it is. again: it is told again when the
// server has missed it.
func (s *Session) tell(req *iq, again bool) error {
	req.id = uuid.New()
	w := &waiter{id: req.id}
	if req.to != "" {
		w.to.Domain = req.to
	}
	return s.post(outgoing{frame: req.frame(), stanza: true, again: again, id: req.id}, w)
}

func (s *Session) addWaiterLocked(w *waiter) {
	if s.waiters == nil {
		s.waiters = make(map[string]*waiter)
	}
	s.waiters[w.id] = w
	if !w.deadline.IsZero() {
		s.wakeLocked(w.deadline)
	}
}

// giveUp ends the wait for a reply. A request that is not written yet never will be, and the error
// says so.
func (s *Session) giveUp(w *waiter, cause error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiters, w.id)
	if w.written {
		return cause
	}
	return unsent.Mark(cause)
}

// claim removes and returns the waiter that a reply is for. A reply must have the id of a request
// and come from whom that was sent to, or from our own account or our own server, which may refuse
// to pass it on. A stanza without a sender is from our account. No other user can send one of
// these: the server stamps them with their sender (RFC 6120 8.1.2.1, 10.3.3).
func (s *Session) claim(st *stanza) *waiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.waiters[st.id]
	if w == nil || !s.mayAnswer(w.to, st.from) {
		return nil
	}
	delete(s.waiters, st.id)
	if w.to == (JID{}) || w.to == s.server() {
		s.out.confirmBehind(w.behind)
	}
	return w
}

func (s *Session) mayAnswer(asked JID, from string) bool {
	if from == "" {
		return true
	}
	jid, err := ParseJID(from)
	return err == nil && (jid == asked || jid == s.jid || jid == s.jid.Bare() || jid == s.server())
}

// server returns the JID of the server itself.
func (s *Session) server() JID { return JID{Domain: s.jid.Domain} }

// settle hands a reply to its waiter, nil when the session has ended. It is called once, so it
// never blocks.
func (w *waiter) settle(st *stanza) {
	switch {
	case w.reply == nil:
	case st == nil:
		w.reply <- reply{}
	case st.kind == kindError:
		w.reply <- reply{refused: st.refusal()}
	default:
		w.reply <- reply{stanza: st}
	}
}
