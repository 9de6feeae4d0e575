package xmpp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mirrorfly-go/sdk/internal/prompt"
)

// closeTimeout is how long a polite end waits for the server.
const closeTimeout = 2 * time.Second

// Session is one authenticated, bound stream. Its methods are safe for use from
// several goroutines, and from Config.Handle. It does not come back: when it has
// ended, dial another.
type Session struct {
	f       framer
	prompt  *prompt.Conn // of f
	addr    Address
	jid     JID
	handle  func(Event)
	log     *slog.Logger
	early   []string      // what came before Serve
	flushed chan struct{} // made by Close, closed when our end of the stream is written

	keepAliveInterval time.Duration
	keepAliveTimeout  time.Duration
	requestTimeout    time.Duration

	ignored      atomic.Int64
	ignoredByAll *atomic.Int64 // Config.Ignored; nil: none was given
	serving      atomic.Bool   // Serve was called
	handling     atomic.Bool   // the read loop is inside handle
	flushers     sync.WaitGroup

	mu       sync.Mutex
	err      error         // why the session ended; nil: it has not
	ending   bool          // Close was called
	endTaken bool          // somebody writes, or has written, our end of the stream
	isCut    bool          // the connection is closed
	flushing bool          // a flusher is running, or has failed
	resumed  bool          // immutable; among these it takes no room: the Session just fits into 512 bytes, after which the heap has 576
	parted   chan struct{} // made by Close, closed with isCut
	waiters  waiters
	queue    []outgoing    // to be written
	queued   int           // bytes in queue
	writeErr error         // why writing has failed
	timer    *time.Timer   // nil: nothing to wait for yet
	wakeAt   time.Duration // when it goes off, by clock; 0: it does not
	writeBy  time.Duration // when what is being written must be; 0: nothing is watched
	pingedAt time.Duration // 0: no ping was sent
	tellBy   time.Duration // when the server must be told what has come; 0: it does not wait for that
	sm       *management   // counts; nil: the server does not offer it
	counts   management
}

func newSession(cfg *Config, n *negotiation) *Session {
	s := &Session{
		f: n.f, prompt: n.f.Prompt(), addr: n.addr, jid: n.jid, resumed: n.resumed, early: n.early,
		handle: cfg.Handle, log: cfg.Logger, ignoredByAll: cfg.Ignored,
		keepAliveInterval: min(cfg.KeepAliveInterval, forever), keepAliveTimeout: min(cfg.KeepAliveTimeout, forever), requestTimeout: min(cfg.RequestTimeout, forever),
	}
	s.mu.Lock() // the timer sees a complete session
	defer s.mu.Unlock()
	if n.management != nil {
		s.counts = *n.management
		s.sm = &s.counts
	}
	if n.unheard {
		s.waiters.add(sessionID, new(waiter))
	}
	if s.keepAliveInterval > 0 {
		now := clock()
		s.wakeLocked(now, now+s.keepAliveInterval)
	}
	return s
}

// JID returns the full JID that the server bound.
func (s *Session) JID() JID { return s.jid }

// Err returns why the session ended, nil while it has not.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Ignored returns how many stanzas were dropped: forged, malformed, not
// understood, or replies that nobody waits for.
func (s *Session) Ignored() int { return int(s.ignored.Load()) }

// Start announces the session: stream management (XEP-0198) where the server offers it,
// initial presence with priority 1, then message carbons (protocol.md 4.4). One that was
// resumed has said all that already. It waits for no answer. Pushes may come from then on.
func (s *Session) Start(ctx context.Context) error {
	err := ctx.Err()
	switch {
	case err != nil:
	case s.resumed:
		err = s.takeUp()
	default:
		err = s.announce()
	}
	if err != nil {
		return fmt.Errorf("xmpp: start: %w", err)
	}
	return nil
}

func (s *Session) announce() error {
	if s.sm != nil {
		if err := s.post(outgoing{frame: smEnable().frame(), enable: true}, nil); err != nil {
			return err
		}
	}
	presence := markup{space: nsClient, name: "presence", children: []markup{{name: "priority", text: "1"}}}
	if err := s.post(outgoing{frame: presence.frame(), stanza: true, again: true}, nil); err != nil {
		return err
	}
	return s.tell(&iq{kind: kindSet, payload: empty(nsCarbons, "enable")}, true)
}

// Serve is the read loop. It runs in the caller's goroutine until the session
// ends and returns why: [ErrClosed] after Close, a [*StreamError] when the server
// said so, else what broke. Nothing of the session runs after it. Call it once.
func (s *Session) Serve() error {
	if !s.serving.CompareAndSwap(false, true) {
		return errServedTwice
	}
	for _, frame := range s.early {
		logFrame(s.log, "receive", frame)
		if s.serveFrame(frame, nil) {
			break
		}
	}
	s.early = nil
	for !s.serveFrame(s.read()) {
	}
	s.flushers.Wait()
	_ = s.prompt.CatchUp() // the connection is cut: it does not take long
	return s.Err()
}

// read is the next frame.
func (s *Session) read() (string, error) {
	frame, err := s.f.ReadFrame(context.Background())
	if err == nil {
		s.logReceived(frame)
	}
	return frame, err
}

// logReceived is not inlined into read, where a session waits: see ReadFrame.
//
//go:noinline
func (s *Session) logReceived(frame string) { logFrame(s.log, "receive", frame) }

