package xmpp

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
	"github.com/mirrorfly-go/sdk/internal/testing/xmltree"
)

// heardBy is what a session of that user makes of a stanza.
func heardBy(t *testing.T, jid JID, frame string) (events []Event, ignored int) {
	t.Helper()
	cfg := Config{Handle: func(e Event) { events = append(events, e) }}
	cfg.setDefaults()
	s := newSession(&cfg, &handshake{cfg: &cfg, conn: nowhere{}, jid: jid})
	defer s.end(ErrClosed)
	require.NoError(t, s.receive(frame))
	return events, s.Ignored()
}

// What the library makes of the stanzas that were given to the JavaScript SDK. Where that does
// something else, the case says so.
func TestReceivedAsRecorded(t *testing.T) {
	const alice, bob = "alice@xmpp.mirrorfly.test", "bob@xmpp.mirrorfly.test"
	at := time.UnixMicro(1700000000123456)
	told := func(m Message) []Event {
		m.From, m.To, m.FromUser = alice, bob, true
		return []Event{&m}
	}
	type heard struct {
		events  []Event
		ignored int
	}
	cases := map[string]heard{
		"full": {events: told(Message{ID: "m1", EditID: "m1", Type: "text", Metadata: "{}", At: at})},
		// It is told once: by the client, which outlives sessions.
		"same again (duplicate)": {
			events: told(Message{ID: "m1", EditID: "m1", Type: "text", Metadata: "{}", At: at}),
		},
		"no timestamp, no chatcontent": {events: told(Message{ID: "m2"})},
		// JavaScript gives its listeners the text as it was escaped.
		"plain text body, stock XMPP client": {events: told(Message{ID: "m3"})},
		"plain text that is JSON":            {events: told(Message{ID: "m3b"})},
		// JavaScript does not read the delay.
		"offline (XEP-0203 delay)": {events: told(Message{
			ID: "m4", Type: "text", Stored: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC),
		})},
		"13 digit timestamp": {events: told(Message{ID: "m5", At: time.UnixMilli(1700000000123)})},
		"wrong key":          {events: told(Message{ID: "m6", At: at})},
		"edited":             {events: told(Message{ID: "m1", EditID: "e1", Type: "text", At: at})},
		"topic and meta": {
			events: told(Message{ID: "m7", Type: "text", TopicID: "t1", Metadata: `{"a":"b"}`, At: at}),
		},
		// JavaScript loses the message, and sends the receipt all the same.
		"bad meta":       {events: told(Message{ID: "m8", Type: "text", Metadata: "{bad", At: at})},
		"after bad meta": {events: told(Message{ID: "m9", At: at})},
		// JavaScript never tells of a refusal.
		"type error": {events: []Event{Refused{
			Peer: alice, MessageID: "m10", Err: &StanzaError{Condition: "undefined-condition"},
		}}},
		"no type":  {events: told(Message{ID: "m11", At: at})},
		"headline": {events: told(Message{ID: "m12"})},
		// JavaScript sends a receipt for no message.
		"no id":                {events: told(Message{})},
		"from the bare domain": {events: []Event{&Message{ID: "m13", From: "xmpp.mirrorfly.test", To: bob}}},
		// JavaScript loses it. It is from the own account (RFC 6120 8.1.2.1).
		"no from": {events: []Event{&Message{ID: "m14", From: bob, To: bob, FromUser: true, Own: true}}},
		// JavaScript tells it as a message of somebody else: a bot would answer itself.
		"from oneself": {events: []Event{&Message{ID: "m15", From: bob, To: bob, FromUser: true, Own: true, At: at}}},
		// JavaScript believes that of anybody.
		"acknowledge":           {ignored: 1},
		"acknowledge delivered": {ignored: 1},
		"delivered":             {events: []Event{Status{Kind: "delivered", Peer: alice, MessageID: "s1", At: at}}},
		// There are no groups here yet.
		"delivered in a group":           {},
		"composing group":                {},
		"group message":                  {},
		"group message of my own":        {},
		"delivered as a client sends it": {events: []Event{Status{Kind: "delivered", Peer: alice, MessageID: "s1"}}},
		"seen": {
			events: []Event{Status{Kind: "seen", Peer: alice, MessageID: "s1", At: at}},
		},
		"XEP-0184 received": {},
		"XEP-0184 request":  {events: told(Message{ID: "x5b"})},
		"composing":         {events: []Event{ChatState{From: alice, Typing: true}}},
		"paused":            {},
		"gone":              {events: []Event{ChatState{From: alice}}},
		"body and active":   {events: told(Message{ID: "x7a"})},
		"recall": {
			events: []Event{Recalled{From: alice, To: bob, MessageIDs: []string{"m1"}}},
		},
		"carbon sent": {
			events: []Event{
				&Message{ID: "c1", From: bob, To: alice, FromUser: true, Type: "text", At: at, Own: true, Copy: true},
			},
		},
		"carbon received": {
			events: []Event{&Message{ID: "c2", From: alice, To: bob, FromUser: true, Type: "text", At: at, Copy: true}},
		},
		"carbon forged by alice":              {ignored: 1}, // JavaScript believes it
		"carbon sent, stock order with delay": {},           // JavaScript tells of the own receipt
		"MAM result":                          {},           // JavaScript tells it as a new message
		"media":                               {events: told(Message{ID: "m20", Type: "image", At: at})},
		"unknown child":                       {},
		"unread_count":                        {},
		"userblocked":                         {events: []Event{UserBlocked{User: "alice", Blocked: true}}},
	}
	all := loadMessageVectors(t).Received
	require.Len(t, cases, len(all))
	for _, v := range all {
		t.Run(v.What, func(t *testing.T) {
			want, known := cases[v.What]
			require.True(t, known)
			n, err := xmltree.Parse(v.Stanza)
			require.NoError(t, err)
			to, err := ParseJID(n.Attr("to"))
			require.NoError(t, err)
			for _, e := range want.events {
				if m, is := e.(*Message); is {
					m.Body = n.All("body")[0].Text()
				}
			}
			events, ignored := heardBy(t, to, v.Stanza)
			require.Equal(t, want.events, events)
			require.Equal(t, want.ignored, ignored)
		})
	}
}

