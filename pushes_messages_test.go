package sdk_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// What another device of the same account sends is told as that, so that a bot does not answer
// itself. What another device has received is told, and gets no receipt of this one.
func TestOtherDevicesOfTheAccount(t *testing.T) {
	for _, transport := range bothTransports {
		t.Run(transportName(transport), func(t *testing.T) {
			srv, w := watched(t, sdktest.Options{})
			cfg := srv.Config()
			cfg.Transport = transport
			bob, bot, phone := login(t, cfg, "bob"), login(t, cfg, "alice"), login(t, cfg, "alice")
			alice, bobsJID := "alice@"+srv.Domain(), "bob@"+srv.Domain()
			atBob, own := newHeard(bob.OnMessage), newHeard(bot.OnMessageSent)
			deleted := newHeard(bot.OnMessageDeleted)
			answered := make(chan error, 16)
			bot.OnMessage(func(m sdk.Message) {
				_, err := bot.SendTextMessage(t.Context(), m.Peer(), "echo: "+m.Text)
				answered <- err
			})
			_, err := phone.SendTextMessage(t.Context(), bobsJID, "from my phone", sdk.WithMessageID("p1"))
			require.NoError(t, err)
			require.Equal(t, "p1", atBob.next(t).ID)
			m := own.next(t)
			require.True(t, m.Own)
			require.Equal(t, []string{"p1", alice, bobsJID, bobsJID, "from my phone"},
				[]string{m.ID, m.FromUserJID, m.ToUserJID, m.Peer(), m.Text})
			_, err = phone.EditTextMessage(t.Context(), bobsJID, "p1", "edited")
			require.NoError(t, err)
			m = own.next(t)
			require.True(t, m.Edited)
			require.Equal(t, "edited", m.Text)
			_, err = phone.DeleteMessagesForEveryone(t.Context(), bobsJID, "p1")
			require.NoError(t, err)
			require.Equal(t, sdk.MessageDeletedEvent{
				FromUserJID: alice, ToUserJID: bobsJID, MessageIDs: []string{"p1"}, Own: true,
			}, deleted.next(t))

			_, err = bob.SendTextMessage(t.Context(), alice, "hello")
			require.NoError(t, err)
			require.NoError(t, patient.Receive(t, answered))
			require.Equal(t, "echo: hello", atBob.next(t).Text)
			requireAnswer(t, srv, bot)
			require.Empty(t, answered)
			require.Empty(t, own)

			before := w.count("<delivered", `id="c1"`)
			srv.Push("alice", `<message xmlns="jabber:client" from="`+alice+`"><received xmlns="urn:xmpp:carbons:2">`+
				`<forwarded xmlns="urn:xmpp:forward:0">`+saying(srv, "c1", "hi")+`</forwarded></received></message>`)
			require.NoError(t, patient.Receive(t, answered))
			require.Equal(t, "echo: hi", atBob.next(t).Text)
			requireAnswer(t, srv, bot)
			require.Equal(t, before, w.count("<delivered", `id="c1"`))
		})
	}
}

