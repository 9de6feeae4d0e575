package sdktest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// number is a number in the query of a request. 0: there is none.
func (c *call) number(name string) int64 {
	n, err := strconv.ParseInt(c.req.URL.Query().Get(name), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// chatHistory is a part of the conversation of the caller with another user. messageId is a message
// next to which the part is, before it or with direction=forward after it; it is not part of the
// answer. The order, newest first, is what the official SDK expects.
func (s *Server) chatHistory(c *call) reply {
	q := c.req.URL.Query()
	if s.external != nil {
		return refuse(http.StatusNotFound, "Not Found")
	}
	if q.Get("chatType") != "singlechat" {
		return refuse(http.StatusBadRequest, "chatType is not valid or required")
	}
	other := localpart(strings.ToLower(q.Get("participant")))
	if !s.store.exists(other) {
		return refuse(http.StatusBadRequest, "participant is not valid or required")
	}
	var at func(logged) bool
	if id := q.Get("messageId"); id != "" {
		at = func(m logged) bool { return m.ID == id }
	}
	size := pageSize(int(min(c.number("size"), maxHistory)))
	p, found := s.messagesPage(c.user, other, q.Get("topicId"), size, at, q.Get("direction") == "forward")
	if !found {
		return refuse(http.StatusNoContent, "Message not found")
	}
	names := map[string]string{}
	for _, id := range []string{c.user, other} {
		names[id] = s.sealedName(c.req.Context(), id)
	}
	list := []map[string]any{}
	for _, m := range p.list {
		list = append(list, s.historyItem(m, names[m.From]))
	}
	return ok(p.envelope(list))
}

func (p page) envelope(list []map[string]any) map[string]any {
	return map[string]any{
		"totalPages": p.pages(), "totalCount": len(list), "totalRecords": p.total, "chatList": list,
	}
}

// historyItem is a message in the answers of REST. name is the sender's, sealed.
func (s *Server) historyItem(m logged, name string) map[string]any {
	item := map[string]any{
		"id": m.row, "messageId": m.ID, "messageType": m.messageType(), "message": s.sealedBody(m),
		"sentTime": sentTime(m.Time), "epochTimestamp": m.Time.UnixMicro(),
		"fromUser": m.From, "toUser": m.To, "fromUserName": name,
		"deliveryStatus": m.Status.code(), "recallStatus": digit(m.Recalled), "metaData": m.metaData(),
		"editStatus": digit(m.Edited), "editMessageId": m.editID(), "topicId": m.TopicID,
		"messageNotification": 0, "starredStatus": 0, "deletedStatus": 0, "isHistory": 0,
	}
	iv, _ := s.store.ivs()
	if body, opened := m.open(iv); opened && body.ReplyTo != "" && !m.Recalled {
		item["parentMessage"] = s.parent(m, body.ReplyTo, iv)
	}
	return item
}

// parent is the message that another one answers, as far as the server remembers it.
func (s *Server) parent(m logged, id, iv string) map[string]any {
	out := map[string]any{"messageId": id}
	if p, found := s.store.find(m.From, id); found && p.peer(m.From) == m.To && !p.Recalled {
		told := p.message(iv)
		out["message"], out["messageType"], out["fromUser"] = told.Text, p.messageType(), p.From
	}
	return out
}

// recentChats are the caller's conversations with their newest messages, newest first. messageTime
// is that of the last one that the caller has. The names and pictures are under the names of the
// Platform API (GET /chat/recent: fromUserName, toUserName, ...), and those of the other side under
// nickName and image, too; what the real answer has is not known (protocol.md 12).
func (s *Server) recentChats(c *call) reply {
	if s.external != nil {
		return refuse(http.StatusNotFound, "Not Found")
	}
	var before time.Time
	switch n := c.number("messageTime"); {
	case n >= 1e15: // microseconds
		before = time.UnixMicro(n)
	case n > 0:
		before = time.UnixMilli(n)
	}
	p, unread := s.recentPage(c.user, before, pageSize(int(min(c.number("size"), maxHistory))))
	list := []map[string]any{}
	for _, m := range p.list {
		other := m.peer(c.user)
		profile := s.shownFields(c, other)
		from, to := profile, s.shownFields(c, c.user)
		if m.From == c.user {
			from, to = to, from
		}
		item := s.historyItem(m, from["nickName"])
		for name, v := range map[string]any{
			"fromUserImage": from["image"], "fromUserThumbImage": from["thumbImage"],
			"toUserName": to["nickName"], "toUserImage": to["image"], "toUserThumbImage": to["thumbImage"],
			"chatType": "singlechat", "participant": other, "jid": s.jid(other), "unread": unread[other],
			"unreadMessageId": "", "messageTime": m.Time.UnixMicro(), "updatedAt": sentTime(m.Time),
			"metadata": m.metaData(), "archiveStatus": 0, "muteStatus": 0,
			"nickName": profile["nickName"], "image": profile["image"],
		} {
			item[name] = v
		}
		list = append(list, item)
	}
	return ok(p.envelope(list))
}

// shownFields are the vCard fields of a user as the caller may see them: nothing of one who has
// blocked the caller.
func (s *Server) shownFields(c *call, id string) map[string]string {
	if s.store.hasBlocked(id, c.user) {
		return map[string]string{}
	}
	a, _ := s.store.view(id)
	return s.profileFields(c.req.Context(), id, a)
}

// chatMessage is one message of the caller's, with the names that the official SDK reads: they are
// others than those of history, and metaData is JSON in a string. When there is no such message it
// answers as for a user whom there is not.
func (s *Server) chatMessage(c *call) reply {
	q := c.req.URL.Query()
	if s.external != nil {
		return refuse(http.StatusNotFound, "Not Found")
	}
	other := localpart(strings.ToLower(q.Get("chatId")))
	m, found := s.store.find(c.user, q.Get("messageId"))
	if !found || other != "" && m.peer(c.user) != other {
		return refuse(http.StatusNoContent, "Message not found")
	}
	return ok(map[string]any{
		"chatType": "chat", "messageId": m.ID, "messageType": m.messageType(), "messageContent": s.sealedBody(m),
		"fromUser": m.From, "toUser": m.To, "status": m.Status.code(),
		"createdAt": m.Time.UTC().Format("2006-01-02T15:04:05.000Z"), "epochTimestamp": m.Time.UnixMicro(),
		"deletedBy": "", "recallStatus": digit(m.Recalled), "toNotification": "", "messageNotification": 0,
		"metaData": string(m.metaData()), "topicId": m.TopicID,
		"editStatus": digit(m.Edited), "editMessageId": m.editID(),
	})
}

// userList are the other users page by page, in the order of their ids. name is a part of the name
// or the id, metadataKey and metadataValues are what the users have given at their registration.
func (s *Server) userList(c *call) reply {
	q := c.req.URL.Query()
	values := map[string]bool{}
	for _, v := range q["metadataValues"] {
		values[v] = v != ""
	}
	list := []map[string]any{}
	size := int64(pageSize(int(min(c.number("size"), maxPage))))
	first := (max(1, min(c.number("page"), maxAccounts)) - 1) * size
	total := int64(0)
	for _, id := range s.store.ids() {
		if id == c.user || !s.matches(c, id, q, values) {
			continue
		}
		if total++; total > first && total <= first+size {
			list = append(list, s.userItem(c, id))
		}
	}
	return ok(map[string]any{"totalPages": (total + size - 1) / size, "totalRecords": total, "userList": list})
}

// matches reports whether a user is one that userList is asked for.
func (s *Server) matches(c *call, id string, q url.Values, values map[string]bool) bool {
	if key := q.Get("metadataKey"); key != "" && !values[s.store.metadata(id, key)] {
		return false
	}
	name := strings.ToLower(q.Get("name"))
	if name == "" || strings.Contains(id, name) {
		return true
	}
	return !s.store.hasBlocked(id, c.user) && strings.Contains(strings.ToLower(s.Profile(id).NickName), name)
}

// userItem is a user in userList: who has blocked the caller shows only the ids.
func (s *Server) userItem(c *call, id string) map[string]any {
	a, _ := s.store.view(id)
	f := s.shownFields(c, id)
	item := map[string]any{
		"userId": id, "userJid": s.jid(id), "isAdminBlocked": digit(a.AdminBlocked), "isMuted": 0,
	}
	for _, name := range vCardFields {
		item[name] = f[name]
	}
	return item
}

// metadata is a value of a user's metadata as text. Empty: there is none.
func (st *store) metadata(id, key string) string {
	st.mu.Lock()
	defer st.mu.Unlock()
	a := st.state.Accounts[id]
	if a == nil {
		return ""
	}
	switch v := a.Metadata[key].(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		raw, _ := json.Marshal(v) // numbers and booleans cannot fail
		return string(raw)
	}
}
