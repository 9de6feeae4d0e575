package sdk_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/body"
	"github.com/mirrorfly-go/sdk/internal/seal"
	"github.com/mirrorfly-go/sdk/internal/testing/backend"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

const (
	chatCall   = "GET /chat/chat-history"
	oneCall    = "GET /chat/message"
	recentCall = "GET /chat/recent-chats"
	bobHere    = "bob@" + backend.Domain
	aliceHere  = "alice@" + backend.Domain
)

// sealedText is a text as the service keeps it.
func sealedText(t testing.TB, id, text string) string {
	t.Helper()
	sealed, err := body.Body{Text: text, Type: "text", NickName: "Bob"}.Seal(id, seal.ConstIV)
	require.NoError(t, err)
	return sealed
}

// kept is the nth message of bob, on the wire. Its time is n seconds after the first.
func kept(t testing.TB, n int, more string) string {
	t.Helper()
	id := "m" + strconv.Itoa(n)
	return fmt.Sprintf(`{"messageId":%q,"messageType":"text","message":%q,"fromUser":"bob","toUser":"alice",`+
		`"epochTimestamp":%d,"deliveryStatus":2%s}`, id, sealedText(t, id, "text "+strconv.Itoa(n)), micros(n), more)
}

func micros(n int) int64 { return 1_700_000_000_000_000 + int64(n)*1_000_000 }

// chatOf serves a conversation of so many messages, m1 to m<count>, a page at a time. The message
// that a page begins at is in it, or not. gone are those that were deleted.
func chatOf(t *testing.T, b *backend.Server, count int, inclusive bool, gone ...int) {
	b.On(chatCall, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		size, _ := strconv.Atoi(q.Get("size"))
		at, step := count, -1
		if q.Get("direction") == "forward" {
			step = 1
		}
		if id := q.Get("messageId"); id != "" {
			at, _ = strconv.Atoi(strings.TrimPrefix(id, "m"))
			if !inclusive {
				at += step
			}
		}
		var list []string
		for ; at >= 1 && at <= count && len(list) < size; at += step {
			more := ""
			for _, n := range gone {
				if n == at {
					more = `,"recallStatus":1`
				}
			}
			list = append(list, kept(t, at, more))
		}
		backend.AnswerJSON(w, fmt.Sprintf(`{"status":200,"data":{"totalRecords":%d,"chatList":[%s]}}`, count,
			strings.Join(list, ",")))
	})
}

func ids(messages []sdk.Message) string {
	var all []string
	for _, m := range messages {
		all = append(all, m.ID)
	}
	return strings.Join(all, " ")
}

func TestGetChatMessages(t *testing.T) {
	for _, inclusive := range []bool{true, false} {
		b := backend.New(t)
		chatOf(t, b, 7, inclusive)
		client := b.Connected(b.Config(sdk.TransportWebSocket), "alice")
		for _, tc := range []struct {
			q    sdk.ChatQuery
			want string
			more bool
		}{
			{sdk.ChatQuery{}, "m7 m6 m5 m4 m3 m2 m1", false},
			{sdk.ChatQuery{Size: 3}, "m7 m6 m5", true},
			{sdk.ChatQuery{Size: 3, Before: "m5"}, "m4 m3 m2", true},
			{sdk.ChatQuery{Size: 3, Before: "m2"}, "m1", false},
			{sdk.ChatQuery{Size: 3, Before: "m1"}, "", false},
			{sdk.ChatQuery{Size: 3, After: "m2"}, "m3 m4 m5", true},
			{sdk.ChatQuery{Size: 3, After: "m5"}, "m6 m7", false},
			{sdk.ChatQuery{Size: 3, After: "m7"}, "", false},
		} {
			tc.q.UserJID = bobHere
			res, err := client.GetChatMessages(t.Context(), tc.q)
			require.NoError(t, err)
			require.Equal(t, 200, res.StatusCode)
			require.Equal(t, tc.want, ids(res.Data.Messages), "%+v, inclusive: %v", tc.q, inclusive)
			require.Equal(t, tc.more, res.Data.More, "%+v, inclusive: %v", tc.q, inclusive)
			require.Equal(t, 7, res.Data.Total)
			require.NotNil(t, res.Data.Messages)
		}
	}
}

