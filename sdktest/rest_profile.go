package sdktest

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The children of the service's vCard (protocol.md 5.2).
var vCardFields = [...]string{"nickName", "image", "thumbImage", "email", "mobileNumber", "status"}

// profileFields are the vCard fields of a user as they were stored, that is, sealed by the client.
func (s *Server) profileFields(ctx context.Context, id string, a account) map[string]string {
	if s.external != nil {
		return s.external.profile(ctx, id)
	}
	out := map[string]string{}
	card, err := parseElement([]byte(a.VCard))
	if err != nil { // no vCard yet
		return out
	}
	for _, name := range vCardFields {
		if c := card.child(name); c != nil {
			out[name] = c.text()
		}
	}
	return out
}

// contactsVCard answers with a profile. If that user has blocked the caller, it only
// has the ids; what the real service does then is not known.
func (s *Server) contactsVCard(c *call) reply {
	id := strings.ToLower(c.req.URL.Query().Get("userId"))
	a, exists := s.store.view(id)
	if !exists {
		return refuse(http.StatusNoContent, "User not found")
	}
	var f map[string]string
	if !s.store.hasBlocked(id, c.user) {
		f = s.profileFields(c.req.Context(), id, a)
	}
	adminBlocked := 0 // a number: protocol.md 5.1
	if a.AdminBlocked {
		adminBlocked = 1
	}
	data := map[string]any{"userId": id, "userJid": s.jid(id), "isAdminBlocked": adminBlocked}
	for _, name := range vCardFields {
		data[name] = f[name]
	}
	return ok(data)
}

// usersBlockedBy lists who has blocked the caller, page by page. With an external XMPP server there
// is no such call, because that server has the lists.
func (s *Server) usersBlockedBy(c *call) reply {
	if s.external != nil {
		return refuse(http.StatusNotFound, "Not Found")
	}
	number := func(name string, otherwise int) int {
		n, err := strconv.Atoi(c.req.URL.Query().Get(name))
		if err != nil || n < 1 {
			return otherwise
		}
		return n
	}
	ids := s.store.blockers(c.user)
	size := min(number("size", 10), maxPage)
	pages := (len(ids) + size - 1) / size
	from := min((min(number("page", 1), pages+1)-1)*size, len(ids))
	users := []map[string]any{}
	for _, id := range ids[from:min(from+size, len(ids))] {
		users = append(users, map[string]any{"userId": id}) // nothing else: the caller is blocked
	}
	return ok(map[string]any{"users": users, "totalPages": pages, "totalRecords": len(ids)})
}

const maxPage = 100 // users; the bound of the real service is not known

func (s *Server) moderationFeedback(c *call) reply {
	var b struct {
		Title       string `json:"title"`
		Description string `json:"description"`
	}
	if err := c.decode(&b); err != nil {
		return badBody(err)
	}
	if b.Title == "" || b.Description == "" {
		return refuse(http.StatusBadRequest, "title and description are required")
	}
	if len(b.Title)+len(b.Description) > maxText {
		return refuse(http.StatusBadRequest, "title and description are too long")
	}
	s.store.addFeedback(Feedback{User: c.user, Title: b.Title, Description: b.Description})
	return ok(nil)
}

// moderationReport takes a report; its messages are JSON inside a JSON string (protocol.md 5.10).
func (s *Server) moderationReport(c *call) reply {
	var b struct {
		From     string `json:"from"`
		To       string `json:"to"`
		ChatType string `json:"chatType"`
		Data     string `json:"data"`
	}
	if err := c.decode(&b); err != nil {
		return badBody(err)
	}
	var messages []map[string]any
	switch {
	case !strings.EqualFold(b.From, c.user):
		return refuse(http.StatusBadRequest, "from is not the sender")
	case !reportable.MatchString(b.To) || !utf8.ValidString(b.To):
		return refuse(http.StatusBadRequest, "to format is invalid")
	case b.ChatType == "":
		return refuse(http.StatusBadRequest, "chatType is not valid or required")
	case len(b.Data) > maxText:
		return refuse(http.StatusBadRequest, "data is too long")
	case json.Unmarshal([]byte(b.Data), &messages) != nil || len(messages) == 0:
		return refuse(http.StatusBadRequest, "Invalid data value.")
	}
	s.store.addReport(Report{From: b.From, To: b.To, ChatType: b.ChatType, Data: b.Data})
	return ok(nil)
}

const maxText = 256 << 10 // bytes of a feedback or a report

// reportable is a user's or a group's JID (protocol.md 1.7).
var reportable = regexp.MustCompile(`^[^( "'&/:<>@\\)]+@[^( "'&/:<>@\\)]+$`)
