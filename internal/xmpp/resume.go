package xmpp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk/internal/xmltext"
)

// management counts stanzas both ways, so that a stream whose connection is lost can be taken up
// where it broke (XEP-0198). Guarded by Session.mu.
type management struct {
	// counting: our <enable/> is written, and what we write from now on counts. enabled: the server
	// has agreed, and what it writes counts.
	counting, enabled bool
	// id is what the stream is resumed by. Empty: it cannot be.
	id string
	// at is where the server wants it resumed. nil: anywhere.
	at *Address

	// in counts the stanzas of the server, told is how many of them we have told it of. again are
	// those that have come before the stream broke, and come again.
	in          *ledger
	told, again uint32
	// sent counts the stanzas that we have written, or begun to, acked those of them that the
	// server says it has handled. unacked are those of the others that are written again.
	sent, acked uint32
	unacked     []unacked
	// kept is how many bytes unacked has. lost: it was too much, and the stream cannot be resumed.
	kept int
	lost bool
	// asked: the server was asked what it has, and has not answered. askedAt: when so many were
	// sent.
	asked   bool
	askedAt uint32
	// unasked is how many of them were written since the server was last asked what it has.
	unasked int
}

// unacked is a stanza that is written again after a resumption, unless the server has it. Requests
// are not among them: they have failed by then, and what has failed must not take effect later.
type unacked struct {
	// number is 1 for the first stanza of the stream.
	number uint32
	outgoing
}

// Resumption is a lost stream that the next Dial may take up (XEP-0198 5).
type Resumption struct {
	m   management
	out *outbox
	jid JID
	// visited: the place that the server named has been tried.
	visited bool
	// failures is how often it was asked for in vain.
	failures int
}

// maxKept is how many bytes are kept at most for a resumption: a server may agree to count and then
// never say what it has. The rest of what may be queued is for what comes after the resumption.
const maxKept = maxQueued / 4 * 3

// keep keeps what is written again after a resumption. Of messages these are the ones that somebody
// still waits for.
func (m *management) keep(number uint32, o outgoing, out *outbox) {
	if !o.again || m.lost {
		return
	}
	m.kept += len(o.frame)
	m.unacked = append(m.unacked, unacked{number, o})
	if m.kept <= maxKept {
		return
	}
	m.unacked = slices.DeleteFunc(m.unacked, func(u unacked) bool {
		ended := u.sending != nil && out.hasEnded(u.sending)
		if ended {
			m.kept -= len(u.frame)
		}
		return ended
	})
	if m.kept > maxKept {
		m.id, m.unacked, m.kept, m.lost = "", nil, 0, true
	}
}

// maxResumeFailures is how often a stream is asked for and neither granted nor refused. Then a
// fresh one takes its place: a server that cannot resume must not keep us away.
const maxResumeFailures = 3

// maxResumeID is the most bytes that the id of a stream may have (XEP-0198 3). We keep it, and send
// it back.
const maxResumeID = 4000

// A server asks after every stanza that it writes, as long as it does not wait for an answer
// already. If it were told at once, each reply would cost two more frames; a little later, one
// answer is enough for many. Nothing depends on it: a resumption says how much we have. But the
// server keeps what it is not told of, and ends a stream for which it keeps too much.
const (
	ackDelay = 250 * time.Millisecond
	// ackEvery is so many stanzas.
	ackEvery = 32
	// askEvery is after how many stanzas that we keep the server is asked for them at the latest.
	askEvery = 64
)

// smRequest asks how many stanzas the server has handled.
const smRequest = `<r xmlns="` + nsManagement + `"/>`

// The elements of XEP-0198 that we send. handled is how many stanzas we have handled.
func smEnable() xmltext.Markup {
	return xmltext.Markup{Space: nsManagement, Name: "enable", Attrs: []string{"resume", "true"}}
}

func smAnswer(handled uint32) xmltext.Markup {
	return xmltext.Markup{Space: nsManagement, Name: "a", Attrs: []string{"h", strconv.FormatUint(uint64(handled), 10)}}
}

// resumption returns the request to take up the old stream. What is handled while it is under way
// counts later.
func (h *handshake) resumption() []byte {
	if h.resumeFrame == nil {
		m := &h.cfg.Resume.m
		var handled uint32
		handled, h.comesAgain = m.in.position()
		attrs := []string{"h", strconv.FormatUint(uint64(handled), 10), "previd", m.id}
		h.resumeFrame = xmltext.Markup{Space: nsManagement, Name: "resume", Attrs: attrs}.Bytes()
		h.resumeAt = handled
	}
	return h.resumeFrame
}

