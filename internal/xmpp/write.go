package xmpp

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/mirrorfly-go/sdk/internal/frames"
)

const (
	// maxQueued is how many bytes may wait to be written. More ends the session.
	maxQueued = 4 * frames.MaxFrame
	// maxMessages is how many bytes may wait before a message waits for room, in Send. The rest is
	// for what cannot wait.
	maxMessages = maxQueued / 2
	// maxBatch is how many bytes are enough for one batch.
	maxBatch = 32 << 10
	// What may wait is written with what comes within patientFor, unless so many wait by then.
	patientFor = 5 * time.Millisecond
	maxPatient = 16
)

// outgoing is something to be written.
type outgoing struct {
	frame []byte
	// end: it is the end of the stream.
	end bool
	// stanza: it counts (XEP-0198). enable: from here on stanzas count.
	stanza, enable bool
	// again: it is written again when the stream is resumed and the server does not have it.
	again bool
	// patient: it may wait a moment, to be written with others. A write costs about as much as all
	// else that is done for a receipt, here and in the server.
	patient bool
	// id is that of a request, which may be given up until it is written. sending is likewise a
	// message that somebody waits for.
	id      string
	sending *sending
}

// post queues o without waiting for the server. w, if not nil, waits for the reply.
//
// Nothing that is written waits for the server, but what is late is to be given up with its
// request. So only one goroutine writes at a time, and while something is late, the rest stays in
// the queue.
func (s *Session) post(o outgoing, w *waiter) error {
	if len(o.frame) > frames.MaxFrame {
		return ErrRequestSize
	}
	s.mu.Lock()
	switch {
	case s.err != nil:
		s.mu.Unlock()
		return s.gone()
	case s.ending:
		s.mu.Unlock()
		return fmt.Errorf("%w: %w", ErrNotConnected, ErrClosed)
	case o.sending != nil && s.queued+len(o.frame) > maxMessages:
		s.mu.Unlock()
		return errNoRoom
	case s.queued+len(o.frame) > maxQueued:
		s.mu.Unlock()
		s.end(errWriteStuck)
		return s.gone()
	}
	alone := len(s.waiters) == 0 && s.out.waiting() == 0
	if w != nil {
		s.addWaiterLocked(w)
	}
	if o.sending != nil {
		if s.out == nil {
			s.out = new(outbox)
		}
		s.out.add(o.sending)
	}
	// A caller who waits for a reply may as well write: that is a goroutine less to wake. So may
	// whoever brings the last of those that were patient.
	here := (w != nil && w.reply != nil || o.sending != nil || o.patient && len(s.queue)+1 >= maxPatient) &&
		s.claimWritingLocked()
	s.enqueueLocked(o)
	s.mu.Unlock()
	if here {
		if !alone {
			// Other callers who are about to make a request get into the same batch.
			runtime.Gosched()
		}
		s.flushHere()
	}
	return nil
}

