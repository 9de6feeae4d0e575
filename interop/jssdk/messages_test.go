package jssdk_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/sdktest"
)

// TestMessages is the official JavaScript SDK on both sides of a conversation, and sdktest between
// them. What both SDKs can do is in conversations, a part of the tour.
func TestMessages(t *testing.T) {
	needAll(t)
	svc := inProcess(t, sdktest.Options{Trial: true})
	s := cast(t, svc, "alice", "bob")
	join(s, "alice")
	join(s, "bob")
	textAndReceipts(s)
	editAndRecall(s)
	waitingMessages(s)
	chatHistory(s)
	bigFiles(s)
	s.browser.RequireClean(t, quirks...)
}

func join(s *stage, who string) {
	s.Helper()
	s.call(who, "initializeSDK", s.options(baseURL)).done()
	data := s.call(who, "register", who, true).is(200, "Success")["data"].(object)
	s.call(who, "connect", data["username"], data["password"]).is(200, "Login Success")
}

func textAndReceipts(s *stage) {
	s.call("alice", "sendTextMessage", object{
		"toJid": bob, "messageText": "hello", "msgId": "m1", "metaData": object{"k": "v"}, "topicId": "T",
	}).is(200, "Success")
	s.await("alice", "messageListener",
		`{"msgType":"acknowledge","type":"acknowledge","msgId":"m1","fromUserJid":"`+bob+`"}`)
	s.await("bob", "messageListener", `{"msgType":"receiveMessage","msgId":"m1","fromUserJid":"`+alice+`",`+
		`"topicId":"T","metaData":{"k":"v"},"editedStatus":0}`)
	s.await("alice", "messageListener", `{"msgType":"delivered","msgId":"m1","msgStatus":1}`)
	s.await("bob", "messageListener", `{"msgType":"acknowledge","type":"delivered","msgId":"m1"}`)
	s.call("bob", "sendSeenStatus", alice, "m1").is(200, "Success")
	s.await("alice", "messageListener", `{"msgType":"seen","msgId":"m1","msgStatus":2}`)
	s.call("alice", "sendTypingStatus", bob).is(200, "Success")
	s.await("bob", "messageListener", `{"msgType":"composing","fromUserId":"alice"}`)
	s.call("alice", "sendTypingGoneStatus", bob).is(200, "Success")
	s.await("bob", "messageListener", `{"msgType":"gone","fromUserId":"alice"}`)
	require.Equal(s, "hello", s.svc.srv.Messages("bob")[0].Text)
	require.Equal(s, sdktest.StatusSeen, s.svc.srv.Messages("bob")[0].Status)
}

func editAndRecall(s *stage) {
	s.call("alice", "editTextMessage", object{"messageId": "m1", "editedTextContent": "hullo"}).is(200, "Success")
	s.await("bob", "editMessageListener", `{"msgId":"m1","editedStatus":1}`)
	require.Equal(s, "hullo", s.svc.srv.Messages("bob")[0].Text)
	require.True(s, s.svc.srv.Messages("bob")[0].Edited)
	s.call("alice", "sendTextMessage", object{"toJid": bob, "messageText": "wrong", "msgId": "m2"}).is(200, "Success")
	s.await("alice", "messageListener", `{"msgType":"acknowledge","type":"acknowledge","msgId":"m2"}`)
	s.await("bob", "messageListener", `{"msgType":"receiveMessage","msgId":"m2"}`)
	s.call("alice", "deleteMessagesForEveryone", bob, []string{"m2"}).is(200, "Success")
	s.await("bob", "messageListener", `{"msgType":"recallMessage","msgId":"m2"}`)
	s.await("alice", "messageListener", `{"msgType":"acknowledge","type":"recall","msgId":"m2"}`)
	require.True(s, s.svc.srv.Messages("bob")[1].Recalled)
}

// waitingMessages come when their receiver does.
func waitingMessages(s *stage) {
	id, err := s.svc.srv.SendMessage(s.Context(), "bob", "carol", "later")
	require.NoError(s, err)
	s.parties["carol"] = s.browser.open(s.T, "carol", "UTC")
	join(s, "carol")
	s.await("carol", "messageListener", `{"msgType":"receiveMessage","msgId":"`+id+`","fromUserJid":"`+bob+`"}`)
	require.NoError(s, s.svc.srv.Wait(s.Context(), "carol has acknowledged it", func() bool {
		return s.svc.srv.Messages("carol")[0].Status == sdktest.StatusDelivered
	}))
}

func chatHistory(s *stage) {
	page := s.call("alice", "getChatMessages", object{"toJid": bob, "limit": 10}).is(200, "Success")
	list, _ := page["data"].([]any)
	require.Len(s, list, 2)
	texts := []any{}
	for _, item := range list {
		m := item.(object)
		texts = append(texts, m["msgId"], m["msgBody"].(object)["message"])
	}
	require.Equal(s, []any{"m1", "hullo", "m2", ""}, texts)
	one := list[0].(object)
	require.Equal(s, []any{float64(1), float64(2), "T"}, []any{one["editedStatus"], one["msgStatus"], one["topicId"]})
	older := s.call("alice", "getChatMessages", bob, "up", "", 1, false).is(200, "Success")["data"].([]any)
	require.Len(s, older, 1, "by a stanza")
	require.Equal(s, "m2", older[0].(object)["msgId"])
	for method, args := range map[string][]any{
		"getRecentChats": nil, "getRecentChatsByPagination": {object{"limit": 10}},
	} {
		chats := s.call("bob", method, args...).is(200, "Success")["data"].([]any)
		require.Len(s, chats, 2, method)
		toCarol, ofAlice := chats[0].(object), chats[1].(object)
		require.Equal(s, []any{"carol", "alice"}, []any{toCarol["fromUserId"], ofAlice["fromUserId"]}, method)
		require.Equal(s, []any{true, false},
			[]any{toCarol["isLastMessageSentByMe"], ofAlice["isLastMessageSentByMe"]}, method)
		require.Equal(s, "later", toCarol["msgBody"].(object)["message"], method)
	}
	reply := s.call("bob", "getReplyMessage", "m1", "chat").is(200, "Success")["data"].(object)
	require.Equal(s, "hullo", reply["replyMsgContent"].(object)["message"])
	found := s.call("alice", "getMessageById", "m1", bob).is(200, "Success")["data"].(object)
	require.Equal(s, "hullo", found["msgBody"].(object)["message"])
	users := s.call("alice", "getUsersList").is(200, "Success")["users"].([]any)
	require.Len(s, users, 2)
	friends := s.call("alice", "getFriendsList").is(200, "Success")["data"].(object)
	require.Len(s, friends["users"], 2)
}

// bigFiles are files that take more than one part: from one JavaScript SDK to another one, and
// between that and package sdk.
func bigFiles(s *stage) {
	join(s, "dave")
	const size = 6_000_000
	for _, pair := range [][2]string{{"alice", "bob"}, {"alice", "dave"}, {"dave", "bob"}} {
		exchangeFile(s, pair[0], pair[1], size, true)
	}
}
