package jssdk_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"image"
	"image/png"
	"strings"

	"github.com/stretchr/testify/require"
)

// conversations: alice and bob write to each other. How many receipts and pushes pass meanwhile
// depends on the moment, so that this is off the record. What is sent is compared by sentAlike.
func conversations(s *stage) {
	s.offTheRecord(func() {
		talk(s, "alice", "bob")
		talk(s, "bob", "alice")
		for _, encrypted := range []bool{true, false} {
			exchangeFile(s, "alice", "bob", 1_000, encrypted)
			exchangeFile(s, "bob", "alice", 1_000, encrypted)
		}
		exchangeImage(s, "alice", "bob")
		exchangeImage(s, "bob", "alice")
		comeBack(s, "alice", "bob")
		readAll(s)
		badMessages(s)
		// Whatever was on its way comes before this.
		exchange(s, "bob", "alice", "last-1")
		exchange(s, "alice", "bob", "last-2")
	})
}

func jid(user string) string { return user + "@" + host }

// awaitMessage is a message as its receiver's listener gets it.
func (s *stage) awaitMessage(listener, from, to, id string) object {
	s.Helper()
	return s.await(to, listener, marshal(object{
		"msgType": "receiveMessage", "msgId": id, "chatType": "chat", "publisherId": from, "publisherJid": jid(from),
		"fromUserId": from, "fromUserJid": jid(from), "toUserId": to, "toUserJid": jid(to),
	})).(object)
}

// awaitStatus waits until the sender of a message is told what became of it. The receiver's side is
// told, too, that the service has the receipt, if it is a page (protocol.md 14.3).
func (s *stage) awaitStatus(from, to, id string, statuses ...string) {
	s.Helper()
	for _, status := range statuses {
		s.await(from, "messageListener", marshal(object{"msgType": status, "msgId": id, "fromUserJid": jid(to)}))
		if status != "acknowledge" {
			s.awaitTaken(to, status, id)
		}
	}
}

// awaitTaken: only the JavaScript SDK tells that the service has a receipt or a deletion.
func (s *stage) awaitTaken(who, what, id string) {
	s.Helper()
	if !s.inGo(who) && s.svc.node == nil {
		s.await(who, "messageListener", marshal(object{"msgType": "acknowledge", "type": what, "msgId": id}))
	}
}

// statuses are those of a message that has come. Stock servers acknowledge nothing.
func (s *stage) statuses(more ...string) []string {
	if s.svc.node != nil {
		return append([]string{"delivered"}, more...)
	}
	return append([]string{"acknowledge", "delivered"}, more...)
}

// exchange is the shortest conversation.
func exchange(s *stage, from, to, id string) {
	s.Helper()
	s.call(from, "sendTextMessage", object{"toJid": jid(to), "messageText": "x", "msgId": id}).is(200, "Success")
	s.awaitMessage("messageListener", from, to, id)
	s.awaitStatus(from, to, id, s.statuses()...)
}

// talk is what can be done with a text, from one side to the other.
func talk(s *stage, from, to string) {
	const text = "Grüße 👋🏽 <b>&amp;</b> 'single' \"double\" \\ %41\n\tsecond line ]]>"
	id := from + "-to-" + to
	data := s.call(from, "sendTextMessage", object{
		"toJid": jid(to), "messageText": text, "msgId": id, "replyMessageId": "earlier", "topicId": "T <1>",
		"mentionedUsersIds": []string{"carol", "dave"}, "metaData": object{"k": "v <&> 👋"},
	}).is(200, "Success")["data"].(object)
	require.Equal(s, []any{id, jid(to)}, []any{data["msgId"], data["toUserJid"]})
	told := s.awaitMessage("messageListener", from, to, id)
	require.Equal(s, []any{"T <1>", object{"k": "v <&> 👋"}, float64(0)},
		[]any{told["topicId"], told["metaData"], told["editedStatus"]})
	body := told["msgBody"].(object)
	require.Equal(s, object{
		"message": text, "message_type": "text", "mentionedUsersIds": []any{"carol", "dave"},
		"nickName": body["nickName"], "replyTo": "earlier",
	}, body)
	s.sentAlike(from, id)
	s.awaitStatus(from, to, id, s.statuses()...)
	s.call(to, "sendSeenStatus", jid(from), id).done()
	s.awaitStatus(from, to, id, "seen")

	s.call(to, "sendTypingStatus", jid(from)).done()
	s.await(from, "messageListener", `{"msgType": "composing", "fromUserId": "`+to+`", "groupId": null}`)
	s.call(to, "sendTypingGoneStatus", jid(from)).done()
	s.await(from, "messageListener", `{"msgType": "gone", "fromUserId": "`+to+`", "groupId": null}`)

	edit(s, from, to, id)
	exchange(s, from, to, id+"-gone")
	s.call(from, "deleteMessagesForEveryone", jid(to), []string{id + "-gone"}).done()
	s.await(to, "messageListener", marshal(object{
		"msgType": "recallMessage", "msgId": id + "-gone", "chatType": "chat", "fromUserJid": jid(from),
		"fromUserId": from,
	}))
	s.awaitTaken(from, "recall", id+"-gone")
}

