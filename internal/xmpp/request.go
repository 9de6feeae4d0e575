package xmpp

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/mirrorfly-go/sdk/internal/unsent"
	"github.com/mirrorfly-go/sdk/internal/uuid"
)

// waiter is a request whose reply has not come.
type waiter struct {
	asked   JID        // who was asked and may answer; zero: our own account
	out     any        // what a result is decoded into; nil: nothing
	from    string     // sender of the reply
	reply   chan error // gets what the request ends with, capacity 1; nil: nobody waits
	written bool       // the server may have it. Guarded by Session.mu
}

// request sends an iq and waits for its reply, the end of ctx or the end of the
// session. It returns the sender of the reply. The error of one that was not written, and
// never will be, is marked as unsent.
func (s *Session) request(ctx context.Context, op string, req *iq, asked JID, out any) (string, error) {
	w := &waiter{asked: asked, out: out, reply: make(chan error, 1)}
	err := s.exchange(ctx, req, w)
	if err != nil {
		return "", fmt.Errorf("xmpp: %s: %w", op, err)
	}
	return w.from, nil
}

func (s *Session) exchange(ctx context.Context, req *iq, w *waiter) error {
	if err := ctx.Err(); err != nil {
		return unsent.Mark(err)
	}
	req.ID = uuid.New()
	frame, err := encode(req)
	if err != nil {
		return unsent.Mark(err)
	}
	if err := s.post(outgoing{frame: frame, stanza: true, id: req.ID}, w); err != nil {
		return unsent.Mark(err)
	}
	select {
	case err := <-w.reply:
		return err
	case <-ctx.Done():
		return s.takeBack(req.ID, w, ctx.Err())
	case <-s.done:
	}
	select {
	case err := <-w.reply: // the reply came just before the end
		return err
	default:
		return s.takeBack(req.ID, w, s.gone())
	}
}

// tell sends an iq whose reply is of no interest, whatever it is. again: it is
// told again when the server has missed it.
func (s *Session) tell(req *iq, again bool) error {
	req.ID = uuid.New()
	frame, err := encode(req)
	if err != nil {
		return err
	}
	w := new(waiter)
	if req.To != "" {
		w.asked.Domain = req.To
	}
	return s.post(outgoing{frame: frame, stanza: true, again: again, id: req.ID}, w)
}

// takeBack ends the wait for a reply. What is not written yet never will be, and the
// error says so.
func (s *Session) takeBack(id string, w *waiter, cause error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiters, id)
	if w.written {
		return cause
	}
	return unsent.Mark(cause)
}

// claim takes the waiter that a reply is for. A reply must have the id of a
// request and come from whom that was sent to; where we named nobody, that is
// our own account, for which its server may speak (RFC 6120 8.1.2.1, 10.3.3).
func (s *Session) claim(st *stanza) *waiter {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.waiters[st.id]
	if w == nil || !s.mayAnswer(w.asked, st.from) {
		return nil
	}
	delete(s.waiters, st.id)
	return w
}

func (s *Session) mayAnswer(asked JID, from string) bool {
	ours := asked == JID{} || asked == s.jid || asked == s.jid.Bare()
	if from == "" {
		return ours || asked == s.server()
	}
	jid, err := ParseJID(from)
	if err != nil {
		return false
	}
	return jid == asked || ours && (jid == s.jid || jid == s.jid.Bare() || jid == s.server())
}

// server is the JID of the server itself.
func (s *Session) server() JID { return JID{Domain: s.jid.Domain} }

// settle hands a reply to its waiter.
func (w *waiter) settle(st *stanza) error {
	w.from = st.from
	var outcome, broken error
	switch {
	case st.kind == kindError:
		var refused struct {
			Error condition `xml:"error"`
		}
		broken = st.decode(&refused)
		outcome = refused.Error.stanzaError()
	case w.out == nil:
		broken = st.skip()
	default:
		broken = st.decode(w.out)
	}
	if broken != nil {
		return broken // the session ends, and the waiter learns that
	}
	if w.reply != nil {
		w.reply <- outcome
	}
	return nil
}

