package sdk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// sendCall is a call that sends something to somebody, with good arguments but for the ones given.
type sendCall func(ctx context.Context, c *sdk.Client, to string) (code int, text string, err error)

func sending[T any](res sdk.Result[T], err error) (int, string, error) {
	return res.StatusCode, res.Message, err
}

func pictureOf(caption string) sdk.MediaMessage {
	return sdk.MediaMessage{
		Type: sdk.MessageTypeImage, Name: "a.png", Reader: strings.NewReader("picture"), Size: 7, Caption: caption,
	}
}

var sendCalls = map[string]sendCall{
	"SendTextMessage": func(ctx context.Context, c *sdk.Client, to string) (int, string, error) {
		return sending(c.SendTextMessage(ctx, to, "hi"))
	},
	"SendMediaFileMessage": func(ctx context.Context, c *sdk.Client, to string) (int, string, error) {
		return sending(c.SendMediaFileMessage(ctx, to, pictureOf("")))
	},
	"EditTextMessage": func(ctx context.Context, c *sdk.Client, to string) (int, string, error) {
		return sending(c.EditTextMessage(ctx, to, "m1", "hi"))
	},
	"DeleteMessagesForEveryone": func(ctx context.Context, c *sdk.Client, to string) (int, string, error) {
		return sending(c.DeleteMessagesForEveryone(ctx, to, "m1"))
	},
	"SendSeenStatus": func(ctx context.Context, c *sdk.Client, to string) (int, string, error) {
		return sending(c.SendSeenStatus(ctx, to, "m1"))
	},
	"SendTypingStatus": func(ctx context.Context, c *sdk.Client, to string) (int, string, error) {
		return sending(c.SendTypingStatus(ctx, to))
	},
	"SendTypingGoneStatus": func(ctx context.Context, c *sdk.Client, to string) (int, string, error) {
		return sending(c.SendTypingGoneStatus(ctx, to))
	},
}

// Not registered comes first, then the arguments, then the connection (protocol.md 1.6).
func TestSendingInEveryState(t *testing.T) {
	for name, call := range sendCalls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := sdktest.New(t)
			cfg := srv.Config()
			cfg.Reconnect.Disabled = true
			alice, credentials := register(t, cfg, "alice")
			register(t, srv.Config(), "bob")
			bob := "bob@" + srv.Domain()
			try := func(to string, wantCode int, wantText string, kind error) {
				t.Helper()
				code, text, err := call(soon(t), alice, to)
				require.ErrorIs(t, err, kind)
				require.Equal(t, wantCode, code, text)
				require.Equal(t, wantText, text)
				require.Equal(t, sdk.OutcomeNotSent, outcomeTold(t, err))
				require.False(t, err.(*sdk.Error).Retryable(), "it does not reconnect")
			}
			try("?", 400, notRegistered, sdk.ErrNotRegistered)
			connect(t, alice, credentials)
			wrong := func() {
				t.Helper()
				for to, text := range wrongReceivers(name, srv.Domain()) {
					try(to, 400, text, sdk.ErrInvalidArgument)
				}
			}
			wrong()
			code, text, err := call(soon(t), alice, bob)
			require.NoError(t, err)
			require.Equal(t, 200, code)
			require.Equal(t, "Success", text)

			connection := collect(alice.OnConnection)
			srv.DropConnections()
			connection.until(t, hasStatus(sdk.StatusDisconnected))
			wrong()
			_, _, err = call(soon(t), alice, bob)
			require.ErrorIs(t, err, sdk.ErrNotConnected)
			require.Equal(t, sdk.OutcomeNotSent, outcomeTold(t, err))
			require.NoError(t, alice.Close())
			_, _, err = call(soon(t), alice, "?")
			require.Equal(t, sdk.OutcomeNotSent, outcomeTold(t, err))
		})
	}
}

