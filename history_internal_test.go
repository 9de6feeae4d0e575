package sdk

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/rest"
)

func keptRows(sent ...string) (rows []rest.ChatMessage) {
	for _, id := range sent {
		// The id is a letter: a was the first that was sent.
		rows = append(rows, rest.ChatMessage{ID: id, Sent: time.Unix(1700000000+int64(id[0]), 0)})
	}
	return rows
}

func idsOf(rows []rest.ChatMessage) (ids string) {
	for _, row := range rows {
		ids += row.ID
	}
	return ids
}

// What belongs to a page, and whether there are more, whatever a service makes of the request.
func TestHistoryRows(t *testing.T) {
	untimed := func(rows []rest.ChatMessage) []rest.ChatMessage {
		for i := range rows {
			rows[i].Sent = time.Time{}
		}
		return rows
	}
	for _, tc := range []struct {
		name    string
		next    rest.ChatQuery
		page    rest.ChatPage
		want    string
		more    bool
		goingOn string
	}{
		{"nothing", rest.ChatQuery{}, rest.ChatPage{}, "", false, ""},
		{"all", rest.ChatQuery{}, rest.ChatPage{Messages: keptRows("c", "b"), Total: 2, Pages: 1}, "cb", false, "b"},
		{
			"all, and the page is full",
			rest.ChatQuery{},
			rest.ChatPage{Messages: keptRows("c", "b", "a"), Total: 3, Pages: 1},
			"cba", false, "a",
		},
		{
			"more in total",
			rest.ChatQuery{},
			rest.ChatPage{Messages: keptRows("c", "b", "a"), Total: 4},
			"cba", true, "a",
		},
		{
			"more pages, a total of this one",
			rest.ChatQuery{},
			rest.ChatPage{Messages: keptRows("c", "b", "a"), Total: 3, Pages: 2},
			"cba", true, "a",
		},
		{"no totals", rest.ChatQuery{}, rest.ChatPage{Messages: keptRows("c", "b", "a")}, "cba", true, "a"},
		{"no totals, not full", rest.ChatQuery{}, rest.ChatPage{Messages: keptRows("c", "b")}, "cb", false, "b"},
		{
			"size ignored",
			rest.ChatQuery{},
			rest.ChatPage{Messages: keptRows("e", "d", "c", "b"), Total: 4},
			"edc", true, "c",
		},
		{
			"oldest first",
			rest.ChatQuery{},
			rest.ChatPage{Messages: keptRows("b", "c", "d", "e"), Total: 4, Pages: 1},
			"edc",
			true, "c",
		},
		{
			"no times",
			rest.ChatQuery{},
			rest.ChatPage{Messages: untimed(keptRows("b", "c")), Total: 2},
			"bc", false, "c",
		},
		{
			"before, exclusive",
			rest.ChatQuery{MessageID: "x"},
			rest.ChatPage{Messages: keptRows("e", "d", "c", "b")},
			"edc",
			true, "c",
		},
		{
			"before, exclusive, the rest",
			rest.ChatQuery{MessageID: "x"},
			rest.ChatPage{Messages: keptRows("e", "d", "c")},
			"edc", false, "c",
		},
		{
			"before, inclusive",
			rest.ChatQuery{MessageID: "x"},
			rest.ChatPage{Messages: keptRows("x", "d", "c", "b")},
			"dcb",
			true, "b",
		},
		{
			"before, inclusive, the rest",
			rest.ChatQuery{MessageID: "x"},
			rest.ChatPage{Messages: keptRows("x", "d", "c")},
			"dc", false, "c",
		},
		{"before, nothing", rest.ChatQuery{MessageID: "x"}, rest.ChatPage{Messages: keptRows("x")}, "", false, "x"},
		{
			"after",
			rest.ChatQuery{MessageID: "a", Forward: true},
			rest.ChatPage{Messages: keptRows("a", "b", "c", "d")},
			"bcd", true, "d",
		},
		{
			"after, newest first",
			rest.ChatQuery{MessageID: "a", Forward: true},
			rest.ChatPage{Messages: keptRows("e", "d", "c", "b", "a")},
			"bcd", true, "d",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := &conversation{size: 3, next: tc.next, begun: map[string]bool{}}
			rows, more := v.rows(tc.page)
			require.Equal(t, tc.want, idsOf(rows))
			require.Equal(t, tc.more, more)
			require.Equal(t, tc.goingOn, v.next.MessageID)
		})
	}
}

// Receipts go to others alone, and only those that are missing, for the oldest message first.
func TestMissingReceipts(t *testing.T) {
	for want, m := range map[string]keptMessage{
		"delivered seen ": {delivery: 0},
		"seen ":           {delivery: 1},
		"":                {delivery: 2},
	} {
		got := ""
		for _, kind := range m.missing() {
			got += string(kind) + " "
		}
		require.Equal(t, want, got)
		m.Own = true
		require.Empty(t, m.missing())
	}
}

func TestRecentRows(t *testing.T) {
	at := func(seconds ...int64) (rows []rest.RecentChat) {
		for _, s := range seconds {
			row := rest.RecentChat{}
			if s != 0 {
				row.Last.Sent = time.Unix(s, 0)
			}
			rows = append(rows, row)
		}
		return rows
	}
	for _, tc := range []struct {
		name   string
		page   rest.RecentPage
		before int64
		want   []rest.RecentChat
		more   bool
	}{
		{"nothing", rest.RecentPage{}, 0, nil, false},
		{"all", rest.RecentPage{Chats: at(9, 8), Total: 2}, 0, at(9, 8), false},
		{"one more", rest.RecentPage{Chats: at(9, 8, 7)}, 0, at(9, 8), true},
		{"more in total", rest.RecentPage{Chats: at(9, 8), Total: 3}, 0, at(9, 8), true},
		{"oldest first", rest.RecentPage{Chats: at(7, 8, 9)}, 0, at(9, 8), true},
		{"older ones", rest.RecentPage{Chats: at(7, 6, 5)}, 8, at(7, 6), true},
		{"the same again", rest.RecentPage{Chats: at(9, 8, 8)}, 8, nil, false},
		{"newer ones", rest.RecentPage{Chats: at(9, 8, 7)}, 8, at(7), true},
		{"a total that counts all", rest.RecentPage{Chats: at(7), Total: 3}, 8, at(7), false},
		{"without times", rest.RecentPage{Chats: at(0, 0, 0)}, 0, at(0, 0), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := time.Time{}
			if tc.before != 0 {
				before = time.Unix(tc.before, 0)
			}
			rows, more := recentRows(tc.page, 2, before)
			require.Equal(t, len(tc.want), len(rows))
			for i := range rows {
				require.Equal(t, tc.want[i], rows[i])
			}
			require.Equal(t, tc.more, more)
		})
	}
}
