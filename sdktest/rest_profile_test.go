package sdktest

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVCardModerationAndDeletion(t *testing.T) {
	s := trial(t)
	a, b := register(t, s, "alice"), register(t, s, "bob")
	e := rest(t, s, "GET", "/contacts/vcard?userId=nobody", a.Token, nil)
	require.Equal(t, 200, e.HTTP)
	require.Equal(t, 204, e.Status)
	e = rest(t, s, "GET", "/contacts/vcard?userId=bob", a.Token, nil)
	require.JSONEq(t, `{"email":"","image":"","isAdminBlocked":0,"mobileNumber":"","nickName":"","status":"",`+
		`"thumbImage":"","userId":"bob","userJid":"bob@xmpp.mirrorfly.test"}`, string(e.Data))
	s.BlockByAdmin("bob", true)
	require.Contains(t, string(rest(t, s, "GET", "/contacts/vcard?userId=bob", a.Token, nil).Data),
		`"isAdminBlocked":1`)
	s.BlockByAdmin("bob", false)
	b = register(t, s, "bob") // its token went with the admin block

	require.Equal(t, 200, rest(t, s, "POST", "/moderation/feedback", a.Token,
		map[string]any{"title": "T", "description": "D"}).Status)
	require.Equal(t, 400, rest(t, s, "POST", "/moderation/feedback", a.Token, map[string]any{"title": "T"}).Status)
	require.Len(t, s.Feedback(), 1)
	require.Equal(t, "alice T D", s.Feedback()[0].User+" "+s.Feedback()[0].Title+" "+s.Feedback()[0].Description)

	report := map[string]any{"from": "alice", "to": "bob@" + s.Domain(), "chatType": "chat", "data": `[{"msgId":"1"}]`}
	require.Equal(t, 200, rest(t, s, "POST", "/moderation/report", a.Token, report).Status)
	require.Equal(t, 400, rest(t, s, "POST", "/moderation/report", b.Token, report).Status, "somebody else's name")
	for k, v := range map[string]any{"to": "bob", "chatType": "", "data": "[]"} {
		bad := map[string]any{"from": "alice", "to": "bob@" + s.Domain(), "chatType": "chat", "data": `[{"msgId":"1"}]`}
		bad[k] = v
		require.Equal(t, 400, rest(t, s, "POST", "/moderation/report", a.Token, bad).Status, k)
	}
	require.Len(t, s.Reports(), 1)
	require.Equal(t, `[{"msgId":"1"}]`, s.Reports()[0].Data)

	require.Equal(t, 400, rest(t, s, "POST", "/users/deleteMyAccount", a.Token, map[string]any{"reason": ""}).Status)
	require.Equal(t, 200, rest(t, s, "POST", "/users/deleteMyAccount", a.Token,
		map[string]any{"reason": "R", "feedback": ""}).Status)
	require.Equal(t, 401, rest(t, s, "GET", "/users/config", a.Token, nil).HTTP)
	require.Equal(t, []string{"bob"}, s.Users())
	require.Len(t, s.Deleted(), 1)
	require.Equal(t, "R", s.Deleted()[0].Reason)
	require.Equal(t, 204, rest(t, s, "GET", "/contacts/vcard?userId=alice", b.Token, nil).Status)
	require.Zero(t, s.Profile("alice"))
	again := register(t, s, "alice")
	require.False(t, again.IsExisting)
	require.NotEqual(t, a.Password, again.Password)
}

// GET /users/blockedby has pages, and answers any page and size.
func TestBlockedByPages(t *testing.T) {
	s := New(t)
	for _, id := range []string{"alice", "bob", "carol", "dave"} {
		_, err := s.store.register(id, true, nil, 0)
		require.NoError(t, err)
	}
	for _, id := range []string{"bob", "carol", "dave"} {
		_, err := s.store.block(id, []string{s.jid("alice")})
		require.NoError(t, err)
	}
	for query, want := range map[string]int{
		"": 3, "page=1&size=2": 2, "page=2&size=2": 1, "page=3&size=2": 0, "page=9223372036854775807&size=100": 0,
		"page=-1&size=x": 3,
	} {
		r := s.usersBlockedBy(&call{req: httptest.NewRequest(http.MethodGet, "/users/blockedby?"+query,
			nil), user: "alice"})
		data := r.Data.(map[string]any)
		require.Len(t, data["users"], want, query)
		require.Equal(t, 3, data["totalRecords"])
	}
}
