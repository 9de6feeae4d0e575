package goxmpp

import (
	"encoding/xml"
	"testing"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/stretchr/testify/require"
	"github.com/xmppo/go-xmpp"
)

// pair is one user of each kind, logged in, who see each other.
func (p *place) pair(t *testing.T) (*users.User, *stock) {
	t.Helper()
	ours, theirs := p.register(t, "ours"), p.register(t, "theirs")
	p.befriend(ours, theirs)
	ours.Login(t)
	x := p.login(t, theirs.Account)
	x.awaitPresence(t, ours, "")
	awaitStatus(t, ours, x, "online")
	return ours, x
}

func awaitStatus(t *testing.T, ours *users.User, of *stock, status string) {
	t.Helper()
	want := sdk.PresenceEvent{FromUserJID: of.account.UserJID, Status: status}
	users.Await(t, ours.Presences, func(e sdk.PresenceEvent) bool { return e == want })
}

func presence(t *testing.T, p *place) {
	ours, theirs := p.pair(t)
	_, err := theirs.SendPresence(xmpp.Presence{Show: "away", Status: "<out> & about"})
	require.NoError(t, err)
	awaitStatus(t, ours, theirs, "online") // away is no status of its own (protocol.md 6.1)
	_, err = theirs.SendPresence(xmpp.Presence{Type: "unavailable"})
	require.NoError(t, err)
	awaitStatus(t, ours, theirs, "unavailable")
	_, err = theirs.SendPresence(xmpp.Presence{})
	require.NoError(t, err)
	awaitStatus(t, ours, theirs, "online")

	_, err = ours.Logout(t.Context())
	require.NoError(t, err)
	theirs.awaitPresence(t, ours, "unavailable")
}

// vCard: each reads what the other has set. Name, address and number are sealed for whom
// has the key (protocol.md 2.5); what a stranger has set in clear is shown as it is.
func vCard(t *testing.T, p *place) {
	ours, theirs := p.pair(t)
	_, err := ours.SetUserProfile(t.Context(), sdk.ProfileUpdate{
		Name: "Ours", Email: "ours@example.com", Status: "“quoted” <b>&amp;</b>", Image: sdk.ImageURL(
			"https://example.com/p.png?a=1&b=2",
		),
	})
	require.NoError(t, err)
	answer := theirs.ask(t, xmpp.IQTypeGet, ours.JID(), `<vCard xmlns="vcard-temp"/>`)
	require.Equal(t, xmpp.IQTypeResult, answer.Type)
	var card struct {
		NickName   string `xml:"nickName"`
		Email      string `xml:"email"`
		Status     string `xml:"status"`
		Image      string `xml:"image"`
		ThumbImage string `xml:"thumbImage"`
		Mobile     string `xml:"mobileNumber"`
	}
	require.NoError(t, xml.Unmarshal(answer.Query, &card))
	require.Equal(t, "“quoted” <b>&amp;</b>", card.Status)
	require.Equal(t, "https://example.com/p.png?a=1&b=2", card.Image)
	require.Equal(t, card.Image, card.ThumbImage)
	require.Empty(t, card.Mobile)
	for _, sealed := range []string{card.NickName, card.Email} {
		require.Regexp(t, `^[A-Za-z0-9+/]{22}[A-Za-z0-9+/=]*$`, sealed)
	}

	answer = theirs.ask(t, xmpp.IQTypeSet, theirs.account.UserJID,
		`<vCard xmlns="vcard-temp"><nickName>Stock</nickName><status>in clear</status><FN>unknown to us</FN></vCard>`)
	require.Equal(t, xmpp.IQTypeResult, answer.Type)
	seen, err := ours.GetUserProfile(t.Context(), theirs.account.UserJID)
	require.NoError(t, err)
	require.Equal(t, []string{"Stock", "in clear", ""}, []string{seen.Data.NickName, seen.Data.Status, seen.Data.Email})
}

func blocking(t *testing.T, p *place) {
	ours, theirs := p.pair(t)
	last := `<query xmlns="jabber:iq:last"/>`
	require.Equal(t, xmpp.IQTypeResult, theirs.ask(t, xmpp.IQTypeGet, ours.JID(), last).Type)

	// We block them.
	_, err := ours.BlockUser(t.Context(), theirs.account.UserJID)
	require.NoError(t, err)
	require.Equal(t, xmpp.IQTypeError, theirs.ask(t, xmpp.IQTypeGet, ours.JID(), last).Type)
	_, err = ours.GetLastSeen(t.Context(), theirs.account.UserJID)
	users.RequireRefused(t, err, p.blocking)
	_, err = ours.UnblockUser(t.Context(), theirs.account.UserJID)
	require.NoError(t, err)
	require.Equal(t, xmpp.IQTypeResult, theirs.ask(t, xmpp.IQTypeGet, ours.JID(), last).Type)

	// They block us.
	theirs.changeBlock(t, "block", ours)
	awaitBlockedBy(t, ours, theirs, true)
	_, err = ours.GetLastSeen(t.Context(), theirs.account.UserJID)
	users.RequireRefused(t, err, p.blocked)
	requireBlockers(t, ours, sdk.BlockedUser{JID: theirs.account.UserJID})
	theirs.changeBlock(t, "unblock", ours)
	awaitBlockedBy(t, ours, theirs, false)
	requireBlockers(t, ours)
	_, err = ours.GetLastSeen(t.Context(), theirs.account.UserJID)
	require.NoError(t, err)
}

func (x *stock) changeBlock(t *testing.T, verb string, whom *users.User) {
	t.Helper()
	answer := x.ask(t, xmpp.IQTypeSet, x.account.UserJID,
		`<`+verb+` xmlns="urn:xmpp:blocking"><item jid="`+whom.JID()+`"/></`+verb+`>`)
	require.Equal(t, xmpp.IQTypeResult, answer.Type)
}

func awaitBlockedBy(t *testing.T, ours *users.User, by *stock, blocked bool) {
	t.Helper()
	want := sdk.BlockEvent{UserID: by.account.Username, UserJID: by.account.UserJID, Blocked: blocked}
	users.Await(t, ours.Blocks, func(e sdk.BlockEvent) bool { return e == want })
}

func requireBlockers(t *testing.T, ours *users.User, want ...sdk.BlockedUser) {
	t.Helper()
	list, err := ours.GetUsersWhoBlockedMe(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, want, list.Data)
}