// A message as the service keeps it, and what it is here.
func TestChatMessageOfHistory(t *testing.T) {
	b := backend.New(t)
	queries := make(chan string, 1)
	picture, err := body.Body{Type: "image", Media: &body.Media{
		Token: "token", Key: "key", Name: "a.png", Caption: "c", StoredSize: 32, Large: true, Duration: time.Second,
		Thumbnail: []byte{1}, Width: 3, Height: 4,
	}, ReplyTo: "m1", Mentioned: []string{"carol"}}.Seal("m4", seal.ConstIV)
	require.NoError(t, err)
	profileName := seal.Seal("Bob Smith", "bob", "license-key")
	b.On(chatCall, func(w http.ResponseWriter, r *http.Request) {
		queries <- r.URL.RawQuery
		backend.AnswerJSON(w, `{"status":200,"data":{"chatList":[`+
			`{"messageId":"m4","messageType":"image","message":"`+picture+`","fromUser":"bob",`+
			`"fromUserName":"`+profileName+
			`","sentTime":"1700000004000000"},`+
			`{"messageId":"m3","messageType":"text","message":"plain",`+
			`"fromUser":"`+bobHere+`","epochTimestamp":1700000003000000},`+
			kept(t, 2, `,"editMessageId":"e1","topicId":"t1","metaData":"{\"k\":\"v\"}",`+
				`"parentMessage":{"messageId":"m0"},`+
				`"parentMessageContent":"sealed"`)+`,`+
			`{"messageId":"m1","message":"`+sealedText(t, "m1", "mine")+`","fromUser":"ALICE","toUser":"bob",`+
			`"epochTimestamp":1700000001000000}]}}`)
	})
	client := b.Connected(b.Config(sdk.TransportWebSocket), "alice")
	res, err := client.GetChatMessages(t.Context(), sdk.ChatQuery{UserJID: "Bob@" + backend.Domain})
	require.NoError(t, err)
	require.Equal(t,
		"chatType=singlechat&participant=bob&skipDeleted=true&size=20&direction=backward&topicId=",
		patient.Receive(t, queries),
	)
	require.Len(t, res.Data.Messages, 4)
	raw := make([]json.RawMessage, 4)
	for i := range res.Data.Messages {
		raw[i], res.Data.Messages[i].Body = res.Data.Messages[i].Body, nil
	}
	require.Contains(t, string(raw[0]), `"file_url":"token"`)
	require.Empty(t, raw[1])
	from := func(seconds int64, m sdk.Message) sdk.Message {
		m.ChatType, m.FromUserJID, m.ToUserJID = sdk.ChatTypeChat, bobHere, aliceHere
		m.Timestamp = time.Unix(1700000000+seconds, 0)
		return m
	}
	mine := from(1, sdk.Message{ID: "m1", Type: "text", Text: "mine", NickName: "Bob", Own: true})
	mine.FromUserJID, mine.ToUserJID = aliceHere, bobHere
	require.Equal(t, []sdk.Message{
		from(4, sdk.Message{
			ID: "m4", Type: "image", NickName: "Bob Smith", ReplyTo: "m1", MentionedUserIDs: []string{"carol"},
			Media: &sdk.MessageMedia{
				File:    sdk.MediaFile{FileToken: "token", FileKey: "key", Name: "a.png", Large: true},
				Caption: "c", Duration: time.Second, Thumbnail: []byte{1}, Width: 3, Height: 4,
			},
		}),
		from(3, sdk.Message{ID: "m3", Type: "text", Text: "plain", Unsealed: true}),
		from(2, sdk.Message{
			ID: "m2", Type: "text", Text: "text 2", NickName: "Bob", Edited: true, TopicID: "t1", ReplyTo: "m0",
			Metadata: map[string]string{"k": "v"},
		}),
		mine,
	}, res.Data.Messages)
	require.Equal(t, bobHere, res.Data.Messages[0].Peer())
	require.Equal(t, bobHere, res.Data.Messages[3].Peer())
	require.NotPanics(t, res.Data.Messages[0].Defer())
}

