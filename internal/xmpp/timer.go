package xmpp

import (
	"cmp"
	"time"
)

// A session has one timer: for the keepalive, for requests that nobody answers, for
// acknowledgements of which the server is told a little later, and for what may wait a moment to be
// written. They only say when something must have happened; a timer that goes off and finds that
// nothing is due yet is set anew. A timer for each request would wake the thread that waits for the
// network, which has to know the next time: a tenth of a request's CPU time. The messages of an
// outbox share one likewise, which outlives the connection as they do.

// tick is what the timer runs.
func (s *Session) tick() {
	s.mu.Lock()
	s.timerAt = time.Time{}
	now := time.Now()
	ping, cause := s.keepAliveLocked(now)
	cause = cmp.Or(cause, s.acknowledgeLateLocked(now))
	late := s.lateRequestsLocked(now)
	// What was patient has waited.
	here := s.err == nil && len(s.queue) > 0 && s.claimWritingLocked()
	s.mu.Unlock()
	if here {
		// At the end: a Logger or a hook may take its time.
		defer s.flushHere()
	}
	for _, w := range late {
		// It never blocks: nobody else has the waiter any more.
		w.reply <- reply{refused: ErrNoReply}
	}
	switch {
	case cause != nil:
		s.end(cause)
	case ping:
		// It fails only when the session has ended.
		_ = s.tell(&iq{to: s.jid.Domain, kind: kindGet, payload: empty(nsPing, "ping")}, false)
	}
}

// wakeLocked has the timer go off at a time, or earlier, unless the session has ended.
func (s *Session) wakeLocked(at time.Time) {
	if s.err != nil || !s.timerAt.IsZero() && !at.Before(s.timerAt) {
		return
	}
	s.timerAt = at
	if s.timer == nil {
		s.timer = time.AfterFunc(time.Until(at), s.tick)
	} else {
		s.timer.Reset(time.Until(at))
	}
}

// keepAliveLocked pings a server that has been silent for the interval (XEP-0199). If it stays
// silent for the timeout, the cause ends the session from the timer: the read loop may be stuck in
// a read that never returns. Any byte is a sign of life: the next stanza may be a large one on a
// slow link, and the answer to the ping comes behind it.
func (s *Session) keepAliveLocked(now time.Time) (ping bool, cause error) {
	if s.err != nil || s.keepAliveInterval <= 0 {
		return false, nil
	}
	heard := s.conn.Heard()
	due := heard.Add(s.keepAliveInterval)
	if s.pingedAt.After(heard) {
		if due = s.pingedAt.Add(s.keepAliveTimeout); !now.Before(due) {
			return false, errNoAnswer
		}
	} else if ping = !now.Before(due); ping {
		s.pingedAt = now
		due = now.Add(s.keepAliveTimeout)
	}
	s.wakeLocked(due)
	return ping, nil
}

// lateRequestsLocked removes and returns the waiters that have waited long enough, and has the
// timer go off for the others.
func (s *Session) lateRequestsLocked(now time.Time) (late []*waiter) {
	for id, w := range s.waiters {
		switch {
		case w.deadline.IsZero():
		case now.Before(w.deadline):
			s.wakeLocked(w.deadline)
		default:
			late = append(late, w)
			delete(s.waiters, id)
		}
	}
	if len(s.waiters) == 0 {
		// A map keeps the size that a burst of requests has given it.
		s.waiters = nil
	}
	return late
}