// wrongReceivers are JIDs that a call refuses, and its words. As in the JavaScript SDK the last
// rule wins, texts have them all, files look at the domain, and the others at the format alone.
func wrongReceivers(call, domain string) map[string]string {
	const format = "toJid format is invalid"
	const foreign = "Invalid toJid, Please get toJid from SDK.getJid() by passing user identifier"
	wrong := map[string]string{
		"@" + domain: format, "bob@" + domain + "/phone": format, "?": format, "bob": format,
		"": "toJid is not valid or required",
	}
	switch call {
	case "SendMediaFileMessage":
		wrong["bob@elsewhere.example"] = foreign
	case "SendTextMessage", "EditTextMessage":
		for _, to := range []string{"bob@" + domain + "/phone", "?", "bob", "bob@elsewhere.example"} {
			wrong[to] = foreign
		}
		for _, to := range []string{"alice@" + domain, "ALICE@" + domain} {
			wrong[to] = "toJid should not be current user jid"
		}
	}
	return wrong
}

// What arguments are refused, by name, before anything is sent.
func TestMessagesAreChecked(t *testing.T) {
	srv, w := watched(t, sdktest.Options{})
	alice := login(t, srv.Config(), "alice")
	register(t, srv.Config(), "bob")
	bob := "bob@" + srv.Domain()
	ctx := soon(t)
	text := func(said string, opts ...sdk.MessageOption) func() (int, string, error) {
		return func() (int, string, error) { return sending(alice.SendTextMessage(ctx, bob, said, opts...)) }
	}
	edit := func(id, said string, opts ...sdk.MessageOption) func() (int, string, error) {
		return func() (int, string, error) { return sending(alice.EditTextMessage(ctx, bob, id, said, opts...)) }
	}
	remove := func(ids ...string) func() (int, string, error) {
		return func() (int, string, error) { return sending(alice.DeleteMessagesForEveryone(ctx, bob, ids...)) }
	}
	seen := func(id string) func() (int, string, error) {
		return func() (int, string, error) { return sending(alice.SendSeenStatus(ctx, bob, id)) }
	}
	file := func(change func(*sdk.MediaMessage), opts ...sdk.MessageOption) func() (int, string, error) {
		return func() (int, string, error) {
			m := pictureOf("")
			change(&m)
			return sending(alice.SendMediaFileMessage(ctx, bob, m, opts...))
		}
	}
	const badID = " has a comma, white space, a control character, or is not UTF-8"
	tooLarge := func(bytes int) string {
		return fmt.Sprintf(" is too large, it has %d bytes: a message has at most 262144 on the wire", bytes)
	}
	long := strings.Repeat("x", 256)
	huge := strings.Repeat("x", 300<<10)
	four := map[string]string{"a": "", "b": "", "c": "", "d": ""}
	for _, tc := range []struct {
		want string
		call func() (int, string, error)
	}{
		{"Provided text message is empty", text("")},
		{"Provided text message is empty", text("", sdk.WithMessageID(""))}, // the last rule wins
		{"text is not valid UTF-8", text("\xff")},
		{"text" + tooLarge(307200), text(huge)},
		{"WithTopic" + tooLarge(307200), text("hi", sdk.WithTopic(huge))},
		{"WithMentions" + tooLarge(307200), text("hi", sdk.WithMentions("bob", huge[4:]))},
		{"WithMetadata" + tooLarge(307208), text("hi", sdk.WithMetadata(map[string]string{"a": huge}))},
		{"text" + tooLarge(307200), edit("m1", huge)},
		{"msgId is not valid or required", text("hi", sdk.WithMessageID(""))},
		{"WithMessageID" + badID, text("hi", sdk.WithMessageID("a,b"))},
		{"WithMessageID" + badID, text("hi", sdk.WithMessageID("a b"))},
		{"WithMessageID" + badID, text("hi", sdk.WithMessageID("a\u00a0b"))},
		{"WithMessageID" + badID, text("hi", sdk.WithMessageID("a\x7f"))},
		{"WithMessageID" + badID, text("hi", sdk.WithMessageID("a\xff"))},
		{"WithMessageID" + badID, text("hi", sdk.WithMessageID("a\uffff"))},
		{"WithMessageID is longer than 255 bytes", text("hi", sdk.WithMessageID(long))},
		{"replyMessageId is not valid or required", text("hi", sdk.WithReplyTo(""))},
		{"WithReplyTo" + badID, text("hi", sdk.WithReplyTo("a\n"))},
		{"WithReplyTo is longer than 255 bytes", text("hi", sdk.WithReplyTo(long))},
		{"WithMentions is not valid UTF-8", text("hi", sdk.WithMentions("\xff"))},
		{"WithMentions is not valid UTF-8", text("hi", sdk.WithMentions("\xc3", "\xa4"))},
		{"WithTopic is not valid UTF-8", text("hi", sdk.WithTopic("\xff"))},
		{
			"WithTopic has control characters: of those, only tab and line ends can be sent",
			text("hi", sdk.WithTopic("\x01")),
		},
		{"WithMetadata can have at most 3 entries", text("hi", sdk.WithMetadata(four))},
		{"WithMetadata is not valid UTF-8", text("hi", sdk.WithMetadata(map[string]string{"a": "\xff"}))},
		{"WithMetadata is not valid UTF-8", text("hi", sdk.WithMetadata(map[string]string{"\xff": ""}))},
		{
			"WithMetadata has a character that no stanza can carry",
			text("hi", sdk.WithMetadata(map[string]string{"a": "\ufffe"})),
		},

		{"EditMessage content cannot be empty", edit("", "")},
		{"Message id can't be empty", edit("", "hi")},
		{"messageID" + badID, edit("a,b", "hi")},
		{"text is not valid UTF-8", edit("m1", "\xff")},
		{"an edit takes no option but WithMentions and WithMessageID", edit("m1", "hi", sdk.WithReplyTo("m0"))},
		{"an edit takes no option but WithMentions and WithMessageID", edit("m1", "hi", sdk.WithTopic("t"))},
		{
			"an edit takes no option but WithMentions and WithMessageID",
			edit("m1", "hi", sdk.WithMetadata(map[string]string{})),
		},

		{"msgIds should be Valid data type", remove()},
		{"msgIds should be Valid data type", remove("m1", "")},
		{"messageIDs" + badID, remove("m1", "a,b")},
		{
			"messageIDs has more than 1000 entries",
			remove(strings.Split(strings.Repeat("m ", 150_000)+"m", " ")...),
		},
		{"msgId is not valid or required", seen("")},
		{"messageID" + badID, seen("a,b")},
		{"messageID is longer than 255 bytes", seen(long)},

		{"messageType is not valid", file(func(m *sdk.MediaMessage) { m.Type = sdk.MessageTypeText })},
		{"Width and Height are not negative: 0 is not known", file(func(m *sdk.MediaMessage) { m.Width = -1 })},
		{"Duration is negative", file(func(m *sdk.MediaMessage) { m.Duration = -time.Second })},
		{"Caption is not valid UTF-8", file(func(m *sdk.MediaMessage) { m.Caption = "\xff" })},
		{
			"Thumbnail" + tooLarge(204800),
			file(func(m *sdk.MediaMessage) { m.Thumbnail = bytes.Repeat([]byte{1}, 200<<10) }),
		},
		{"WithMetadata can have at most 3 entries", file(func(*sdk.MediaMessage) {}, sdk.WithMetadata(four))},
	} {
		requests := len(srv.Requests())
		code, got, err := tc.call()
		require.ErrorIs(t, err, sdk.ErrInvalidArgument, tc.want)
		require.Equal(t, 400, code)
		require.Equal(t, tc.want, got)
		require.Equal(t, sdk.OutcomeNotSent, outcomeTold(t, err))
		require.False(t, err.(*sdk.Error).Retryable())
		require.NotEmpty(t, err.(*sdk.Error).Argument, tc.want)
		require.Len(t, srv.Requests(), requests, "no file was uploaded")
	}
	require.Zero(t, w.count("<message"))
	// What is just good enough, and an option that is nil.
	_, err := alice.SendTextMessage(ctx, bob, "hi", nil, sdk.WithMessageID(long[1:]), sdk.WithTopic("\t"),
		sdk.WithMetadata(map[string]string{"a": "\x01", "b": "", "c": "\U0010ffff"}))
	require.NoError(t, err)
	kept := srv.Messages("bob")
	require.Equal(t, map[string]string{"a": "\x01", "b": "", "c": "\U0010ffff"}, kept[0].Metadata)
}

