package sdk_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/backend"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

var smallPicture = []byte("\x89PNG\r\n\x1a\nxx")

// withPicture is an update with a picture that is uploaded.
func withPicture() sdk.ProfileUpdate {
	return sdk.ProfileUpdate{
		Name: "Alice Smith", Email: "alice@example.com",
		Image: sdk.ImageReader("a.png", "image/png", bytes.NewReader(smallPicture), int64(len(smallPicture))),
	}
}

// The outcome of SetUserProfile is that of the request that failed.
func TestOutcomeOfAPicture(t *testing.T) {
	var answer http.HandlerFunc
	cfg := sdktest.New(t).Config()
	answering(t, &cfg, map[string]http.HandlerFunc{"POST media/": func(w http.ResponseWriter, r *http.Request) {
		answer(w, r)
	}})
	client := login(t, cfg, "alice")
	for _, code := range []int{400, 403, 413, 415} {
		for _, status := range []int{200, code} {
			answer = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(status)
				_, _ = fmt.Fprintf(w, `{"status":%d,"message":"no"}`, code)
			}
			res, err := client.SetUserProfile(t.Context(), withPicture())
			answered(t, code, "Media Upload Failed", nil, res, err)
			require.Equal(t, sdk.OutcomeRefused.String(), outcomeTold(t, err).String())
		}
	}
}

// An upload that is answered without a token is none: the profile keeps its picture.
func TestPictureWithoutAToken(t *testing.T) {
	srv := sdktest.New(t)
	tokenless := false
	cfg := srv.Config()
	answers := map[string]http.HandlerFunc{}
	answering(t, &cfg, answers)
	client := login(t, cfg, "alice")
	_, err := client.SetUserProfile(t.Context(), withPicture())
	require.NoError(t, err)
	before := srv.Profile("alice")
	require.NotEmpty(t, before.Image)
	answers["POST media/"] = func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		_, _ = io.WriteString(w, `{"status":200,"message":"ok","data":{}}`)
		tokenless = true
	}
	res, err := client.SetUserProfile(t.Context(), withPicture())
	answered(t, 500, "Unexpected answer: no file token", nil, res, err)
	require.True(t, tokenless)
	require.Equal(t, before, srv.Profile("alice"))
}

// A profile has two pictures. One that was read is written back with both.
func TestProfileKeepsItsThumbnail(t *testing.T) {
	srv := sdktest.New(t)
	client := login(t, srv.Config(), "alice")
	for _, old := range []sdktest.Profile{
		{Image: "picture", ThumbImage: "picture-thumb"},
		{Image: "picture"},
		{},
	} {
		require.NoError(t, srv.SetProfile(t.Context(), "alice", old))
		read, err := client.GetUserProfile(t.Context(), "alice")
		require.NoError(t, err)
		set, err := client.SetUserProfile(t.Context(), sdk.ProfileUpdate{
			Email: "alice@example.com", Status: "changed", Image: sdk.ImageOf(read.Data),
		})
		require.NoError(t, err)
		require.Equal(t, sdk.ProfileImage{FileToken: old.Image, FileTokenThumb: old.ThumbImage}, set.Data)
		now := srv.Profile("alice")
		require.Equal(t, []string{"changed", old.Image, old.ThumbImage},
			[]string{now.Status, now.Image, now.ThumbImage})
	}
}

