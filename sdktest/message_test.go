package sdktest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// text sends a message as the official SDK does, with that message id.
func (x *xmppClient) text(s *Server, to, id, text string, edit ...string) {
	x.t.Helper()
	editID := id
	if len(edit) > 0 {
		editID = edit[0]
	}
	iv, _ := s.store.ivs()
	sealed := seal.Seal(fmt.Sprintf(`{"message":%q,"message_type":"text"}`, text), id, iv)
	x.send(`<message id="%s" to="%s" type="chat" xmlns="jabber:client"><chatcontent xmlns="urn:xmpp:content" `+
		`broadcast_id="" edit_msg_id="%s" message_type="text" meta_data="{&quot;k&quot;:&quot;v&quot;}" topic_id="T"/>`+
		`<body message_type="text">%s</body></message>`, id, to, editID, sealed)
}

// presence sends presence with a priority and waits until it counts.
func (x *xmppClient) presence(priority int) {
	x.t.Helper()
	x.send(`<presence xmlns="jabber:client"><priority>%d</priority></presence>`, priority)
	x.until("<presence", `from="`+x.jid, fmt.Sprintf("<priority>%d</priority>", priority))
}

func (x *xmppClient) enableCarbons() {
	x.t.Helper()
	x.ask("set", "", `<enable xmlns="urn:xmpp:carbons:2"/>`)
}

func TestMessagesAndCarbons(t *testing.T) {
	s := trial(t)
	alice := register(t, s, "alice")
	a1, a2 := connect(t, s, alice, "Web-1"), connect(t, s, alice, "Web-2")
	bob := register(t, s, "bob")
	b1, b2 := connect(t, s, bob, "Web-1"), connect(t, s, bob, "Web-2")
	for _, x := range []*xmppClient{a1, a2, b1, b2} {
		x.enableCarbons()
	}
	a1.send(`<message id="m1" to="%s" type="chat" from="forged@x" xmlns="jabber:client"><body>hi</body></message>`,
		b1.jid)
	require.Contains(t, b1.until(`id="m1"`), `from="`+a1.jid+`"`)
	require.Contains(t, b2.until(`id="m1"`), `<received xmlns="urn:xmpp:carbons:2">`)
	require.Contains(t, a2.until(`id="m1"`), `<sent xmlns="urn:xmpp:carbons:2">`)
	a1.send(`<message id="m2" to="bob@%s" type="chat" xmlns="jabber:client"><body>hi</body></message>`, s.Domain())
	require.NotContains(t, b1.until(`id="m2"`), "carbons")
	require.NotContains(t, b2.until(`id="m2"`), "carbons")
	a1.send(`<message id="m3" to="carol@%s" type="chat" xmlns="jabber:client"><body>hi</body></message>`, s.Domain())
	require.Contains(t, a1.until(`id="m3"`, `type="error"`), "service-unavailable")
	for _, private := range []string{
		`<private xmlns="urn:xmpp:carbons:2"/>`, `<no-copy xmlns="urn:xmpp:hints"/>`,
	} {
		a1.send(`<message id="m4" to="%s" type="chat" xmlns="jabber:client"><body>hi</body>%s</message>`,
			b1.jid, private)
		require.NotContains(t, b1.until(`id="m4"`), "<private")
		require.NotContains(t, strings.Join(append(b2.settle(), a2.settle()...), ""), "m4")
	}
}

// Who gets a message to a user depends on the priorities of the resources.
func TestMessagePriorities(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	bob := register(t, s, "bob")
	names := []string{"high", "same", "low", "negative"}
	devices := map[string]*xmppClient{}
	for i, priority := range []int{5, 5, 1, -1} {
		devices[names[i]] = connect(t, s, bob, names[i])
		devices[names[i]].presence(priority)
	}
	for _, c := range []struct {
		kind, to string
		want     []string
	}{
		{"chat", "", []string{"high", "same"}},
		{"normal", "", []string{"high", "same"}},
		{"headline", "", []string{"high", "same", "low"}},
		{"chat", "/low", []string{"low"}},
		{"chat", "/negative", []string{"negative"}},
		{"chat", "/gone", []string{"high", "same"}},
		{"headline", "/gone", nil},
	} {
		id := randomHex(6)
		a.send(`<message id="%s" to="bob@%s%s" type="%s" xmlns="jabber:client"><body>hi</body></message>`,
			id, s.Domain(), c.to, c.kind)
		a.settle()
		var got []string
		for _, name := range names {
			if strings.Contains(strings.Join(devices[name].settle(), ""), id) {
				got = append(got, name)
			}
		}
		require.Equal(t, c.want, got, "%s to %q", c.kind, c.to)
	}
	a.send(`<message id="n1" to="bob@%s/gone" type="normal" xmlns="jabber:client"><body>x</body></message>`,
		s.Domain())
	a.until(`id="n1"`, "service-unavailable")
}

