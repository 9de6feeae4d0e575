package jssdk_test

import (
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"
)

const (
	elsewhere = "Invalid toJid, Please get toJid from SDK.getJid() by passing user identifier"
	malformed = "toJid format is invalid"
	missing   = "toJid is not valid or required"
	noText    = "Provided text message is empty"
)

// badMessages are calls with arguments that are refused, or that only one of the SDKs refuses.
func badMessages(s *stage) {
	for _, c := range []struct{ jid, text, other string }{
		{"", missing, missing},
		{"b ob@" + host, malformed, malformed},
		{"@" + host, malformed, malformed},
		{"bob", elsewhere, malformed},
		{"bob@x", elsewhere, malformed},
		{bob + "/phone", elsewhere, malformed},
		{"bob@bob@" + host, elsewhere, malformed},
	} {
		s.call("alice", "sendTextMessage", object{"toJid": c.jid, "messageText": "x"}).bare(400, c.text)
		s.call("alice", "sendSeenStatus", c.jid, "m").bare(400, c.other)
		s.call("alice", "sendTypingStatus", c.jid).bare(400, c.other)
		s.call("alice", "sendTypingGoneStatus", c.jid).bare(400, c.other)
		s.call("alice", "deleteMessagesForEveryone", c.jid, []string{"m"}).bare(400, c.other)
		s.call("alice", "getChatMessages", object{"toJid": c.jid, "limit": 5}).bare(400, c.other)
		s.call("alice", "getMessageById", "m", c.jid).bare(400, strings.Replace(c.other, "toJid", "chatJid", 1))
		s.sendFile("alice", c.other, someFile(c.jid, "file"))
	}
	s.call("alice", "sendTextMessage", object{"toJid": "bob@other.test", "messageText": "x"}).bare(400, elsewhere)
	s.call("alice", "sendTextMessage", object{"toJid": alice, "messageText": "x"}).
		bare(400, "toJid should not be current user jid")
	for _, receiver := range []string{alice, "ALICE@" + host} {
		s.call("alice", "sendTypingStatus", receiver).done()
		s.call("alice", "sendSeenStatus", receiver, "none").done()
		s.call("alice", "deleteMessagesForEveryone", receiver, []string{"none"}).done()
	}
	s.call("alice", "sendTextMessage", object{"toJid": "", "messageText": ""}).bare(400, noText)
	s.call("alice", "editTextMessage", object{"toJid": bob, "messageId": "", "editedTextContent": "x"}).
		bare(400, "Message id can't be empty")
	s.call("alice", "editTextMessage", object{"toJid": bob, "messageId": "", "editedTextContent": ""}).
		bare(400, "EditMessage content cannot be empty")
	for _, receiver := range []string{"", "bob", bob} {
		s.call("alice", "sendSeenStatus", receiver, "").bare(400, "msgId is not valid or required")
		s.call("alice", "deleteMessagesForEveryone", receiver, []string{}).bare(400, "msgIds should be Valid data type")
		s.sendFile("alice", "messageType is not valid", someFile(receiver, "text"))
	}
	s.call("alice", "getMessageById", "", bob).bare(400, "msgId is not valid or required")
	s.call("alice", "getMessageById", "", "").bare(400, "chatJid is not valid or required")
	s.call("alice", "getJid", "").bare(400, "userId is not valid or required")
	s.call("alice", "getJid", "bob").succeeds(`{"userJid": "` + bob + `"}`)
	onlyGoRefuses(s)
}