// What cannot be sealed, or would arrive changed, is refused before anything is sent.
func TestTextsThatCannotBeSent(t *testing.T) {
	srv := sdktest.New(t)
	client := login(t, srv.Config(), "alice")
	requireAnswer(t, srv, client) // what the session sends by itself has come before
	before := len(srv.Requests())
	const latin1 = "Ren\xe9"
	profile := func(p sdk.ProfileUpdate) error {
		p.Email = "alice@example.com"
		_, err := client.SetUserProfile(t.Context(), p)
		return err
	}
	report := func(m sdk.ReportedMessage) error {
		m.MsgID, m.MsgType, m.PublisherID, m.Timestamp = "1", "text", "bob", 1
		_, err := client.ReportUserOrGroup(t.Context(), bobJID, sdk.ChatTypeChat, []sdk.ReportedMessage{m})
		return err
	}
	feedback := func(title, description string) error {
		_, err := client.SendFeedback(t.Context(), title, description)
		return err
	}
	leave := func(reason, feedback string) error {
		_, err := client.DeleteMyAccount(t.Context(), reason, feedback)
		return err
	}
	upload := func(m sdk.MediaUpload) error {
		m.Reader = strings.NewReader("")
		_, err := client.UploadMedia(t.Context(), m)
		return err
	}
	registered := func(key string, value any) error {
		_, err := client.Register(t.Context(), "alice", sdk.RegisterMetadata(map[string]any{key: value}))
		return err
	}
	for message, err := range map[string]error{
		"SetUserProfile: Name is not valid UTF-8": profile(sdk.ProfileUpdate{Name: latin1}),
		"MobileNumber is not valid UTF-8":         profile(sdk.ProfileUpdate{MobileNumber: latin1}),
		"Status is not valid UTF-8":               profile(sdk.ProfileUpdate{Status: latin1}),
		"Image is not valid UTF-8":                profile(sdk.ProfileUpdate{Image: sdk.ImageURL(latin1)}),
		"SetUserProfile: Image is not valid UTF-8": profile(sdk.ProfileUpdate{
			Image: sdk.ImageOf(sdk.Profile{ThumbImage: latin1}),
		}),
		"Status has control characters":            profile(sdk.ProfileUpdate{Status: "a\x00"}),
		"Image has control characters":             profile(sdk.ProfileUpdate{Image: sdk.ImageURL("a\uFFFE")}),
		"title is not valid UTF-8":                 feedback(latin1, "x"),
		"description is not valid UTF-8":           feedback("x", latin1),
		"reason is not valid UTF-8":                leave(latin1, ""),
		"feedback is not valid UTF-8":              leave("x", latin1),
		"Message is not valid UTF-8":               report(sdk.ReportedMessage{Message: latin1}),
		"Filename is not valid UTF-8":              report(sdk.ReportedMessage{Filename: latin1}),
		"To is not valid UTF-8":                    upload(sdk.MediaUpload{To: latin1, Name: "x"}),
		"Name is not valid UTF-8":                  upload(sdk.MediaUpload{To: bobJID, Name: latin1}),
		"MessageID is not valid UTF-8":             upload(sdk.MediaUpload{To: bobJID, Name: "x", MessageID: latin1}),
		"RegisterMetadata: key is not valid UTF-8": registered("key", latin1),
		"a name that is not valid UTF-8":           registered(latin1, 1),
	} {
		require.ErrorIs(t, err, sdk.ErrInvalidArgument, message)
		require.ErrorContains(t, err, message)
		require.Equal(t, sdk.OutcomeNotSent.String(), outcomeTold(t, err).String())
	}
	require.Len(t, srv.Requests(), before)

	// sealed text may be anything
	update := sdk.ProfileUpdate{Name: "\x01é", Status: "a\tb\r\nc é 😀", MobileNumber: "\x00"}
	require.NoError(t, profile(update))
	now := srv.Profile("alice")
	require.Equal(t, []string{update.Name, update.Status, update.MobileNumber},
		[]string{now.NickName, now.Status, now.MobileNumber})
}

func TestProfileLargerThanAStanza(t *testing.T) {
	srv := sdktest.New(t)
	client := login(t, srv.Config(), "alice")
	for said, p := range map[string]sdk.ProfileUpdate{
		"Status is too large, it has 1048576 bytes": {Status: strings.Repeat("x", 1<<20)},
		// Eight times as long when it is sealed.
		"Name is too large, it has 262144 bytes": {Name: strings.Repeat("é", 1<<17)},
	} {
		p.Email = "alice@example.com"
		res, err := client.SetUserProfile(t.Context(), p)
		answered(t, 400, said+": a whole profile has 1 MiB on the wire", sdk.ErrInvalidArgument, res, err)
		require.Equal(t, sdk.OutcomeNotSent.String(), outcomeTold(t, err).String())
	}
	_, err := client.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "alice@example.com"})
	require.NoError(t, err)
}

