package sdk_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// Whatever becomes of the file, no message was sent.
func TestMediaThatIsRefusedIsNotSent(t *testing.T) {
	srv, w := watched(t, sdktest.Options{})
	alice := login(t, srv.Config(), "alice")
	register(t, srv.Config(), "bob")
	for status, words := range map[int]string{400: "no such files here", 502: "broken"} {
		srv.FailNext("media", status, words)
		res, err := alice.SendMediaFileMessage(soon(t), "bob@"+srv.Domain(), pictureOf("look"))
		e := failed(t, res, err)
		require.Equal(t, status, e.StatusCode)
		require.Equal(t, sdk.OutcomeNotSent.String(), e.Outcome.String(), "%v", err)
	}
	requireAnswer(t, srv, alice)
	require.Zero(t, w.count("<message"))
	require.Empty(t, srv.Messages("bob"))
}

// Receipts go to users, for what came to this device first, under an id that they can carry.
func TestWhatGetsNoReceipt(t *testing.T) {
	srv, w, alice := conversing(t, nil)
	came := newHeard(alice.OnMessage)
	push := func(stanza string) {
		srv.Push("alice", stanza)
		requireAnswer(t, srv, alice)
	}
	carbon := func(inner string) string {
		return `<message xmlns="jabber:client" from="alice@` + srv.Domain() + `">` +
			`<received xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0">` + inner +
			`</forwarded></received></message>`
	}
	push(strings.ReplaceAll(saying(srv, "m1", "hi"), "bob@"+srv.Domain()+"/phone", srv.Domain()))
	require.Equal(t, srv.Domain(), came.next(t).FromUserJID)
	long := strings.Repeat("x", 256)
	push(saying(srv, long, "hi"))
	require.Equal(t, long, came.next(t).ID)
	push(carbon(saying(srv, "m2", "hi")))
	require.Equal(t, "m2", came.next(t).ID)
	push(saying(srv, "", "hi"))
	require.Empty(t, came.next(t).ID)
	push(saying(srv, "m3", "hi"))
	require.Equal(t, "m3", came.next(t).ID)
	w.until(t, 1, "<delivered", `id="m3"`)
	push(carbon(saying(srv, "m3", "hi")))
	push(saying(srv, long[1:], "hi"))
	require.Equal(t, long[1:], came.next(t).ID)
	w.until(t, 1, "<delivered", `id="`+long[1:]+`"`)
	requireAnswer(t, srv, alice)
	require.Equal(t, 2, w.count("<delivered"))
	require.Empty(t, came)
}

// A word that comes late is a refusal whatever its condition: the message has not arrived.
func TestRefusedLaterIsRefused(t *testing.T) {
	srv := sdktest.New(t)
	alice := login(t, srv.Config(), "alice")
	statuses := newHeard(alice.OnMessageStatus)
	for _, condition := range []string{
		"internal-server-error", "remote-server-timeout", "undefined-condition", "service-unavailable",
	} {
		srv.Push("alice", fromBob(srv, ` id="m1" type="error"`, `<error type="wait"><`+condition+
			` xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>`))
		var failure *sdk.Error
		require.ErrorAs(t, statuses.next(t).Err, &failure)
		require.Equal(t, condition, failure.Condition)
		require.Equal(t, sdk.OutcomeRefused.String(), failure.Outcome.String(), condition)
	}
}

// A call deletes 1,000 messages, and no more.
func TestSoManyAreDeletedAtOnce(t *testing.T) {
	srv, w := watched(t, sdktest.Options{})
	alice, bob := login(t, srv.Config(), "alice"), login(t, srv.Config(), "bob")
	deleted := newHeard(bob.OnMessageDeleted)
	all := make([]string, 1001)
	for n := range all {
		all[n] = fmt.Sprint("m", n)
	}
	res, err := alice.DeleteMessagesForEveryone(soon(t), "bob@"+srv.Domain(), all...)
	answered(t, 400, "messageIDs has more than 1000 entries", sdk.ErrInvalidArgument, res, err)
	requireAnswer(t, srv, alice)
	require.Zero(t, w.count("<recall"))
	_, err = alice.DeleteMessagesForEveryone(soon(t), "bob@"+srv.Domain(), all[:1000]...)
	require.NoError(t, err)
	require.Equal(t, all[:1000], deleted.next(t).MessageIDs)
}

// An edit under the id of the message would be that message once more.
func TestEditHasAnIDOfItsOwn(t *testing.T) {
	srv, w := watched(t, sdktest.Options{})
	alice, bob := login(t, srv.Config(), "alice"), login(t, srv.Config(), "bob")
	edits := newHeard(bob.OnMessageEdited)
	to := "bob@" + srv.Domain()
	res, err := alice.EditTextMessage(soon(t), to, "m1", "hi", sdk.WithMessageID("m1"))
	answered(t, 400, "WithMessageID is that of the message: an edit has one of its own",
		sdk.ErrInvalidArgument, res, err)
	requireAnswer(t, srv, alice)
	require.Zero(t, w.count("<message"))
	_, err = alice.SendTextMessage(soon(t), to, "hi", sdk.WithMessageID("m1"))
	require.NoError(t, err)
	_, err = alice.EditTextMessage(soon(t), to, "m1", "hello", sdk.WithMessageID("e1"))
	require.NoError(t, err)
	require.Equal(t, "hello", edits.next(t).Text)
}

// What the service hands out of a conversation with somebody else is not told as one with bob.
func TestHistoryOfAThirdUser(t *testing.T) {
	row := func(id, from, to string) string {
		return fmt.Sprintf(`{"messageId":%q,"messageType":"text","message":%q,"fromUser":%q,"toUser":%q}`,
			id, sealedText(t, id, "hi"), from, to)
	}
	srv := sdktest.New(t)
	cfg := srv.Config()
	one := row("m2", "carol", "alice")
	answering(t, &cfg, map[string]http.HandlerFunc{
		"GET chat/chat-history": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `{"status":200,"data":{"totalPages":1,"totalRecords":3,"chatList":[%s,%s,%s]}}`,
				row("m3", "bob", "alice"), row("m2", "carol", "alice"), row("m1", "alice", "bob"))
		},
		"GET chat/message": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `{"status":200,"data":%s}`, one)
		},
	})
	alice := login(t, cfg, "alice")
	bob := "bob@" + srv.Domain()
	page, err := alice.GetChatMessages(soon(t), sdk.ChatQuery{UserJID: bob})
	require.NoError(t, err)
	require.Equal(t, "m3 m1", ids(page.Data.Messages))
	res, err := alice.GetMessageByID(soon(t), bob, "m2")
	answered(t, 400, "Invalid msgId", nil, res, err)
	require.Equal(t, sdk.OutcomeRefused, outcomeTold(t, err))
	one = row("m2", "bob", "alice")
	res, err = alice.GetMessageByID(soon(t), bob, "m2")
	require.NoError(t, err)
	require.Equal(t, "m2", res.Data.ID)
}