// What a user says in the name of somebody else is ignored, and counted.
func TestForgedMessages(t *testing.T) {
	srv := sdktest.New(t)
	alice, credentials := register(t, srv.Config(), "alice")
	type anything struct{ what any }
	told := make(chan anything, 16)
	alice.OnMessage(func(m sdk.Message) { told <- anything{m} })
	alice.OnMessageSent(func(m sdk.Message) { told <- anything{m} })
	alice.OnMessageEdited(func(m sdk.Message) { told <- anything{m} })
	alice.OnMessageStatus(func(e sdk.MessageStatusEvent) { told <- anything{e} })
	alice.OnMessageDeleted(func(e sdk.MessageDeletedEvent) { told <- anything{e} })
	alice.OnTyping(func(e sdk.TypingEvent) { told <- anything{e} })
	connect(t, alice, credentials)
	carbon := func(direction, inner string) string {
		return fromBob(srv, "", `<`+direction+` xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0">`+
			inner+`</forwarded></`+direction+`>`)
	}
	own := strings.NewReplacer("bob@"+srv.Domain()+"/phone", "alice@"+srv.Domain()+"/x", `to="alice`, `to="bob`)
	recall := fromBob(srv, "", `<recall xmlns="urn:xmpp:receipts" id="m1"/>`)
	for name, stanza := range map[string]string{
		"a carbon of somebody else's message": carbon(
			"received",
			strings.ReplaceAll(saying(srv, "m", "hi"), "bob@", "carol@"),
		),
		"a carbon of an own message": carbon("sent", own.Replace(saying(srv, "m", "hi"))),
		"a recall in the own name":   carbon("sent", own.Replace(recall)),
		"typing of somebody else": carbon(
			"received",
			fromBob(srv, "", `<composing xmlns="http://jabber.org/protocol/chatstates"/>`),
		),
		"an acknowledgement": fromBob(
			srv,
			"",
			`<acknowledge xmlns="urn:xmpp:receipts" id="m1" sent_to="bob" type="acknowledge"/>`,
		),
	} {
		before := alice.Ignored()
		srv.Push("alice", stanza)
		requireAnswer(t, srv, alice)
		require.Equal(t, before+1, alice.Ignored(), name)
	}
	// The last is told when everything before it has been.
	srv.Push("alice", recall)
	require.Equal(t, anything{sdk.MessageDeletedEvent{
		FromUserJID: "bob@" + srv.Domain(), ToUserJID: "alice@" + srv.Domain(), MessageIDs: []string{"m1"},
	}}, patient.Receive(t, told))
}

// What a message says, whoever has written it, and what is none.
func TestWhatMessagesSay(t *testing.T) {
	srv := sdktest.New(t)
	alice := login(t, srv.Config(), "alice")
	came, typing := newHeard(alice.OnMessage), newHeard(alice.OnTyping)
	push := func(attrs, content string) { srv.Push("alice", fromBob(srv, attrs, content)) }
	const body = `<body>plain &amp; simple</body>`
	stamp := func(text string) string { return `<timestamp xmlns="urn:xmpp:messagetime" time="` + text + `"/>` }
	const delay = `<delay xmlns="urn:xmpp:delay" stamp="2026-11-30T12:00:00Z"/>`
	for i, tc := range []struct {
		content string
		at      time.Time // zero: now
		delayed bool
	}{
		{body, time.Time{}, false},
		{body + stamp("1700000000123456"), time.UnixMicro(1700000000123456), false},
		{body + stamp("1700000000123"), time.UnixMilli(1700000000123), false},
		{body + stamp("17000000001234") + delay, time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC), true},
		{body + stamp("1700000000123456") + delay, time.UnixMicro(1700000000123456), true},
	} {
		before := time.Now()
		push(fmt.Sprintf(` id="m%d" type="chat"`, i), tc.content)
		m := came.next(t)
		require.Equal(t, sdk.Message{
			ID: fmt.Sprint("m", i), ChatType: sdk.ChatTypeChat, FromUserJID: "bob@" + srv.Domain(),
			ToUserJID: "alice@" + srv.Domain(), Type: sdk.MessageTypeText, Text: "plain & simple",
			Unsealed: true,
		}, bare(m))
		require.Equal(t, tc.delayed, m.Delayed)
		if tc.at.IsZero() {
			require.WithinRange(t, m.Timestamp, before, time.Now())
		} else {
			require.True(t, tc.at.Equal(m.Timestamp), "%s", m.Timestamp)
		}
	}
	push(` id="g" type="groupchat"`, body)
	push(` id="deep"`, `<x xmlns="x">`+body+`</x>`)
	for _, space := range []string{"http://jabber.org/protocol/chatstates", "https://jabber.org/protocol/chatstates"} {
		for name, is := range map[string]bool{"composing": true, "gone": false} {
			push("", `<`+name+` xmlns="`+space+`"/>`)
			require.Equal(t, sdk.TypingEvent{FromUserJID: "bob@" + srv.Domain(), Typing: is}, typing.next(t))
		}
	}
	require.Empty(t, came)
}

