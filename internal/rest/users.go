package rest

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// UsersQuery asks for a page of the users of the service.
type UsersQuery struct {
	// Name is a part of the names that are looked for; empty: all.
	Name string
	// Page begins with 1.
	Page, Size     int
	MetadataKey    string
	MetadataValues []string
}

// UsersPage is a page of the users of the service.
type UsersPage struct {
	Users []Profile
	// Total and Pages are 0 where the service does not tell them.
	Total, Pages int
}

// Users reads a page of the users of the service (GET /contacts/userList, protocol.md 14.7). Users
// without an id are left out.
func (c *Client) Users(ctx context.Context, q UsersQuery) (UsersPage, error) {
	var path strings.Builder
	fmt.Fprintf(&path, "/contacts/userList?name=%s&page=%d&size=%d&metadataKey=%s",
		seal.EncodeURIComponent(q.Name), q.Page, q.Size, url.QueryEscape(q.MetadataKey))
	if len(q.MetadataValues) == 0 {
		path.WriteString("&metadataValues=")
	}
	for _, value := range q.MetadataValues {
		path.WriteString("&metadataValues=" + url.QueryEscape(value))
	}
	var list struct {
		TotalPages   number `json:"totalPages"`
		TotalRecords number `json:"totalRecords"`
		UserList     []object[struct {
			profile
			Name text `json:"name"`
		}] `json:"userList"`
	}
	r := &request{op: "users", method: http.MethodGet, auth: true, idempotent: true, path: path.String()}
	if err := c.json(ctx, r, &list); err != nil {
		return UsersPage{}, err
	}
	page := UsersPage{Total: count(list.TotalRecords), Pages: count(list.TotalPages)}
	for i := range list.UserList {
		user := &list.UserList[i].value
		if user.UserID == "" && user.UserJID == "" {
			continue
		}
		told := user.told()
		if told.NickName == "" {
			told.NickName = string(user.Name)
		}
		page.Users = append(page.Users, told)
	}
	return page, nil
}
