package xmpp

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/mirrorfly-go/sdk/internal/frames"
	"github.com/mirrorfly-go/sdk/internal/unsent"
	"github.com/mirrorfly-go/sdk/internal/xmltext"
)

// LastActivity asks how many seconds ago a user was last active, 0 for one who is online
// (protocol.md 5.3, XEP-0012). from is the user as the answer names it, or to where our own account
// or server has answered. A refusal is a [*StanzaError], as for every request here.
func (s *Session) LastActivity(ctx context.Context, to string) (from string, seconds int64, err error) {
	asked, err := ParseJID(to)
	if err != nil {
		return "", 0, fmt.Errorf("xmpp: last activity: %w", unsent.Mark(err))
	}
	st, err := s.request(ctx, "last activity", &iq{to: to, kind: kindGet, payload: empty(nsLast, "query")}, asked)
	if err != nil {
		return "", 0, err
	}
	query, ok := st.Child("", "query")
	if !ok {
		return "", 0, errors.New("xmpp: last activity: reply without a query")
	}
	// Anything that is no number counts as 0, as in the service's own clients.
	seconds, err = strconv.ParseInt(query.Attr("seconds"), 10, 64)
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

// Fits reports whether v is small enough to be sent in one stanza.
func (v VCard) Fits() bool {
	const (
		// around is room for the rest of the stanza.
		around = 1 << 10
		// escaped is how many bytes one byte may become.
		escaped = 5
	)
	all := len(v.NickName) + len(v.Image) + len(v.ThumbImage) + len(v.Email) + len(v.MobileNumber) + len(v.Status)
	return escaped*all <= frames.MaxFrame-around || len(v.markup().Bytes()) <= frames.MaxFrame-around
}

// SetVCard replaces our whole profile (protocol.md 5.2).
func (s *Session) SetVCard(ctx context.Context, v VCard) error {
	_, err := s.request(ctx, "set vCard", &iq{kind: kindSet, payload: v.markup()}, JID{})
	return err
}

// markup has all children, always, in this order (protocol.md 5.2).
func (v VCard) markup() xmltext.Markup {
	return xmltext.Markup{Space: nsVCard, Name: "vCard", Children: []xmltext.Markup{
		{Name: "nickName", Text: v.NickName},
		{Name: "image", Text: v.Image},
		{Name: "thumbImage", Text: v.ThumbImage},
		{Name: "email", Text: v.Email},
		{Name: "mobileNumber", Text: v.MobileNumber},
		{Name: "status", Text: v.Status},
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

// changeBlock counts a refusal as done if its text says that the list is like that already: it has
// settled and "block" in it. The service documents such texts for the same calls over REST, and
// XEP-0191 has no condition for them (protocol.md 13).
func (s *Session) changeBlock(ctx context.Context, verb, jid, settled string) error {
	item := xmltext.Markup{Name: "item", Attrs: []string{"jid", jid}}
	list := xmltext.Markup{Space: nsBlocking, Name: verb, Children: []xmltext.Markup{item}}
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
	list, _ := st.Child(nsBlocking, "blocklist")
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
	list, _ := blockers(st.Element)
	for child := range list.Children() {
		if m := strings.TrimSpace(child.Text()); m != "" && child.Local == "members" {
			members = append(members, strings.Clone(m))
		}
	}
	return members, nil
}

// blockers returns the first blocklist element at any depth: what the service wraps around it is
// not known (protocol.md 5.6).
func blockers(e xmltext.Element) (_ xmltext.Element, found bool) {
	if e.Local == "blocklist" {
		return e, true
	}
	for child := range e.Children() {
		if list, found := blockers(child); found {
			return list, true
		}
	}
	return xmltext.Element{}, false
}

// LogOutQR tells the phone that the QR session socketID ends (protocol.md 5.11 step 2). It does not
// wait for the reply.
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