// An error goes to the resource that it is for, and a message to oneself to each device once.
func TestMessagesToOneself(t *testing.T) {
	s := trial(t)
	alice := register(t, s, "alice")
	a1, a2 := connect(t, s, alice, "Web-1"), connect(t, s, alice, "Web-2")
	a1.enableCarbons()
	a2.enableCarbons()
	a1.settle()
	a1.send(`<message id="m1" to="%s" type="error" xmlns="jabber:client"><body>x</body></message>`, a2.jid)
	a1.settle()
	require.Equal(t, []string{"m1"}, ids(a2.settle()))
	a2.presence(9)
	a1.send(`<message id="m2" to="alice@%s" type="chat" xmlns="jabber:client"><body>x</body></message>`, s.Domain())
	require.Empty(t, ids(a1.settle()), "its own message is no news")
	require.Equal(t, []string{"m2"}, ids(a2.settle()))
	require.Len(t, s.Messages("alice"), 1)
}

func TestAcknowledgement(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	bob, alice := "bob@"+s.Domain(), "alice@"+s.Domain()
	a.text(s, bob, "m1", "hello")
	ack := a.until("<acknowledge ")
	require.Contains(t, ack, `from="`+s.Domain()+`" to="`+a.jid+`"`)
	require.Contains(t, ack, `<acknowledge xmlns="urn:xmpp:receipts" id="m1" sent_to="`+bob+`" type="acknowledge"/>`)
	stamp := `<timestamp xmlns="urn:xmpp:messagetime" time="\d{16}"/>`
	require.Regexp(t, stamp, ack)
	require.Regexp(t, stamp, b.until(`id="m1"`))
	require.Equal(t, StatusAcknowledged, s.Messages("alice")[0].Status)
	for status, code := range map[MessageStatus]string{StatusDelivered: "1", StatusSeen: "2"} {
		b.send(`<message id="r-%s" to="%s" type="chat" xmlns="jabber:client">`+
			`<%s xmlns="urn:xmpp:receipts" id="m1" group_id=""/></message>`, status, alice, status)
		got := a.until(`id="r-` + string(status))
		require.Contains(t, got, `message_status="`+code+`"`)
		require.Contains(t, got, `from="`+b.jid+`"`)
		require.Contains(t, b.until("<acknowledge "), `id="m1" sent_to="`+alice+`" type="`+string(status)+`"/>`)
	}
	require.Equal(t, StatusSeen, s.Messages("alice")[0].Status, "delivered after seen changes nothing")
	for _, state := range []string{"composing", "gone"} {
		a.send(`<message id="t-%[1]s" to="%s" type="chat" xmlns="jabber:client"><%[1]s xmlns="x"/></message>`,
			state, bob)
		require.NotContains(t, b.until(`id="t-`+state), "timestamp")
	}
	require.NotContains(t, strings.Join(a.settle(), ""), "acknowledge")
}

// The acknowledgement comes before what the receiver answers.
func TestAcknowledgementComesFirst(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	a.settle()
	for range 50 {
		a.text(s, "bob@"+s.Domain(), "m1", "x")
		b.until("<body ")
		b.send(`<message id="r1" to="alice@%s" type="chat" xmlns="jabber:client">`+
			`<delivered xmlns="urn:xmpp:receipts" id="m1"/></message>`, s.Domain())
		require.Contains(t, a.next(), "<acknowledge ")
		require.Contains(t, a.next(), "<delivered ")
	}
}

