package xmpp

import (
	"context"
	"strings"

	"github.com/mirrorfly-go/sdk/internal/xmltext"
)

// Contact is an entry of the roster with the profile that the service puts into it (protocol.md
// 6.5, 14.7). The profile is sealed, as in [VCard].
type Contact struct {
	// JID is bare.
	JID JID
	// Name is the one in the roster itself (RFC 6121 2.1.2.4), which is not sealed.
	Name string
	// ProfileName is sealed. Profiles have it beside their nickName.
	ProfileName    string
	VCard          VCard
	IsAdminBlocked bool
}

// Roster asks for the roster, in the server's order (RFC 6121 2.1.3). Entries that are no users are
// left out. It is never nil without an error.
func (s *Session) Roster(ctx context.Context) ([]Contact, error) {
	st, err := s.request(ctx, "roster", &iq{kind: kindGet, payload: empty(nsRoster, "query")}, JID{})
	if err != nil {
		return nil, err
	}
	contacts := []Contact{}
	list, _ := st.Child(nsRoster, "query")
	for item := range list.Children() {
		jid, err := ParseJID(item.Attr("jid"))
		if item.Local != "item" || err != nil || jid.Local == "" {
			continue
		}
		contacts = append(contacts, contact(jid.Bare().clone(), item))
	}
	return contacts, nil
}

func contact(jid JID, item xmltext.Element) Contact {
	c := Contact{JID: jid, Name: strings.Clone(item.Attr("name"))}
	profile, _ := item.Child("", "profile")
	card, _ := profile.Child("", "vCard")
	for child := range card.Children() {
		field := c.VCard.field(child.Local)
		switch {
		case field != nil && *field == "":
			*field = strings.Clone(child.Text())
		case child.Local == "name" && c.ProfileName == "":
			c.ProfileName = strings.Clone(child.Text())
		case child.Local == "is_admin_blocked":
			c.IsAdminBlocked = strings.TrimSpace(child.Text()) == "1"
		}
	}
	return c
}
