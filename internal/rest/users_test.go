package rest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUsersRequest(t *testing.T) {
	for want, q := range map[string]UsersQuery{
		"name=&page=1&size=30&metadataKey=&metadataValues=": {Page: 1, Size: 30},
		"name=b%20%26%2B&page=2&size=5&metadataKey=a+key&metadataValues=x+y&metadataValues=%26": {
			Name: "b &+", Page: 2, Size: 5, MetadataKey: "a key", MetadataValues: []string{"x y", "&"},
		},
	} {
		c, query := asked(t, "GET /contacts/userList", `{"status":200,"data":{"userList":[]}}`, 200)
		_, err := c.Users(t.Context(), q)
		require.NoError(t, err)
		require.Equal(t, want, *query)
	}
}

func TestUsersAnswer(t *testing.T) {
	for _, tc := range []struct {
		name, data string
		want       UsersPage
		failed     string
	}{
		{
			"full", `{"totalPages":2,"totalRecords":31,"userList":[{"image":"i","thumbImage":"t","isAdminBlocked":1,` +
				`"status":"s","name":"plain","nickName":"n=","email":"e=","mobileNumber":"m=","isMuted":0,` +
				`"userId":"bob",` +
				`"userJid":"bob@h"},{"userId":"carol","name":"Carol"}]}`,
			UsersPage{Total: 31, Pages: 2, Users: []Profile{
				{
					UserID: "bob", UserJID: "bob@h", NickName: "n=", Email: "e=", MobileNumber: "m=", Status: "s",
					Image: "i", ThumbImage: "t", IsAdminBlocked: true,
				},
				{UserID: "carol", NickName: "Carol"},
			}},
			"",
		},
		{
			"wrong types", `{"totalPages":{},"totalRecords":"many","userList":[null,7,[],{"name":"nobody"},` +
				`{"userId":7,"email":[]}]}`,
			UsersPage{Users: []Profile{{UserID: "7"}}},
			"",
		},
		{"nobody", `[]`, UsersPage{}, ""},
		{"text", `"x"`, UsersPage{}, "no usable data"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, _ := asked(t, "GET /contacts/userList", `{"status":200,"data":`+tc.data+`}`, 200)
			got, err := c.Users(t.Context(), UsersQuery{Page: 1, Size: 30})
			if tc.failed != "" {
				require.ErrorContains(t, err, tc.failed)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
}
