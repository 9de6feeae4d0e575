package xmpp

import (
	"cmp"
	"math"
	"sync/atomic"
	"time"
)

// forever leaves room to add times to it.
const forever = time.Duration(math.MaxInt64 / 4)

// clock is the monotonic time since epoch: with it a moment fits into a word.
func clock() time.Duration { return time.Since(epoch) }

// epoch is 50 years before the program began: the time of package synctest begins in 2000, and has to be later.
var epoch = time.Now().Add(-50 * 365 * 24 * time.Hour)

// moment is when something has happened last, by clock; 0: never.
type moment struct{ at atomic.Int64 }

func (m *moment) note()               { m.at.Store(int64(clock())) }
func (m *moment) last() time.Duration { return time.Duration(m.at.Load()) }

// A session has one timer, for keepalive, for writes that take too long, for requests that nobody answers, and for what the server is
// told a little later. They only say by when something must have happened; a timer that goes off and
// finds that nothing is due yet is set anew. A timer for each request would wake the thread that waits for the network, which has to
// know the next time: a tenth of a request's CPU time.

// tick is what the timer runs. A server that has been silent for the interval is pinged (XEP-0199); if it stays silent for the
// timeout the session is ended from here: the read loop may be stuck in a read that will never return. Any byte is a sign of
// life: the next stanza may be a large one on a slow link, and then the answer to the ping comes behind it.
func (s *Session) tick() {
	s.mu.Lock()
	s.wakeAt = 0
	s.waiters.shrink()
	now := clock()
	ping, cause := s.overdueLocked(now)
	cause = cmp.Or(cause, s.tellLateLocked(now))
	late := s.lateLocked(now)
	s.mu.Unlock()
	for _, w := range late {
		w.reply <- reply{refused: ErrNoReply} // never blocks: nobody else has it any more
	}
	switch {
	case cause != nil:
		s.end(cause)
	case ping:
		// Fails only when the session has ended.
		_ = s.tell(&iq{to: s.jid.Domain, kind: kindGet, payload: empty(nsPing, "ping")}, false)
	}
}

// overdueLocked says what to do now, and has the timer go off when there may be more to do.
func (s *Session) overdueLocked(now time.Duration) (ping bool, cause error) {
	if s.err != nil {
		return false, nil
	}
	if s.writeBy > 0 {
		if s.writeErr == nil { // while bytes go out, it may take as long as it does
			s.writeBy = max(s.writeBy, s.f.Wrote()+writeTimeout)
		}
		if now >= s.writeBy && s.writeErr != nil {
			return false, s.writeErr // the read loop has found no better reason
		} else if now >= s.writeBy {
			return false, errWriteStuck
		}
		s.wakeLocked(now, s.writeBy)
	}
	if s.keepAliveInterval <= 0 {
		return false, nil
	}
	heard := s.f.Heard()
	due := heard + s.keepAliveInterval
	if pinged := s.pingedAt > heard; pinged {
		if due = s.pingedAt + s.keepAliveTimeout; now >= due {
			return false, errNoAnswer
		}
	} else if ping = now >= due; ping {
		s.pingedAt = now
		due = now + s.keepAliveTimeout
	}
	s.wakeLocked(now, due)
	return ping, nil
}

// lateLocked takes out those who have waited long enough, and has the timer go off for the others.
func (s *Session) lateLocked(now time.Duration) (late []*waiter) {
	for w := range s.waiters.all() {
		switch {
		case w.by == 0 || s.err != nil: // those that end with the session are told so
		case now >= w.by:
			late = append(late, w)
		default:
			s.wakeLocked(now, w.by)
		}
	}
	for _, w := range late {
		s.waiters.remove(w.id)
	}
	return late
}

// wakeLocked has the timer go off at a time, or earlier, unless the session has ended.
func (s *Session) wakeLocked(now, at time.Duration) {
	if s.err != nil || s.wakeAt > 0 && s.wakeAt <= at {
		return
	}
	s.wakeAt = at
	if s.timer == nil {
		s.timer = time.AfterFunc(at-now, s.tick)
	} else {
		s.timer.Reset(at - now)
	}
}

// watchLocked ends the session after d, unless what is being written is written by then.
func (s *Session) watchLocked(d time.Duration) {
	now := clock()
	s.writeBy = now + d
	s.wakeLocked(now, s.writeBy)
}

func (s *Session) unwatchLocked() { s.writeBy = 0 }