// messagesTooEarly: before Connect nothing else counts, not even bad arguments.
func messagesTooEarly(s *stage) {
	for method, args := range map[string][]any{
		"sendTextMessage": {object{"toJid": "", "messageText": ""}}, "sendSeenStatus": {"", ""},
		"editTextMessage":  {object{"toJid": "", "messageId": "", "editedTextContent": ""}},
		"sendTypingStatus": {""}, "sendTypingGoneStatus": {""}, "deleteMessagesForEveryone": {"", []string{}},
		"getChatMessages": {object{"toJid": ""}}, "getMessageById": {"", ""}, "getFriendsList": nil,
		"getUsersList": nil, "getRecentChatsByPagination": {object{"limit": 5}}, "getJid": {""},
	} {
		e := s.call("alice", method, args...)
		s.answers = s.answers[:len(s.answers)-1] // a map has no order
		e.bare(400, notRegistered)
	}
	s.sendFile("alice", notRegistered, someFile("", ""))
}

// serviceRefuses: the code of the service reaches the caller of package sdk alone.
func serviceRefuses(s *stage) {
	for _, c := range []struct {
		op, method string
		args       []any
	}{
		{"chat/chat-history", "getChatMessages", []any{object{"toJid": bob, "limit": 5}}},
		{"chat/message", "getMessageById", []any{"m", bob}},
		{"chat/recent-chats", "getRecentChatsByPagination", []any{object{"limit": 5}}},
		{"contacts/userList", "getUsersList", []any{"", 1, 10}},
	} {
		s.svc.srv.FailNext(c.op, 417, "boom")
		s.deviates("as for reports and feedback", "alice", c.method, "500 boom", "417 boom", c.args...)
	}
}

func someFile(toJID, kind string) object {
	return object{
		"toJid": toJID, "messageType": kind,
		"fileMessageParams": object{"file": file{"a.txt", "text/plain", []byte("x")}},
	}
}

// onlyGoRefuses: package sdk is stricter, and says why in its documentation.
func onlyGoRefuses(s *stage) {
	// To the own account, so that nobody else gets what the JavaScript SDK sends.
	text := func(member string, value any) object {
		return object{"toJid": "ALICE@" + host, "messageText": "x", member: value}
	}
	const chars = " has a comma, white space, a control character, or is not UTF-8"
	for _, c := range []struct {
		why, method, gopherSays string
		args                    []any
	}{
		{
			"JIDs have no capitals (RFC 7622 3.3)", "sendTextMessage", "toJid should not be current user jid",
			[]any{text("topicId", "")},
		},
		{
			"receipts and deletions have commas between ids", "deleteMessagesForEveryone", "messageIDs" + chars,
			[]any{alice, []string{"a b"}},
		},
		{"likewise", "sendSeenStatus", "messageID" + chars, []any{alice, "a,b"}},
		{
			"an id of nothing", "deleteMessagesForEveryone", "msgIds should be Valid data type",
			[]any{alice, []string{""}},
		},
		{
			"history goes by user ids alone", "getChatMessages", elsewhere,
			[]any{object{"toJid": "bob@other.test", "limit": 5}},
		},
		{
			"the size of a page is bounded", "getChatMessages", "Size is not between 0 and 100",
			[]any{object{"toJid": bob, "limit": 101}},
		},
		{"likewise", "getRecentChatsByPagination", "Size is not between 0 and 100", []any{object{"limit": -1}}},
		{"likewise", "getUsersList", "Size is not between 0 and 100", []any{"", 1, 101}},
		{"there is no such page", "getUsersList", "Page is negative", []any{"", -1, 10}},
		{
			"the JavaScript SDK would list all users", "getUsersList", "metaDataKey is not valid or required",
			[]any{"", 1, 10, object{"metaDataKey": "", "metaDataValues": []string{"v"}}},
		},
		{
			"the JavaScript SDK does not send empty values", "getUsersList", "metaDataValues is not valid or required",
			[]any{"", 1, 10, object{"metaDataKey": "k", "metaDataValues": []string{""}}},
		},
		{"it is no user identifier", "getJid", "userId format is invalid", []any{"b ob"}},
	} {
		s.deviates(c.why, "alice", c.method, "200 Success", "400 "+c.gopherSays, c.args...)
	}
	s.deviates("an empty list is none in Go", "alice", "getUsersList", "400 metaDataValues should be Valid data type",
		"400 metaDataValues is not valid or required", "", 1, 10,
		object{"metaDataKey": "k", "metaDataValues": []string{}})
	s.deviates("there is a text for it", "alice", "getMessageById", "500 Message not found", "400 Invalid msgId",
		"no-such-message", bob)
}

