package sdk_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
)

// JSON of a message is the JavaScript SDK's: times and durations are numbers of milliseconds. What
// was written is read again.
func TestMessageJSON(t *testing.T) {
	at := time.UnixMilli(1700000000123)
	for want, m := range map[string]sdk.Message{
		`{"msgId":"","chatType":"","fromUserJid":"","toUserJid":"","messageType":"","message":"","nickName":"",` +
			`"timestamp":0,"editedStatus":false}`: {},
		`{"msgId":"m1","chatType":"chat","fromUserJid":"bob@h","toUserJid":"alice@h","messageType":"text",` +
			`"message":"hi",` +
			`"nickName":"Bob","replyTo":"m0","mentionedUsersIds":["a"],"topicId":"t","metaData":{"k":"v"},` +
			`"timestamp":1700000000123,"editedStatus":true,"own":true,"delayed":true,"unsealed":true,` +
			`"body":{"x":[1]}}`: {
			ID: "m1", ChatType: sdk.ChatTypeChat, FromUserJID: "bob@h", ToUserJID: "alice@h", Type: sdk.MessageTypeText,
			Text: "hi", NickName: "Bob", ReplyTo: "m0", MentionedUserIDs: []string{"a"}, TopicID: "t",
			Metadata: map[string]string{"k": "v"}, Timestamp: at, Edited: true, Own: true, Delayed: true,
			Unsealed: true,
			Body:     json.RawMessage(`{"x":[1]}`),
		},
		`{"msgId":"m2","chatType":"","fromUserJid":"","toUserJid":"","messageType":"image","message":"",` +
			`"nickName":"",` +
			`"media":{"file":` + fileJSON(t) + `,"caption":"c","duration":1500,"thumbnail":"AAEC","width":3,` +
			`"height":4},` +
			`"timestamp":0,"editedStatus":false}`: {ID: "m2", Type: sdk.MessageTypeImage, Media: &sdk.MessageMedia{
			File: file, Caption: "c", Duration: 1500 * time.Millisecond, Thumbnail: []byte{0, 1, 2}, Width: 3,
			Height: 4,
		}},
	} {
		got, err := json.Marshal(m)
		require.NoError(t, err)
		require.JSONEq(t, want, string(got))
		var again sdk.Message
		require.NoError(t, json.Unmarshal(got, &again))
		require.Equal(t, m, again)
	}
}

var file = sdk.MediaFile{FileToken: "token", FileKey: "key", Name: "a.png", Size: 5, Large: true}

func fileJSON(t *testing.T) string {
	t.Helper()
	text, err := json.Marshal(file)
	require.NoError(t, err)
	return string(text)
}

func TestMessageMediaJSON(t *testing.T) {
	for d, ms := range map[time.Duration]string{
		0: "0", time.Microsecond: "0", 1999 * time.Microsecond: "1", time.Hour: "3600000",
	} {
		text, err := json.Marshal(sdk.MessageMedia{Duration: d})
		require.NoError(t, err)
		require.Contains(t, string(text), `"duration":`+ms+`}`)
		require.NotContains(t, string(text), "thumbnail")
		require.NotContains(t, string(text), "width")
		var again sdk.MessageMedia
		require.NoError(t, json.Unmarshal(text, &again))
		require.Equal(t, d.Truncate(time.Millisecond), again.Duration)
	}
	require.Error(t, json.Unmarshal([]byte(`{"duration":"long"}`), new(sdk.MessageMedia)))
	require.Error(t, json.Unmarshal([]byte(`{"timestamp":"now"}`), new(sdk.Message)))
}

func TestMessagePeer(t *testing.T) {
	require.Equal(t, "bob@h", sdk.Message{FromUserJID: "bob@h", ToUserJID: "alice@h"}.Peer())
	require.Equal(t, "bob@h", sdk.Message{FromUserJID: "alice@h", ToUserJID: "bob@h", Own: true}.Peer())
}
