package sdktest

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// chats is the data of an answer with a list of messages.
type chats struct {
	TotalPages, TotalCount, TotalRecords int
	ChatList                             []struct {
		ID                                                       int
		MessageID, MessageType, Message, SentTime                string
		EpochTimestamp, MessageTime                              int64
		FromUser, ToUser, FromUserName, TopicID, EditMessageID   string
		Participant, JID, NickName                               string
		DeliveryStatus, RecallStatus, EditStatus, Unread, IsMute int
		MetaData, ParentMessage                                  map[string]string
	}
}

func (c chats) texts(t *testing.T, s *Server) []string {
	t.Helper()
	iv, _ := s.store.ivs()
	out := []string{}
	for _, m := range c.ChatList {
		plain, err := seal.OpenStrict(m.Message, m.MessageID, iv)
		require.NoError(t, err, "the official SDK fails where a body is not sealed")
		var body struct{ Message string }
		require.NoError(t, json.Unmarshal([]byte(plain), &body))
		out = append(out, body.Message)
	}
	return out
}

func getChats(t *testing.T, s *Server, token, path string) (out chats) {
	t.Helper()
	e := rest(t, s, "GET", path, token, nil)
	require.Equal(t, 200, e.Status, e.Message)
	require.NoError(t, json.Unmarshal(e.Data, &out))
	return out
}

func TestChatHistory(t *testing.T) {
	s := trial(t)
	alice, ids := register(t, s, "alice"), []string{}
	for i := range 5 {
		id, err := s.SendMessage(t.Context(), "bob", "alice", fmt.Sprint(i))
		require.NoError(t, err)
		ids = append(ids, id)
	}
	const path = "/chat/chat-history?chatType=singlechat&participant=bob&skipDeleted=true"
	for _, c := range []struct {
		query string
		want  []string
		pages int
		total int
	}{
		{"", []string{"4", "3", "2", "1", "0"}, 1, 5},
		{"&size=2", []string{"4", "3"}, 3, 5},
		{"&size=2&direction=backward&messageId=" + ids[3], []string{"2", "1"}, 2, 3},
		{"&size=3&direction=backward&messageId=" + ids[3], []string{"2", "1", "0"}, 1, 3},
		{"&size=2&direction=forward&messageId=" + ids[1], []string{"3", "2"}, 2, 3},
		{"&size=2&direction=forward&messageId=" + ids[4], []string{}, 0, 0},
		{"&topicId=other", []string{}, 0, 0},
	} {
		got := getChats(t, s, alice.Token, path+c.query)
		require.Equal(t, c.want, got.texts(t, s), c.query)
		require.Equal(t, []int{c.pages, len(c.want), c.total},
			[]int{got.TotalPages, got.TotalCount, got.TotalRecords}, c.query)
	}
	require.Equal(t, 204, rest(t, s, "GET", path+"&messageId=unknown", alice.Token, nil).Status)
	for _, bad := range []string{
		"/chat/chat-history?chatType=groupchat&participant=bob",
		"/chat/chat-history?chatType=singlechat&participant=nobody",
	} {
		require.Equal(t, 400, rest(t, s, "GET", bad, alice.Token, nil).Status, bad)
	}
	require.Equal(t, 401, rest(t, s, "GET", path, "", nil).HTTP)
}