// Messages that were deleted are left out, and a page of nothing else is passed over.
func TestChatOfDeletedMessages(t *testing.T) {
	b := backend.New(t)
	chatOf(t, b, 9, true, 9, 7, 6, 5, 4, 1)
	client := b.Connected(b.Config(sdk.TransportWebSocket), "alice")
	res, err := client.GetChatMessages(t.Context(), sdk.ChatQuery{UserJID: bobHere, Size: 2})
	require.NoError(t, err)
	require.Equal(t, "m8", ids(res.Data.Messages))
	require.True(t, res.Data.More)
	res, err = client.GetChatMessages(t.Context(), sdk.ChatQuery{UserJID: bobHere, Size: 2, Before: "m8"})
	require.NoError(t, err)
	require.Equal(t, "m3 m2", ids(res.Data.Messages))
	require.True(t, res.Data.More)
	res, err = client.GetChatMessages(t.Context(), sdk.ChatQuery{UserJID: bobHere, Size: 2, Before: "m2"})
	require.NoError(t, err)
	require.Empty(t, res.Data.Messages)
	require.False(t, res.Data.More)
}

func TestChatMessages(t *testing.T) {
	for _, inclusive := range []bool{true, false} {
		b := backend.New(t)
		chatOf(t, b, 7, inclusive, 3)
		client := b.Connected(b.Config(sdk.TransportWebSocket), "alice")
		for want, q := range map[string]sdk.ChatQuery{
			"m7 m6 m5 m4 m2 m1": {Size: 3},
			"m4 m2 m1":          {Size: 2, Before: "m5"},
			"m2 m4 m5 m6 m7":    {Size: 1, After: "m1", MarkSeen: true},
		} {
			q.UserJID = bobHere
			all := client.ChatMessages(t.Context(), q)
			for range 2 { // it can be read again
				var got []sdk.Message
				for m, err := range all {
					require.NoError(t, err)
					got = append(got, m)
				}
				require.Equal(t, want, ids(got), "inclusive: %v", inclusive)
			}
		}
		before := len(b.Calls(chatCall))
		for range client.ChatMessages(t.Context(), sdk.ChatQuery{UserJID: bobHere, Size: 2}) {
			break
		}
		require.Len(t, b.Calls(chatCall), before+1, "the loop has ended")
	}
}

// A server that always answers with the same is not asked for ever.
func TestChatThatRepeatsItself(t *testing.T) {
	b := backend.New(t)
	page := `{"status":200,"data":{"totalPages":9,"totalRecords":99,` +
		`"chatList":[` + kept(t, 3, "") + `,` + kept(t, 2, "") + `,` +
		kept(t, 1, "") + `]}}`
	b.On(chatCall, func(w http.ResponseWriter, _ *http.Request) { backend.AnswerJSON(w, page) })
	client := b.Connected(b.Config(sdk.TransportWebSocket), "alice")
	var got []sdk.Message
	for m, err := range client.ChatMessages(t.Context(), sdk.ChatQuery{UserJID: bobHere, Size: 3}) {
		require.NoError(t, err)
		got = append(got, m)
	}
	require.Equal(t, "m3 m2 m1", ids(got))
	require.Len(t, b.Calls(chatCall), 2)
}

// The first error ends the loop, and is the last that it gets.
func TestChatMessagesFails(t *testing.T) {
	b := backend.New(t)
	chatOf(t, b, 7, false)
	client := b.Connected(b.Config(sdk.TransportWebSocket), "alice")
	var got []sdk.Message
	var errs []error
	for m, err := range client.ChatMessages(t.Context(), sdk.ChatQuery{UserJID: bobHere, Size: 2}) {
		if err != nil {
			require.Equal(t, sdk.Message{}, m)
			errs = append(errs, err)
			continue
		}
		got = append(got, m)
		if len(got) == 2 {
			b.On(chatCall, func(w http.ResponseWriter, _ *http.Request) {
				backend.AnswerJSON(w, `{"status":400,"message":"boom"}`)
			})
		}
	}
	require.Equal(t, "m7 m6", ids(got))
	require.Len(t, errs, 1)
	var failure *sdk.Error
	require.ErrorAs(t, errs[0], &failure)
	require.Equal(t, "ChatMessages", failure.Op)
	require.Equal(t, 400, failure.StatusCode)
	require.Equal(t, "boom", failure.Message)
}

