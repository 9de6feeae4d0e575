package rest

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asked answers one call with a body, and hands over the query that it came with.
func asked(t *testing.T, call, body string, code int) (_ testClient, query *string) {
	t.Helper()
	query = new(string)
	s := serve(t, handlers{call: func(w http.ResponseWriter, r *http.Request) {
		*query = r.URL.RawQuery // one request at a time
		answer(code, body)(w, r)
	}})
	return connect(t, s.URL), query
}

const fullMessage = `{"messageId":"m1","messageType":"text","message":"sealed=","sentTime":"1700000000000000",` +
	`"epochTimestamp":1700000000123456,"fromUser":"bob","toUser":"alice","fromUserName":"name=","deliveryStatus":1,` +
	`"recallStatus":0,"editStatus":1,"editMessageId":"e1","topicId":"t1","metaData":{"a":"b","n":1,"x":null},` +
	`"parentMessage":{"messageId":"m0"},"parentMessageContent":"sealed","chatType":"singlechat","participant":"bob",` +
	`"participantName":"who=","participantImage":"i","fromUserImage":"f","toUserName":"to=","toUserImage":"t",` +
	`"unreadCount":"3"}`

func fullChatMessage() ChatMessage {
	return ChatMessage{
		ID: "m1", Type: "text", Body: "sealed=", From: "bob", To: "alice", FromName: "name=",
		Sent: time.UnixMicro(1700000000123456), Edited: true, Delivery: 1, TopicID: "t1",
		Metadata: map[string]string{"a": "b", "n": "1", "x": ""}, ReplyTo: "m0",
	}
}

func TestChatRequest(t *testing.T) {
	for want, q := range map[string]ChatQuery{
		"chatType=singlechat&participant=bob&skipDeleted=true&size=20&direction=backward&topicId=": {
			UserID: "bob", Size: 20,
		},
		"chatType=singlechat&participant=b%26b&skipDeleted=true&size=21&messageId=a%2Bb&direction=backward&topicId=": {
			UserID: "b&b", MessageID: "a+b", Size: 21,
		},
		"chatType=singlechat&participant=bob&skipDeleted=true&size=2&messageId=m&direction=forward&topicId=": {
			UserID: "bob", MessageID: "m", Forward: true, Size: 2,
		},
	} {
		c, query := asked(t, "GET /chat/chat-history", `{"status":200,"data":{"chatList":[]}}`, 200)
		_, err := c.Chat(t.Context(), q)
		require.NoError(t, err)
		require.Equal(t, want, *query)
	}
}

