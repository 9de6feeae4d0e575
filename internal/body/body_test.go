package body

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// vectors is testdata/messages.json: bodies recorded from the service's own client.
type vectors struct {
	IV     string
	Bodies []struct {
		What, Key, Sealed string
		Body              json.RawMessage
	}
	Unsealed []struct{ What, Key, Text string }
}

func loadVectors(t testing.TB) vectors {
	t.Helper()
	b, err := os.ReadFile("testdata/messages.json")
	require.NoError(t, err)
	var v vectors
	require.NoError(t, json.Unmarshal(b, &v))
	require.NotEmpty(t, v.Bodies)
	require.NotEmpty(t, v.Unsealed)
	return v
}

// recordedBody is what a vector says, read by encoding/json alone.
type recordedBody struct {
	Message           string
	MessageType       string `json:"message_type"`
	MentionedUsersIDs []string
	NickName, ReplyTo string
	Media             *recordedMedia
}

type recordedMedia struct {
	FileName, Caption string
	Token             string  `json:"file_url"`
	Key               *string `json:"file_key"`
	Size              int64   `json:"file_size"`
	Duration          *int64
	Thumbnail         string `json:"thumb_image"`
	GivenThumbnail    string `json:"thumbImage"` // what the caller of that client gave
	OriginalWidth     int
	OriginalHeight    int
	IsLargeFile       bool
}

func (r *recordedMedia) media(t *testing.T) *Media {
	if r == nil {
		return nil
	}
	var thumbnail []byte
	if text := cmp.Or(r.Thumbnail, r.GivenThumbnail); text != "" {
		var err error
		thumbnail, err = base64.StdEncoding.DecodeString(text)
		require.NoError(t, err)
	}
	m := &Media{
		Token: r.Token, Name: r.FileName, Caption: r.Caption, StoredSize: r.Size, Large: r.IsLargeFile,
		Thumbnail: thumbnail, Width: r.OriginalWidth, Height: r.OriginalHeight,
	}
	if r.Key != nil {
		m.Key = *r.Key
	}
	if r.Duration != nil {
		m.Duration = time.Duration(*r.Duration) * time.Millisecond
	}
	return m
}

// What the service's own client has sealed opens to what was recorded, and what we seal of that
// opens to the same, with every field that we write as it was.
func TestRecordedBodies(t *testing.T) {
	v := loadVectors(t)
	media := 0
	for _, r := range v.Bodies {
		t.Run(r.What+" "+r.Key, func(t *testing.T) {
			var want recordedBody
			require.NoError(t, json.Unmarshal(r.Body, &want))
			got, opened := Open(r.Sealed, r.Key, v.IV)
			require.True(t, opened)
			require.JSONEq(t, string(r.Body), string(got.JSON))
			got.JSON = nil
			if want.Media != nil {
				media++
			}
			require.Equal(t, Body{
				Text: want.Message, Type: want.MessageType, NickName: want.NickName, ReplyTo: want.ReplyTo,
				Mentioned: append([]string(nil), want.MentionedUsersIDs...), Media: want.Media.media(t),
			}, got)

			sealed, err := got.Seal(r.Key, v.IV)
			require.NoError(t, err)
			text, err := seal.OpenStrict(sealed, r.Key, v.IV)
			require.NoError(t, err)
			requireSameFields(t, string(r.Body), text)
			again, opened := Open(sealed, r.Key, v.IV)
			require.True(t, opened)
			again.JSON = nil
			require.Equal(t, got, again)
		})
	}
	require.Greater(t, media, 5)
}

// different are fields that differ: sizes, which the service's own client scales for the layout of
// each app; and of a file that its caller has named by URL, the message id, which is another one,
// the thumbnail, which is in another field, and what is missing or null there.
var different = map[string]bool{
	"webWidth": true, "webHeight": true, "androidWidth": true, "androidHeight": true, "msgId": true,
	"file_key": true, "duration": true, "thumb_image": true,
}

// requireSameFields: what is in both is the same.
func requireSameFields(t *testing.T, theirs, ours string) {
	t.Helper()
	var want, got map[string]any
	require.NoError(t, json.Unmarshal([]byte(theirs), &want))
	require.NoError(t, json.Unmarshal([]byte(ours), &got))
	wantMedia, _ := want["media"].(map[string]any)
	gotMedia, _ := got["media"].(map[string]any)
	delete(want, "media")
	delete(got, "media")
	for name, value := range want {
		require.Equal(t, value, got[name], name)
	}
	for name, value := range gotMedia {
		if other, has := wantMedia[name]; has && !different[name] {
			require.Equal(t, other, value, "media.%s", name)
		}
	}
	require.Equal(t, wantMedia == nil, gotMedia == nil)
}