func TestHistoryFields(t *testing.T) {
	s := trial(t)
	alice := register(t, s, "alice")
	a, b := connect(t, s, alice, "Web-1"), connect(t, s, register(t, s, "bob"), "Web-1")
	setVCard(t, a, "Alice")
	bob := "bob@" + s.Domain()
	a.text(s, bob, "m1", "hello")
	a.text(s, bob, "m1", "hullo", "e1")
	a.text(s, bob, "m2", "gone")
	a.send(`<message id="m3" to="%s" type="chat" xmlns="jabber:client"><body>plain</body></message>`, bob)
	iv, _ := s.store.ivs()
	sealed := seal.Seal(`{"message":"yes","message_type":"text","replyTo":"m1"}`, "m4", iv)
	a.send(`<message id="m4" to="%s" type="chat" xmlns="jabber:client"><body>%s</body></message>`, bob, sealed)
	a.send(`<message id="r1" to="%s" type="chat" xmlns="jabber:client">`+
		`<recall xmlns="urn:xmpp:receipts" id="m2" chat_type="chat"/></message>`, bob)
	a.settle()
	b.send(`<message id="r2" to="alice@%s" type="chat" xmlns="jabber:client">`+
		`<seen xmlns="urn:xmpp:receipts" id="m1"/></message>`, s.Domain())
	b.settle()
	got := getChats(t, s, alice.Token, "/chat/chat-history?chatType=singlechat&participant=bob")
	require.Equal(t, []string{"yes", "plain", "", "hullo"}, got.texts(t, s))
	oldest, recalled, newest := got.ChatList[3], got.ChatList[2], got.ChatList[0]
	require.Equal(t, []any{"m1", "text", "alice", "bob", "T", "e1", 2, 1, 0}, []any{
		oldest.MessageID, oldest.MessageType, oldest.FromUser, oldest.ToUser, oldest.TopicID, oldest.EditMessageID,
		oldest.DeliveryStatus, oldest.EditStatus, oldest.RecallStatus,
	})
	require.Equal(t, map[string]string{"k": "v"}, oldest.MetaData)
	_, profiles := s.store.ivs()
	require.Contains(t, []string{"Alice", seal.Seal("Alice", "alice", profiles)}, oldest.FromUserName)
	require.Equal(t, sentTime(s.Messages("alice")[0].Time), oldest.SentTime)
	require.Equal(t, s.Messages("alice")[0].Time.UnixMicro(), oldest.EpochTimestamp)
	require.Equal(t, 1, recalled.RecallStatus)
	require.Equal(t, map[string]string{
		"messageId": "m1", "message": "hullo", "messageType": "text", "fromUser": "alice",
	}, newest.ParentMessage)

	var one struct{ MessageContent, FromUser, MetaData, EditMessageID, CreatedAt string }
	e := rest(t, s, "GET", "/chat/message?chatType=singleChat&messageId=m1&chatId=bob", alice.Token, nil)
	require.NoError(t, json.Unmarshal(e.Data, &one))
	require.Equal(t, `{"k":"v"}`, one.MetaData)
	require.Equal(t, []string{"alice", "e1"}, []string{one.FromUser, one.EditMessageID})
	require.JSONEq(t, `{"message":"hullo","message_type":"text"}`, seal.Open(one.MessageContent, "m1", iv))
	for _, bad := range []string{"messageId=nothing", "messageId=m1&chatId=carol"} {
		require.Equal(t, 204, rest(t, s, "GET", "/chat/message?"+bad, alice.Token, nil).Status, bad)
	}
	require.Equal(t, 204, rest(t, s, "GET", "/chat/message?messageId=m1", register(t, s, "eve").Token, nil).Status)
}

func TestRecentChats(t *testing.T) {
	s := trial(t)
	alice := register(t, s, "alice")
	for _, from := range []string{"bob", "carol", "bob", "dave"} {
		_, err := s.SendMessage(t.Context(), from, "alice", "of "+from)
		require.NoError(t, err)
	}
	all := getChats(t, s, alice.Token, "/chat/recent-chats?size=&messageTime=")
	require.Equal(t, []string{"of dave", "of bob", "of carol"}, all.texts(t, s))
	require.Equal(t, []any{"bob", "bob@" + s.Domain(), 2}, []any{
		all.ChatList[1].Participant, all.ChatList[1].JID, all.ChatList[1].Unread,
	})
	first := getChats(t, s, alice.Token, "/chat/recent-chats?size=1")
	require.Equal(t, []string{"of dave"}, first.texts(t, s))
	require.Equal(t, 3, first.TotalPages)
	next := fmt.Sprint("/chat/recent-chats?size=10&messageTime=", first.ChatList[0].MessageTime)
	require.Equal(t, []string{"of bob", "of carol"}, getChats(t, s, alice.Token, next).texts(t, s))
	require.Empty(t, getChats(t, s, register(t, s, "eve").Token, "/chat/recent-chats").ChatList)
}

