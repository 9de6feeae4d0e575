package sdk_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// messageCalls are the calls that have the JID of a receiver, with nothing else to complain about.
func messageCalls(t *testing.T, c *sdk.Client) map[string]func(jid string) (outcome, error) {
	ctx := t.Context()
	return map[string]func(jid string) (outcome, error){
		"text": func(jid string) (outcome, error) { return of(c.SendTextMessage(ctx, jid, "x")) },
		"edit": func(jid string) (outcome, error) { return of(c.EditTextMessage(ctx, jid, "m", "x")) },
		"file": func(jid string) (outcome, error) {
			return of(c.SendMediaFileMessage(ctx, jid, sdk.MediaMessage{
				Type: sdk.MessageTypeFile, Name: "a.txt", Reader: strings.NewReader("x"), Size: 1,
			}))
		},
		"delete": func(jid string) (outcome, error) { return of(c.DeleteMessagesForEveryone(ctx, jid, "m")) },
		"seen":   func(jid string) (outcome, error) { return of(c.SendSeenStatus(ctx, jid, "m")) },
		"typing": func(jid string) (outcome, error) { return of(c.SendTypingStatus(ctx, jid)) },
		"gone":   func(jid string) (outcome, error) { return of(c.SendTypingGoneStatus(ctx, jid)) },
		"one":    func(jid string) (outcome, error) { return of(c.GetMessageByID(ctx, jid, "m")) },
		"chat": func(jid string) (outcome, error) {
			return of(c.GetChatMessages(ctx, sdk.ChatQuery{UserJID: jid}))
		},
	}
}

// Which rule wins for the JID of a receiver, as in the JavaScript SDK (protocol.md 14.3):
// interop/jssdk compares the two.
func TestReceivers(t *testing.T) {
	srv := sdktest.New(t)
	c := login(t, srv.Config(), "alice")
	login(t, srv.Config(), "bob")
	const elsewhere = "Invalid toJid, Please get toJid from SDK.getJid() by passing user identifier"
	for _, test := range []struct{ jid, text, other string }{
		{"", "toJid is not valid or required", "toJid is not valid or required"},
		{"b ob@" + srv.Domain(), "toJid format is invalid", "toJid format is invalid"},
		{"bob", elsewhere, "toJid format is invalid"},
		{"bob@x", elsewhere, "toJid format is invalid"},
		{"bob@" + srv.Domain() + "/phone", elsewhere, "toJid format is invalid"},
		{"room@mix." + srv.Domain(), elsewhere, "toJid format is invalid"},
		{"bob@other.test", elsewhere, ""},
		{"ALICE@" + srv.Domain(), "toJid should not be current user jid", ""},
		{"BOB@" + srv.Domain(), "", ""},
	} {
		for name, call := range messageCalls(t, c) {
			want := test.other
			switch {
			case name == "text" || name == "edit":
				want = test.text
			case test.jid == "bob@other.test" && (name == "file" || name == "chat" || name == "one"):
				want = elsewhere
			}
			if name == "one" {
				want = strings.ReplaceAll(want, "toJid", "chatJid")
			}
			got, err := call(test.jid)
			if want == "" {
				require.NotErrorIs(t, err, sdk.ErrInvalidArgument, "%s %s", name, test.jid)
				continue
			}
			require.Equal(t, outcome{400, want}, got, "%s %s", name, test.jid)
			require.ErrorIs(t, err, sdk.ErrInvalidArgument)
		}
	}
}

// Of several bad arguments the last one is named, and what the plan lacks comes before or after
// them as in the JavaScript SDK.
func TestWhichArgumentIsNamed(t *testing.T) {
	srv := sdktest.New(t)
	for _, name := range []string{"deleteMessage", "documentAttachment"} {
		srv.SetFeature(name, false)
	}
	poor := login(t, srv.Config(), "poor")
	for _, name := range []string{"deleteMessage", "documentAttachment"} {
		srv.SetFeature(name, true)
	}
	c, ctx := login(t, srv.Config(), "alice"), t.Context()
	bob := "bob@" + srv.Domain()
	nameless := sdk.MediaMessage{Type: sdk.MessageTypeFile, Reader: strings.NewReader("")}
	const unavailable = "Feature unavailable for your plan"
	for name, test := range map[string]struct {
		want outcome
		call func() (outcome, error)
	}{
		"text": {outcome{400, "Provided text message is empty"}, func() (outcome, error) {
			return of(c.SendTextMessage(ctx, "bob", "", sdk.WithTopic("\x01")))
		}},
		"edit": {outcome{400, "EditMessage content cannot be empty"}, func() (outcome, error) {
			return of(c.EditTextMessage(ctx, bob, "", ""))
		}},
		"edit without an id": {outcome{400, "Message id can't be empty"}, func() (outcome, error) {
			return of(c.EditTextMessage(ctx, bob, "", "x"))
		}},
		"deletion": {outcome{400, "msgIds should be Valid data type"}, func() (outcome, error) {
			return of(c.DeleteMessagesForEveryone(ctx, "bob"))
		}},
		"seen": {outcome{400, "msgId is not valid or required"}, func() (outcome, error) {
			return of(c.SendSeenStatus(ctx, "bob", ""))
		}},
		"one": {outcome{400, "chatJid is not valid or required"}, func() (outcome, error) {
			return of(c.GetMessageByID(ctx, "", ""))
		}},
		"file": {outcome{400, "messageType is not valid"}, func() (outcome, error) {
			return of(c.SendMediaFileMessage(ctx, "bob", sdk.MediaMessage{Type: sdk.MessageTypeMeet}))
		}},
		"file without a name": {outcome{400, "Name is not valid or required"}, func() (outcome, error) {
			return of(c.SendMediaFileMessage(ctx, bob, nameless))
		}},
		"deletion, not in the plan": {outcome{403, unavailable}, func() (outcome, error) {
			return of(poor.DeleteMessagesForEveryone(ctx, ""))
		}},
		"file, not in the plan": {outcome{403, unavailable}, func() (outcome, error) {
			return of(poor.SendMediaFileMessage(ctx, bob, nameless))
		}},
		"file to nobody, not in the plan": {
			outcome{400, "toJid is not valid or required"},
			func() (outcome, error) { return of(poor.SendMediaFileMessage(ctx, "", nameless)) },
		},
	} {
		got, err := test.call()
		require.Equal(t, test.want, got, "%s: %v", name, err)
	}
}
