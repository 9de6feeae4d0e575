package xmltext

import (
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/xmltree"
)

// What we send survives every character, and cannot break out of its element.
func TestMarkupEscapes(t *testing.T) {
	for _, s := range []string{`'"<>&]]>`, "\n\t\r", "é😀", "<!-- -->", "\x00\x01", "\xff"} {
		inner := Markup{Space: s, Name: "a", Children: []Markup{{Name: "b", Text: s}, {Name: "b"}, {}}}
		frame := Markup{
			Space: "urn:outer", Name: "iq", Attrs: []string{"id", s, "type", ""},
			Children: []Markup{inner},
		}.Bytes()
		require.NoError(t, Check(string(frame)))
		n, err := xmltree.Parse(string(frame))
		require.NoError(t, err)
		require.Len(t, n.Inner[0].(xmltree.Node).Inner, 2)
		require.Len(t, n.Attrs, 2, "the namespace and the id")
		// What XML cannot carry is told to be missing.
		want := strings.Map(func(r rune) rune {
			if !isCharacter(r) {
				return unicode.ReplacementChar
			}
			return r
		}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
		require.Equal(t, want, n.Attr("id"))
		require.Equal(t, want, n.Inner[0].(xmltree.Node).Inner[0].(xmltree.Node).Text())
	}
}
