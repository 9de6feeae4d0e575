package xmpp

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mirrorfly-go/sdk/internal/observe"
	"github.com/mirrorfly-go/sdk/internal/unsent"
	"github.com/mirrorfly-go/sdk/internal/uuid"
	"github.com/mirrorfly-go/sdk/internal/xmltext"
)

// Content is a message with a body (protocol.md 14.2).
type Content struct {
	// ID is that of the message. EditID is ID for a new one, and the id of the edit else.
	ID, EditID string
	// To is a bare JID.
	To string
	// Type is "text", "image" and so on.
	Type string
	// Body is sealed.
	Body string
	// Metadata is a JSON object. TopicID may be empty.
	Metadata, TopicID string
}

// Outgoing is a message as it goes over the wire.
type Outgoing struct {
	id, to string
	frame  []byte
	// name says which kind of message it is.
	name string
	// quiet: nobody knows it by its id, so that nobody is told when it is refused later on.
	quiet bool
	// patient: it may wait a moment, to be written with others.
	patient bool
}

// MaxMessage is how many bytes a message may have. Common servers take that much.
const MaxMessage = 256 << 10

// Fits reports whether the message is not larger than MaxMessage.
func (o Outgoing) Fits() bool { return len(o.frame) <= MaxMessage }

// Outgoing returns the stanza. Its attributes and children are those of the JavaScript SDK.
func (c Content) Outgoing() Outgoing {
	name := "message"
	if c.EditID != c.ID {
		name = "edit"
	}
	return outgoingMessage(name, c.ID, c.To, xmltext.Markup{
		Space: nsContent, Name: "chatcontent",
		Attrs: []string{
			"edit_msg_id", c.EditID, "message_type", c.Type, "meta_data", c.Metadata, "topic_id", c.TopicID,
		},
		Empty: []string{"broadcast_id"},
	}, xmltext.Markup{Name: "body", Attrs: []string{"message_type", c.Type}, Text: c.Body})
}

// Receipt says that a message has come ("delivered"), or was read ("seen") (protocol.md 14.4).
func Receipt(kind, to, messageID string) Outgoing {
	m := quiet(kind, to, xmltext.Markup{
		Space: nsReceipts, Name: kind, Attrs: []string{"id", messageID}, Empty: []string{"group_id"},
	})
	m.patient = true
	return m
}

// Recall takes messages back, for everybody (protocol.md 14.6). ids have commas between them.
func Recall(to, ids string) Outgoing {
	return quiet("recall", to, xmltext.Markup{
		Space: nsReceipts, Name: "recall", Attrs: []string{"id", ids, "chat_type", "chat"},
	})
}

// Typing says that our user writes, or has stopped (protocol.md 14.4, XEP-0085). Nobody is to keep
// it (XEP-0334).
func Typing(to string, typing bool) Outgoing {
	state := "gone"
	if typing {
		state = "composing"
	}
	return quiet("typing", to, empty(nsChatStates, state), empty(nsHints, "no-store"))
}

func quiet(name, to string, children ...xmltext.Markup) Outgoing {
	m := outgoingMessage(name, uuid.New(), to, children...)
	m.quiet = true
	return m
}

func outgoingMessage(name, id, to string, children ...xmltext.Markup) Outgoing {
	return Outgoing{name: name, id: id, to: to, frame: xmltext.Markup{
		Space: nsClient, Name: "message", Attrs: []string{"id", id, "to", to, "type", "chat"}, Children: children,
	}.Bytes()}
}

// Send sends a message and waits until the server has taken it over: until the service has said
// so, until the server has counted it (XEP-0198), or until it has answered a request that was
// written behind it, which a server without stream management is asked for then. at is when the
// service took it, if it has said so. A refusal before that is a [*MessageRefused].
//
// When the connection is lost and the stream can be resumed, it goes on waiting, and what the
// server does not have is written again. When ctx has no deadline it ends after
// [Config].RequestTimeout with [ErrNoReply]. The error of a message that was not written, and never
// will be, is marked as unsent.
func (s *Session) Send(ctx context.Context, m Outgoing) (at time.Time, err error) {
	ctx, done := s.observer.StartRequest(ctx, observe.Request{Kind: observe.Message, Name: m.name, Attempt: 1})
	at, err = s.send(ctx, m)
	if done != nil {
		done(observe.RequestDone{Err: err})
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("xmpp: send message: %w", err)
	}
	if !m.quiet {
		s.observer.MessagesSent.Add(1)
	}
	return at, nil
}

func (s *Session) send(ctx context.Context, m Outgoing) (time.Time, error) {
	if err := ctx.Err(); err != nil {
		return time.Time{}, unsent.Mark(err)
	}
	to, err := ParseJID(m.to)
	if err != nil {
		return time.Time{}, unsent.Mark(err)
	}
	s.noteQuiet(m)
	waits := &sending{id: m.id, to: to.Bare(), result: make(chan sent, 1)}
	if _, has := ctx.Deadline(); !has && s.requestTimeout > 0 {
		waits.deadline = time.Now().Add(s.requestTimeout)
	}
	if err := s.postMessage(ctx, outgoing{frame: m.frame, stanza: true, again: true, sending: waits}); err != nil {
		return time.Time{}, unsent.Mark(err)
	}
	var r sent
	select {
	case r = <-waits.result:
	case <-ctx.Done():
		r = s.outbox().giveUp(waits, ctx.Err())
	}
	return r.at, r.err
}

func (s *Session) outbox() *outbox {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out
}

// Tell sends a message that nobody waits for. It is told again when the server has missed it, if
// that matters later on.
func (s *Session) Tell(m Outgoing, again bool) error {
	s.noteQuiet(m)
	if err := s.post(outgoing{frame: m.frame, stanza: true, again: again, patient: m.patient}, nil); err != nil {
		return fmt.Errorf("xmpp: tell: %w", unsent.Mark(err))
	}
	return nil
}

// maxQuiet is how many quiet messages are remembered: a refusal comes soon.
const maxQuiet = 64

// noteQuiet remembers a quiet message.
func (s *Session) noteQuiet(m Outgoing) {
	if !m.quiet {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.quiet) == maxQuiet {
		s.quiet = append(s.quiet[:0], s.quiet[1:]...)
	}
	s.quiet = append(s.quiet, m.id)
}

func (s *Session) wasQuiet(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.quiet, id)
}

// askLocked returns the frame that has the server confirm what was written before it; nil: it will
// do so by itself. Once it has agreed to count, it is asked for that, one question at a time: what
// is written meanwhile shares the next.
func (s *Session) askLocked() []byte {
	switch {
	case s.sm == nil:
		ping := &iq{id: uuid.New(), to: s.jid.Domain, kind: kindGet, payload: empty(nsPing, "ping")}
		s.addWaiterLocked(&waiter{id: ping.id, to: s.server(), written: true, behind: s.out.last()})
		return ping.frame()
	case s.sm.enabled && !s.sm.asked:
		s.sm.asked, s.sm.askedAt, s.sm.unasked = true, s.sm.sent, 0
		return []byte(smRequest)
	}
	return nil
}

// answeredLocked gets the server's count, and asks for what was written behind the question. What
// was written before it and is not counted, a server that counts wrong will not count later either.
func (s *Session) answeredLocked() error {
	s.out.confirmCounted(s.sm.acked)
	s.sm.asked = false
	if s.sm.sent != s.sm.askedAt && (s.out.unconfirmed() || s.sm.keepsMuch()) {
		return s.answerLocked(s.askLocked())
	}
	return nil
}
