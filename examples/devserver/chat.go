package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

const (
	maxChats   = 20   // chat windows that are open
	maxTyping  = 100  // users who are typing to somebody
	maxRefused = 1000 // messages that were refused late
	// typingTime is how long somebody counts as typing who does not say that it is over.
	typingTime  = 10 * time.Second
	seenTimeout = 5 * time.Second
)

// seat is a user in whose name somebody writes in a chat window. It is a client like any other, so
// what the other side sees of it, and what it tells by receipts, is true. It is connected for as
// long as the window is open.
type seat struct {
	*sdk.Client
	user string
	// changed has an element when there is something to show. Its capacity is 1.
	changed chan struct{}

	mu sync.Mutex
	// typing says until when users count as typing, by JID.
	typing map[string]time.Time
}

// chats are the seats that are taken.
type chats struct {
	mu    sync.Mutex
	seats []*seat
	// refused are messages that were refused after the server had taken them, oldest first. They
	// stay when a window is opened again.
	refused []refusal
}

// refusal says why a message was refused, and by whom. by is a JID; empty: the server does not say.
type refusal struct{ user, messageID, by, why string }

// refuse notes that a message of a user was refused late.
func (c *chats) refuse(user string, e sdk.MessageStatusEvent) {
	why := "refused"
	var failure *sdk.Error
	if errors.As(e.Err, &failure) && failure.Condition != "" {
		why, _ = shorten(failure.Condition, 100)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.refused) >= maxRefused {
		c.refused = slices.Delete(c.refused, 0, 1)
	}
	c.refused = append(c.refused, refusal{user, e.MessageID, e.UserJID, why})
}

// refusalsOf are the reasons why messages of a user to a JID were refused late, by message id.
func (c *chats) refusalsOf(user, to string) map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]string{}
	for _, r := range c.refused {
		if r.user == user && (r.by == "" || r.by == to) { // nobody else has a say in it
			out[r.messageID] = r.why
		}
	}
	return out
}

// of is a seat of a user.
func (c *chats) of(user string) (*seat, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.seats {
		if s.user == user {
			return s, nil
		}
	}
	return nil, fmt.Errorf("no chat window of %q is open on the page", user)
}

func (c *chats) add(s *seat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seats = append(c.seats, s)
}

func (c *chats) remove(s *seat) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seats = slices.DeleteFunc(c.seats, func(other *seat) bool { return other == s })
}

// sit registers a user and connects in the user's name, until leave is called.
func (p *page) sit(ctx context.Context, user string) (_ *seat, leave func(), err error) {
	cfg := p.srv.Config()
	// A user may have more than one window.
	cfg.DeviceID = "page-" + strings.ToLower(rand.Text()[:6])
	client, err := sdk.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	s := &seat{Client: client, user: user, changed: make(chan struct{}, 1), typing: map[string]time.Time{}}
	defer func() {
		if err != nil {
			_ = client.Close() // it never fails
		}
	}()
	client.OnMessage(func(m sdk.Message) { s.notes(m.FromUserJID, false) })
	client.OnTyping(func(e sdk.TypingEvent) { s.notes(e.FromUserJID, e.Typing) })
	client.OnMessageStatus(func(e sdk.MessageStatusEvent) {
		if e.Status == sdk.MessageStatusRefused {
			p.chats.refuse(user, e)
			s.wake()
		}
	})
	client.OnConnection(func(sdk.ConnectionEvent) { s.wake() })
	me, err := client.Register(ctx, user)
	if err != nil {
		return nil, nil, err
	}
	if _, err := client.Connect(ctx, me.Data.Username, me.Data.Password); err != nil {
		return nil, nil, err
	}
	p.chats.add(s)
	return s, func() {
		p.chats.remove(s)
		_ = client.Close()
	}, nil
}

// notes that a user is typing, or not any more.
func (s *seat) notes(jid string, typing bool) {
	s.mu.Lock()
	delete(s.typing, jid)
	if typing && len(s.typing) < maxTyping {
		s.typing[jid] = time.Now().Add(typingTime)
	}
	s.mu.Unlock()
	s.wake()
}

func (s *seat) isTyping(jid string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.typing[jid])
}

func (s *seat) wake() {
	select {
	case s.changed <- struct{}{}:
	default: // it is known already
	}
}

// chat is the stream of server-sent events for a chat window: "chat" whenever the conversation of
// the user "as" with the user "with" has changed, or "refused" when the window cannot be opened.
func (p *page) chat(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := &stream{w: w, rc: http.NewResponseController(w)}
	out.write("retry: 500\n\n")
	ctx, as, with := req.Context(), req.URL.Query().Get("as"), req.URL.Query().Get("with")
	s, leave, err := p.sit(ctx, as)
	if err != nil {
		out.event("refused", answer{Error: err.Error()})
		return
	}
	defer leave()
	if as == with {
		out.event("refused", answer{Error: "nobody writes to oneself"})
		return
	}
	var last []byte
	for looks := 1; out.err == nil; looks++ {
		_, _, _, more := p.history.after(0)
		began := time.Now()
		c := p.converse(s, with)
		if view, err := json.Marshal(c); err == nil && !bytes.Equal(view, last) {
			last = view
			out.event("chat", json.RawMessage(view))
		}
		if looks%heartbeat == 0 {
			out.write(": still here\n\n")
		}
		least := max(minPause, 10*time.Since(began))
		p.see(ctx, s, c)
		if !pause(ctx, least, more, s.changed) {
			return
		}
	}
}

// see tells the other side that its messages are seen: they are on the page.
func (p *page) see(ctx context.Context, s *seat, c conversation) {
	ctx, cancel := context.WithTimeout(ctx, seenTimeout)
	defer cancel()
	for _, l := range c.Lines {
		if l.Own || l.Recalled || l.Status != sdktest.StatusDelivered {
			continue
		}
		if _, err := s.SendSeenStatus(ctx, p.jid(c.With), l.ID); err != nil {
			return // it stays delivered, and the next look tells it again
		}
	}
}

func (p *page) jid(user string) string { return user + "@" + p.srv.Domain() }
