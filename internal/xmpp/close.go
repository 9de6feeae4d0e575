package xmpp

import (
	"context"
	"fmt"
	"time"

	"github.com/mirrorfly-go/sdk/internal/xmltext"
)

// lastWordsTimeout is how long a session that has to end waits for the last words: for what the
// server says after a write has failed, or for our end of the stream to be written.
const lastWordsTimeout = time.Second

// Close ends the session as protocol.md 4.8 has it: unavailable presence, end of the stream,
// socket. It waits until the server has ended its side too, but no longer than 2 s nor than ctx;
// with a context that is done the connection is just broken. Serve then returns ErrClosed. More
// calls wait for the first.
func (s *Session) Close(ctx context.Context) error {
	s.mu.Lock()
	first := s.err == nil && !s.ending
	s.ending = s.ending || s.err == nil
	s.makeRoomLocked()
	if first && ctx.Err() == nil {
		s.enqueueLastLocked()
	}
	s.mu.Unlock()

	wait, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	if first {
		s.part(wait)
	} else {
		select {
		case <-s.disconnected.done():
		case <-wait.Done():
		}
	}
	s.end(ErrClosed)
	return nil
}

// enqueueLastLocked queues what a session says before it is closed.
func (s *Session) enqueueLastLocked() {
	unavailable := xmltext.Markup{Space: nsClient, Name: "presence", Attrs: []string{"type", "unavailable"}}
	s.enqueueLocked(outgoing{frame: unavailable.Bytes(), stanza: true})
	if s.sm != nil && s.sm.enabled {
		// Else the server counts as lost what we have (XEP-0198 7).
		s.enqueueLocked(outgoing{frame: smAnswer(s.sm.in.handled.Load()).Bytes()})
	}
	s.enqueueLocked(outgoing{frame: s.conn.Footer(), end: true})
}

// part waits for our end of the stream to be written and the server's to come.
func (s *Session) part(ctx context.Context) {
	select {
	case <-s.closeWritten.done():
	case <-s.disconnected.done():
		return
	case <-ctx.Done():
		return
	}
	if !s.serving.Load() || s.handling.Load() {
		// Nothing reads, or it is the read loop that called Close.
		_ = s.conn.Close(ctx)
		return
	}
	select {
	case <-s.disconnected.done():
	case <-ctx.Done():
	}
}

// finish ends the session and tells the server: the stream is over, but the connection still works.
func (s *Session) finish(cause error) {
	s.mark(cause)
	ctx, cancel := context.WithTimeout(context.Background(), lastWordsTimeout)
	defer cancel()
	s.mu.Lock()
	mine := !s.closeSent
	s.closeSent = true
	s.mu.Unlock()
	if mine {
		s.writeFooter(ctx)
	} else {
		select {
		case <-s.closeWritten.done():
		case <-ctx.Done():
		}
	}
	_ = s.conn.Close(ctx)
	s.cut()
}

// writeFooter writes the end of the stream. If that fails the connection ends without.
func (s *Session) writeFooter(ctx context.Context) {
	defer context.AfterFunc(ctx, s.conn.Cut)()
	footer := s.conn.Footer()
	noteFrame(s.observer, s.log, frameSent, footer)
	if _, err := s.conn.WriteFrames(footer); err == nil {
		_ = s.conn.CatchUp()
	}
}

// end ends the session and breaks the connection.
func (s *Session) end(cause error) {
	s.mark(cause)
	s.cut()
}

func (s *Session) cut() {
	s.conn.Cut()
	s.disconnected.happen()
}

// mark notes that the session has ended, and why, if it had not, and ends the requests under way.
func (s *Session) mark(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	if s.ending {
		cause = ErrClosed
	}
	s.err = cause
	if s.sm != nil {
		for _, o := range s.queue {
			s.sm.keep(s.sm.sent+1, o, s.out) // more than the server can have
		}
	}
	s.queue = nil
	s.makeRoomLocked()
	if !s.resumableLocked() {
		s.out.fail(fmt.Errorf("%w: %w", ErrNotConnected, cause))
	}
	for _, w := range s.waiters {
		w.settle(nil)
	}
	s.waiters = nil
	for _, timer := range []*time.Timer{s.timer, s.lastWords} {
		if timer != nil {
			timer.Stop()
		}
	}
}

// gone is the error of a request to a session that has ended.
func (s *Session) gone() error { return fmt.Errorf("%w: %w", ErrNotConnected, s.Err()) }
