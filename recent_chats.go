package sdk

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/seal"
)

// RecentQuery asks for a part of the list of conversations.
type RecentQuery struct {
	// Before leaves out conversations whose newest message is not older; zero: none.
	Before time.Time
	// Size is how many conversations a page has, at most 100; 0: 20.
	Size int
}

// RecentPage is a part of the list of conversations.
type RecentPage struct {
	// Chats are those with the newest messages first. It is never nil.
	Chats []RecentChat `json:"chats"`
	// More: there are older ones. Ask with the Timestamp of the last of Chats as Before.
	More bool `json:"more"`
}

// RecentChat is a conversation with a user.
type RecentChat struct {
	// UserJID is the bare JID of the user.
	UserJID string `json:"userJid"`
	// NickName is what the user is called; it may be empty.
	NickName string `json:"nickName"`
	// Image is a URL, or a token for DownloadMedia; it may be empty.
	Image string `json:"image"`
	// Last is the newest message. One that was deleted for everyone has no Text and no Media.
	Last Message `json:"lastMessage"`
	// Unread is how many messages of the user have not been seen, as the service says.
	Unread int `json:"unread"`
}

// defaultRecentSize is ours: that of the JavaScript SDK is not known.
const defaultRecentSize = 20

// GetRecentChats reads with whom messages were exchanged, and the newest message with each
// (protocol.md 14.6). Groups are left out; a page of nothing else is passed over. It tells nobody
// anything.
//
// Errors: 400 ErrInvalidArgument for a Size above 100; 400 ErrNotRegistered; the service's status
// and text; 599 ErrNetwork.
func (c *Client) GetRecentChats(ctx context.Context, q RecentQuery) (Result[RecentPage], error) {
	return run(ctx, c, "GetRecentChats", success, func(ctx context.Context) (RecentPage, error) {
		found, err := onePage(ctx, func() (readPart[RecentChat], error) { return c.recentChats(q) })
		if err != nil {
			return RecentPage{}, err
		}
		return RecentPage{Chats: append([]RecentChat{}, found.items...), More: found.more}, nil
	})
}

// RecentChats reads the conversations one by one, and page by page from the service, from that with
// the newest message on. It ends as ChatMessages does, with the errors of GetRecentChats. A
// conversation that gets a message meanwhile may be missing.
func (c *Client) RecentChats(ctx context.Context, q RecentQuery) iter.Seq2[RecentChat, error] {
	return pages(ctx, c, "RecentChats", func() (readPart[RecentChat], error) { return c.recentChats(q) })
}

// recentChats checks a query.
func (c *Client) recentChats(q RecentQuery) (readPart[RecentChat], error) {
	l, err := c.registered()
	if err != nil {
		return nil, err
	}
	size, err := pageSize(q.Size, defaultRecentSize)
	if err != nil {
		return nil, err
	}
	me, before := l.account(), q.Before
	return func(ctx context.Context) (found part[RecentChat], err error) {
		ctx = rest.ForLogin(ctx, me.number)
		for range maxEmptyPages {
			page, err := c.rest.RecentChats(ctx, size+1, before)
			if err != nil {
				return part[RecentChat]{}, err
			}
			var rows []rest.RecentChat
			rows, found.more = recentRows(page, size, before)
			for i := range rows {
				if chat, ok := c.recentChat(me, &rows[i]); ok {
					found.items = append(found.items, chat)
				}
			}
			if !found.more {
				break
			}
			before = rows[len(rows)-1].Last.Sent
			if len(found.items) > 0 {
				break
			}
		}
		return found, nil
	}, nil
}

// recentRows are the conversations of a page that belong to it, the newest first. One more than
// size was asked for. Each page is older than the one before, so that there is an end.
func recentRows(page rest.RecentPage, size int, before time.Time) (rows []rest.RecentChat, more bool) {
	all := len(page.Chats)
	more = all > size || before.IsZero() && page.Total > all
	rows = slices.DeleteFunc(page.Chats, func(r rest.RecentChat) bool {
		return !before.IsZero() && !r.Last.Sent.Before(before)
	})
	slices.SortStableFunc(rows, func(a, b rest.RecentChat) int { return b.Last.Sent.Compare(a.Last.Sent) })
	if len(rows) > size {
		rows, more = rows[:size], true
	}
	// Without a time there is nothing to go on from.
	return rows, more && len(rows) > 0 && !rows[len(rows)-1].Last.Sent.IsZero()
}

// recentChat opens what the service has (protocol.md 2.5, 14.6); false: it is none between two.
func (c *Client) recentChat(me account, row *rest.RecentChat) (_ RecentChat, ok bool) {
	own := sameUser(localPart(row.Last.From), me.id())
	with, name, image := row.Last.From, row.Last.FromName, row.FromImage
	if own {
		with, name, image = row.Last.To, row.ToName, row.ToImage
	}
	with = cmp.Or(row.With, with)
	if _, domain, _ := strings.Cut(with, "@"); with == "" || row.Group || strings.HasPrefix(domain, groupDomainPrefix) {
		return RecentChat{}, false
	}
	peer := me.jidOf(with)
	return RecentChat{
		UserJID:  peer,
		NickName: seal.Open(cmp.Or(row.Name, name), localPart(peer), c.profileIV(me)),
		Image:    cmp.Or(row.Image, image),
		Last:     c.keptMessage(me, peer, &row.Last).Message,
		Unread:   row.Unread,
	}, true
}
