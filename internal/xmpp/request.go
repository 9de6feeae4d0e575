package xmpp

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk/internal/unsent"
	"github.com/mirrorfly-go/sdk/internal/uuid"
)

// waiter is a request whose reply has not come.
type waiter struct {
	id      string
	asked   JID           // who was asked and may answer, as our own account and server may; zero: nobody else
	reply   chan reply    // gets the answer, capacity 1; nil: nobody waits
	written bool          // the server may have it. Guarded by Session.mu
	askedAt time.Duration // by clock
	by      time.Duration // when it is given up; 0: never
}

// ErrNoReply is what a request ends with that was not answered within [Config].RequestTimeout.
var ErrNoReply = fmt.Errorf("no reply in time: %w", context.DeadlineExceeded)

// reply is how a request ends: with a result, with a [*StanzaError] or [ErrNoReply], or with neither when the session has ended.
type reply struct {
	*stanza
	refused error
}

// request sends an iq and waits for its reply, the end of ctx or the end of the
// session. The error of one that was not written, and never will be, is marked as unsent.
func (s *Session) request(ctx context.Context, op string, req *iq, asked JID) (*stanza, error) {
	w := &waiter{asked: asked, reply: make(chan reply, 1)}
	st, err := s.exchange(ctx, req, w)
	if err != nil {
		return nil, fmt.Errorf("xmpp: %s: %w", op, err)
	}
	return st, nil
}

func (s *Session) exchange(ctx context.Context, req *iq, w *waiter) (*stanza, error) {
	if err := ctx.Err(); err != nil {
		return nil, unsent.Mark(err)
	}
	req.id = uuid.New()
	w.askedAt = clock()
	if _, has := ctx.Deadline(); !has && s.requestTimeout > 0 {
		w.by = w.askedAt + s.requestTimeout
	}
	if err := s.post(outgoing{frame: req.frame(), stanza: true, id: req.id}, w); err != nil {
		return nil, unsent.Mark(err)
	}
	select {
	case r := <-w.reply:
		if r == (reply{}) {
			return nil, s.takeBack(req.id, w, s.gone())
		}
		if r.refused == ErrNoReply {
			return nil, s.takeBack(req.id, w, ErrNoReply)
		}
		return r.stanza, r.refused
	case <-ctx.Done():
		return nil, s.takeBack(req.id, w, ctx.Err())
	}
}

// tell sends an iq whose reply is of no interest, whatever it is. again: it is
// told again when the server has missed it.
func (s *Session) tell(req *iq, again bool) error {
	req.id = uuid.New()
	w := new(waiter)
	if req.to != "" {
		w.asked.Domain = req.to
	}
	return s.post(outgoing{frame: req.frame(), stanza: true, again: again, id: req.id}, w)
}

// takeBack ends the wait for a reply. What is not written yet never will be, and the
// error says so.
func (s *Session) takeBack(id string, w *waiter, cause error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiters.remove(id)
	if w.written {
		return cause
	}
	return unsent.Mark(cause)
}

// claim takes the waiter that a reply is for. A reply must have the id of a request and come from
// whom that was sent to, or from our own account or our own server, which may refuse to pass
// it on. A stanza that says nothing of where it comes from is from our account. No other user
// can send one of these: the server stamps them with their sender (RFC 6120 8.1.2.1, 10.3.3).
func (s *Session) claim(st *stanza) *waiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.waiters.get(st.id)
	if w == nil || !s.mayAnswer(w.asked, st.from) {
		return nil
	}
	s.waiters.remove(st.id)
	return w
}

// waiters are who waits for replies, by id. The first two need no map: mostly there are no others, and none in an idle session.
type waiters struct {
	few  [2]*waiter
	more map[string]*waiter
}

func (all *waiters) add(id string, w *waiter) {
	w.id = id
	for i, taken := range all.few {
		if taken == nil {
			all.few[i] = w
			return
		}
	}
	if all.more == nil {
		all.more = make(map[string]*waiter)
	}
	all.more[id] = w
}