// postMessage is post for a message. While much is to be written it waits, until ctx ends or it is
// late: a server that is slow is no reason to lose the session.
func (s *Session) postMessage(ctx context.Context, o outgoing) error {
	var late <-chan time.Time
	for {
		err := s.post(o, nil)
		if err != errNoRoom {
			return err
		}
		if deadline := o.sending.deadline; late == nil && !deadline.IsZero() {
			timer := time.NewTimer(time.Until(deadline))
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-s.nextRoom():
		case <-late:
			return ErrNoReply
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// nextRoom returns a channel that is closed when there is room for messages, or no session any
// more.
func (s *Session) nextRoom() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.room == nil {
		s.room = make(chan struct{})
	}
	room := s.room
	s.makeRoomLocked()
	return room
}

// makeRoomLocked wakes those who wait for room, if there is some.
func (s *Session) makeRoomLocked() {
	if s.room != nil && (s.queued <= maxMessages/2 || s.err != nil || s.ending) {
		close(s.room)
		s.room = nil
	}
}

// claimWritingLocked makes the caller the one who writes, unless somebody is: flushHere has to
// follow.
func (s *Session) claimWritingLocked() (claimed bool) {
	if s.writing {
		return false
	}
	s.writing = true
	s.writers.Add(1)
	return true
}

// enqueueLocked queues o. Unless somebody writes, a goroutine does, for as long as there is
// something to write; while all that is queued is patient, not before the timer goes off.
func (s *Session) enqueueLocked(o outgoing) {
	s.queue = append(s.queue, o)
	s.queued += len(o.frame)
	switch {
	case s.writing:
	case !o.patient:
		s.writing = true
		// Owner: s. It ends when the queue is empty or the session has ended; Serve waits for it.
		s.writers.Go(s.flush)
	case len(s.queue) == 1:
		s.wakeLocked(time.Now().Add(patientFor))
	}
}

// flushHere writes one batch in the goroutine of the caller. What is left, or late, is for flush.
func (s *Session) flushHere() {
	defer s.writers.Done()
	s.mu.Lock()
	b := s.nextBatchLocked(false)
	s.mu.Unlock()
	late, err := s.write(b)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.wroteLocked(b, err)
	switch {
	case err != nil:
	case late || len(s.queue) > 0:
		// As in enqueueLocked.
		s.writers.Go(s.flush)
	default:
		s.writing = false
	}
}

// flush writes what is queued until nothing is.
func (s *Session) flush() {
	var b batch
	for {
		err := s.conn.CatchUp()
		if err == nil && b.end {
			s.closeWritten.happen()
		}
		// Callers who are about to make a request get into the same batch.
		runtime.Gosched()
		s.mu.Lock()
		if err != nil {
			s.wroteLocked(batch{}, err)
			s.mu.Unlock()
			return
		}
		if b = s.nextBatchLocked(true); len(b.frames) == 0 {
			s.writing = false
			s.makeRoomLocked()
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()

		_, err = s.write(b)
		s.mu.Lock()
		s.wroteLocked(b, err)
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// wroteLocked notes how writing b went. After an error writing stays set, and nothing more is
// written.
func (s *Session) wroteLocked(b batch, err error) {
	s.queued -= b.size
	s.makeRoomLocked()
	if err == nil || s.err != nil {
		return
	}
	// The server may have said why it hung up: the read loop has a moment to find that. A server
	// that does not read has not hung up.
	wait := lastWordsTimeout
	if errors.Is(err, errWriteStuck) {
		wait = 0
	}
	s.lastWords = time.AfterFunc(wait, func() { s.end(err) })
}

// batch is what is written in one go.
type batch struct {
	frames [][]byte
	size   int
	// end: the last frame is the end of the stream.
	end bool
}

// nextBatchLocked takes the next batch from the queue and notes what follows from that. Requests
// that were given up are left out, and the end of the stream stays in the queue unless withEnd.
func (s *Session) nextBatchLocked(withEnd bool) (b batch) {
	messages := false
	for len(s.queue) > 0 && s.err == nil && b.size < maxBatch && (withEnd || !s.queue[0].end) {
		o := s.queue[0]
		s.queue[0] = outgoing{}
		s.queue = s.queue[1:]
		if o.id != "" {
			w := s.waiters[o.id]
			if w == nil {
				s.queued -= len(o.frame)
				continue
			}
			w.written, w.behind = true, s.out.last()
		}
		if o.sending != nil {
			if !s.out.wrote(o.sending) {
				s.queued -= len(o.frame)
				continue
			}
			messages = true
		}
		if s.sm != nil {
			s.sm.written(o, s.out)
		}
		if o.end {
			s.closeSent, b.end = true, true
		}
		b.frames = append(b.frames, o.frame)
		b.size += len(o.frame)
	}
	if len(s.queue) == 0 {
		s.queue = nil
	}
	if (messages || s.sm.keepsMuch()) && !b.end {
		if ask := s.askLocked(); ask != nil {
			b.frames = append(b.frames, ask)
		}
	}
	return b
}

func (s *Session) write(b batch) (late bool, err error) {
	if len(b.frames) == 0 {
		return false, nil
	}
	written := false
	defer func() {
		// A Logger has panicked, and its caller may go on: nobody would write any more.
		if !written {
			s.end(errWriteBroken)
		}
	}()
	for _, frame := range b.frames {
		noteFrame(s.observer, s.log, frameSent, frame)
	}
	late, err = s.conn.WriteFrames(b.frames...)
	written = true
	return late, err
}
