package sdk

import (
	"cmp"
	"context"
	"iter"
	"slices"

	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// UsersQuery asks for a page of the users of the service.
type UsersQuery struct {
	// Name is a part of the names that are looked for; empty: all.
	Name string
	// Page begins with 1; 0 is 1, too.
	Page int
	// Size is how many users a page has, at most 100; 0: 30, as in the JavaScript SDK.
	Size int
	// MetadataKey names an entry of RegisterMetadata; empty: users with any.
	MetadataKey string
	// MetadataValues are what that entry may be.
	MetadataValues []string
}

// UsersPage is a page of the users of the service.
type UsersPage struct {
	// Users are in the order of the service. It is never nil.
	Users []Profile `json:"users"`
	// Total is how many users there are on all pages; 0: the service does not say it.
	Total int `json:"totalUsers"`
	// TotalPages is how many pages there are; 0: the service does not say it.
	TotalPages int `json:"totalPages"`
}

// defaultUsersSize is that of the JavaScript SDK.
const defaultUsersSize = 30

// GetUsersList reads a page of the users of the service, as far as it shows them to this one
// (protocol.md 14.7). Calls at the same time do not disturb each other, as they do in the
// JavaScript SDK.
//
// Errors: 400 ErrInvalidArgument for MetadataValues without a MetadataKey and the other way round,
// for text that is not UTF-8, for a negative Page, and for a Size above 100; 400 ErrNotRegistered;
// the service's status and text; 599 ErrNetwork.
func (c *Client) GetUsersList(ctx context.Context, q UsersQuery) (Result[UsersPage], error) {
	return run(ctx, c, "GetUsersList", success, func(ctx context.Context) (UsersPage, error) {
		found, err := onePage(ctx, func() (readPart[Profile], error) { return c.users(q) })
		if err != nil {
			return UsersPage{}, err
		}
		return UsersPage{
			Users: append([]Profile{}, found.items...), Total: found.total, TotalPages: found.pages,
		}, nil
	})
}

// UsersList reads the users of the service one by one, and page by page from the service, beginning
// with UsersQuery.Page. It ends as ChatMessages does, with the errors of GetUsersList. A user who
// is on two pages comes once.
func (c *Client) UsersList(ctx context.Context, q UsersQuery) iter.Seq2[Profile, error] {
	return pages(ctx, c, "UsersList", func() (readPart[Profile], error) { return c.users(q) })
}

// users checks a query.
func (c *Client) users(q UsersQuery) (readPart[Profile], error) {
	l, err := c.registered()
	if err != nil {
		return nil, err
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	size, err := pageSize(q.Size, defaultUsersSize)
	if err != nil {
		return nil, err
	}
	me, page, seen := l.account(), max(1, q.Page), make(map[string]bool)
	return func(ctx context.Context) (found part[Profile], err error) {
		list, err := c.rest.Users(rest.ForLogin(ctx, me.number), rest.UsersQuery{
			Name: q.Name, Page: page, Size: size, MetadataKey: q.MetadataKey, MetadataValues: q.MetadataValues,
		})
		if err != nil {
			return part[Profile]{}, err
		}
		for i := range list.Users {
			if p := c.openProfile(me, "", &list.Users[i]); !seen[p.UserJID] {
				seen[p.UserJID] = true
				found.items = append(found.items, p)
			}
		}
		found.total, found.pages = list.Total, list.Pages
		found.more = page < list.Pages || list.Pages == 0 && len(list.Users) >= size
		// A page without new users is the end, too: a server that knows no pages always answers
		// with the first.
		found.more = found.more && len(found.items) > 0
		page++
		return found, nil
	}, nil
}

func (q UsersQuery) check() error {
	key, values := argument{"MetadataKey", "metaDataKey"}, argument{"MetadataValues", "metaDataValues"}
	checks := []finding{isUTF8("Name", q.Name), isUTF8(key.name, q.MetadataKey)}
	for _, value := range q.MetadataValues {
		checks = append(checks, isUTF8(values.name, value))
	}
	if len(q.MetadataValues) > 0 {
		checks = append(checks, required(key, q.MetadataKey))
	}
	if q.MetadataKey != "" && !slices.ContainsFunc(q.MetadataValues, func(value string) bool { return value != "" }) {
		checks = append(checks, required(values, ""))
	}
	if err := validate(checks...); err != nil {
		return err
	}
	if q.Page < 0 {
		return invalid("Page", "Page is negative")
	}
	return nil
}

// GetFriendsList reads the roster of this user with the profiles that the service puts into it
// (protocol.md 6.5, 14.7): the users with whom it shares presence. A stock XMPP server has no
// profiles there, and no entries either until somebody makes them.
//
// Errors: 400 ErrNotRegistered; 500 ErrNotConnected; 500 "Request Failed" with a Condition.
func (c *Client) GetFriendsList(ctx context.Context) (Result[[]Profile], error) {
	return ask(ctx, c, "GetFriendsList", func(ctx context.Context) ([]Profile, error) {
		l, err := c.registered()
		if err != nil {
			return nil, err
		}
		s, err := l.open()
		if err != nil {
			return nil, err
		}
		contacts, err := s.Roster(ctx)
		me := l.account()
		friends := make([]Profile, len(contacts))
		for i := range contacts {
			friends[i] = c.openContact(me, &contacts[i])
		}
		return friends, err
	})
}

// openContact is openProfile for an entry of the roster.
func (c *Client) openContact(me account, contact *xmpp.Contact) Profile {
	v := &contact.VCard
	p := c.openProfile(me, contact.JID.Local, &rest.Profile{
		UserJID: contact.JID.String(), NickName: cmp.Or(v.NickName, contact.ProfileName), Email: v.Email,
		MobileNumber: v.MobileNumber, Status: v.Status, Image: v.Image, ThumbImage: v.ThumbImage,
		IsAdminBlocked: contact.IsAdminBlocked,
	})
	p.NickName = cmp.Or(p.NickName, contact.Name)
	return p
}