func edit(s *stage, from, to, id string) {
	if s.svc.node != nil && !s.inGo(from) {
		return // the JavaScript SDK asks the server for the message first
	}
	s.call(from, "editTextMessage", object{"toJid": jid(to), "messageId": id, "editedTextContent": "besser 👍"}).
		is(200, "Success")
	told := s.awaitMessage("editMessageListener", from, to, id)
	require.Equal(s, float64(1), told["editedStatus"])
	require.Equal(s, "besser 👍", told["msgBody"].(object)["message"])
	s.awaitStatus(from, to, id, s.statuses()...)
}

// exchangeFile sends a file of so many bytes, encrypted or not.
func exchangeFile(s *stage, from, to string, size int, encrypted bool) {
	content := bytes.Repeat([]byte("0123456789"), size/10)
	sum := sha256.Sum256(content)
	id := fmt.Sprintf("%s-to-%s-%d-%t", from, to, size, encrypted)
	s.call(from, "setMediaEncryption", encrypted).done()
	s.sendFile(from, "Success", object{
		"toJid": jid(to), "messageType": "file", "replyMessageId": "earlier", "fileMessageParams": object{
			"file": file{"übrig.txt", "text/plain", content}, "msgId": id, "caption": "a caption 👋",
		},
	})
	told := s.awaitMessage("messageListener", from, to, id)
	body := told["msgBody"].(object)
	media := body["media"].(object)
	require.Equal(s, []any{"file", "", "earlier", "a caption 👋", "übrig.txt", encrypted}, []any{
		body["message_type"], body["message"], body["replyTo"], media["caption"], media["fileName"],
		media["file_key"] != nil && media["file_key"] != "",
	})
	require.Equal(s, hex.EncodeToString(sum[:]), s.parties[to].fileHash(s.T, told, size))
	s.awaitStatus(from, to, id, s.statuses()...)
}

// exchangeImage sends a picture with a thumbnail. Its size in pixels the JavaScript SDK finds out.
func exchangeImage(s *stage, from, to string) {
	var picture, small bytes.Buffer
	require.NoError(s, png.Encode(&picture, image.NewGray(image.Rect(0, 0, 300, 200))))
	require.NoError(s, png.Encode(&small, image.NewGray(image.Rect(0, 0, 30, 20))))
	thumbnail := base64.StdEncoding.EncodeToString(small.Bytes())
	id := "picture-from-" + from
	s.sendFile(from, "Success", object{
		"toJid": jid(to), "messageType": "image", "fileMessageParams": object{
			"file": file{"picture.png", "image/png", picture.Bytes()}, "msgId": id,
			"thumbImage": "data:image/png;base64," + thumbnail,
		},
	})
	told := s.awaitMessage("messageListener", from, to, id)
	media := told["msgBody"].(object)["media"].(object)
	// The JavaScript SDK sends what it was given as it is.
	shown := strings.TrimPrefix(media["thumb_image"].(string), "data:image/png;base64,")
	require.Equal(s, []any{float64(300), float64(200), thumbnail},
		[]any{media["originalWidth"], media["originalHeight"], shown}, "%v", media)
	if read, inGo := told["media"].(object); inGo {
		require.Equal(s, []any{float64(300), float64(200), thumbnail},
			[]any{read["width"], read["height"], read["thumbnail"]})
	}
	s.awaitStatus(from, to, id, s.statuses()...)
}

// sendFile sends a file. The JavaScript SDK has no status for it.
func (s *stage) sendFile(who, want string, message object) {
	s.Helper()
	answer := s.parties[who].call(s.T, "sendMediaFileMessage", message)
	require.Equal(s, want, answer["message"], "%s: %v", who, message)
	s.answers = append(s.answers, callRecord{
		Who: who, Method: "sendMediaFileMessage", Result: object{"message": answer["message"]},
	})
}

