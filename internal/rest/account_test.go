package rest

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestProfile(t *testing.T) {
	cases := []struct {
		name, body string
		code       int
		want       *Profile
		status     int
	}{
		{
			"full",
			`{"status":200,"data":{"userId":"b","userJid":"b@h","nickName":"sealed=","email":"e",` +
				`"mobileNumber":15551,"status":"hi","image":"i","thumbImage":"t","fromUser":"b","isAdminBlocked":1}}`,
			200,
			&Profile{
				UserID: "b", UserJID: "b@h", NickName: "sealed=", Email: "e", MobileNumber: "15551", Status: "hi",
				Image: "i", ThumbImage: "t", IsAdminBlocked: true,
			},
			0,
		},
		{
			"wrong types",
			`{"status":200,"data":{"nickName":null,"email":[1],"image":{"a":1},"isAdminBlocked":"yes","status":false}}`,
			200, &Profile{}, 0,
		},
		{"flag as text", `{"status":"200","data":{"isAdminBlocked":"1"}}`, 200, &Profile{IsAdminBlocked: true}, 0},
		{"flag as bool", `{"status":200.0,"data":{"isAdminBlocked":true}}`, 200, &Profile{IsAdminBlocked: true}, 0},
		{"flag as text zero", `{"status":200,"data":{"isAdminBlocked":"0"}}`, 200, &Profile{}, 0},
		{"not there, in the body", `{"status":204,"message":"no such user"}`, 200, nil, 204},
		{"not there, HTTP", ``, 204, nil, 204},
		{"no data", `{"status":200}`, 200, nil, 500},
		{"null", `{"status":200,"data":null}`, 200, nil, 500},
		{"text", `{"status":200,"data":"x"}`, 200, nil, 500},
		{"list", `{"status":200,"data":[{}]}`, 200, nil, 500},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, handlers{"GET /contacts/vcard": func(w http.ResponseWriter, r *http.Request) {
				require.Equal(t, "userId=b%20%26c%2Fd%3F", r.URL.RawQuery)
				answer(c.code, c.body)(w, r)
			}})
			got, err := connect(t, s.URL).Profile(t.Context(), "b &c/d?")
			if c.want == nil {
				require.Equal(t, c.status, fail(t, err).Status)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

// The client gives up a list that does not end.
func TestBlockedByWithoutEnd(t *testing.T) {
	page := 0
	s := serve(t, handlers{
		"POST /login": answer(200, `{"status":200,"data":{"token":"tok-1"}}`),
		"GET /users/blockedby": func(w http.ResponseWriter, r *http.Request) {
			page++ // one request at a time
			const next = `{"status":200,"data":{"totalPages":1000000,"users":[{"userId":"user%d"}]}}`
			answer(200, fmt.Sprintf(next, page))(w, r)
		},
	})
	c := connect(t, s.URL)
	c.login(t)
	_, err := c.BlockedBy(t.Context())
	require.ErrorContains(t, err, "more than 1000 pages")
	require.Equal(t, maxBlockedByPages, page)
}
