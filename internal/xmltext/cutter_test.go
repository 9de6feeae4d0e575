package xmltext

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/fuzz"
)

// cutAll cuts a stream that comes in steps of so many bytes, and returns its pieces until its end
// or an error. What has no end is not among them.
func cutAll(stream string, step int) (pieces []string, end Piece, err error) {
	var c Cutter
	begin := 0
	for at := 0; at < len(stream); {
		n, piece, err := c.Advance([]byte(stream[at:min(at+step, len(stream))]))
		if err != nil {
			return pieces, Incomplete, err
		}
		at += n
		if piece != Incomplete {
			pieces = append(pieces, stream[begin:at])
			begin = at
		}
		if piece == StreamEnd {
			return pieces, piece, nil
		}
	}
	return pieces, Incomplete, nil
}

// Whatever comes, and in whatever steps, the pieces are the same, and nothing between them is lost.
func FuzzCutter(f *testing.F) {
	for _, s := range []string{
		`<s><a/><b x="1"><c/></b></s>`, `<?xml version="1.0"?> <s> <a>]]></a> </s>`, `<s/>`, `</s>`, `<s><a></b></s>`,
		`<s><!-- --></s>`,
		`<s><a><![CDATA[</a>]]]]></a></s>`, `<s><a b='>'/><a / ></a></s>`, `<s>x</s>`, `<s><a`, `<s><?x?></s>`,
		`<s></s ><s>`,
		"<s>" + strings.Repeat("<a>", MaxDepth) + strings.Repeat("</a>", MaxDepth) + "</s>", "<s>" +
			strings.Repeat("<a>", MaxDepth+1),
	} {
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, stream string, step int) {
		step = max(1, step)
		var whole []string
		var end Piece
		var err error
		fuzz.Bounded(t, len(stream), 1<<20, func() { whole, end, err = cutAll(stream, len(stream)+1) })
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
		}
		pieces, end2, err2 := cutAll(stream, step)
		require.Equal(t, whole, pieces)
		require.Equal(t, end, end2)
		require.Equal(t, err == nil, err2 == nil)
		require.True(t, strings.HasPrefix(stream, strings.Join(pieces, "")))
		for i, piece := range pieces {
			piece = strings.TrimLeft(piece, " \t\r\n")
			require.Equal(t, i == len(pieces)-1 && end == StreamEnd, strings.HasPrefix(piece, "</"), piece)
			require.True(t, strings.HasPrefix(piece, "<") && strings.HasSuffix(piece, ">"), piece)
		}
	})
}