// LastActivity asks how many seconds ago a user was last active, 0 for one who
// is online (protocol.md 5.3, XEP-0012). from is the sender of the answer. A
// refusal is a [*StanzaError], as for every request here.
func (s *Session) LastActivity(ctx context.Context, to string) (from string, seconds int64, err error) {
	asked, err := ParseJID(to)
	if err != nil {
		return "", 0, fmt.Errorf("xmpp: last activity: %w", unsent.Mark(err))
	}
	var reply struct {
		Query *struct {
			Seconds string `xml:"seconds,attr"`
		} `xml:"query"`
	}
	req := &iq{To: to, Type: kindGet, Payload: empty(nsLast, "query")}
	if from, err = s.request(ctx, "last activity", req, asked, &reply); err != nil {
		return "", 0, err
	}
	if reply.Query == nil {
		return "", 0, errors.New("xmpp: last activity: reply without a query")
	}
	if from == "" {
		from = to
	}
	// What is no number counts as 0, as in the service's own clients.
	seconds, err = strconv.ParseInt(reply.Query.Seconds, 10, 64)
	if err != nil || seconds < 0 {
		seconds = 0
	}
	return from, seconds, nil
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

// vcardElement is a VCard that we send: all children, always, in this order.
type vcardElement struct {
	XMLName      xml.Name `xml:"vcard-temp vCard"`
	NickName     string   `xml:"nickName"`
	Image        string   `xml:"image"`
	ThumbImage   string   `xml:"thumbImage"`
	Email        string   `xml:"email"`
	MobileNumber string   `xml:"mobileNumber"`
	Status       string   `xml:"status"`
}

// SetVCard replaces our whole profile (protocol.md 5.2).
func (s *Session) SetVCard(ctx context.Context, v VCard) error {
	req := &iq{Type: kindSet, Payload: &vcardElement{
		NickName: v.NickName, Image: v.Image, ThumbImage: v.ThumbImage,
		Email: v.Email, MobileNumber: v.MobileNumber, Status: v.Status,
	}}
	_, err := s.request(ctx, "set vCard", req, JID{}, nil)
	return err
}

// Block puts a JID on our block list (protocol.md 5.4, XEP-0191).
func (s *Session) Block(ctx context.Context, jid string) error {
	return s.changeBlock(ctx, "block", jid)
}

// Unblock takes a JID off our block list (protocol.md 5.4, XEP-0191).
func (s *Session) Unblock(ctx context.Context, jid string) error {
	return s.changeBlock(ctx, "unblock", jid)
}

func (s *Session) changeBlock(ctx context.Context, verb, jid string) error {
	req := &iq{Type: kindSet, Payload: &blocking{
		XMLName: xml.Name{Space: nsBlocking, Local: verb},
		Items:   []blockItem{{JID: jid}},
	}}
	_, err := s.request(ctx, verb, req, JID{}, nil)
	return err
}

// BlockList returns whom we block, in the server's order (protocol.md 5.5). It
// is never nil without an error.
func (s *Session) BlockList(ctx context.Context) ([]string, error) {
	var reply struct {
		List blocking `xml:"urn:xmpp:blocking blocklist"`
	}
	req := &iq{Type: kindGet, Payload: empty(nsBlocking, "blocklist")}
	if _, err := s.request(ctx, "block list", req, JID{}, &reply); err != nil {
		return nil, err
	}
	return reply.List.jids(), nil
}

// WhoBlockedMe returns who blocks us, in the server's words: JIDs or bare ids
// (protocol.md 5.6). It is never nil without an error.
func (s *Session) WhoBlockedMe(ctx context.Context) ([]string, error) {
	var reply blockers
	req := &iq{Type: kindGet, Payload: &activity{Status: "block_user"}}
	if _, err := s.request(ctx, "who blocked me", req, JID{}, &reply); err != nil {
		return nil, err
	}
	if reply.members == nil {
		return []string{}, nil
	}
	return reply.members, nil
}

// blockers are the members of the first blocklist element at any depth: what
// the service wraps around it is not known (protocol.md 5.6).
type blockers struct {
	members []string
	found   bool
}

// UnmarshalXML walks the reply in search of the list.
func (b *blockers) UnmarshalXML(dec *xml.Decoder, start xml.StartElement) error {
	if start.Name.Local == "blocklist" && !b.found {
		b.found = true
		var list struct {
			Members []string `xml:"members"`
		}
		if err := dec.DecodeElement(&list, &start); err != nil {
			return err
		}
		for _, m := range list.Members {
			if m = strings.TrimSpace(m); m != "" {
				b.members = append(b.members, m)
			}
		}
		return nil
	}
	return eachChild(dec, func(child xml.StartElement) error { return b.UnmarshalXML(dec, child) })
}

// LogOutQR tells the phone that the QR session socketID ends (protocol.md 5.11
// step 2). Its reply is not waited for.
func (s *Session) LogOutQR(ctx context.Context, socketID string) error {
	err := ctx.Err()
	if err == nil {
		err = s.tell(&iq{Type: kindSet, Payload: &activity{Status: "user_logout", SocketID: socketID}}, false)
	}
	if err != nil {
		return fmt.Errorf("xmpp: log out QR session: %w", err)
	}
	return nil
}

// Ping asks the server for a sign of life (XEP-0199). A server that does not
// know pings refuses, with a [*StanzaError], which is a sign of life too.
func (s *Session) Ping(ctx context.Context) error {
	req := &iq{To: s.jid.Domain, Type: kindGet, Payload: empty(nsPing, "ping")}
	_, err := s.request(ctx, "ping", req, s.server(), nil)
	return err
}