// Who is believed, and what is a message at all.
func TestWhatUsersSay(t *testing.T) {
	const (
		alice, phone = scripted.Bare, scripted.Bare + "/phone"
		bob, tablet  = bobJID, bobJID + "/tablet"
		server       = scripted.Domain
	)
	message := func(from, to, attrs, content string) string {
		for name, jid := range map[string]string{"from": from, "to": to} {
			if jid != "" {
				attrs += ` ` + name + `="` + jid + `"`
			}
		}
		return `<message ` + attrs + ` xmlns="jabber:client">` + content + `</message>`
	}
	carbon := func(from, direction, inner string) string {
		return message(from, phone, ``, `<`+direction+` xmlns="urn:xmpp:carbons:2">`+
			`<forwarded xmlns="urn:xmpp:forward:0">`+
			inner+`</forwarded></`+direction+`>`)
	}
	receipt := func(kind, id string) string { return `<` + kind + ` xmlns="urn:xmpp:receipts" id="` + id + `"/>` }
	const (
		hi        = `<body>hi</body>`
		composing = `<composing xmlns="http://jabber.org/protocol/chatstates"/>`
		wrong     = `<gone xmlns="https://jabber.org/protocol/chatstates"/>`
	)
	acknowledge := acknowledgeOf("m1")
	acknowledged := Status{Kind: "acknowledge", Peer: bob, MessageID: "m1", At: takenAt}
	fromBob := &Message{From: bob, To: alice, FromUser: true, ID: "m1", Body: "hi"}
	copied, own := *fromBob, Message{From: alice, To: bob, FromUser: true, ID: "m1", Body: "hi", Own: true, Copy: true}
	copied.Copy = true
	direct := own
	direct.Copy = false
	manyIDs := strings.Repeat("x,", maxRecalled)
	for _, tc := range []struct {
		name, in string
		// Nil: nothing is told.
		want    Event
		ignored int
	}{
		{"a message", message(tablet, phone, `id="m1" type="chat"`, hi), fromBob, 0},
		{"letters of other cases", message("BOB@XMPP.example.com/x", phone, `id="m1"`, hi), fromBob, 0},
		{"a normal message", message(tablet, phone, `id="m1" type="normal"`, hi), fromBob, 0},
		{"of an unknown type", message(tablet, phone, `id="m1" type="x"`, hi), nil, 0},
		{"in a group", message(tablet, phone, `id="m1" type="groupchat"`, hi), nil, 0},
		{"a chat state in a group", message(tablet, phone, `type="groupchat"`, composing), nil, 0},
		{"a body of something else", message(tablet, phone, `id="m1"`, `<body xmlns="x">hi</body>`), nil, 0},
		{"a body deeper inside", message(tablet, phone, `id="m1"`, `<x xmlns="x">`+hi+`</x>`), nil, 0},
		{
			"an empty body",
			message(tablet, phone, `id="m1"`, `<body/>`),
			&Message{From: bob, To: alice, FromUser: true, ID: "m1"},
			0,
		},
		{"from nobody", message("@", phone, `id="m1"`, hi), nil, 0},
		{"to the account", message(tablet, "", `id="m1"`, hi), fromBob, 0},
		{"our other device, directly", message(phone, bob, `id="m1"`, hi), &direct, 0},

		{"carbon received", carbon(alice, "received", message(tablet, phone, `id="m1"`, hi)), &copied, 0},
		{
			"carbon received, without a sender",
			carbon("", "received", message(tablet, phone, `id="m1"`, hi)),
			&copied,
			0,
		},
		{"carbon received, from our device", carbon(phone, "received", message(tablet, phone, `id="m1"`, hi)), nil, 1},
		{"carbon received, from the server", carbon(server, "received", message(tablet, phone, `id="m1"`, hi)), nil, 1},
		{"carbon received, from its sender", carbon(tablet, "received", message(tablet, phone, `id="m1"`, hi)), nil, 1},
		{"carbon sent", carbon(alice, "sent", message(phone, bob, `id="m1"`, hi)), &own, 0},
		{"carbon sent, from somebody", carbon(bob, "sent", message(phone, bob, `id="m1"`, hi)), nil, 1},
		{"carbon sent, of somebody", carbon(alice, "sent", message(tablet, bob, `id="m1"`, hi)), nil, 1},
		{"carbon of nothing", carbon(alice, "sent", ``), nil, 0},
		{"carbon of an error", carbon(alice, "received", message(tablet, phone, `id="m1" type="error"`, hi)), nil, 0},
		{
			"carbon in a carbon",
			carbon(alice, "received", carbon(alice, "received", message(tablet, phone, `id="m1"`, hi))),
			nil,
			0,
		},

		{"typing", message(tablet, phone, ``, composing), ChatState{From: bob, Typing: true}, 0},
		{"typing, in the other namespace", message(tablet, phone, ``, wrong), ChatState{From: bob}, 0},
		{"typing, in a third one", message(tablet, phone, ``, `<composing xmlns="x"/>`), nil, 0},
		{
			"typing, copied",
			carbon(alice, "received", message(tablet, phone, ``, composing)),
			ChatState{From: bob, Typing: true},
			0,
		},
		{"typing of our own", carbon(alice, "sent", message(phone, bob, ``, composing)), nil, 0},

		{
			"a receipt",
			message(tablet, phone, ``, receipt("seen", "of anything")),
			Status{Kind: "seen", Peer: bob, MessageID: "of anything"},
			0,
		},
		{
			"a receipt, copied",
			carbon(alice, "received", message(tablet, phone, ``, receipt("delivered", "m1"))),
			Status{Kind: "delivered", Peer: bob, MessageID: "m1"},
			0,
		},
		{"a receipt of our own", carbon(alice, "sent", message(phone, bob, ``, receipt("delivered", "m1"))), nil, 0},
		{"a receipt of something else", message(tablet, phone, ``, `<seen xmlns="x" id="m1"/>`), nil, 0},

		{"acknowledged", message(server, phone, ``, acknowledge), acknowledged, 0},
		{"acknowledged, by our account", message(alice, phone, ``, acknowledge), acknowledged, 0},
		{"acknowledged, by our device", message(phone, phone, ``, acknowledge), acknowledged, 0},
		{"acknowledged, copied", carbon(alice, "received", message(server, phone, ``, acknowledge)), acknowledged, 0},
		{"acknowledged, by a user", message(bob, phone, ``, acknowledge), nil, 1},
		{"acknowledged, by a user, copied", carbon(alice, "received", message(bob, phone, ``, acknowledge)), nil, 1},
		{"acknowledged, by another server", message("example.com", phone, ``, acknowledge), nil, 1},
		{
			"a receipt of ours acknowledged",
			message(server, phone, ``, strings.Replace(acknowledge, `type="acknowledge"`, `type="seen"`, 1)),
			nil,
			0,
		},

		{
			"recalled",
			message(tablet, phone, ``, receipt("recall", " a ,,b,")),
			Recalled{From: bob, To: alice, MessageIDs: []string{"a", "b"}},
			0,
		},
		{
			"recalled by our other device",
			carbon(alice, "sent", message(phone, bob, ``, receipt("recall", "a"))),
			Recalled{From: alice, To: bob, MessageIDs: []string{"a"}, Own: true},
			0,
		},
		{"recalled in our name", carbon(tablet, "sent", message(phone, bob, ``, receipt("recall", "a"))), nil, 1},
		{"nothing recalled", message(tablet, phone, ``, receipt("recall", ",")), nil, 1},
		{"too much recalled", message(tablet, phone, ``, receipt("recall", manyIDs+"x")), nil, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var want []Event
			if tc.want != nil {
				want = []Event{tc.want}
			}
			got, ignored := heardBy(t, JID{scripted.User, scripted.Domain, scripted.Resource}, tc.in)
			require.Equal(t, want, got)
			require.Equal(t, tc.ignored, ignored)
		})
	}
}