// deviates is differs for calls whose data is not of interest.
func (s *stage) deviates(why, who, method, js, gopherSays string, args ...any) {
	s.Helper()
	e := s.call(who, method, args...)
	want := js
	if s.inGo(who) {
		want = gopherSays
	}
	require.Equal(s, want, fmt.Sprint(e.result["statusCode"], " ", e.result["message"]), "%s %v", e.what, args)
	s.answers[len(s.answers)-1].Deliberate = why
}

// notInPlan: what the plan lacks is refused before the arguments of a deletion are looked at, and
// after the receiver and the type of a file (protocol.md 14.1). dave is a user of such a plan.
func notInPlan(s *stage) {
	const unavailable = "Feature unavailable for your plan"
	s.call("dave", "deleteMessagesForEveryone", "", []string{}).bare(403, unavailable)
	for _, kind := range []string{"video", "audio", "file"} {
		s.sendFile("dave", missing, someFile("", kind))
		s.sendFile("dave", unavailable, someFile(bob, kind))
	}
	// The JavaScript SDK does not check that here, but the content type, which package sdk leaves
	// to the program.
	image := "imageFile should be Valid File"
	if s.inGo("dave") {
		image = unavailable
	}
	s.sendFile("dave", image, someFile(bob, "image"))
	s.answers[len(s.answers)-1].Deliberate = "the JavaScript SDK forgets imageAttachment"
	s.sendFile("dave", "messageType is not valid", someFile(bob, ""))
	s.call("dave", "sendSeenStatus", bob, "none").done()
	s.awaitStatus("bob", "dave", "none", "seen")
}

// messageFeatures are the flags that calls for messages need.
var messageFeatures = []string{
	"deleteMessage", "imageAttachment", "videoAttachment", "audioAttachment", "documentAttachment",
}

// withoutServer: the service is gone for good. alice is logged in, and bob's account is deleted.
func withoutServer(s *stage) {
	s.svc.srv.Close()
	s.await("alice", "connectionListener", `{"status": "DISCONNECTED"}`)
	const lost = "Connection Error"
	text := object{"toJid": carol, "messageText": "x"}
	s.call("alice", "sendTextMessage", text).bare(500, lost)
	s.call("alice", "sendSeenStatus", carol, "m").bare(500, lost)
	s.call("alice", "sendTypingStatus", carol).bare(500, lost)
	s.call("alice", "sendTypingGoneStatus", carol).bare(500, lost)
	s.call("alice", "deleteMessagesForEveryone", carol, []string{"m"}).bare(500, lost)
	s.call("alice", "editTextMessage", object{"toJid": carol, "messageId": "m", "editedTextContent": "x"}).
		bare(500, lost)
	s.call("alice", "getFriendsList").bare(500, lost)
	s.call("alice", "getJid", "carol").succeeds(`{"userJid": "` + carol + `"}`)
	// Arguments are looked at first.
	s.call("alice", "sendTextMessage", object{"toJid": carol, "messageText": ""}).bare(400, noText)
	s.call("alice", "sendTypingStatus", "carol").bare(400, malformed)
	s.call("alice", "getMessageById", "m", "carol").bare(400, "chatJid format is invalid")
	const why = "what cannot be reached has a code of its own (protocol.md 10)"
	for method, args := range map[string][]any{
		"getChatMessages": {object{"toJid": carol, "limit": 5}}, "getMessageById": {"m", carol}, "getUsersList": nil,
		"getRecentChatsByPagination": {object{"limit": 5}},
	} {
		s.deviates(why, "alice", method, "500 Network Error", "599 Network Error", args...)
	}
}