// Pages that were asked for as one account are not read on as the next one.
func TestChatMessagesEndWithTheirLogin(t *testing.T) {
	b := backend.New(t)
	chatOf(t, b, 7, false)
	client := b.Connected(b.Config(sdk.TransportWebSocket), "alice")
	var last error
	count := 0
	for _, err := range client.ChatMessages(t.Context(), sdk.ChatQuery{UserJID: bobHere, Size: 2}) {
		if last = err; err != nil {
			break
		}
		if count++; count == 2 {
			_, err := client.Logout(t.Context())
			require.NoError(t, err)
			_, err = client.Connect(t.Context(), "carol", b.Password())
			require.NoError(t, err)
		}
	}
	require.Equal(t, 2, count)
	require.ErrorIs(t, last, sdk.ErrNotRegistered)
	require.Len(t, b.Calls(chatCall), 1)
}

func TestGetMessageByID(t *testing.T) {
	b := backend.New(t)
	queries := make(chan string, 1)
	b.On(oneCall, func(w http.ResponseWriter, r *http.Request) {
		queries <- r.URL.RawQuery
		backend.AnswerJSON(w, `{"status":200,"data":`+kept(t, 1, "")+`}`)
	})
	client := b.Connected(b.Config(sdk.TransportWebSocket), "alice")
	res, err := client.GetMessageByID(t.Context(), bobHere, "m1")
	require.NoError(t, err)
	require.Equal(t, "messageId=m1&chatId=bob&chatType=singleChat", patient.Receive(t, queries))
	require.Equal(t, "text 1", res.Data.Text)
	require.Equal(t, bobHere, res.Data.FromUserJID)
	require.Equal(t, micros(1), res.Data.Timestamp.UnixMicro())

	// In the names that the JavaScript SDK reads.
	b.On(oneCall, func(w http.ResponseWriter, _ *http.Request) {
		answer := kept(t, 1, `,"createdAt":"2023-11-14T22:13:20.500Z"`)
		answer = strings.Replace(answer, `"message":`, `"messageContent":`, 1)
		answer = regexp.MustCompile(`"epochTimestamp":\d+`).ReplaceAllString(answer, `"status":1`)
		backend.AnswerJSON(w, `{"status":200,"data":`+answer+`}`)
	})
	res, err = client.GetMessageByID(t.Context(), bobHere, "m1")
	require.NoError(t, err)
	require.Equal(t, "text 1", res.Data.Text)
	require.Equal(t, int64(1700000000500), res.Data.Timestamp.UnixMilli())

	b.On(oneCall, func(w http.ResponseWriter, _ *http.Request) {
		backend.AnswerJSON(w, `{"status":204,"message":"no content"}`)
	})
	res, err = client.GetMessageByID(t.Context(), bobHere, "m1")
	answered(t, 400, "Invalid msgId", nil, res, err)
	require.Equal(t, sdk.OutcomeRefused, outcomeTold(t, err))
	require.NotErrorIs(t, err, sdk.ErrInvalidArgument)
}

