package body

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/seal"
	"github.com/mirrorfly-go/sdk/internal/testing/fuzz"
)

// most is how long a body can be: as a stanza.
const most = 1 << 20

// Whatever was sealed, or was not: only a JSON object is a body, its numbers are in range, and what
// it says can be sealed and opened again.
func FuzzOpen(f *testing.F) {
	for _, text := range []string{
		``, `{}`, `null`, `[]`, `{"message":5,"mentionedUsersIds":[1,null,"a"],"media":[]}`,
		`{"message":"x","message_type":"text","mentionedUsersIds":["bob"],"nickName":"A","replyTo":"m0"}`,
		`{"media":{"fileName":"a","file_size":"9","duration":-1,"thumb_image":"data:image/png;base64,AAEC"}}`,
		`{"media":{"thumbImage":"AAEC","fileSize":1e99,"fileUrl":"t","originalWidth":1e9}}`,
		`{"message":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "{\"message\":\"\xff\"}", ` {"a":1}`,
	} {
		f.Add(text, "m1", true)
		f.Add(text, "m1", false)
	}
	f.Fuzz(func(t *testing.T, text, id string, sealed bool) {
		if sealed {
			text = seal.Seal(text, id, seal.ConstIV)
		}
		var got Body
		var opened bool
		fuzz.Bounded(t, len(text), most, func() { got, opened = Open(text, id, seal.ConstIV) })
		if !opened {
			require.Equal(t, Body{}, got)
			return
		}
		var object map[string]any
		require.NoError(t, json.Unmarshal(got.JSON, &object))
		require.NotNil(t, object)
		if m := got.Media; m != nil {
			require.GreaterOrEqual(t, m.StoredSize, int64(0))
			require.True(t, m.Duration >= 0 && m.Duration <= maxDuration*time.Millisecond)
			require.True(t, m.Width >= 0 && m.Height >= 0 && m.Width <= maxPixels && m.Height <= maxPixels)
		}
		again, err := got.Seal(id, seal.ConstIV)
		require.NoError(t, err)
		second, opened := Open(again, id, seal.ConstIV)
		require.True(t, opened)
		got.JSON, second.JSON = nil, nil
		require.Equal(t, got, second)
	})
}