func TestUserList(t *testing.T) {
	s := trial(t)
	alice := register(t, s, "alice")
	for id, city := range map[string]any{"bob": "Chennai", "carol": "Madurai", "dave": 7, "erin": nil} {
		plain := map[string]any{
			"deviceType": "web", "deviceId": "5", "mobileNumber": id, "licenseKey": s.LicenseKey(),
			"userIdentifier": id, "metaData": map[string]any{},
		}
		if city != nil {
			plain["metaData"] = map[string]any{"city": city}
		}
		require.Equal(t, 200, rest(t, s, "POST", "/sandbox/register", "", plain).Status)
	}
	require.NoError(t, s.SetProfile(t.Context(), "bob", Profile{NickName: "Robert"}))
	for query, want := range map[string]string{
		"":                  "bob carol dave erin 1 4",
		"&size=3":           "bob carol dave 2 4",
		"&size=3&page=2":    "erin 2 4",
		"&size=3&page=9":    " 2 4",
		"&name=obER":        "bob 1 1",
		"&name=aro":         "carol 1 1",
		"&metadataKey=city": " 0 0",
		"&metadataKey=city&metadataValues=Chennai&metadataValues=7": "bob dave 1 2",
		"&metadataKey=city&metadataValues=":                         " 0 0",
	} {
		var d struct {
			TotalPages, TotalRecords int
			UserList                 []struct{ UserID, NickName string }
		}
		e := rest(t, s, "GET", "/contacts/userList?"+strings.TrimPrefix(query, "&"), alice.Token, nil)
		require.NoError(t, json.Unmarshal(e.Data, &d))
		var ids []string
		for _, u := range d.UserList {
			ids = append(ids, u.UserID)
		}
		require.Equal(t, want, fmt.Sprint(strings.Join(ids, " "), " ", d.TotalPages, " ", d.TotalRecords), query)
	}
	x := connect(t, s, register(t, s, "bob"), "Web-1")
	x.ask("set", "", `<block xmlns="urn:xmpp:blocking"><item jid="alice@`+s.Domain()+`"/></block>`)
	e := rest(t, s, "GET", "/contacts/userList?name="+url.QueryEscape("Robert"), alice.Token, nil)
	require.Contains(t, string(e.Data), `"totalRecords":0`, "who has blocked the caller is not found by name")
}

func TestHistoryStanzas(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	for i := range 3 {
		_, err := s.SendMessage(t.Context(), "bob", "alice", fmt.Sprint(i))
		require.NoError(t, err)
	}
	all := s.Messages("alice")
	query := func(attrs string) string {
		return a.ask("get", "", `<query xmlns="jabber:iq:user_activities" `+attrs+`/>`)
	}
	ids := func(answer string) (out []int) {
		for i := range all {
			if strings.Contains(answer, "<msgid>"+all[i].ID+"</msgid>") {
				out = append(out, i)
			}
		}
		return out
	}
	to := ` to_user="bob@` + s.Domain() + `"`
	newest := query(`status="single_chat" position="up" message_id="" row_id="" limit="2"` + to)
	require.Equal(t, []int{1, 2}, ids(newest))
	require.Contains(t, newest, "<history><chat>")
	require.Contains(t, newest, "<user>bob</user>")
	_, row, _ := strings.Cut(newest, "<row_id>")
	row, _, _ = strings.Cut(row, "<")
	require.Equal(t, []int{0, 1}, ids(query(`status="single_chat" position="up" row_id="`+row+`" limit="5"`+to)))
	require.Contains(t, query(`status="single_chat" to_user="x@elsewhere"`), "jid-malformed")
	recent := query(`status="recent_chat" limit="0"`)
	require.Equal(t, []int{2}, ids(recent))
	require.Contains(t, recent, "<unread>3</unread>")
	reply := query(`status="reply_message" chat_type="chat" message_id="" reply_id="` + all[1].ID + `"`)
	require.Contains(t, reply, "<replymessage><chat>")
	require.Equal(t, []int{1}, ids(reply))
	require.Contains(t, reply, "<replyfromuser>bob</replyfromuser>")
	require.Contains(t, query(`status="reply_message" reply_id="nothing"`), "<replymessage/>")
}
