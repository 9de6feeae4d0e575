package goxmpp

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"net"
	"testing"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/stretchr/testify/require"
	"github.com/xmppo/go-xmpp"
	"mellium.im/sasl"
	"mellium.im/xmlstream"
	mellium "mellium.im/xmpp"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/stanza"
)

const plainText = "Grüße 👋 <b>&amp;</b>\nsecond line"

// bodies: what a stock client writes comes as it is, and says so. What we write, the stock client
// shows sealed: that is the service's way, and nothing else opens it (protocol.md 14.2).
func bodies(t *testing.T, p *place) {
	ours, theirs := p.pair(t)
	came := listen(ours)
	_, _, err := theirs.Send(xmpp.Chat{Remote: ours.JID(), Type: "chat", Text: plainText})
	require.NoError(t, err)
	m := users.Await(t, came, func(sdk.Message) bool { return true })
	requirePlain(t, m, theirs.account.UserJID)

	sent, err := ours.SendTextMessage(t.Context(), theirs.account.UserJID, plainText)
	require.NoError(t, err)
	got := users.Await(t, theirs.in, func(v any) bool {
		chat, is := v.(xmpp.Chat)
		return is && chat.ID == sent.Data.ID
	}).(xmpp.Chat)
	require.Equal(t, "chat", got.Type)
	requireSealed(t, got.Text)
}

// bodiesOfMellium is bodies with mellium.im/xmpp, where the program writes every stanza itself.
func bodiesOfMellium(t *testing.T, p *place) {
	ours, theirs := p.register(t, "ours"), p.register(t, "theirs")
	p.befriend(ours, theirs)
	came := listen(ours)
	ours.Login(t)
	session, in := p.loginMellium(t, theirs.Account)
	require.NoError(t, session.Encode(t.Context(), chat{
		Message: stanza.Message{ID: "m-1", To: jid.MustParse(ours.JID()), Type: stanza.NormalMessage}, Body: plainText,
	}))
	m := users.Await(t, came, func(sdk.Message) bool { return true })
	require.Equal(t, "m-1", m.ID)
	requirePlain(t, m, theirs.JID())
	users.Await(t, in, func(c chat) bool { return c.Delivered.ID == "m-1" })

	sent, err := ours.SendTextMessage(t.Context(), theirs.JID(), plainText)
	require.NoError(t, err)
	got := users.Await(t, in, func(c chat) bool { return c.ID == sent.Data.ID })
	requireSealed(t, got.Body)
}

func listen(u *users.User) chan sdk.Message {
	came := make(chan sdk.Message, 100)
	u.OnMessage(func(m sdk.Message) { came <- m })
	return came
}

func requirePlain(t *testing.T, m sdk.Message, from string) {
	t.Helper()
	require.Equal(t, []any{true, plainText, sdk.MessageTypeText, from},
		[]any{m.Unsealed, m.Text, m.Type, m.FromUserJID})
}

func requireSealed(t *testing.T, body string) {
	t.Helper()
	require.Regexp(t, `^[A-Za-z0-9+/]{86}[A-Za-z0-9+/=]*$`, body)
}

// chat is a message as mellium reads and writes it.
type chat struct {
	stanza.Message
	Body      string `xml:"body"`
	Delivered struct {
		ID string `xml:"id,attr"`
	} `xml:"urn:xmpp:receipts delivered"`
}

// loginMellium logs an account in, and returns what comes. The server ends it with the test.
func (p *place) loginMellium(t *testing.T, account sdk.Credentials) (*mellium.Session, chan chat) {
	t.Helper()
	me, err := jid.Parse(account.UserJID)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), users.Patience)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.starttls)
	require.NoError(t, err)
	conf := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: p.config.TLSConfig.RootCAs, ServerName: me.Domainpart()}
	session, err := mellium.NewSession(ctx, me.Domain(), me, conn, 0, mellium.NewNegotiator(
		func(*mellium.Session, *mellium.StreamConfig) mellium.StreamConfig {
			return mellium.StreamConfig{Features: []mellium.StreamFeature{
				mellium.StartTLS(conf), mellium.SASL("", account.Password, sasl.Plain), mellium.BindResource(),
			}}
		},
	))
	require.NoError(t, err)
	in, ended := make(chan chat, 1000), make(chan struct{})
	go func() { // ends with the connection
		defer close(ended)
		_ = session.Serve(mellium.HandlerFunc(func(r xmlstream.TokenReadEncoder, start *xml.StartElement) error {
			var c chat
			if start.Name.Local != "message" {
				return nil
			}
			d := xml.NewTokenDecoder(xmlstream.MultiReader(xmlstream.Token(*start), r))
			if err := d.Decode(&c); err != nil {
				return err
			}
			in <- c
			return nil
		}))
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-ended
	})
	require.NoError(t, session.Send(ctx, stanza.Presence{}.Wrap(nil)))
	return session, in
}