// Statuses, and a refusal that comes when the call has long returned.
func TestRefusedLater(t *testing.T) {
	srv := sdktest.New(t)
	alice := login(t, srv.Config(), "alice")
	register(t, srv.Config(), "bob")
	statuses := newHeard(alice.OnMessageStatus)
	_, err := alice.SendTextMessage(t.Context(), "bob@"+srv.Domain(), "hi", sdk.WithMessageID("m1"))
	require.NoError(t, err)
	require.Equal(t, sdk.MessageStatusAcknowledged, statuses.next(t).Status)
	before := time.Now()
	srv.Push("alice", fromBob(srv, ` id="m1" type="error"`, `<error type="cancel">`+
		`<service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>`))
	e := statuses.next(t)
	require.Equal(t, sdk.MessageStatusRefused, e.Status)
	require.Equal(t, []string{"m1", "bob@" + srv.Domain()}, []string{e.MessageID, e.UserJID})
	require.WithinRange(t, e.Timestamp, before, time.Now())
	var failure *sdk.Error
	require.ErrorAs(t, e.Err, &failure)
	require.Equal(t, "service-unavailable", failure.Condition)
	require.Equal(t, sdk.OutcomeRefused, failure.Outcome)
}

// A program that works on profiles only leaves messages to other devices, and to later.
func TestLeaveMessages(t *testing.T) {
	for _, transport := range bothTransports {
		t.Run(transportName(transport), func(t *testing.T) {
			srv, w := watched(t, sdktest.Options{})
			cfg := srv.Config()
			cfg.Transport = transport
			bob := login(t, cfg, "bob")
			leaving := cfg
			leaving.LeaveMessages = true
			worker := login(t, leaving, "alice")
			w.until(t, 1, "<presence", "<priority>-1</priority>")
			_, err := bob.SendTextMessage(t.Context(), "alice@"+srv.Domain(), "later", sdk.WithMessageID("m1"))
			require.NoError(t, err)
			requireAnswer(t, srv, worker)
			require.Zero(t, worker.Unhandled())
			require.Equal(t, 1, srv.Waiting("alice"))
			alice, credentials := register(t, cfg, "alice")
			came := newHeard(alice.OnMessage)
			connect(t, alice, credentials)
			m := came.next(t)
			require.Equal(t, "later", m.Text)
			require.True(t, m.Delayed)
		})
	}
}

// stuckAlice is a client whose listeners are stuck until release is called.
func stuckAlice(t *testing.T) (srv *sdktest.Server, alice *sdk.Client, release func()) {
	t.Helper()
	srv = sdktest.New(t)
	cfg := srv.Config()
	cfg.Transport, cfg.NoDeliveryReceipts = sdk.TransportTCP, true
	alice = login(t, cfg, "alice")
	stuck, freed := make(chan struct{}), make(chan struct{})
	alice.OnAdminBlock(func(sdk.AdminBlockEvent) { close(stuck); <-freed })
	srv.Push("alice", `<message xmlns="jabber:client" from="`+srv.Domain()+`"><admin_block block_status="1" jid="bob@`+
		srv.Domain()+`"/></message>`)
	patient.Receive(t, stuck)
	return srv, alice, func() { close(freed) }
}

