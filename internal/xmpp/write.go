package xmpp

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

const (
	writeTimeout = 20 * time.Second // one that takes longer ends the session; where writes do not wait, a step of it: see prompt.Below
	lastWords    = time.Second      // after a failed write, to read why the server hung up
	maxQueued    = 4 * maxFrame     // bytes waiting to be written; more ends the session
	maxBatch     = 32 << 10         // bytes after which a batch is written
)

// outgoing is something to be written.
type outgoing struct {
	frame  []byte // nil: the end of the stream
	stanza bool   // counts (XEP-0198)
	enable bool   // from here on stanzas count
	again  bool   // written again when the stream is resumed and the server does not have it
	id     string // of a request; who waits for its reply may take it back until it is written
}

// post queues o without waiting for the server and, when w is not nil, has w
// wait for the reply.
func (s *Session) post(o outgoing, w *waiter) error {
	if len(o.frame) > maxFrame {
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
	}
	stuck := s.queued+len(o.frame) > maxQueued
	alone := s.waiters.none()
	here := !stuck && !s.flushing && w != nil && w.reply != nil && s.prompt != nil // who waits for a reply may as well write
	if !stuck {
		if w != nil {
			s.waiters.add(o.id, w)
			if w.by > 0 {
				s.wakeLocked(w.askedAt, w.by)
			}
		}
		if here {
			s.flushing = true
			s.flushers.Add(1)
		}
		s.enqueueLocked(o)
	}
	s.mu.Unlock()
	switch {
	case stuck:
		s.end(errWriteStuck)
		return s.gone()
	case here:
		if !alone {
			runtime.Gosched() // who is about to ask too gets into the same batch
		}
		s.flushHere()
	}
	return nil
}

// enqueueLocked queues what is to be written. A write may
// block, and neither the read loop nor a caller whose context ends may wait for
// it, so it is done by a goroutine of its own, for as long as there is something to write.
func (s *Session) enqueueLocked(o outgoing) {
	s.queue = append(s.queue, o)
	s.queued += len(o.frame)
	if !s.flushing {
		s.flushing = true
		s.flushers.Go(s.flush) // ends when the queue is empty or the session has ended; Serve waits for it
	}
}

// flushHere writes one batch in the goroutine of who asks, over a connection that takes it without waiting for the server: a
// goroutine less to wake for each request. What is left, or late, is for flush.
func (s *Session) flushHere() {
	written := false
	defer func() {
		if !written { // a Logger has panicked, and who asks goes on: nobody would write any more
			s.end(errWriteBroken)
		}
		s.flushers.Done()
	}()
	var b batch
	s.mu.Lock()
	for s.takeLocked(&b, false) {
	}
	s.mu.Unlock()

	err := s.write(&b)
	late := s.prompt.Behind()
	written = true

	s.mu.Lock()
	defer s.mu.Unlock()
	s.wroteLocked(&b, err)
	switch {
	case err != nil:
	case late || len(s.queue) > 0:
		s.flushers.Go(s.flush)
	default:
		s.flushing = false
	}
}

func (s *Session) flush() {
	var b batch
	for {
		runtime.Gosched() // who is about to ask too gets into the same batch
		late := s.prompt.Behind()
		s.mu.Lock()
		b.reset()
		for !late && s.takeLocked(&b, true) {
		}
		if !late && len(b.frames) == 0 && !b.end {
			s.flushing = false
			s.mu.Unlock()
			return
		}
		if s.prompt == nil {
			s.watchLocked(writeTimeout)
		}
		s.mu.Unlock()

		err := s.write(&b)
		if err == nil {
			err = s.prompt.CatchUp()
		}
		if err == nil && b.end {
			close(s.flushed)
		}

		s.mu.Lock()
		s.unwatchLocked()
		s.wroteLocked(&b, err)
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// wroteLocked notes how writing b went.
func (s *Session) wroteLocked(b *batch, err error) {
	s.queued -= b.size
	if err != nil && s.err == nil {
		// The server may have said why it hung up: leave the read loop
		// a moment to find it. flushing stays set, nothing more is written.
		s.writeErr = err
		s.watchLocked(lastWords)
	}
}

// batch is what is written at once.
type batch struct {
	frames [][]byte
	size   int  // bytes
	end    bool // the end of the stream comes after the frames
}

func (b *batch) reset() {
	clear(b.frames)
	*b = batch{frames: b.frames[:0]}
}

// takeLocked takes what is to be written next into b and notes what follows from that; false: there is nothing, or b is full,
// or it is the end of the stream and that is not to be taken. Requests that nobody waits for any more are left out.
func (s *Session) takeLocked(b *batch, end bool) bool {
	if len(s.queue) == 0 || s.err != nil || b.end || b.size >= maxBatch || s.queue[0].frame == nil && !end {
		return false
	}
	o := s.queue[0]
	s.queue[0] = outgoing{}
	if s.queue = s.queue[1:]; len(s.queue) == 0 {
		s.queue = nil
	}
	if o.id != "" {
		w := s.waiters.get(o.id)
		if w == nil {
			s.queued -= len(o.frame)
			return true
		}
		w.written = true
	}
	if s.sm != nil {
		s.sm.written(o)
	}
	if o.frame == nil {
		s.endTaken, b.end = true, true
		return true
	}
	b.frames = append(b.frames, o.frame)
	b.size += len(o.frame)
	return true
}

func (s *Session) write(b *batch) error {
	for _, frame := range b.frames {
		logFrame(s.log, "send", frame)
	}
	if len(b.frames) > 0 {
		if err := s.f.WriteFrames(context.Background(), b.frames...); err != nil {
			return err
		}
	}
	if b.end {
		return s.f.End(context.Background())
	}
	return nil
}
