package sdk_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// The texts are the JavaScript SDK's, with its names. The name in Go is told beside them.
func TestArgumentsAreNamedAsInGo(t *testing.T) {
	srv := sdktest.New(t)
	c, ctx := login(t, srv.Config(), "alice"), t.Context()
	bob := "bob@" + srv.Domain()
	broken := sdk.MediaUpload{To: "bob", Name: "a.txt", Reader: strings.NewReader("x"), Size: 2}
	for _, tc := range []struct {
		argument, text string
		call           func() error
	}{
		{"userJID", "toUserJid format is invalid", func() error { return second(c.BlockUser(ctx, "?@")) }},
		{"userJID", "userId is not valid or required", func() error { return second(c.GetUserProfile(ctx, "")) }},
		{"userID", "userId format is invalid", func() error { return second(c.GetJID("b ob")) }},
		{"jid", "toUserJid is not valid or required", func() error {
			return second(c.ReportUserOrGroup(ctx, "", sdk.ChatTypeChat, reported()))
		}},
		{"messages", "Invalid data value.", func() error {
			return second(c.ReportUserOrGroup(ctx, bob, sdk.ChatTypeChat, nil))
		}},
		{"reason", "reason is not valid or required", func() error { return second(c.DeleteMyAccount(ctx, "", "")) }},
		{"Email", "email is not valid or required", func() error {
			return second(c.SetUserProfile(ctx, sdk.ProfileUpdate{Email: "ann"}))
		}},
		{"Status", "Status is not valid UTF-8", func() error {
			return second(c.SetUserProfile(ctx, sdk.ProfileUpdate{Email: "ann@example.com", Status: "\xff"}))
		}},
		{"toJID", "toJid format is invalid", func() error { return second(c.SendTypingStatus(ctx, "?")) }},
		{"WithMessageID", "msgId is not valid or required", func() error {
			return second(c.SendTextMessage(ctx, bob, "x", sdk.WithMessageID("")))
		}},
		{"UserJID", "toJid is not valid or required", func() error {
			return second(c.GetChatMessages(ctx, sdk.ChatQuery{}))
		}},
		{"MetadataKey", "metaDataKey is not valid or required", func() error {
			return second(c.GetUsersList(ctx, sdk.UsersQuery{MetadataValues: []string{"x"}}))
		}},
		{"FileToken", "File Token is not valid or required", func() error {
			return second(c.DownloadMedia(ctx, sdk.MediaFile{}, &strings.Builder{}))
		}},
		{"Reader", "file could not be read as announced", func() error { return second(c.UploadMedia(ctx, broken)) }},
		{"Image", "file could not be read as announced", func() error {
			return second(c.SetUserProfile(ctx, sdk.ProfileUpdate{
				Email: "ann@example.com", Image: sdk.ImageReader("a.png", "", strings.NewReader("x"), 2),
			}))
		}},
		{"userIdentifier", "User identifier should not contain the whitespaces", func() error {
			return second(c.Register(ctx, "a b"))
		}},
		{"RegisterMetadata", "metaDataType should be Valid data type", func() error {
			return second(c.Register(ctx, "a", sdk.RegisterMetadata(map[string]any{"a": nil})))
		}},
		{"APIBaseURL", "Invalid api base url", func() error {
			return second(sdk.New(sdk.Config{LicenseKey: "k", APIBaseURL: "api.example.com"}))
		}},
		{"LicenseKey", "License key cannot be null or empty", func() error { return second(sdk.New(sdk.Config{})) }},
	} {
		err := tc.call()
		require.ErrorIs(t, err, sdk.ErrInvalidArgument, tc.text)
		require.ErrorIs(t, err, &sdk.Error{Message: tc.text, Argument: tc.argument})
		require.NotErrorIs(t, err, &sdk.Error{Argument: "other"})
		require.ErrorContains(t, err, tc.argument)
		require.Equal(t, 1, strings.Count(err.Error(), tc.argument), "said once: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// What the JavaScript SDK permits, and nothing else, also where that is an address which mail
// servers accept (protocol.md 1.7).
func TestEmailAddresses(t *testing.T) {
	srv := sdktest.New(t)
	c := login(t, srv.Config(), "alice")
	for address, permitted := range map[string]bool{
		"ann@example.com": true, "ann.lee+news@example.co.uk": true, "_-!#$%&+@1-2.museum": true,
		"ann@mail.example.com":   false, // an ending of more than 6 letters: example
		"ann@example.technology": false,
		"o'neil@example.com":     false,
		"ann@ex_ample.com":       false, "ann..lee@example.com": false, "änn@example.com": false,
	} {
		_, err := c.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: address})
		if permitted {
			require.NoError(t, err, address)
			continue
		}
		require.ErrorIs(t, err, &sdk.Error{StatusCode: 400, Argument: "Email"}, address)
		require.ErrorContains(t, err, "one or more endings of 2 to 6 letters")
		require.NotContains(t, err.Error(), address)
	}
}

// A user is named by JID or by user id, in whatever case.
func TestUsersAreNamedByID(t *testing.T) {
	srv := sdktest.New(t)
	alice := login(t, srv.Config(), "alice")
	login(t, srv.Config(), "bob")
	ctx := t.Context()
	for _, name := range []string{"bob", "BOB", "bob@" + srv.Domain()} {
		seen, err := alice.GetLastSeen(ctx, name)
		require.NoError(t, err, name)
		require.Equal(t, sdk.LastSeen{FromUserJID: "bob@" + srv.Domain()}, seen.Data)
		_, err = alice.BlockUser(ctx, name)
		require.NoError(t, err)
		require.Equal(t, []string{"bob@" + srv.Domain()}, srv.Blocked("alice"))
		_, err = alice.UnblockUser(ctx, name)
		require.NoError(t, err)
		require.Empty(t, srv.Blocked("alice"))
	}
}