// Behind a listener that is stuck requests work, and what does not fit is dropped and told. When it
// is free, everything goes on.
func TestMessagesAtAStuckListener(t *testing.T) {
	const many, fit = 10_000, 1024
	srv, alice, release := stuckAlice(t)
	came, missed := make(chan string, many), make(chan sdk.MissedEvent, 16)
	alice.OnMessage(func(m sdk.Message) { came <- m.ID })
	alice.OnMissed(func(e sdk.MissedEvent) { missed <- e })
	for n := 0; n < many; {
		var all strings.Builder
		for range 1000 {
			all.WriteString(saying(srv, strconv.Itoa(n), "hi"))
			n++
		}
		require.Equal(t, 1, srv.Push("alice", all.String()))
		requireAnswer(t, srv, alice)
	}
	require.Empty(t, came)
	release()
	require.Equal(t, sdk.MissedEvent{Dropped: many - fit, Messages: many - fit}, patient.Receive(t, missed))
	for n := many - fit; n < many; n++ {
		require.Equal(t, strconv.Itoa(n), patient.Receive(t, came))
	}
	srv.Push("alice", saying(srv, "m1", "hi"))
	require.Equal(t, "m1", patient.Receive(t, came))
	// What was dropped is in no way remembered: it is told when it comes again.
	srv.Push("alice", saying(srv, strconv.Itoa(many-fit-1), "hi"))
	require.Equal(t, strconv.Itoa(many-fit-1), patient.Receive(t, came))
	require.Empty(t, missed)
}

// Typing goes first, messages last.
func TestMessagesAreDroppedLast(t *testing.T) {
	srv, alice, release := stuckAlice(t)
	var came []string
	done := make(chan struct{})
	missed := newHeard(alice.OnMissed)
	alice.OnTyping(func(sdk.TypingEvent) { came = append(came, "typing") })
	alice.OnPresence(func(sdk.PresenceEvent) { came = append(came, "presence") })
	alice.OnMessageStatus(func(sdk.MessageStatusEvent) { came = append(came, "status") })
	alice.OnMessageDeleted(func(sdk.MessageDeletedEvent) { came = append(came, "deleted") })
	alice.OnMessage(func(m sdk.Message) {
		if m.ID == "last" {
			close(done)
		}
	})
	push := func(stanza string, times int) {
		t.Helper()
		for range times {
			srv.Push("alice", stanza)
		}
		requireAnswer(t, srv, alice)
	}
	messages := func(name string, n int) {
		t.Helper()
		for i := range n {
			srv.Push("alice", saying(srv, fmt.Sprint(name, i), "hi"))
		}
		requireAnswer(t, srv, alice)
	}
	messages("m", 1024-8)
	push(fromBob(srv, "", `<recall xmlns="urn:xmpp:receipts" id="m1"/>`), 2)
	push(fromBob(srv, "", `<seen xmlns="urn:xmpp:receipts" id="m1"/>`), 2)
	push(`<presence xmlns="jabber:client" from="bob@`+srv.Domain()+`/x"/>`, 2)
	push(fromBob(srv, "", `<composing xmlns="http://jabber.org/protocol/chatstates"/>`), 2)
	messages("n", 5) // both of typing go, of presence both, and one status
	push(saying(srv, "last", "hi"), 1)
	release()
	patient.Receive(t, done)
	require.Equal(t, sdk.MissedEvent{Dropped: 6}, missed.next(t))
	require.Equal(t, []string{"deleted", "deleted"}, came)
}

// A burst that is many times what the queue of the listeners holds reaches them whole and in order.
// Beside the server's sockets no time passes in the bubble: the listener keeps up.
func TestBurstOfMessagesLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		srv := sdktest.New(t)
		cfg := srv.Config()
		cfg.Transport, cfg.NoDeliveryReceipts = sdk.TransportTCP, true
		alice := login(t, cfg, "alice")
		next, done := 0, make(chan struct{})
		alice.OnMissed(func(e sdk.MissedEvent) { t.Errorf("missed %+v", e) })
		alice.OnMessage(func(m sdk.Message) {
			if m.ID != strconv.Itoa(next) {
				t.Errorf("%s came instead of %d", m.ID, next)
			}
			if next++; next == pushes {
				close(done)
			}
		})
		for n := 0; n < pushes; {
			var all strings.Builder
			for range 1000 {
				all.WriteString(saying(srv, strconv.Itoa(n), "hi"))
				n++
			}
			require.Equal(t, 1, srv.Push("alice", all.String()))
		}
		<-done
		require.Zero(t, alice.Unhandled())
	})
}