func TestMessageRefusals(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	register(t, s, "bob")
	for to, want := range map[string]string{
		"nobody@" + s.Domain():       "service-unavailable",
		s.Domain():                   "service-unavailable",
		"bob@elsewhere.example":      "service-unavailable",
		"bob@" + s.Domain() + "\" x": "service-unavailable",
	} {
		to, _, _ = strings.Cut(to, `"`)
		kind := map[bool]string{true: "groupchat", false: "chat"}[to == "bob@"+s.Domain()]
		a.send(`<message id="m" to="%s" type="%s" xmlns="jabber:client"><body>hi</body></message>`, to, kind)
		got := a.until(`id="m"`)
		require.Contains(t, got, `type="error"`, to)
		require.Contains(t, got, want, to)
		require.Contains(t, got, `from="`+to+`"`)
	}
	a.send(`<message id="e" to="nobody@%s" type="error" xmlns="jabber:client"><body>hi</body></message>`, s.Domain())
	a.send(`<message id="w" to="bob@%s" type="chat" xmlns="jabber:client"><composing xmlns="x"/>`+
		`<no-store xmlns="urn:xmpp:hints"/></message>`, s.Domain())
	require.Empty(t, a.settle(), "neither an error nor typing is answered")
	s.RefuseNextMessage("policy-violation")
	a.text(s, "bob@"+s.Domain(), "m1", "x")
	a.until(`id="m1"`, "policy-violation", `type="error"`)
	a.text(s, "bob@"+s.Domain(), "m2", "x")
	a.until("<acknowledge ", `id="m2"`)
	require.Len(t, s.Messages("bob"), 1, "what was refused does not count")
}

func TestMessageLog(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	bob := "bob@" + s.Domain()
	a.text(s, bob, "m1", "hello")
	a.text(s, bob, "m1", "hello")
	a.text(s, bob, "m2", "to recall")
	a.text(s, bob, "m1", "hullo", "e1")
	a.send(`<message id="p" to="%s" type="chat" xmlns="jabber:client"><body>plain</body></message>`, bob)
	a.settle()
	b.send(`<message id="r1" to="alice@%s" type="chat" xmlns="jabber:client">`+
		`<recall xmlns="urn:xmpp:receipts" id="m1,m2" chat_type="chat"/></message>`, s.Domain())
	b.until(`id="r1"`, "forbidden")
	a.send(`<message id="r2" to="%s" type="chat" xmlns="jabber:client">`+
		`<recall xmlns="urn:xmpp:receipts" id="m2,unknown" chat_type="chat"/></message>`, bob)
	a.until("<acknowledge ", `id="m2,unknown"`, `type="recall"`)
	b.until(`id="r2"`, "<recall ")
	got := s.Messages("bob")
	require.Len(t, got, 3)
	require.False(t, got[0].Time.IsZero())
	require.True(t, got[0].Time.Before(got[1].Time))
	require.JSONEq(t, `{"message":"hullo","message_type":"text"}`, string(got[0].Body))
	for i := range got {
		got[i].Body, got[i].Time = nil, got[0].Time
	}
	meta := map[string]string{"k": "v"}
	require.Equal(t, Message{
		ID: "m1", From: "alice", To: "bob", Type: "text", Text: "hullo", Metadata: meta, TopicID: "T",
		Time: got[0].Time, Status: StatusAcknowledged, Edited: true, EditID: "e1",
	}, got[0])
	require.True(t, got[1].Recalled)
	require.Equal(t, "to recall", got[1].Text)
	require.Equal(t, "plain", got[2].Text)
	require.Equal(t, 200, rest(t, s, "POST", "/users/deleteMyAccount", register(t, s, "bob").Token,
		map[string]any{"reason": "R"}).Status)
	require.Empty(t, s.Messages("alice"), "they go with the account")
}

func TestSendMessage(t *testing.T) {
	s := trial(t)
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	id, err := s.SendMessage(t.Context(), "alice", "bob@"+s.Domain(), "hello")
	require.NoError(t, err)
	require.Contains(t, b.until(`id="`+id+`"`), `from="alice@`+s.Domain()+`"`)
	require.Equal(t, "hello", s.Messages("alice")[0].Text)
	b.ask("set", "", `<block xmlns="urn:xmpp:blocking"><item jid="alice@`+s.Domain()+`"/></block>`)
	_, err = s.SendMessage(t.Context(), "alice", "bob", "hello")
	require.ErrorContains(t, err, "service-unavailable")
}