// sdktest folds the case as ejabberd and Prosody do: what "Alice" seals everybody
// opens.
func TestProfileOfATypedName(t *testing.T) {
	for _, trial := range []bool{true, false} {
		srv := sdktest.New(t, sdktest.Options{Trial: trial})
		_, credentials := register(t, srv.Config(), "alice")
		alice, bob := newClient(t, srv.Config()), login(t, srv.Config(), "bob")
		_, err := alice.Connect(t.Context(), "Alice", credentials.Password)
		require.NoError(t, err)
		told := map[string]*events[sdk.Profile]{
			"alice": collect(alice.OnUserProfile),
			"bob":   collect(bob.OnUserProfile),
		}
		_, err = alice.SetUserProfile(t.Context(), sdk.ProfileUpdate{Name: "Alice Smith", Email: "alice@example.com"})
		require.NoError(t, err)
		for _, e := range told {
			p := e.until(t, func(p sdk.Profile) bool { return p.UserJID == "alice@"+srv.Domain() })
			require.Equal(t, "Alice Smith", p.NickName)
		}
		require.Equal(t, "Alice Smith", srv.Profile("ALICE").NickName)
		for _, id := range []string{"alice", "ALICE", "Alice@" + strings.ToUpper(srv.Domain())} {
			res, err := bob.GetUserProfile(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, "Alice Smith", res.Data.NickName, id)
			require.Equal(t, "alice", res.Data.UserID)
		}
		_, err = bob.BlockUser(t.Context(), "ALICE@"+srv.Domain())
		require.NoError(t, err)
		blocked, err := bob.GetUsersIBlocked(t.Context())
		require.NoError(t, err)
		require.Equal(t, []sdk.BlockedUser{{JID: "alice@" + srv.Domain()}}, blocked.Data)
	}
}

// A profile is opened under the id that the service answers, else under the one that was asked for,
// as servers have it.
func TestProfileOpenedUnderTheAnsweredID(t *testing.T) {
	b := backend.New(t)
	cards := make(chan string, 1)
	b.OnIQ = func(v *backend.Visitor, id, to, frame string) bool {
		if backend.IsCard(frame) {
			cards <- frame
		}
		return false
	}
	client := b.Connected(b.Config(sdk.TransportWebSocket), "alice")
	_, err := client.SetUserProfile(t.Context(), sdk.ProfileUpdate{Name: "Alice Smith", Email: "alice@example.com"})
	require.NoError(t, err)
	name := backend.CardField(patient.Receive(t, cards), "nickName")
	for _, who := range []string{`"userId":"alice",`, `"userJid":"alice@` + backend.Domain + `",`, ``} {
		b.On("GET /contacts/vcard", func(w http.ResponseWriter, _ *http.Request) {
			backend.AnswerJSON(w, `{"status":200,"message":"ok","data":{`+who+`"nickName":"`+name+`"}}`)
		})
		for _, id := range []string{"Alice@" + backend.Domain, "ALICE", "alice"} {
			res, err := client.GetUserProfile(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, "Alice Smith", res.Data.NickName, "%s, answered %s", id, who)
			require.Equal(t, "alice@"+backend.Domain, res.Data.UserJID)
		}
	}
}

func TestLastSeenTime(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	require.Equal(t, now.Add(-time.Minute), sdk.LastSeen{Seconds: 60}.Time(now))
	require.True(t, sdk.LastSeen{Seconds: math.MaxInt64}.Time(now).Before(now.AddDate(-200, 0, 0)))
}

// A profile picture from a file or a reader is uploaded as it is, also with encryption on.
func TestProfilePicture(t *testing.T) {
	srv := sdktest.New(t)
	alice, bob := login(t, srv.Config(), "alice"), login(t, srv.Config(), "bob")
	_, err := alice.SetMediaEncryption(true)
	require.NoError(t, err)
	picture := []byte("\x89PNG\r\n\x1a\n and the rest")
	set, err := alice.SetUserProfile(t.Context(), sdk.ProfileUpdate{
		Email: "a@example.com", Image: sdk.ImageReader("a.png", "", bytes.NewReader(picture), int64(len(picture))),
	})
	require.NoError(t, err)
	require.NotEmpty(t, set.Data.FileToken)
	profile, err := bob.GetUserProfile(t.Context(), "alice")
	require.NoError(t, err)
	require.Equal(t, set.Data.FileToken, profile.Data.Image)
	require.Equal(t, set.Data.FileTokenThumb, profile.Data.ThumbImage)
	var got bytes.Buffer
	_, err = bob.DownloadMedia(t.Context(), sdk.MediaFile{FileToken: profile.Data.Image}, &got)
	require.NoError(t, err)
	require.Equal(t, picture, got.Bytes())
}