// What was not sealed, or with another key, is no body.
func TestUnsealedBodies(t *testing.T) {
	v := loadVectors(t)
	for _, r := range v.Unsealed {
		got, opened := Open(r.Text, r.Key, v.IV)
		require.False(t, opened, r.What)
		require.Equal(t, Body{}, got)
	}
	_, opened := Open(v.Bodies[0].Sealed, "another", v.IV)
	require.False(t, opened)
	_, opened = Open(v.Bodies[0].Sealed, "", v.IV)
	require.False(t, opened)
}

// A body is an object. A field of the wrong type counts as absent, and does not spoil the others.
func TestOddBodies(t *testing.T) {
	for text, want := range map[string]*Body{
		`[]`: nil, `[{"message":"x"}]`: nil, `null`: nil, ` null`: nil, `7`: nil, `"x"`: nil, `true`: nil, ``: nil,
		`{`:    nil,
		`{}{}`: nil, `{"message":"x"`: nil, "\xff": nil,
		`{}`: {}, " \t\r\n{} ": {}, `{"a":{"b":[]}}`: {},
		`{"message":"x","message_type":"text","nickName":"n","replyTo":"r","mentionedUsersIds":["a","b"]}`: {
			Text: "x", Type: "text", NickName: "n", ReplyTo: "r", Mentioned: []string{"a", "b"},
		},
		`{"message":null,"message_type":null,"nickName":null,"replyTo":null,"mentionedUsersIds":null,"media":null}`: {},
		`{"message":{},"message_type":"text"}`:         {Type: "text"},
		`{"message":[1],"message_type":"text"}`:        {Type: "text"},
		`{"message":"x","message_type":{}}`:            {Text: "x"},
		`{"message":"x","nickName":false}`:             {Text: "x"},
		`{"message":"x","replyTo":[]}`:                 {Text: "x"},
		`{"message":"x","mentionedUsersIds":"bob"}`:    {Text: "x"},
		`{"message":"x","mentionedUsersIds":{}}`:       {Text: "x"},
		`{"message":"x","media":"y"}`:                  {Text: "x"},
		`{"message":"x","media":[]}`:                   {Text: "x"},
		`{"media":"y","message":"x"}`:                  {Text: "x"},
		`{"message":5,"message_type":"text"}`:          {Text: "5", Type: "text"},
		`{"message":"x","replyTo":12}`:                 {Text: "x", ReplyTo: "12"},
		`{"mentionedUsersIds":["a",7,null,{},"b"]}`:    {Mentioned: []string{"a", "7", "b"}},
		`{"message":"x","media":{}}`:                   {Text: "x", Media: &Media{}},
		`{"message":"\u00e4\ud83d\ude00\ud800","x":1}`: {Text: "ä😀\uFFFD"},
	} {
		got, isObject := Read([]byte(text))
		require.Equal(t, want != nil, isObject, text)
		if want != nil {
			want.JSON = json.RawMessage(text)
			require.Equal(t, *want, got, text)
			sealed, err := seal.SealStrict(text, "id", seal.ConstIV)
			require.NoError(t, err)
			got, isObject = Open(sealed, "id", seal.ConstIV)
			require.True(t, isObject)
			require.Equal(t, *want, got, text)
		}
	}
}