// get returns nil when nobody waits for id.
func (all *waiters) get(id string) *waiter {
	for _, w := range all.few {
		if w != nil && w.id == id {
			return w
		}
	}
	return all.more[id]
}

func (all *waiters) remove(id string) {
	for i, w := range all.few {
		if w != nil && w.id == id {
			all.few[i] = nil
			return
		}
	}
	delete(all.more, id)
}

func (all *waiters) all() iter.Seq[*waiter] {
	return func(yield func(*waiter) bool) {
		for _, w := range all.few {
			if w != nil && !yield(w) {
				return
			}
		}
		for _, w := range all.more {
			if !yield(w) {
				return
			}
		}
	}
}

// none reports whether nobody waits: what was only told may never be answered.
func (all *waiters) none() bool {
	for w := range all.all() {
		if w.reply != nil {
			return false
		}
	}
	return true
}

// shrink gives back what a burst of requests has left.
func (all *waiters) shrink() {
	if len(all.more) == 0 {
		all.more = nil
	}
}

func (s *Session) mayAnswer(asked JID, from string) bool {
	if from == "" {
		return true
	}
	jid, err := ParseJID(from)
	return err == nil && (jid == asked || jid == s.jid || jid == s.jid.Bare() || jid == s.server())
}

// server is the JID of the server itself.
func (s *Session) server() JID { return JID{Domain: s.jid.Domain} }

// settle hands a reply to its waiter, nil when the session has ended. Once: it never blocks.
func (w *waiter) settle(st *stanza) {
	switch {
	case w.reply == nil:
	case st == nil:
		w.reply <- reply{}
	case st.kind == kindError:
		w.reply <- reply{refused: st.refusal()}
	default:
		w.reply <- reply{stanza: st}
	}
}

// LastActivity asks how many seconds ago a user was last active, 0 for one who
// is online (protocol.md 5.3, XEP-0012). from is the user as the answer names it, to where
// somebody else has answered. A refusal is a [*StanzaError], as for every request here.
func (s *Session) LastActivity(ctx context.Context, to string) (from string, seconds int64, err error) {
	asked, err := ParseJID(to)
	if err != nil {
		return "", 0, fmt.Errorf("xmpp: last activity: %w", unsent.Mark(err))
	}
	st, err := s.request(ctx, "last activity", &iq{to: to, kind: kindGet, payload: empty(nsLast, "query")}, asked)
	if err != nil {
		return "", 0, err
	}
	query, ok := st.child("", "query")
	if !ok {
		return "", 0, errors.New("xmpp: last activity: reply without a query")
	}
	// What is no number counts as 0, as in the service's own clients.
	seconds, err = strconv.ParseInt(query.attr("seconds"), 10, 64)
	if err != nil || seconds < 0 {
		seconds = 0
	}
	if answered, err := ParseJID(st.from); err != nil || answered != asked {
		return to, seconds, nil
	}
	return strings.Clone(st.from), seconds, nil
}

// VCard is a profile as it is on the wire: nickName, email and mobileNumber are
// sealed by the caller (protocol.md 5.2).
type VCard struct {
	NickName     string
	Image        string
	ThumbImage   string
	Email        string
	MobileNumber string
	Status       string
}

// Fits reports whether v can be sent: whether it leaves room in a stanza for what is around it.
func (v VCard) Fits() bool {
	const (
		around = 1 << 10
		// escaped is how many bytes one byte may become.
		escaped = 5
	)
	all := len(v.NickName) + len(v.Image) + len(v.ThumbImage) + len(v.Email) + len(v.MobileNumber) + len(v.Status)
	return escaped*all <= maxFrame-around || len(v.markup().frame()) <= maxFrame-around
}

// SetVCard replaces our whole profile (protocol.md 5.2).
func (s *Session) SetVCard(ctx context.Context, v VCard) error {
	_, err := s.request(ctx, "set vCard", &iq{kind: kindSet, payload: v.markup()}, JID{})
	return err
}

