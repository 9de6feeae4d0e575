package sdk

import (
	"encoding/json"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/seal"
	"github.com/mirrorfly-go/sdk/internal/signal"
	"github.com/mirrorfly-go/sdk/internal/testing/fuzz"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// A JID that a method accepts is one for the XMPP session too, bare, and is what the pattern of
// protocol.md 1.7 permits.
func FuzzUserJID(f *testing.F) {
	for _, s := range []string{
		"bob@example.com", "bob@mix.example.com", "bob@x", "bob@xy", "a@b/c", "a@@b", "@", "a b@c.d", "é@ü.de",
		"a\ufffd@bb", "a@b..", "a@bb.", "\xff@bb",
		strings.Repeat("İ", 500) + "@bb", "a@" + strings.Repeat("x", 1024), "a\u2028@bb",
	} {
		f.Add(s)
	}
	documented := regexp.MustCompile(`^([^( "'&\/:<>@\\)])+\@((\w|[^( "'&\/:<>@\\)])[^( "'&\/:<>@\\)]+)$`)
	f.Fuzz(func(t *testing.T, jid string) {
		user, group := isUserJID(jid), isGroupJID(jid)
		require.False(t, user && group)
		if !user && !group {
			return
		}
		require.Regexp(t, documented, jid)
		require.False(t, strings.ContainsFunc(jid, unicode.IsControl))
		parsed, err := xmpp.ParseJID(jid)
		require.NoError(t, err)
		require.Empty(t, parsed.Resource)
		require.NotEmpty(t, parsed.Local)
		require.Equal(t, group, strings.HasPrefix(strings.ToLower(parsed.Domain), groupDomainPrefix) && !user)
	})
}

// What a signalling server passes on is a login only when it was sealed with our licence key and
// has a user name and a password.
func FuzzPhoneAnswer(f *testing.F) {
	const licence = "licence-key"
	sealed := func(s string) string { return seal.Seal(s, seal.Triple(licence), seal.ConstIV) }
	for _, s := range []string{
		`{"username":"u","password":"p","socketId":"s"}`, `{"username":"","password":"p"}`, `{}`,
		`[]`, `{"username":1}`, "",
	} {
		f.Add(`{"id":"`+sealed(s)+`"}`, s)
	}
	for _, s := range []string{
		"", "null", `"x"`, `{"id":5}`, `{"id":"plain"}`,
		`{"id":"{\"username\":\"u\",\"password\":\"p\"}"}`,
	} {
		f.Add(s, s)
	}
	q := &QRLogin{
		client:  &Client{cfg: Config{LicenseKey: licence, Logger: slog.New(slog.DiscardHandler)}},
		waiting: f.Context(),
	}
	f.Fuzz(func(t *testing.T, arg, plain string) {
		var answer phoneAnswer
		var ok bool
		fuzz.Bounded(t, len(arg), 1<<20, func() {
			answer, ok = q.open(signal.Event{Name: "response", Args: []json.RawMessage{json.RawMessage(arg)}})
		})
		require.Equal(t, ok, answer != phoneAnswer{} && answer.Username != "" && answer.Password != "")
		opened, ok := q.open(signal.Event{Args: []json.RawMessage{json.RawMessage(`{"id":"` + sealed(plain) + `"}`)}})
		var want phoneAnswer
		if utf8.ValidString(plain) && json.Unmarshal([]byte(plain), &want) == nil && want.Username != "" &&
			want.Password != "" {
			require.True(t, ok)
			require.Equal(t, want, opened)
		} else {
			require.False(t, ok)
		}
	})
}