func TestGetRecentChats(t *testing.T) {
	b := backend.New(t)
	queries := make(chan string, 1)
	name := seal.Seal("Bob Smith", "bob", "license-key")
	b.On(recentCall, func(w http.ResponseWriter, r *http.Request) {
		queries <- r.URL.RawQuery
		backend.AnswerJSON(w, `{"status":200,"data":{"totalRecords":5,"chatList":[`+
			kept(t, 1, `,"chatType":"singlechat","participant":"bob","participantName":"`+name+
				`","participantImage":"i","unreadCount":2`)+
			`,{"messageId":"g1","chatType":"groupchat","participant":"room","epochTimestamp":1700000009000000}`+
			`,{"messageId":"g2","participant":"room@mix.`+backend.Domain+`","epochTimestamp":1700000008000000}`+
			`,{"messageId":"x","epochTimestamp":1700000007000000}`+
			`,{"messageId":"c1","message":"sealed","recallStatus":1,"messageType":"text","fromUser":"alice",`+
			`"toUser":"carol","unread":3,`+
			`"fromUserName":"me","fromUserImage":"mine","toUserName":"Carol","toUserImage":"hers",`+
			`"epochTimestamp":1700000005000000}]}}`)
	})
	client := b.Connected(b.Config(sdk.TransportWebSocket), "alice")
	res, err := client.GetRecentChats(t.Context(), sdk.RecentQuery{})
	require.NoError(t, err)
	require.Equal(t, "size=21", patient.Receive(t, queries))
	require.False(t, res.Data.More)
	require.Len(t, res.Data.Chats, 2)
	require.Equal(t, sdk.RecentChat{
		UserJID: "carol@" + backend.Domain, NickName: "Carol", Image: "hers", Last: sdk.Message{
			ID: "c1", ChatType: sdk.ChatTypeChat, FromUserJID: aliceHere, ToUserJID: "carol@" + backend.Domain,
			Type:     "text",
			NickName: "me", Own: true, Timestamp: time.Unix(1700000005, 0),
		}, Unread: 3, // as the JavaScript SDK reads it
	}, res.Data.Chats[0])
	chat := res.Data.Chats[1]
	require.Equal(t, "text 1", chat.Last.Text)
	require.Equal(t, []any{bobHere, "Bob Smith", "i", 2}, []any{chat.UserJID, chat.NickName, chat.Image, chat.Unread})

	b.On(recentCall, func(w http.ResponseWriter, _ *http.Request) { backend.AnswerJSON(w, `{"status":200,"data":[]}`) })
	res, err = client.GetRecentChats(t.Context(), sdk.RecentQuery{})
	require.NoError(t, err)
	require.NotNil(t, res.Data.Chats)
	require.Empty(t, res.Data.Chats)
}

// Page after page, each older than the one before; one of groups alone is passed over.
func TestRecentChatsAll(t *testing.T) {
	b := backend.New(t)
	const count = 9
	queries := make(chan string, 100)
	repeats := false
	b.On(recentCall, func(w http.ResponseWriter, r *http.Request) {
		queries <- r.URL.RawQuery
		size, _ := strconv.Atoi(r.URL.Query().Get("size"))
		before, err := strconv.ParseInt(r.URL.Query().Get("messageTime"), 10, 64)
		if err != nil || repeats {
			before = micros(count + 1)
		}
		var list []string
		for n := count; n >= 1 && len(list) < size; n-- {
			kind := "singlechat"
			if n >= 4 && n <= 7 {
				kind = "groupchat"
			}
			if micros(n) < before {
				list = append(list, kept(t, n, fmt.Sprintf(`,"chatType":%q,"participant":"user%d"`, kind, n)))
			}
		}
		backend.AnswerJSON(w, `{"status":200,"data":{"chatList":[`+strings.Join(list, ",")+`]}}`)
	})
	client := b.Connected(b.Config(sdk.TransportWebSocket), "alice")
	read := func(q sdk.RecentQuery) string {
		var users []string
		for chat, err := range client.RecentChats(t.Context(), q) {
			require.NoError(t, err)
			users = append(users, localPart(chat.UserJID))
		}
		return strings.Join(users, " ")
	}
	require.Equal(t, "user9 user8 user3 user2 user1", read(sdk.RecentQuery{Size: 2}))
	require.Equal(t, "size=3", patient.Receive(t, queries))
	require.Equal(t, fmt.Sprintf("size=3&messageTime=%d", micros(8)), patient.Receive(t, queries))
	require.Equal(t, "user2 user1", read(sdk.RecentQuery{Size: 1, Before: time.UnixMicro(micros(3))}))
	page, err := client.GetRecentChats(t.Context(), sdk.RecentQuery{Size: 2, Before: time.UnixMicro(micros(8))})
	require.NoError(t, err)
	require.Len(t, page.Data.Chats, 2)
	require.True(t, page.Data.More)
	repeats = true // one request at a time
	require.Equal(t, "user9 user8", read(sdk.RecentQuery{Size: 2}))
}