// Abandon gives the stream up: what was sent over it and is not confirmed fails. nil: nothing
// happens.
func (r *Resumption) Abandon() {
	if r != nil {
		r.out.fail(fmt.Errorf("%w: the stream is gone", ErrNotConnected))
	}
}

// Resumption returns what resumes the stream, or nil: when the server does not offer that, or when
// either side has ended the stream instead of losing it. Call it when Serve has returned.
func (s *Session) Resumption() *Resumption {
	r, lost := s.resumption()
	if lost {
		s.log.Warn("the server has not said what it has: the stream is not resumed", "size", maxKept)
	}
	return r
}

// resumption says, too, whether there is none because too much would have to be kept.
func (s *Session) resumption() (r *Resumption, lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.resumableLocked() {
		s.out.fail(fmt.Errorf("%w: %w", ErrNotConnected, s.err))
		return nil, s.sm != nil && s.sm.lost
	}
	return &Resumption{m: *s.sm, out: s.out, jid: s.jid}, false
}

// resumableLocked is about a session that has ended.
func (s *Session) resumableLocked() bool {
	stream := (*StreamError)(nil)
	return s.sm != nil && s.sm.id != "" && !s.ending && !s.closeSent &&
		!errors.Is(s.err, errServerClosed) && !errors.As(s.err, &stream)
}

// Resumed reports whether this session is the one that Config.Resume stands for:
// nothing that was pushed in between is lost, and there is no new presence to send.
func (s *Session) Resumed() bool { return s.resumed }

func (h *handshake) mayResume() bool {
	return h.cfg.Resume != nil && h.cfg.Resume.failures < maxResumeFailures
}

// resume asks for the old stream. False: it is gone, and a resource must be bound.
func (h *handshake) resume(ctx context.Context, r *Resumption) (done bool, err error) {
	defer func() {
		if err != nil {
			r.failures++
		}
	}()
	if err := h.pipeline.send(h.resumption()); err != nil {
		return false, fmt.Errorf("resume: %w", err)
	}
	st, err := h.next(ctx)
	if err != nil {
		return false, fmt.Errorf("resume: %w", err)
	}
	if st.Is(nsManagement, "failed") {
		return false, nil
	}
	if !st.Is(nsManagement, "resumed") || st.Attr("previd") != r.m.id {
		return false, errors.New("resume: got something else than an answer")
	}
	m := r.m
	m.told, m.again, m.asked = h.resumeAt, h.comesAgain, false
	if err := m.acknowledge(st); err != nil {
		return false, err
	}
	r.out.confirmCounted(m.acked)
	r.out.again()
	// What the server did not get is written again or forgotten.
	m.sent = m.acked
	h.management, h.out, h.resumed, h.jid = &m, r.out, true, r.jid
	return true, nil
}

// acknowledge drops what the server says that it has. Counters wrap (XEP-0198 4).
func (m *management) acknowledge(st *stanza) error {
	h, err := strconv.ParseUint(st.Attr("h"), 10, 32)
	if err != nil {
		return xmltext.Malformed("bad count of handled stanzas")
	}
	handled := uint32(h)
	if int32(m.sent-handled) < 0 {
		return xmltext.Malformed("server has handled more stanzas than were sent")
	}
	if int32(handled-m.acked) < 0 {
		return xmltext.Malformed("server takes back that it has handled stanzas")
	}
	m.acked = handled
	n := 0
	for ; n < len(m.unacked) && int32(handled-m.unacked[n].number) >= 0; n++ {
		m.kept -= len(m.unacked[n].frame)
	}
	if m.unacked = m.unacked[n:]; len(m.unacked) == 0 {
		m.unacked = nil
	}
	return nil
}

// repeatUnacked writes again what the server did not get.
func (s *Session) repeatUnacked() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return fmt.Errorf("%w: %w", ErrNotConnected, s.err)
	}
	again := s.sm.unacked
	s.sm.unacked, s.sm.kept = nil, 0
	for _, u := range again {
		if u.sending != nil && s.out.hasEnded(u.sending) {
			continue
		}
		if u.id != "" {
			s.addWaiterLocked(&waiter{id: u.id})
		}
		s.enqueueLocked(u.outgoing)
	}
	s.enqueueLocked(outgoing{frame: []byte(smRequest)})
	return nil
}

// written notes that o is about to be written.
func (m *management) written(o outgoing, out *outbox) {
	switch {
	case o.enable:
		m.counting = true
	case m.counting && o.stanza:
		m.sent++
		if o.sending != nil {
			out.number(o.sending, m.sent)
		}
		if o.again {
			m.keep(m.sent, o, out)
			m.unasked++
		}
	}
}

// keepsMuch reports whether the server must be asked what it has, so that we can forget that.
func (m *management) keepsMuch() bool { return m != nil && m.enabled && m.unasked >= askEvery }

