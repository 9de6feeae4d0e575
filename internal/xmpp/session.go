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

	"github.com/mirrorfly-go/sdk/internal/frames"
	"github.com/mirrorfly-go/sdk/internal/observe"
	"github.com/mirrorfly-go/sdk/internal/xmltext"
)

// closeTimeout is how long a polite end waits for the server.
const closeTimeout = 2 * time.Second

// Session is one authenticated, bound stream. Its methods are safe for use from several goroutines,
// and from Config.Handle. It does not come back: when it has ended, dial another.
type Session struct {
	conn   frames.Conn
	addr   Address
	jid    JID
	handle func(Event)
	log    *slog.Logger
	// resumed: the stream goes on where an earlier session broke.
	resumed bool
	// leave: messages are left to other devices, and to later.
	leave bool
	// earlyFrames are what came before Serve.
	earlyFrames []string

	keepAliveInterval time.Duration
	keepAliveTimeout  time.Duration
	requestTimeout    time.Duration

	observer *observe.Observer

	// serving: Serve was called. handling: the read loop is inside handle. handedOver: Serve has
	// returned ErrHandOver, and is called again.
	serving, handling, handedOver atomic.Bool
	handovers                     handovers
	// writers are the goroutines that write what is queued.
	writers sync.WaitGroup

	// closeWritten: our end of the stream is written. disconnected: the connection is cut.
	closeWritten, disconnected latch

	mu sync.Mutex
	// err is why the session ended. nil: it has not.
	err error
	// ending: Close was called. closeSent: our end of the stream is written, or about to be.
	ending, closeSent bool
	// writing: somebody writes what is queued, or writing has failed.
	writing bool
	// overrun: with the last stanza too many messages were not handled. warned: that was logged.
	// Both are the read loop's.
	overrun, warned bool
	// waiters are the requests whose replies have not come, by id. nil: none.
	waiters map[string]*waiter
	// queue is what is to be written, of so many bytes.
	queue  []outgoing
	queued int
	// room is closed when messages may be queued again. nil: none waits for that.
	room chan struct{}
	// lastWords ends the session after a write has failed. nil: none has.
	lastWords *time.Timer
	// timer is for what is late; see tick. timerAt: when it goes off. Zero: it does not.
	timer   *time.Timer
	timerAt time.Time
	// pingedAt is when the last ping of the keepalive was sent.
	pingedAt time.Time
	// ackDeadline is when the server must be told what has come. Zero: it does not wait for that.
	ackDeadline time.Time
	// sm counts stanzas. nil: the server does not offer that.
	sm *management
	// out are the messages that are not confirmed. nil: none was sent.
	out *outbox
	// quiet are the ids of the last quiet messages.
	quiet []string
}