// What became of a message that failed, and whether it may be sent once more.
func TestOutcomesOfMessages(t *testing.T) {
	for _, tc := range []struct {
		name      string
		fault     func(*sdktest.Server)
		code      int
		condition string
		want      sdk.Outcome
		retryable bool
	}{
		{
			"refused", func(srv *sdktest.Server) { srv.RefuseNextMessage("policy-violation") },
			500, "policy-violation", sdk.OutcomeRefused, false,
		},
		{
			// The acknowledgement and the answer to the request behind it are lost.
			"unanswered", func(srv *sdktest.Server) {
				srv.SetFault(sdktest.StepMessage, sdktest.FaultSilent)
				srv.SetFault(sdktest.StepIQ, sdktest.FaultSilent)
			}, 599, "", sdk.OutcomeUnknown, false,
		},
		{
			"cut", func(srv *sdktest.Server) { srv.SetFault(sdktest.StepMessage, sdktest.FaultClose) },
			500, "", sdk.OutcomeUnknown, false,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := sdktest.New(t)
			cfg := quick(srv.Config())
			cfg.Reconnect.Disabled = true
			alice := login(t, cfg, "alice")
			register(t, srv.Config(), "bob")
			requireAnswer(t, srv, alice) // what Connect has asked is answered
			tc.fault(srv)
			limit := patience
			if tc.name == "unanswered" {
				limit = 500 * time.Millisecond
			}
			send := func() *sdk.Error {
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				res, err := alice.SendTextMessage(ctx, "bob@"+srv.Domain(), "hi")
				return failed(t, res, err)
			}
			e := send()
			// the machine was too busy to send it in this time
			for ; limit < patience && e.Outcome == sdk.OutcomeNotSent; e = send() {
				limit *= 2
			}
			require.Equal(t, tc.code, e.StatusCode, "%v", e)
			require.Equal(t, tc.condition, e.Condition)
			require.Equal(t, tc.want.String(), e.Outcome.String())
			require.Equal(t, tc.retryable, e.Retryable())
		})
	}
}