// comeBack: what was sent to a user who is away comes when the user is back.
func comeBack(s *stage, from, away string) {
	s.call(away, "logout").done()
	s.await(away, "connectionListener", `{"status": "DISCONNECTED"}`)
	s.part(away, from)
	for _, id := range []string{"late-1", "late-2"} {
		s.call(from, "sendTextMessage", object{"toJid": jid(away), "messageText": id, "msgId": id}).is(200, "Success")
		if s.svc.node == nil {
			s.awaitStatus(from, away, id, "acknowledge")
		}
	}
	data := s.call(away, "register", away).is(200, "Success")["data"].(object)
	s.call(away, "connect", away, data["password"]).bare(200, "Login Success")
	s.await(away, "connectionListener", `{"status": "CONNECTED"}`)
	s.meet(away, from)
	for _, id := range []string{"late-1", "late-2"} {
		told := s.awaitMessage("messageListener", from, away, id)
		require.Equal(s, id, told["msgBody"].(object)["message"])
		if s.inGo(away) {
			require.Equal(s, true, told["delayed"])
		}
		s.awaitStatus(from, away, id, "delivered")
	}
}

// readAll: history and lists say what was said.
func readAll(s *stage) {
	want := object{
		"alice-to-bob": "besser 👍", "bob-to-alice": "besser 👍", "late-1": "late-1", "late-2": "late-2",
	}
	for _, pair := range [][2]string{{"alice", "bob"}, {"bob", "alice"}} {
		who, other := pair[0], pair[1]
		chats := s.call(who, "getRecentChatsByPagination", object{"limit": 10}).is(200, "Success")["data"]
		// three files, and what bob has missed
		require.Equal(s, []any{other, "late-2", map[string]float64{"alice": 3, "bob": 5}[who]}, newestOf(chats), who)
		texts := object{}
		page := s.call(who, "getChatMessages", object{"toJid": jid(other), "limit": 50}).is(200, "Success")["data"]
		for _, m := range messagesOf(page) {
			if text := textOf(m); text != "" {
				texts[m["msgId"].(string)] = text
			}
		}
		require.Equal(s, want, texts, who)
		one := s.call(who, "getMessageById", "alice-to-bob", jid(other)).is(200, "Success")["data"].(object)
		require.Equal(s, "besser 👍", textOf(one), "%s: %v", who, one)
		require.Contains(s, usersOf(s.call(who, "getUsersList", "", 1, 30).is(200, "Success")["users"]), other)
		friends := s.call(who, "getFriendsList").is(200, "Success")["data"]
		if lists, isObject := friends.(object); isObject {
			friends = lists["users"]
		}
		require.Contains(s, usersOf(friends), other)
	}
}

// messagesOf are the messages of a page of history: the JavaScript SDK has no page around them.
func messagesOf(page any) (list []object) {
	if p, isObject := page.(object); isObject {
		page = p["messages"]
	}
	for _, m := range page.([]any) {
		list = append(list, m.(object))
	}
	return list
}

func textOf(m object) string {
	if body, isObject := m["msgBody"].(object); isObject {
		m = body
	}
	text, _ := m["message"].(string)
	return text
}

// newestOf is with whom the newest message was exchanged, its id, and how many are not seen.
func newestOf(chats any) []any {
	if p, isObject := chats.(object); isObject {
		newest := p["chats"].([]any)[0].(object)
		return []any{localPart(newest["userJid"].(string)), newest["lastMessage"].(object)["msgId"], newest["unread"]}
	}
	newest := chats.([]any)[0].(object)
	return []any{newest["fromUserId"], newest["msgId"], newest["unreadCount"]}
}

func usersOf(list any) (ids []string) {
	for _, u := range list.([]any) {
		ids = append(ids, u.(object)["userId"].(string))
	}
	return ids
}

// sentAlike records what a message was like on the wire, so that TestParity compares it.
func (s *stage) sentAlike(who, id string) {
	if s.svc.srv == nil || s.svc.node != nil {
		return
	}
	for _, q := range s.svc.srv.Requests() {
		if q.Kind == "xmpp" && q.User == who && strings.Contains(q.Stanza, "<message") &&
			strings.Contains(q.Stanza, `"`+id+`"`) && strings.Contains(q.Stanza, "<body") {
			s.answers = append(s.answers, callRecord{
				Who: who, Method: "stanza " + id, Result: object{"sent": canonicalForm(s.T, q.Stanza)},
			})
			return
		}
	}
	require.Fail(s, "not seen", id)
}
