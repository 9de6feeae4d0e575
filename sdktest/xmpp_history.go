package sdktest

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// historyStatuses are the queries of the service's own namespace for messages.
var historyStatuses = map[string]func(*stream, *element) *element{
	"single_chat":   (*stream).singleChat,
	"recent_chat":   (*stream).recentChat,
	"reply_message": (*stream).replyMessage,
}

// singleChat is a part of a conversation, newest first, next to the row row_id: before it, or with
// another position than "up" after it. nil: the query makes no sense.
func (st *stream) singleChat(q *element) *element {
	user, _, local := st.srv.hub.split(q.attr("to_user"))
	if !local || user == "" {
		return nil
	}
	var at func(logged) bool
	if row, err := strconv.ParseUint(q.attr("row_id"), 10, 64); err == nil && row > 0 {
		at = func(m logged) bool { return m.row == row }
	}
	n, _ := strconv.Atoi(q.attr("limit")) // what is no number counts as none
	forward := at != nil && q.attr("position") != "up"
	p, _ := st.srv.messagesPage(st.user, user, q.attr("topic_id"), pageSize(n), at, forward)
	list := el("", "history")
	for _, m := range p.list {
		list.add(children("chat", map[string]string{
			"row_id": strconv.FormatUint(m.row, 10), "time": sentTime(m.Time)[:19],
			"message_time": micros(m.Time), "status": strconv.Itoa(m.Status.code()),
			"recallstatus": strconv.Itoa(digit(m.Recalled)), "favouritestatus": "0", "favouriteby": "0",
			"message": st.srv.sealedBody(m), "msgid": m.ID, "user": m.From, "meta_data": string(m.metaData()),
			"topic_id": m.TopicID, "edit_msg_status": strconv.Itoa(digit(m.Edited)), "editmsgid": m.editID(),
		}))
	}
	return list
}

// recentChat are the user's conversations with their newest messages.
func (st *stream) recentChat(q *element) *element {
	n, _ := strconv.Atoi(q.attr("limit")) // 0: all
	if n < 1 {
		n = maxHistory
	}
	p, unread := st.srv.recentPage(st.user, time.Time{}, pageSize(n))
	list := el("", "participants")
	for _, m := range p.list {
		other := m.peer(st.user)
		list.add(children("participant", map[string]string{
			"publisher": m.From, "time": sentTime(m.Time)[:19], "status": strconv.Itoa(m.Status.code()),
			"message": st.srv.sealedBody(m), "msgid": m.ID, "chattype": "chat",
			"recallstatus": strconv.Itoa(digit(m.Recalled)), "user": m.To, "msgfrom": other,
			"Message_type": m.messageType(), "unread": strconv.Itoa(unread[other]), "mute_status": "0",
			"archive_status": "0", "updated_at": sentTime(m.Time)[:19], "topic_id": m.TopicID,
			"meta_data": string(m.metaData()), "message_time": micros(m.Time),
		}))
	}
	return list
}

// replyMessage is one message of the user's. It is empty when there is none.
func (st *stream) replyMessage(q *element) *element {
	out := el("", "replymessage")
	m, found := st.srv.store.find(st.user, q.attr("reply_id"))
	if !found {
		return out
	}
	return out.add(children("chat", map[string]string{
		"chat_type": "chat", "msgid": m.ID, "body": st.srv.sealedBody(m), "to_user": m.To, "replyfromuser": m.From,
		"status": strconv.Itoa(m.Status.code()), "created_at": m.Time.UTC().Format("2006-01-02T15:04:05.000Z"),
		"message_time": micros(m.Time), "recall_status": strconv.Itoa(digit(m.Recalled)), "deleted_status": "0",
		"deleted_by": "", "message_notification": "0", "meta_data": string(m.metaData()), "topic_id": m.TopicID,
		"edit_msg_status": strconv.Itoa(digit(m.Edited)), "editmsgid": m.editID(),
	}))
}

func micros(at time.Time) string { return strconv.FormatInt(at.UnixMicro(), 10) }

// children is an element with a child for each text, in the order of the names.
func children(name string, texts map[string]string) *element {
	e := el("", name)
	for _, child := range slices.Sorted(maps.Keys(texts)) {
		e.add(el("", child).txt(texts[child]))
	}
	return e
}