// Each field of a file that is odd leaves the others as they are.
func TestOddMedia(t *testing.T) {
	const year = 366 * 24 * time.Hour
	huge := bytes.Repeat([]byte{0xff, 0xd8, 1}, 1<<16)
	for fields, want := range map[string]Media{
		`"file_url":7,"file_key":null,"fileName":[],"caption":{},"file_size":"12","isLargeFile":"1"`: {
			Token: "7", StoredSize: 12, Large: true,
		},
		`"file_size":-1,"isLargeFile":"no","duration":-5,"originalWidth":-1,"originalHeight":1e300`: {},
		`"file_size":1.9,"duration":"1234","originalWidth":"8","originalHeight":8.5`: {
			StoredSize: 1, Duration: 1234 * time.Millisecond, Width: 8, Height: 8,
		},
		`"duration":9223372036854775807`:  {Duration: year},
		`"duration":1e15`:                 {Duration: year},
		`"duration":1e300`:                {},
		`"duration":{}`:                   {},
		`"duration":null,"file_size":{}`:  {},
		`"webWidth":3,"androidWidth":4`:   {Width: 3},
		`"androidHeight":4,"webHeight":0`: {Height: 4},
		`"originalWidth":9999999,"webWidth":3`: {
			Width: 3,
		},
		// of the mobile apps, as the history of the service has it
		`"fileName":"a","fileSize":12,"fileUrl":"t","fileKey":"k","thumbImage":"AAEC","isDownloaded":0,` +
			`"isUploading":2,` +
			`"localPath":"/x"`: {Name: "a", StoredSize: 12, Token: "t", Key: "k", Thumbnail: []byte{0, 1, 2}},
		`"file_url":"t","fileUrl":"other","file_size":1,"fileSize":2,"thumb_image":"AA==","thumbImage":"AQ=="`: {
			Token: "t", StoredSize: 1, Thumbnail: []byte{0},
		},
		`"thumb_image":"data:image/png;base64,AAEC"`:                      {Thumbnail: []byte{0, 1, 2}},
		`"thumb_image":"data:image/png"`:                                  {},
		`"thumb_image":"data:,"`:                                          {},
		`"thumb_image":"not base64!"`:                                     {},
		`"thumb_image":{}`:                                                {},
		`"thumb_image":"` + base64.StdEncoding.EncodeToString(huge) + `"`: {Thumbnail: huge},
	} {
		got, isObject := Read([]byte(`{"message_type":"image","media":{` + fields + `}}`))
		require.True(t, isObject, fields)
		require.Equal(t, "image", got.Type)
		require.Equal(t, want, *got.Media, "%.100s", fields)
	}
}

// Text that is not UTF-8 stays at home.
func TestSealRefuses(t *testing.T) {
	for _, b := range []Body{{Text: "\xff"}, {NickName: "\xff"}, {Media: &Media{Name: "\xff"}}} {
		sealed, err := b.Seal("id", seal.ConstIV)
		require.Error(t, err)
		require.Empty(t, sealed)
		require.NotContains(t, err.Error(), "\xff")
	}
	_, err := Body{Text: "x"}.Seal("", seal.ConstIV)
	require.Error(t, err)
}

// A file goes over the wire with the sizes for every app, and nobody's key is "".
func TestSealedFile(t *testing.T) {
	b := Body{Type: "image", Media: &Media{
		Token: "t", Name: "a.png", Caption: "c", StoredSize: 5, Width: 3, Height: 4, Duration: 1500 * time.Millisecond,
		Thumbnail: []byte{0, 1, 2},
	}}
	sealed, err := b.Seal("m1", seal.ConstIV)
	require.NoError(t, err)
	text, err := seal.OpenStrict(sealed, "m1", seal.ConstIV)
	require.NoError(t, err)
	require.Equal(t, `{"message":"","message_type":"image","media":{"fileName":"a.png","caption":"c","msgId":"m1",`+
		`"webWidth":3,"webHeight":4,"androidWidth":3,"androidHeight":4,"originalWidth":3,"originalHeight":4,`+
		`"file_size":5,"file_url":"t","file_key":null,"duration":1500,"thumb_image":"AAEC","local_path":"",`+
		`"is_uploading":2,"is_downloaded":0,"isLargeFile":false},"mentionedUsersIds":[],"nickName":""}`, text)
}

// A body of a text takes 11 and 14. Under the race detector the pools of encoding/json forget what
// was put into them now and then.
const (
	sealAllocations = 16
	openAllocations = 16
)

var textBody = Body{Text: "Hello, how are you? " + strings.Repeat("x", 100), Type: "text", NickName: "Alice"}

func TestAllocations(t *testing.T) {
	const id = "ed9ba944-a9e4-43e4-aed5-77288d2e977e"
	sealed, err := textBody.Seal(id, seal.ConstIV)
	require.NoError(t, err)
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		_, err = textBody.Seal(id, seal.ConstIV)
	}), float64(sealAllocations))
	require.NoError(t, err)
	var opened bool
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		_, opened = Open(sealed, id, seal.ConstIV)
	}), float64(openAllocations))
	require.True(t, opened)
}

func BenchmarkSeal(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := textBody.Seal("ed9ba944-a9e4-43e4-aed5-77288d2e977e", seal.ConstIV); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	sealed, err := textBody.Seal("ed9ba944-a9e4-43e4-aed5-77288d2e977e", seal.ConstIV)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, opened := Open(sealed, "ed9ba944-a9e4-43e4-aed5-77288d2e977e", seal.ConstIV); !opened {
			b.Fatal("it does not open")
		}
	}
}