// markup has all children, always, in this order (protocol.md 5.2).
func (v VCard) markup() markup {
	return markup{space: nsVCard, name: "vCard", children: []markup{
		{name: "nickName", text: v.NickName},
		{name: "image", text: v.Image},
		{name: "thumbImage", text: v.ThumbImage},
		{name: "email", text: v.Email},
		{name: "mobileNumber", text: v.MobileNumber},
		{name: "status", text: v.Status},
	}}
}

// Block puts a JID on our block list (protocol.md 5.4, XEP-0191).
func (s *Session) Block(ctx context.Context, jid string) error {
	return s.changeBlock(ctx, "block", jid, "already")
}

// Unblock takes a JID off our block list (protocol.md 5.4, XEP-0191).
func (s *Session) Unblock(ctx context.Context, jid string) error {
	return s.changeBlock(ctx, "unblock", jid, "not in")
}

// changeBlock counts a refusal as done whose text says that the list is so: one that has settled
// and "block" in it. The service documents such texts for the same calls over REST, and XEP-0191
// has no condition for them (protocol.md 13).
func (s *Session) changeBlock(ctx context.Context, verb, jid, settled string) error {
	list := markup{space: nsBlocking, name: verb, children: []markup{{name: "item", attrs: []string{"jid", jid}}}}
	_, err := s.request(ctx, verb, &iq{kind: kindSet, payload: list}, JID{})
	var refused *StanzaError
	if errors.As(err, &refused) {
		text := strings.ToLower(refused.Text)
		if strings.Contains(text, settled) && strings.Contains(text, "block") {
			return nil
		}
	}
	return err
}

// BlockList returns whom we block, in the server's order (protocol.md 5.5). It
// is never nil without an error.
func (s *Session) BlockList(ctx context.Context) ([]string, error) {
	st, err := s.request(ctx, "block list", &iq{kind: kindGet, payload: empty(nsBlocking, "blocklist")}, JID{})
	if err != nil {
		return nil, err
	}
	list, _ := st.child(nsBlocking, "blocklist")
	jids, _ := jidsIn(list)
	return jids, nil
}

// WhoBlockedMe returns who blocks us, in the server's words: JIDs or bare ids
// (protocol.md 5.6). It is never nil without an error.
func (s *Session) WhoBlockedMe(ctx context.Context) ([]string, error) {
	st, err := s.request(ctx, "who blocked me", &iq{kind: kindGet, payload: activity("block_user", "")}, JID{})
	if err != nil {
		return nil, err
	}
	members := []string{}
	list, _ := blockers(st.element)
	for child := range list.children() {
		if m := strings.TrimSpace(child.text()); m != "" && child.local == "members" {
			members = append(members, strings.Clone(m))
		}
	}
	return members, nil
}

// blockers is the first blocklist element at any depth: what the service wraps
// around it is not known (protocol.md 5.6).
func blockers(e element) (_ element, found bool) {
	if e.local == "blocklist" {
		return e, true
	}
	for child := range e.children() {
		if list, found := blockers(child); found {
			return list, true
		}
	}
	return element{}, false
}

// LogOutQR tells the phone that the QR session socketID ends (protocol.md 5.11
// step 2). Its reply is not waited for.
func (s *Session) LogOutQR(ctx context.Context, socketID string) error {
	err := ctx.Err()
	if err == nil {
		err = s.tell(&iq{kind: kindSet, payload: activity("user_logout", socketID)}, false)
	}
	if err != nil {
		return fmt.Errorf("xmpp: log out QR session: %w", err)
	}
	return nil
}

// Ping asks the server for a sign of life (XEP-0199). A server that does not
// know pings refuses, with a [*StanzaError], which is a sign of life too.
func (s *Session) Ping(ctx context.Context) error {
	req := &iq{to: s.jid.Domain, kind: kindGet, payload: empty(nsPing, "ping")}
	_, err := s.request(ctx, "ping", req, s.server())
	return err
}