func TestChatAnswer(t *testing.T) {
	for _, tc := range []struct {
		name, data string
		want       ChatPage
		failed     string
	}{
		{
			"full", `{"totalPages":3,"totalCount":60,"totalRecords":"60","chatList":[` + fullMessage + `]}`,
			ChatPage{Messages: []ChatMessage{fullChatMessage()}, Total: 60, Pages: 3},
			"",
		},
		{
			"wrong types", `{"totalPages":[],"totalCount":-1,"chatList":[null,7,"x",[],{},{"messageId":"m",` +
				`"message":7,` +
				`"sentTime":{},"fromUser":[],"metaData":7,"recallStatus":"no","deliveryStatus":-3,` +
				`"parentMessage":"x"}]}`,
			ChatPage{Messages: []ChatMessage{{ID: "m", Body: "7"}}},
			"",
		},
		{
			"without an id", `{"totalCount":9999999999,"chatList":[{"message":"x"},{"messageId":5,` +
				`"deliveryStatus":9}]}`,
			ChatPage{Messages: []ChatMessage{{ID: "5", Delivery: 2}}, Total: 1<<31 - 1},
			"",
		},
		{"gone", `{"chatList":[{"messageId":"a","recallStatus":1},{"messageId":"b","deletedStatus":"1"}]}`, ChatPage{
			Messages: []ChatMessage{{ID: "a", Gone: true}, {ID: "b", Gone: true}},
		}, ""},
		{"no list", `{}`, ChatPage{}, ""},
		{"empty object of PHP", `[]`, ChatPage{}, ""},
		{"null", `null`, ChatPage{}, ""},
		{"text", `"x"`, ChatPage{}, "no usable data"},
		{"another list", `{"chatList":{"a":1}}`, ChatPage{}, "no usable data"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, _ := asked(t, "GET /chat/chat-history", `{"status":200,"data":`+tc.data+`}`, 200)
			got, err := c.Chat(t.Context(), ChatQuery{UserID: "bob", Size: 20})
			if tc.failed != "" {
				require.ErrorContains(t, err, tc.failed)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
}

// An edit has an id of its own; a new message may repeat its own there.
func TestChatMessageEdited(t *testing.T) {
	for body, want := range map[string]bool{
		`"editMessageId":""`: false, `"editMessageId":"m"`: false, `"editMessageId":"e"`: true, `"editStatus":1`: true,
		`"editStatus":0,"editMessageId":null`: false,
	} {
		c, _ := asked(t, "GET /chat/message", `{"status":200,"data":{"messageId":"m",`+body+`}}`, 200)
		m, err := c.Message(t.Context(), "bob", "m")
		require.NoError(t, err)
		require.Equal(t, want, m.Edited, body)
	}
}

func TestMessage(t *testing.T) {
	full := fullChatMessage()
	for _, tc := range []struct {
		name, body string
		code       int
		want       *ChatMessage
		kind       Kind
	}{
		{"full", `{"status":200,"data":` + fullMessage + `}`, 200, &full, KindOther},
		{"not there, in the body", `{"status":204,"message":"none"}`, 200, nil, KindNoMessage},
		{"not there, HTTP", ``, 204, nil, KindNoMessage},
		{"not found", `{"status":404,"message":"none"}`, 404, nil, KindNoMessage},
		{"not served", `<html>`, 404, nil, KindAway},
		{"no data", `{"status":200}`, 200, nil, KindOther},
		{"null", `{"status":200,"data":null}`, 200, nil, KindNoMessage},
		{"nothing in it", `{"status":200,"data":{}}`, 200, nil, KindNoMessage},
		{"recalled", `{"status":200,"data":{"messageId":"m1","recallStatus":1}}`, 200, nil, KindNoMessage},
		{"another one", `{"status":200,"data":{"messageId":"m2"}}`, 200, nil, KindOther},
		{"text", `{"status":200,"data":"x"}`, 200, nil, KindOther},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, query := asked(t, "GET /chat/message", tc.body, tc.code)
			got, err := c.Message(t.Context(), "b b", "m1")
			require.Equal(t, "messageId=m1&chatId=b%20b&chatType=singleChat", *query)
			if tc.want == nil {
				require.Equal(t, tc.kind, fail(t, err).Kind())
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
}

func TestRecentChats(t *testing.T) {
	c, query := asked(t, "GET /chat/recent-chats", `{"status":200,"data":{"totalRecords":7,"chatList":[`+fullMessage+
		`,{"chatType":"groupchat","messageId":"g"},{"participant":"nobody"},null]}}`, 200)
	got, err := c.RecentChats(t.Context(), 21, time.Time{})
	require.NoError(t, err)
	require.Equal(t, "size=21", *query)
	require.Equal(t, RecentPage{Total: 7, Chats: []RecentChat{
		{
			Last: fullChatMessage(), With: "bob", Name: "who=", Image: "i", FromImage: "f", ToName: "to=", ToImage: "t",
			Unread: 3,
		},
		{Last: ChatMessage{ID: "g"}, Group: true},
	}}, got)
	_, err = c.RecentChats(t.Context(), 2, time.UnixMicro(1700000000123456))
	require.NoError(t, err)
	require.Equal(t, "size=2&messageTime=1700000000123456", *query)

	c, _ = asked(t, "GET /chat/recent-chats", `{"status":200,"data":"x"}`, 200)
	_, err = c.RecentChats(t.Context(), 2, time.Time{})
	require.ErrorContains(t, err, "no usable data")
}

func TestMoment(t *testing.T) {
	for n, want := range map[number]time.Time{
		0: {}, -1: {}, 1700000000: time.Unix(1700000000, 0), 1700000000123: time.UnixMilli(1700000000123),
		1700000000123456: time.UnixMicro(1700000000123456), 1 << 62: {},
	} {
		require.Equal(t, want, moment(n), "%d", n)
	}
}

// Metadata is an object, or its text.
func TestMetadataShapes(t *testing.T) {
	for text, want := range map[string]metadata{
		`{"a":"b"}`: {"a": "b"}, `"{\"a\":\"b\"}"`: {"a": "b"}, `" {\"a\":1} "`: {"a": "1"},
		`{"a":{},"b":[]}`: {"a": "", "b": ""},

		`{}`: nil, `"{}"`: nil, `""`: nil, `"null"`: nil, `null`: nil, `7`: nil, `[]`: nil, `"[]"`: nil, `"{"`: nil,
	} {
		got := metadata{"old": "value"}
		require.NoError(t, got.UnmarshalJSON([]byte(text)))
		require.Equal(t, want, got, text)
	}
}
