package xmpp

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/frames"
	"github.com/mirrorfly-go/sdk/internal/testing/fuzz"
)

// A JID that is accepted can be written and read again, whatever its case, and cannot hold what
// ends a line, a word or an attribute.
func FuzzParseJID(f *testing.F) {
	for _, s := range []string{
		"", "a@b/c", "A@B.", "İ@x/y", "@/", "a@b/ /", "a@b..", "a@@b", "a@b@c", "ﬀ@x", "a\u0300@x", "a@b/\u202e",
		"\u2028@b",
		strings.Repeat("x", maxJIDPart) + "@y", strings.Repeat("İ", 600) + "@y",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var j JID
		var err error
		fuzz.Bounded(t, len(s), frames.MaxFrame, func() { j, err = ParseJID(s) })
		if err != nil {
			require.Zero(t, j)
			require.Less(t, len(err.Error()), 1000)
			return
		}
		again, err := ParseJID(j.String())
		require.NoError(t, err)
		require.Equal(t, j, again)
		require.Equal(t, j, JID{j.Bare().Local, j.Bare().Domain, j.Resource})
		for _, part := range []string{j.Local, j.Domain, j.Resource} {
			require.LessOrEqual(t, len(part), maxJIDPart)
			require.True(t, utf8.ValidString(part))
			require.False(t, strings.ContainsFunc(part, unicode.IsControl))
		}
		require.NotEmpty(t, j.Domain)
		require.False(t, strings.ContainsAny(j.Local+j.Domain, "<>&\"'@/ \n"))
		if i := strings.IndexByte(s, '/'); i < 0 {
			upper, err := ParseJID(asciiUpper(s))
			require.NoError(t, err)
			require.Equal(t, j, upper)
		}
	})
}

func asciiUpper(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - 32
		}
	}
	return string(b)
}

func TestParseJID(t *testing.T) {
	long := strings.Repeat("x", maxJIDPart)
	for in, want := range map[string]JID{
		"example.com":                  {Domain: "example.com"},
		"Bob@Example.COM":              {"bob", "example.com", ""},
		"bob@example.com./R es/@":      {"bob", "example.com", "R es/@"},
		"example.com/x":                {"", "example.com", "x"},
		"b@[::1]/x":                    {"b", "[::1]", "x"},
		"ÉLAN@x":                       {"élan", "x", ""},
		long + "@" + long + "/" + long: {long, long, long},
	} {
		got, err := ParseJID(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got)
		require.Equal(t, JID{Local: want.Local, Domain: want.Domain}, got.Bare())
	}
	for _, in := range []string{
		"", "@", "/", "@x", "x@", "x/", "x@/y", "a@b@c", "a b@c", "a@b c", "a\x00@b", "a@b/\n", "a@b/\x7f", "\xff@b",
		"a@\xff",
		"a@b/\xff", `a"@b`, "a<@b", "a:b@c", "a&@c", "a'@c", "a@c>", long + "x@y", "x@" + long + "y", "x@y/" + long +
			"z", "a@.",
	} {
		_, err := ParseJID(in)
		require.Error(t, err, "%q", in)
	}
}