// receiveManagement handles an element of XEP-0198. What comes out of turn is ignored.
func (s *Session) receiveManagement(st *stanza) error {
	known, err := s.manage(st)
	if !known {
		s.ignore(st, "stream management out of turn")
	}
	return err
}

func (s *Session) manage(st *stanza) (known bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sm == nil || !s.sm.counting || s.sm.enabled != (st.Local == "r" || st.Local == "a") {
		return false, nil
	}
	switch st.Local {
	case "r":
		s.acknowledgeSoonLocked()
	case "a":
		if err := s.sm.acknowledge(st); err != nil {
			return true, err
		}
		return true, s.answeredLocked()
	case "enabled":
		s.sm.start(st, s.addr)
		s.sm.in.teller.Store(s)
		// Does it have our presence?
		return true, s.answerLocked([]byte(smRequest))
	case "failed":
		s.sm = nil
		if s.out.waiting() > 0 {
			return true, s.answerLocked(s.askLocked())
		}
	default:
		return false, nil
	}
	return true, nil
}

// answerLocked queues an element of XEP-0198, unless the stream is about to end.
func (s *Session) answerLocked(frame []byte) error {
	switch {
	case s.err != nil || s.ending:
		return nil
	case s.queued+len(frame) > maxQueued:
		return errWriteStuck
	}
	s.enqueueLocked(outgoing{frame: frame})
	return nil
}

// start notes that the server counts, and what it takes to resume a stream that was
// opened at here. A place that is no better than a wish is left out.
func (m *management) start(st *stanza, here Address) {
	m.enabled, m.in = true, new(ledger)
	resume, id := st.Attr("resume"), st.Attr("id")
	if (resume == "true" || resume == "1") && len(id) <= maxResumeID && !m.lost {
		m.id = strings.Clone(id)
	}
	if to := st.Attr("location"); to != "" && len(to) <= maxResumeID {
		if at, err := here.Redirect(to); err == nil {
			m.at = &at
		}
	}
}

// count counts a stanza of the server, just before it is handled: one whose handling fails ends the
// stream for good. A message is open until it is handled. again: the stanza has come before the
// stream broke.
func (s *Session) count(st *stanza) (t ticket, again bool, err error) {
	message := st.Is(nsClient, "message")
	if !message && !st.Is(nsClient, "iq") && !st.Is(nsClient, "presence") {
		return ticket{}, false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sm == nil || !s.sm.enabled {
		return ticket{}, false, nil
	}
	if s.sm.again > 0 {
		s.sm.again--
		return ticket{}, true, nil
	}
	t, full := s.sm.in.receive(message)
	if full {
		s.overrun = true
		s.acknowledgeSoonLocked()
	}
	if !s.ackDeadline.IsZero() && s.sm.in.handled.Load()-s.sm.told >= ackEvery {
		err = s.acknowledgeLocked()
	}
	return t, false, err
}

// noteOverrun says that too many messages are not handled, in the log once. It is for the read
// loop.
func (s *Session) noteOverrun() {
	if !s.overrun {
		return
	}
	s.overrun = false
	s.observer.Overrun()
	if !s.warned {
		s.warned = true
		s.log.Warn("messages are not handled: the oldest count as handled, and are lost in a crash", "open", maxOpen)
	}
}

// handledMore notes that the server has more to be told of: soon, and at once when that is much.
func (s *Session) handledMore() {
	s.mu.Lock()
	var err error
	switch {
	case s.err != nil || s.sm == nil || !s.sm.enabled:
	case s.sm.in.handled.Load()-s.sm.told >= ackEvery:
		err = s.acknowledgeLocked()
	default:
		s.acknowledgeSoonLocked()
	}
	s.mu.Unlock()
	if err != nil {
		s.end(err)
	}
}

// acknowledgeSoonLocked has the timer tell the server what is handled by then.
func (s *Session) acknowledgeSoonLocked() {
	if s.ackDeadline.IsZero() {
		s.ackDeadline = time.Now().Add(ackDelay)
		s.wakeLocked(s.ackDeadline)
	}
}

// acknowledgeLateLocked tells the server when it has waited long enough, or has the timer go off
// then.
func (s *Session) acknowledgeLateLocked(now time.Time) error {
	switch {
	case s.ackDeadline.IsZero() || s.err != nil:
		return nil
	case !now.Before(s.ackDeadline):
		return s.acknowledgeLocked()
	}
	s.wakeLocked(s.ackDeadline)
	return nil
}

func (s *Session) acknowledgeLocked() error {
	s.sm.told, s.ackDeadline = s.sm.in.handled.Load(), time.Time{}
	return s.answerLocked(smAnswer(s.sm.told).Bytes())
}