// When the service took a message: in microseconds or milliseconds; what else stands there says
// nothing.
func TestTimestamps(t *testing.T) {
	for text, want := range map[string]time.Time{
		"1700000000123456":  time.UnixMicro(1700000000123456),
		"1700000000123":     time.UnixMilli(1700000000123),
		"1700000000":        {},
		"17000000001234567": {},
		"-170000000012345":  {},
		"0000000000000":     {},
		"170000000012345x":  {},
		"":                  {},
	} {
		frame := messageFrom(bobJID, `id="m"`, fmt.Sprintf(
			`<body/><timestamp xmlns="urn:xmpp:messagetime" time="%s"/>`, text))
		got, _ := heardBy(t, JID{scripted.User, scripted.Domain, ""}, frame)
		require.True(t, want.Equal(got[0].(*Message).At), "%q: %s", text, got[0].(*Message).At)
	}
	for stamp, want := range map[string]time.Time{
		"2026-11-30T12:00:00.5+01:00": time.Date(2026, 11, 30, 11, 0, 0, 5e8, time.UTC),
		"20261130T12:00:00":           {},
		"":                            {},
	} {
		frame := messageFrom(bobJID, `id="m"`, `<body/><delay xmlns="urn:xmpp:delay" stamp="`+stamp+`"/>`)
		got, _ := heardBy(t, JID{scripted.User, scripted.Domain, ""}, frame)
		require.True(t, want.Equal(got[0].(*Message).Stored), stamp)
	}
}

// Nobody knows a receipt by its id, so nobody is told when it is refused. Some servers do not
// repeat what they refuse.
func TestRefusedReceiptIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := pipeServer(t, func(p *peer) {
			p.Login()
			for range maxQuiet + 1 {
				p.Send(`<message from="bob@xmpp.example.com" id="` + p.Recv().Attr("id") +
					`" type="error" xmlns="jabber:client">` +
					`<error type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/>` +
					`</error></message>`)
			}
			p.Drain()
		})
		c := dial(t, cfg)
		for range maxQuiet + 1 {
			require.NoError(t, c.Tell(Receipt("delivered", "bob@xmpp.example.com", "m"), true))
			time.Sleep(patientFor)
			synctest.Wait()
		}
		require.Empty(t, c.events)
		_ = c.Close(done())
	})
}