// Bad arguments: the texts of protocol.md 14.6, before anything is sent.
func TestHistoryArguments(t *testing.T) {
	b := backend.New(t)
	client := b.Connected(b.Config(sdk.TransportWebSocket), "alice")
	const badID = " has a comma, white space, a control character, or is not UTF-8"
	long := strings.Repeat("x", 256)
	for _, tc := range []struct {
		q       sdk.ChatQuery
		message string
	}{
		{sdk.ChatQuery{}, "toJid is not valid or required"},
		{sdk.ChatQuery{UserJID: "bob"}, "toJid format is invalid"},
		{sdk.ChatQuery{UserJID: bobHere + "/phone"}, "toJid format is invalid"},
		{sdk.ChatQuery{UserJID: "room@mix." + backend.Domain}, "toJid format is invalid"},
		{
			sdk.ChatQuery{UserJID: "bob@elsewhere.test"},
			"Invalid toJid, Please get toJid from SDK.getJid() by passing user identifier",
		},
		{sdk.ChatQuery{UserJID: bobHere, Before: "a", After: "b"}, "Before and After exclude each other"},
		{sdk.ChatQuery{UserJID: bobHere, Before: "a,b"}, "Before" + badID},
		{sdk.ChatQuery{UserJID: bobHere, After: "a b"}, "After" + badID},
		{sdk.ChatQuery{UserJID: bobHere, Before: "a\x00"}, "Before" + badID},
		{sdk.ChatQuery{UserJID: bobHere, Before: "a\xff"}, "Before" + badID},
		{sdk.ChatQuery{UserJID: bobHere, After: "a\u00a0"}, "After" + badID},
		{sdk.ChatQuery{UserJID: bobHere, After: long}, "After is longer than 255 bytes"},
		{sdk.ChatQuery{UserJID: bobHere, Size: -1}, "Size is not between 0 and 100"},
		{sdk.ChatQuery{UserJID: bobHere, Size: 101}, "Size is not between 0 and 100"},
	} {
		res, err := client.GetChatMessages(t.Context(), tc.q)
		answered(t, 400, tc.message, sdk.ErrInvalidArgument, res, err)
		require.Equal(t, sdk.OutcomeNotSent, outcomeTold(t, err))
		for _, err := range client.ChatMessages(t.Context(), tc.q) {
			require.ErrorIs(t, err, sdk.ErrInvalidArgument)
			require.ErrorContains(t, err, tc.message)
		}
	}
	for message, args := range map[string][2]string{
		"chatJid is not valid or required": {"", "m1"},
		"msgId is not valid or required":   {bobHere, ""},
		"chatJid format is invalid":        {"bob", "m1"},
		"Invalid chatJid, Please get chatJid from SDK.getJid() by passing user identifier": {
			"bob@elsewhere.test", "m1",
		},
		"messageID" + badID:                  {bobHere, "a,b"},
		"messageID is longer than 255 bytes": {bobHere, long},
	} {
		res, err := client.GetMessageByID(t.Context(), args[0], args[1])
		answered(t, 400, message, sdk.ErrInvalidArgument, res, err)
	}
	for _, size := range []int{-1, 101} {
		res, err := client.GetRecentChats(t.Context(), sdk.RecentQuery{Size: size})
		answered(t, 400, "Size is not between 0 and 100", sdk.ErrInvalidArgument, res, err)
		for _, err := range client.RecentChats(t.Context(), sdk.RecentQuery{Size: size}) {
			require.ErrorIs(t, err, sdk.ErrInvalidArgument)
		}
	}
	for _, call := range []string{chatCall, oneCall, recentCall} {
		require.Empty(t, b.Calls(call))
	}
}
