package xmpp

import (
	"context"
	"errors"
	"time"
)

// Mostly the read loop reads, and wakes who waits for a reply. Where little else runs, that is the dearest part of a request: the Go
// scheduler wakes a thread besides, to help. So where one request follows the other, as in a loop over users, the read loop stands back
// after a reply, and who asks next reads the reply to it. Who asks takes nothing but replies: anything else goes to the read loop,
// which then reads on. So it does when nobody asks.
//
// Only over TCP: who reads must be able to stop when the request is given up, and a read of a WebSocket ends with the connection.

// standBack is how long the read loop waits for who asks next. A push that comes meanwhile is that much later.
const standBack = 2 * time.Millisecond

// errInterrupted is what a read fails with that was broken off. The next one goes on where it was.
var errInterrupted = errors.New("interrupted")

// reading is who reads. Guarded by Session.mu.
type reading struct {
	from     *tcpFramer    // immutable
	answered time.Duration // when a request was last answered, since the session started
	soon     bool          // that one had come soon after the answer before: so may the next
	away     bool          // the read loop stands back
	asker    *waiter       // who reads then; nil: nobody
	since    time.Duration // that nobody does
	back     chan incoming // ends that; capacity 1
}

// incoming is what was read for the read loop.
type incoming struct {
	frame string
	err   error
}

func (in incoming) nothing() bool { return in.frame == "" && in.err == nil }

// lends reports whether who asks may read, if the connection knows deadlines: what a DialContext has dialled may not.
func (s *Session) lends() bool {
	_, is := s.f.(*tcpFramer)
	return is
}

// next is the next frame for the read loop.
func (s *Session) next() (string, error) {
	if back := s.standBack(); back != nil {
		if in := <-back; !in.nothing() {
			return in.frame, in.err
		}
	}
	frame, err := s.f.ReadFrame(context.Background())
	for err == errInterrupted {
		frame, err = s.f.ReadFrame(context.Background())
	}
	if err == nil {
		s.heard(frame)
	}
	return frame, err
}

// standBack has the read loop stand back until something comes from back. nil: it has to read.
func (s *Session) standBack() (back <-chan incoming) {
	if !s.lends() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.reading
	if r == nil || !r.soon || !s.mayRestLocked() {
		return nil
	}
	r.away = true
	s.restLocked()
	return r.back
}

// mayRestLocked reports whether nobody need read for a moment. It is for who reads.
func (s *Session) mayRestLocked() bool {
	return s.err == nil && !s.ending && s.waiters.none() && len(s.reading.from.in.unread) == 0
}

// restLocked has nobody read for a moment.
func (s *Session) restLocked() {
	now := time.Since(s.started)
	s.reading.soon, s.reading.asker, s.reading.since = false, nil, now
	s.wakeLocked(now, now+standBack)
}

// readOnLocked has the read loop read on when nobody has for long enough, or has the timer go off then.
func (s *Session) readOnLocked(now time.Duration) {
	r := s.reading
	switch {
	case r == nil || !r.away || r.asker != nil:
	case s.err != nil || s.ending || now >= r.since+standBack:
		s.handBackLocked(incoming{})
	default:
		s.wakeLocked(now, r.since+standBack)
	}
}

func (s *Session) handBackLocked(in incoming) {
	s.reading.away, s.reading.asker = false, nil
	s.reading.back <- in // never blocks: once for each time that the read loop stands back
}

// answeredLocked notes that the request of w is answered.
func (s *Session) answeredLocked(w *waiter) {
	if !s.lends() || w.reply == nil {
		return
	}
	if s.reading == nil {
		t := s.f.(*tcpFramer)
		if t.raw.SetReadDeadline(time.Time{}) != nil {
			return
		}
		s.reading = &reading{from: t, answered: -standBack, back: make(chan incoming, 1)}
	}
	s.reading.soon = w.alone && w.since-s.reading.answered < standBack
	s.reading.answered = time.Since(s.started)
}

// readReply reads the reply that w waits for, if nobody else reads. It may return without: then somebody does.
func (s *Session) readReply(ctx context.Context, w *waiter) {
	if !s.lends() || !s.startReading(w) {
		return
	}
	var in incoming
	defer func() { s.stopReading(in) }() // also when a Logger panics: the read loop has the frame then
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, func() { s.interrupt(w) })()
	}
	for mine := false; !mine && in.err == nil; {
		in.frame, in.err = s.f.ReadFrame(context.Background())
		switch in.err {
		case nil:
		case errInterrupted:
			in.err = nil
			return
		default:
			return
		}
		s.heard(in.frame)
		st, err := parse(in.frame)
		if err != nil || !isReply(st) {
			return
		}
		claimed := s.claim(st)
		if claimed == nil {
			return
		}
		in = incoming{err: s.count(st)}
		claimed.settle(st)
		mine = claimed == w
	}
}

func (s *Session) startReading(w *waiter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.reading
	if r == nil || !r.away || r.asker != nil || s.waiters.get(w.id) != w {
		return false
	}
	r.asker = w
	return true
}

func (s *Session) stopReading(in incoming) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.nothing() && s.mayRestLocked() {
		s.restLocked()
	} else {
		s.handBackLocked(in)
	}
}

// interrupt has w stop reading, if it does: its request is given up, and a reply may never come.
func (s *Session) interrupt(w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reading != nil && s.reading.asker == w {
		s.reading.from.Interrupt()
	}
}