func newSession(cfg *Config, h *handshake) *Session {
	s := &Session{
		conn: h.conn, addr: h.addr, jid: h.jid, handle: cfg.Handle, log: cfg.Logger,
		resumed: h.resumed, earlyFrames: h.earlyFrames,
		keepAliveInterval: cfg.KeepAliveInterval, keepAliveTimeout: cfg.KeepAliveTimeout,
		requestTimeout: cfg.RequestTimeout, observer: cfg.Observer,
		leave: cfg.LeaveMessages, sm: h.management, out: h.out,
	}
	if h.resumed {
		s.sm.in.teller.Store(s)
	}
	// The timer sees a complete session.
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.resumed && s.sm.in.handled.Load() != s.sm.told {
		// Handled during the handshake, when nobody told the server.
		s.acknowledgeSoonLocked()
	}
	if h.sessionAsked {
		s.addWaiterLocked(&waiter{id: sessionID})
	}
	if s.keepAliveInterval > 0 {
		s.wakeLocked(time.Now().Add(s.keepAliveInterval))
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

// Start announces the session: stream management (XEP-0198) where the server offers it, initial
// presence with priority 1 or, with Config.LeaveMessages, -1, then message carbons (protocol.md
// 4.4). A session that was resumed has said all that already. Start waits for no answer. Pushes may
// come from then on.
func (s *Session) Start(ctx context.Context) error {
	err := ctx.Err()
	switch {
	case err != nil:
	case s.resumed:
		err = s.repeatUnacked()
	default:
		err = s.announce()
	}
	if err != nil {
		return fmt.Errorf("xmpp: start: %w", err)
	}
	return nil
}

func (s *Session) announce() error {
	s.mu.Lock()
	managed := s.sm != nil
	s.mu.Unlock()
	if managed {
		if err := s.post(outgoing{frame: smEnable().Bytes(), enable: true}, nil); err != nil {
			return err
		}
	}
	priority := xmltext.Markup{Name: "priority", Text: "1"}
	if s.leave {
		// The server gives no messages to a device of negative priority (RFC 6121 8.5.2).
		priority.Text = "-1"
	}
	presence := xmltext.Markup{Space: nsClient, Name: "presence", Children: []xmltext.Markup{priority}}
	if err := s.post(outgoing{frame: presence.Bytes(), stanza: true, again: true}, nil); err != nil {
		return err
	}
	return s.tell(&iq{kind: kindSet, payload: empty(nsCarbons, "enable")}, true)
}

// Serve is the read loop, the only place that reads. It runs in the caller's goroutine until the
// session ends and returns why: [ErrClosed] after Close, a [*StreamError] when the server said so,
// else what broke. Nothing of the session runs after it. Call it once, and again whenever it
// returns [ErrHandOver].
func (s *Session) Serve() error {
	if s.handedOver.CompareAndSwap(true, false) {
		s.conn.Await()
	} else if !s.serving.CompareAndSwap(false, true) {
		return errServedTwice
	}
	for _, frame := range s.earlyFrames {
		if s.serveFrame(frame, nil) {
			break
		}
	}
	s.earlyFrames = nil
	for !s.serveFrame(s.readFrame()) {
		if s.handovers.now() {
			s.handedOver.Store(true)
			return ErrHandOver
		}
	}
	s.writers.Wait()
	// The connection is cut, so this does not take long.
	_ = s.conn.CatchUp()
	return s.Err()
}

// readFrame is where an idle session waits. It keeps little on the stack: see
// [frames.Conn.ReadFrame].
func (s *Session) readFrame() (string, error) {
	frame, err := s.conn.ReadFrame(context.Background())
	if err == nil {
		s.noteReceived(frame)
	}
	return frame, err
}

// noteReceived is not inlined into readFrame, on whose stack it would need room.
//
//go:noinline
func (s *Session) noteReceived(frame string) { noteFrame(s.observer, s.log, frameReceived, frame) }

// serveFrame handles what was read and reports whether the session is over.
func (s *Session) serveFrame(frame string, err error) (over bool) {
	if err == nil {
		if err = s.receive(frame); err != nil {
			s.finish(err)
		}
	} else if errors.Is(err, errMalformed) || errors.Is(err, errTooLarge) || errors.Is(err, errWriteStuck) {
		// A stream that is only cut could be resumed, and the same would come again.
		s.finish(err)
	} else {
		s.end(err)
	}
	return err != nil || s.Err() != nil
}

// receive handles one stanza. An error ends the session.
func (s *Session) receive(frame string) error {
	st, err := parse(frame)
	if err != nil {
		return err
	}
	switch {
	case st.Is(nsFraming, "close"):
		return errServerClosed
	case st.Is(nsStream, "error"):
		err := streamError(st)
		if r := (*redirect)(nil); errors.As(err, &r) {
			return &StreamError{Condition: "see-other-host", Text: clip(r.to)}
		}
		return err
	}
	if st.Space == nsManagement {
		return s.receiveManagement(st)
	}
	t, again, err := s.count(st)
	if err != nil || again {
		return err
	}
	s.noteOverrun()
	switch {
	case st.Local == "iq":
		s.receiveIQ(st)
	case st.Local == "presence":
		s.receivePresence(st)
	case st.Is(nsClient, "message"):
		s.receiveMessage(st, t)
	default:
		s.ignore(st, "unknown element")
	}
	return nil
}

// ignore drops a stanza. why is a constant: programs count by it.
func (s *Session) ignore(st *stanza, why string) { s.ignoreFrom(st.Local, st.from, why) }

// ignoreFrom is ignore for what is inside a stanza.
func (s *Session) ignoreFrom(element, from, why string) {
	s.observer.Ignore(why)
	s.log.LogAttrs(context.Background(), slog.LevelDebug, "stanza ignored",
		slog.String("why", why), slog.String("stanza", clip(element)), slog.String("from", clip(from)))
}

func (s *Session) emit(e Event) {
	s.handling.Store(true)
	defer s.handling.Store(false)
	s.handle(e)
}

// The directions of a frame.
const (
	frameSent     = "send"
	frameReceived = "receive"
)

// noteFrame counts a frame and logs its first tag: stanzas show what they are and whose, but
// neither content nor, in SASL elements, credentials. It is called under no lock.
func noteFrame[F string | []byte](o *observe.Observer, log *slog.Logger, op string, frame F) {
	o.Frame(op == frameSent, len(frame))
	ctx := context.Background()
	if !log.Enabled(ctx, observe.LevelFrame) {
		return
	}
	tag, _, _ := strings.Cut(string(frame), ">")
	log.LogAttrs(ctx, observe.LevelFrame, "xmpp frame",
		slog.String("op", op), slog.String("tag", clip(tag+">")), slog.Int("size", len(frame)))
}
