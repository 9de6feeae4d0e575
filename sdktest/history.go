package sdktest

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

const (
	defaultPage = 20   // messages or conversations
	maxHistory  = 1000 // of them in one answer; the bound of the real service is not known
)

// page is a part of a list, of which there are total, without what comes before it.
type page struct {
	list        []logged
	total, size int
}

// pages is how many pages of this size there are.
func (p page) pages() int { return (p.total + p.size - 1) / p.size }

// pageSize is the size that a client asks for, or defaultPage.
func pageSize(n int) int {
	if n < 1 {
		return defaultPage
	}
	return min(n, maxHistory)
}

// messagesPage is a part of a conversation, newest first: the newest messages, or those next to the
// one for which at returns true, without that one. It returns false when there is no such message.
func (s *Server) messagesPage(user, other, topic string, size int, at func(logged) bool, forward bool) (page, bool) {
	list := s.store.history(user, other)
	if topic != "" {
		list = slices.DeleteFunc(list, func(m logged) bool { return m.TopicID != topic })
	}
	if at != nil {
		i := slices.IndexFunc(list, at)
		if i < 0 {
			return page{}, false
		}
		if forward {
			list = list[i+1:]
		} else {
			list = list[:i]
		}
	}
	p := page{total: len(list), size: size}
	if forward {
		list = list[:min(size, len(list))]
	} else {
		list = list[max(0, len(list)-size):]
	}
	slices.Reverse(list)
	p.list = list
	return p, true
}

// recentPage are the conversations of a user whose newest messages are older than before, newest
// first.
func (s *Server) recentPage(user string, before time.Time, size int) (p page, unread map[string]int) {
	list, unread := s.store.recent(user)
	if !before.IsZero() {
		list = slices.DeleteFunc(list, func(m logged) bool { return !m.Time.Before(before) })
	}
	return page{list: list[:min(size, len(list))], total: len(list), size: size}, unread
}

// sealedBody is the body of a message as the service hands it out. Clients cannot read one that is
// not sealed, so that a plain text is sealed here. Of a message that was recalled nothing is left.
func (s *Server) sealedBody(m logged) string {
	iv, _ := s.store.ivs()
	if _, sealed := m.open(iv); sealed && !m.Recalled {
		return m.Body
	}
	text := m.Body
	if m.Recalled {
		text = ""
	}
	body, err := json.Marshal(map[string]string{"message": text, "message_type": m.messageType()})
	if err != nil { // strings cannot fail
		panic(err)
	}
	return seal.Seal(string(body), m.ID, iv)
}

func (m *logged) messageType() string {
	if m.Type == "" {
		return "text"
	}
	return m.Type
}

// editID is the edit_msg_id of a message as the official SDK sends it: the message id of one that
// was not edited.
func (m *logged) editID() string {
	if m.EditID == "" {
		return m.ID
	}
	return m.EditID
}

func (m *logged) metaData() json.RawMessage {
	if m.MetaData == "" {
		return json.RawMessage("{}")
	}
	return json.RawMessage(m.MetaData)
}

// sealedName is the name in a user's profile, as the user's client has sealed it.
func (s *Server) sealedName(ctx context.Context, id string) string {
	a, _ := s.store.view(id)
	return s.profileFields(ctx, id, a)["nickName"]
}

// sentTime is a time as the service writes it: the official SDK cuts off the last three digits.
func sentTime(at time.Time) string { return at.UTC().Format("2006-01-02 15:04:05.000000") }

func digit(b bool) int {
	if b {
		return 1
	}
	return 0
}
