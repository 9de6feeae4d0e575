package xmpp

import (
	"context"
	"errors"
	"time"
)

// Mostly the read loop reads, and wakes who waits for a reply. Where little else runs, that is the dearest part of a request: the Go
// scheduler wakes a thread besides, to help. So where one request follows the other, as in a loop over users, the read loop stands back
// after a reply, and who asks next reads the reply to it. Who asks takes nothing but replies: anything else goes to the read loop,
// which then reads again. If nobody asks within maxRest, it reads again, too.
//
// Only over TCP: who reads must be able to stop when the request is given up, and a read of a WebSocket ends with the connection.

// maxRest is how long nobody reads while the next request is awaited. A push that comes meanwhile is that much later.
const maxRest = 2 * time.Millisecond

// errInterrupted is what a read fails with that was broken off. The next one goes on where it was.
var errInterrupted = errors.New("interrupted")

// reader is one who reads.
type reader int

const (
	readLoop reader = iota
	nobody          // for a moment: the read loop stands back
	whoAsks         // the read loop stands back
)

// reading is what says who reads what is lent. Guarded by Session.mu.
type reading struct {
	who      reader
	asker    *waiter       // of whoAsks
	answered time.Duration // when a request was last answered, by clock
	soon     bool          // that one came within maxRest of the answer before it: the next may, too
	restedAt time.Duration // when nobody was left to read
	back     chan incoming // wakes the read loop; nil: it has never stood back
}

// incoming is what was read for the read loop.
type incoming struct {
	frame string
	err   error
}

func (in incoming) nothing() bool { return in.frame == "" && in.err == nil }

// lent is what who asks may read, nil for what only the read loop reads.
func (s *Session) lent() *tcpFramer {
	if t, is := s.f.(*tcpFramer); is && t.interruptible {
		return t
	}
	return nil
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
		s.logReceived(frame)
	}
	return frame, err
}

// logReceived is not inlined into next, where a session waits: see ReadFrame.
//
//go:noinline
func (s *Session) logReceived(frame string) { logFrame(s.log, "receive", frame) }

// standBack has the read loop stand back until something comes from back. nil: it has to read.
func (s *Session) standBack() (back <-chan incoming) {
	if s.lent() == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.reading
	if r == nil || !r.soon || !s.mayRestLocked() {
		return nil
	}
	if r.back == nil {
		r.back = make(chan incoming, 1)
	}
	s.restLocked()
	return r.back
}

// mayRestLocked reports whether nobody need read for a moment. It is for who reads.
func (s *Session) mayRestLocked() bool {
	return s.err == nil && !s.ending && s.waiters.none() && len(s.lent().in.unread) == 0
}

// restLocked has nobody read for a moment.
func (s *Session) restLocked() {
	now := clock()
	r := s.reading
	r.who, r.asker, r.soon, r.restedAt = nobody, nil, false, now
	s.wakeLocked(now, now+maxRest)
}

// readAgainLocked has the read loop read again when nobody has for long enough, or has the timer go off then.
func (s *Session) readAgainLocked(now time.Duration) {
	r := s.reading
	switch {
	case r == nil || r.who != nobody:
	case s.err != nil || s.ending || now >= r.restedAt+maxRest:
		s.handBackLocked(incoming{})
	default:
		s.wakeLocked(now, r.restedAt+maxRest)
	}
}

func (s *Session) handBackLocked(in incoming) {
	s.reading.who, s.reading.asker = readLoop, nil
	s.reading.back <- in // never blocks: once for each time that the read loop stands back
}

// answeredLocked notes that the request of w is answered.
func (s *Session) answeredLocked(w *waiter) {
	if s.lent() == nil || w.reply == nil {
		return
	}
	if s.reading == nil {
		s.reading = &reading{answered: -maxRest}
	}
	s.reading.soon = w.alone && w.askedAt-s.reading.answered < maxRest
	s.reading.answered = clock()
}

// readReply reads the reply that w waits for, if nobody else reads. It may return without: then somebody does.
func (s *Session) readReply(ctx context.Context, w *waiter) {
	if s.lent() == nil || !s.startReading(w) {
		return
	}
	var in incoming
	defer func() { s.stopReading(in) }() // also when a Logger panics: the read loop has the frame then
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, func() { s.interrupt(w) })()
	}
	for mine := false; !mine && in.err == nil; {
		in.frame, in.err = s.f.ReadFrame(context.Background())
		if in.err == errInterrupted {
			in.err = nil
			return
		} else if in.err != nil {
			return
		}
		s.logReceived(in.frame)
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
	if r == nil || r.who != nobody || s.waiters.get(w.id) != w { // it has its reply, or was given up
		return false
	}
	r.who, r.asker = whoAsks, w
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
		s.lent().Interrupt()
	}
}
