package plain

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"":                   "",
		"User not available": "User not available",
		"Zoë сказала: 你好 😀 ½ € e\u0301": "Zoë сказала: 你好 😀 ½ € e\u0301",
		`C:\new "quoted" 'too'`:         `C:\new "quoted" 'too'`,
		"two\nlines\r\n":                `two\nlines\r\n`,
		"tab\tnul\x00bell\a":            `tab\tnul\x00bell\a`,
		"\x1b[2J\x1b]0;title\a\u009b31": `\x1b[2J\x1b]0;title\a\u009b31`,
		"a\u2028b\u2029c\u0085d":        `a\u2028b\u2029c\u0085d`,
		"\u202egpj.exe\u2066":           `\u202egpj.exe\u2066`,
		"zero\u200bwidth\ufeff\u00ad":   `zero\u200bwidth\ufeff\u00ad`,
		"\xff\xc3(":                     `\xff\xc3(`,
		"replaced \ufffd":               "replaced \ufffd",
		"private \ue000 \U000e0041":     `private \ue000 \U000e0041`,
	} {
		require.Equal(t, want, Text(in))
	}
}

func TestClip(t *testing.T) {
	require.Equal(t, "é", Clip("é", 2))
	require.Equal(t, "é...", Clip("éé", 3), "a character is not cut")
	require.Equal(t, "...", Clip("é", 1))
	require.Equal(t, `\n\n...`, Clip("\n\n\n", 2))
	require.Equal(t, "...", Clip("\x80\x80\x80", 2), "no character begins here")
}

func TestError(t *testing.T) {
	require.NoError(t, Error(nil))
	require.Equal(t, io.EOF, Error(io.EOF))
	err := Error(fmt.Errorf("x509: valid for evil\n%w", io.EOF))
	require.EqualError(t, err, `x509: valid for evil\nEOF`)
	require.ErrorIs(t, err, io.EOF)
	require.EqualError(t, Error(errors.New("\x1b")), `\x1b`)
}

// Whatever comes: one printable line of UTF-8, and what was that already stays as it is.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "plain", "\n\x1b\u2028\u202e", "\xff\xfe\xc3", "é😀\ufffd"} {
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, s string, most int) {
		most = max(0, most)
		text := Text(s)
		require.True(t, utf8.ValidString(text))
		require.False(t, strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }), "%q", text)
		require.Equal(t, text, Text(text))
		require.LessOrEqual(t, len(text), 10*len(s), "\\U000e0041 is the longest of a byte or a character")
		if clipped := Clip(s, most); len(s) > most {
			require.LessOrEqual(t, len(clipped), 10*most+len("..."))
		} else {
			require.Equal(t, text, clipped)
		}
	})
}
