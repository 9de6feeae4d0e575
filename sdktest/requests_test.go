package sdktest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestJournalIsBounded(t *testing.T) {
	j := journal{changes: new(changes)}
	for range maxRequests + 10 {
		j.add(Request{Body: "x"})
	}
	require.Len(t, j.list, maxRequests)
	for range 100 {
		j.add(Request{Stanza: strings.Repeat("x", 1<<20), Header: http.Header{"A": {"b"}}})
	}
	require.LessOrEqual(t, j.bytes, maxJournal)
	require.Len(t, j.list, 31)
	total := 0
	for _, r := range j.list {
		total += r.size()
	}
	require.Equal(t, total, j.bytes)
}

func TestRequestsAreKeptOpened(t *testing.T) {
	s := New(t)
	c := register(t, s, "alice")
	rest(t, s, "POST", "/login", "", map[string]any{"username": "alice", "password": wirePassword(s, c.Password,
		time.UnixMilli(time.Now().UnixMilli())), "type": "web"})
	rest(t, s, "GET", "/users/config", c.Token, nil)
	got := s.Requests()
	require.Len(t, got, 3)
	require.Equal(t, "register", got[0].Path)
	require.Contains(t, got[0].Body, `"userIdentifier":"alice"`)
	var login struct {
		Password struct{ Password string }
	}
	require.NoError(t, json.Unmarshal([]byte(got[1].Body), &login))
	require.Equal(t, c.Password, login.Password.Password)
	require.Equal(t, "GET users/config alice", got[2].Method+" "+got[2].Path+" "+got[2].User)
	require.Equal(t, c.Token, got[2].Header.Get("Authorization"))
}
