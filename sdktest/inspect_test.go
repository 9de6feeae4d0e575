package sdktest

import (
	"encoding/json"
	"io"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMedia(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	e := form(t, s, c.Token, map[string]string{"type": "profile", "toUser": "alice"}, []byte("picture"))
	var d struct{ FileToken string }
	require.NoError(t, json.Unmarshal(e.Data, &d))
	content, contentType, err := s.Media(d.FileToken)
	require.NoError(t, err)
	require.NotEmpty(t, contentType)
	raw, err := io.ReadAll(content)
	require.NoError(t, err)
	require.NoError(t, content.Close())
	require.Equal(t, "picture", string(raw))
	for _, token := range []string{"", "nothing", "../accounts.db"} {
		_, _, err := s.Media(token)
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
}