// serveFrame takes what was read and reports whether the session is over.
func (s *Session) serveFrame(frame string, err error) (over bool) {
	if err == nil {
		if err = s.receive(frame); err != nil {
			s.finish(err)
		}
	} else if errors.Is(err, errMalformed) || errors.Is(err, errTooLarge) || errors.Is(err, errWriteStuck) {
		s.finish(err) // a stream that is only cut could be resumed, and the same would come again
	} else {
		s.end(err)
	}
	return err != nil || s.Err() != nil
}

// Close ends the session as protocol.md 4.8 has it: unavailable presence, end of
// the stream, socket. It waits until the server has ended its side too, but no
// longer than 2 s nor than ctx; with a context that is done the connection is
// just broken. Serve then returns ErrClosed. More calls wait for the first.
func (s *Session) Close(ctx context.Context) error {
	s.mu.Lock()
	if s.parted == nil {
		s.parted = make(chan struct{})
		if s.isCut {
			close(s.parted)
		}
	}
	first := s.err == nil && !s.ending
	s.ending = s.ending || s.err == nil
	if first && ctx.Err() == nil {
		unavailable := markup{space: nsClient, name: "presence", attrs: []string{"type", "unavailable"}}
		s.enqueueLocked(outgoing{frame: unavailable.frame(), stanza: true})
		if s.sm != nil && s.sm.enabled { // else the server counts as lost what we have (XEP-0198 7)
			s.enqueueLocked(outgoing{frame: smAnswer(s.sm.received).frame()})
		}
		s.flushed = make(chan struct{})
		s.enqueueLocked(outgoing{})
	}
	s.mu.Unlock()

	wait, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	if first {
		s.partWith(wait)
	} else {
		select {
		case <-s.parted:
		case <-wait.Done():
		}
	}
	s.end(ErrClosed)
	return nil
}

// partWith waits for our end of the stream to be written and the server's to come.
func (s *Session) partWith(ctx context.Context) {
	select {
	case <-s.flushed:
	case <-s.parted:
		return
	case <-ctx.Done():
		return
	}
	if !s.serving.Load() || s.handling.Load() {
		// Nobody reads, or the reader is who called Close.
		_ = s.f.Close(ctx)
		return
	}
	select {
	case <-s.parted:
	case <-ctx.Done():
	}
}

// finish ends the session with a word to the server: the stream is over, but
// the connection still works.
func (s *Session) finish(cause error) {
	s.mark(cause)
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	s.mu.Lock()
	mine := !s.endTaken
	s.endTaken = true
	s.mu.Unlock()
	if mine && s.f.End(ctx) == nil { // the connection goes either way
		stop := context.AfterFunc(ctx, s.f.Cut)
		_ = s.prompt.CatchUp()
		stop()
	} else if !mine {
		select {
		case <-s.flushed:
		case <-ctx.Done():
		}
	}
	_ = s.f.Close(ctx)
	s.cut()
}

// end ends the session and breaks the connection.
func (s *Session) end(cause error) {
	s.mark(cause)
	s.cut()
}

func (s *Session) cut() {
	s.f.Cut()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.isCut && s.parted != nil {
		close(s.parted)
	}
	s.isCut = true
}

// mark notes that the session has ended, and why, if it had not, and tells who waits for a reply.
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
		s.sm.keep(s.queue)
	}
	s.queue = nil
	for w := range s.waiters.all() {
		w.settle(nil)
	}
	s.waiters = waiters{}
	if s.timer != nil {
		s.timer.Stop()
	}
}

// gone is what asking a session that has ended fails with.
func (s *Session) gone() error { return fmt.Errorf("%w: %w", ErrNotConnected, s.Err()) }

// receive handles one stanza. An error ends the session.
func (s *Session) receive(frame string) error {
	st, err := parse(frame)
	if err != nil {
		return err
	}
	switch {
	case st.is(nsFraming, "close"):
		return errServerClosed
	case st.is(nsStream, "error"):
		err := streamError(st)
		if r := (*redirect)(nil); errors.As(err, &r) {
			return &StreamError{Condition: "see-other-host", Text: clip(r.to)}
		}
		return err
	}
	if st.space == nsManagement {
		return s.receiveManagement(st)
	}
	if err := s.count(st); err != nil {
		return err
	}
	switch st.local {
	case "iq":
		s.receiveIQ(st)
	case "presence":
		s.receivePresence(st)
	case "message":
		s.receiveMessage(st)
	default:
		s.ignore(st, "unknown element")
	}
	return nil
}

// countIgnored counts a stanza that is dropped.
func (s *Session) countIgnored() {
	s.ignored.Add(1)
	if s.ignoredByAll != nil {
		s.ignoredByAll.Add(1)
	}
}

// ignore drops a stanza.
func (s *Session) ignore(st *stanza, why string) {
	s.countIgnored()
	s.log.Debug("stanza ignored", "op", "receive", "why", why, "stanza", clip(st.local), "jid", clip(st.from))
}

func (s *Session) emit(e Event) {
	s.handling.Store(true)
	defer s.handling.Store(false)
	s.handle(e)
}

// logFrame logs the first tag of a frame: stanzas show what they are and whose,
// but neither content nor, in SASL elements, credentials.
func logFrame[F string | []byte](log *slog.Logger, op string, frame F) {
	ctx := context.Background()
	if !log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	tag, _, _ := strings.Cut(string(frame), ">")
	log.DebugContext(ctx, "xmpp frame", "op", op, "tag", clip(tag+">"), "size", len(frame))
}