// A connection that is lost while messages are on their way, and taken up again: each call
// succeeds, and each message arrives once.
func TestMessagesOverAResumption(t *testing.T) {
	const many = 300
	for _, transport := range bothTransports {
		t.Run(transportName(transport), func(t *testing.T) {
			srv, alice, connection := resuming(t, transport, nil)
			bob := login(t, srv.Config(), "bob")
			came := newHeard(bob.OnMessage)
			errs := make(chan error, many)
			for n := range many {
				go func() {
					if n == many/2 {
						srv.DropConnections()
					}
					for {
						// The same id again is safe: what comes twice is told once.
						_, err := alice.SendTextMessage(
							soon(t),
							"bob@"+srv.Domain(),
							"hi",
							sdk.WithMessageID(fmt.Sprint("m", n)),
						)
						if e := (*sdk.Error)(nil); errors.As(err, &e) && e.Outcome == sdk.OutcomeNotSent {
							_ = alice.WaitConnected(soon(t))
							continue
						}
						errs <- err
						return
					}
				}()
			}
			for range many {
				require.NoError(t, patient.Receive(t, errs))
			}
			require.True(t, resumption(t, connection, 1).Resumed)
			ids := map[string]bool{}
			for range many {
				ids[came.next(t).ID] = true
			}
			require.Len(t, ids, many)
			require.Len(t, srv.Messages("bob"), many)
		})
	}
}

// Many large messages at once, more than the 4 MiB that may wait to be written: all arrive.
func TestManyLargeMessages(t *testing.T) {
	t.Parallel()
	const many, size = 600, 8000
	for _, transport := range bothTransports {
		t.Run(transportName(transport), func(t *testing.T) {
			srv := sdktest.New(t)
			cfg := srv.Config()
			cfg.Transport = transport
			alice := login(t, cfg, "alice")
			register(t, srv.Config(), "bob")
			connection := collect(alice.OnConnection)
			errs := make(chan error, many)
			for range many {
				go func() {
					_, err := alice.SendTextMessage(soon(t), "bob@"+srv.Domain(), strings.Repeat("x", size))
					errs <- err
				}()
			}
			refused := 0
			for range many {
				// Bob is away, and so much is not kept for him.
				if err := patient.Receive(t, errs); err != nil {
					require.Equal(t, sdk.OutcomeRefused, outcomeTold(t, err), "%v", err)
					refused++
				}
			}
			require.Less(t, refused, many)
			require.NotContains(t, statuses(connection), sdk.StatusDisconnected)
		})
	}
}
