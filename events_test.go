package sdk_test

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestBlocking(t *testing.T) {
	forEachMode(t, func(t *testing.T, srv *sdktest.Server, cfg sdk.Config) {
		host := srv.Domain()
		alice, credentials := register(t, cfg, "alice")
		connect(t, alice, credentials)
		phone := newClient(t, cfg) // Alice's other device
		connect(t, phone, credentials)
		bob := login(t, cfg, "bob")
		phoneBlocks, bobBlocks, bobPresence := collect(phone.OnBlock), collect(bob.OnBlock), collect(bob.OnPresence)
		order := collect(func(f func(any)) func() {
			bob.OnPresence(func(e sdk.PresenceEvent) { f(e) })
			return bob.OnBlock(func(e sdk.BlockEvent) { f(e) })
		})

		res, err := alice.BlockUser(t.Context(), "bob@"+host)
		require.NoError(t, err)
		require.Equal(t, sdk.Result[sdk.None]{StatusCode: 200, Message: "Success"}, res)
		phoneBlocks.until(t, func(e sdk.BlockEvent) bool {
			return e == sdk.BlockEvent{UserID: "bob", UserJID: "bob@" + host, Blocked: true, ByMe: true}
		})
		byAlice := sdk.BlockEvent{UserID: "alice", UserJID: "alice@" + host, Blocked: true}
		bobBlocks.until(t, func(e sdk.BlockEvent) bool { return e == byAlice })
		bobPresence.until(t, func(e sdk.PresenceEvent) bool {
			return e == sdk.PresenceEvent{FromUserJID: "alice@" + host, Status: "unavailable"}
		})
		all := order.list()
		for i, e := range all {
			if e == any(byAlice) {
				require.Contains(t, all[:i], any(sdk.PresenceEvent{FromUserJID: "alice@" + host, Status: "unavailable"}), "presence goes first")
			}
		}

		mine, err := alice.GetUsersIBlocked(t.Context())
		require.NoError(t, err)
		require.Equal(t, []sdk.BlockedUser{{JID: "bob@" + host}}, mine.Data)
		who, err := bob.GetUsersWhoBlockedMe(t.Context())
		require.NoError(t, err)
		require.Equal(t, []sdk.BlockedUser{{JID: "alice@" + host}}, who.Data)
		empty, err := bob.GetUsersIBlocked(t.Context())
		require.NoError(t, err)
		require.NotNil(t, empty.Data)
		require.Empty(t, empty.Data)

		seen, err := bob.GetLastSeen(t.Context(), "alice@"+host)
		answered(t, 500, "Request Failed", nil, seen, err)
		require.NotEmpty(t, failed(t, seen, err).Condition)

		_, err = alice.BlockUser(t.Context(), "bob@"+host)
		require.NoError(t, err, "twice is no error")
		_, err = alice.UnblockUser(t.Context(), "bob@"+host)
		require.NoError(t, err)
		bobBlocks.until(t, func(e sdk.BlockEvent) bool { return e == sdk.BlockEvent{UserID: "alice", UserJID: "alice@" + host} })
		phoneBlocks.until(t, func(e sdk.BlockEvent) bool { return e.ByMe && !e.Blocked })
		online, err := bob.GetLastSeen(t.Context(), "alice@"+host)
		require.NoError(t, err)
		require.Equal(t, sdk.LastSeen{FromUserJID: "alice@" + host}, online.Data)
	})
}

func TestDeletionIsToldAndForgotten(t *testing.T) {
	srv := sdktest.New(t)
	alice := login(t, srv.Config(), "alice")
	bob := login(t, quick(srv.Config()), "bob")
	deleted := collect(alice.OnUserDeleted)
	_, err := bob.DeleteMyAccount(t.Context(), "moving on", "thanks")
	require.NoError(t, err)
	deleted.until(t, func(e sdk.UserDeletedEvent) bool { return e.UserJID == "bob@"+srv.Domain() })
	require.Equal(t, "moving on", srv.Deleted()[0].Reason)
	require.Equal(t, "thanks", srv.Deleted()[0].Feedback)
	require.NotContains(t, srv.Users(), "bob")
	require.Empty(t, srv.Resources("bob"))
	require.Equal(t, sdk.StatusDisconnected, bob.State())
	profile, err := bob.GetUserProfile(t.Context(), "alice")
	answered(t, 400, notRegistered, sdk.ErrNotRegistered, profile, err)
}

func TestAdminBlockIsTold(t *testing.T) {
	srv := sdktest.New(t)
	alice := login(t, srv.Config(), "alice")
	login(t, srv.Config(), "bob")
	blocks := collect(alice.OnAdminBlock)
	for _, blocked := range []bool{true, false} {
		srv.BlockByAdmin("bob", blocked)
		blocks.until(t, func(e sdk.AdminBlockEvent) bool {
			return e == sdk.AdminBlockEvent{JID: "bob@" + srv.Domain(), ChatType: sdk.ChatTypeChat, Blocked: blocked}
		})
	}
}

// What only the server or the own account may push, as protocol.md 6 writes it.
func TestPushedEvents(t *testing.T) {
	srv := sdktest.New(t)
	alice, credentials := register(t, srv.Config(), "alice")
	host := srv.Domain()
	blocks, presence := collect(alice.OnBlock), collect(alice.OnPresence)
	profiles, admin := collect(alice.OnUserProfile), collect(alice.OnAdminBlock)
	connect(t, alice, credentials)
	carbon := func(inner string) string {
		return `<message xmlns="jabber:client" from="alice@` + host + `"><received xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0">` + inner + `</forwarded></received></message>`
	}
	userBlocked := `<message xmlns="jabber:client" from="` + host + `"><userblocked blocked_user="bob" type="block_user"/></message>`
	fromBob := sdk.BlockEvent{UserID: "bob", UserJID: "bob@" + host, Blocked: true}
	for _, xml := range []string{
		userBlocked, carbon(userBlocked),
		`<message xmlns="jabber:client" from="bob@` + host + `/x"><userblocked blocked_user="bob" type="block_user"/></message>`,
	} {
		before := len(blocks.list())
		srv.Push("alice", xml)
		blocks.until(t, func(sdk.BlockEvent) bool { return len(blocks.list()) > before })
		require.Equal(t, fromBob, blocks.list()[before])
		require.Equal(t, sdk.PresenceEvent{FromUserJID: "bob@" + host, Status: "unavailable"}, presence.list()[before])
	}
	srv.Push("alice", `<iq xmlns="jabber:client" type="set" id="b"><unblock xmlns="urn:xmpp:blocking"/></iq>`)
	blocks.until(t, func(e sdk.BlockEvent) bool { return e == sdk.BlockEvent{ByMe: true} })
	srv.Push("alice", `<message xmlns="jabber:client" from="`+host+`"><admin_block block_status="1" jid="group@mix.`+host+`" chat_type="groupchat"/></message>`)
	admin.until(t, func(e sdk.AdminBlockEvent) bool {
		return e == sdk.AdminBlockEvent{JID: "group@mix." + host, ChatType: sdk.ChatTypeGroup, Blocked: true}
	})
	srv.Push("alice", `<iq xmlns="jabber:client" type="result" from="bob@`+host+`" id="v"><vCard xmlns="vcard-temp"><nickName>Plain Bob</nickName></vCard></iq>`)
	profiles.until(t, func(p sdk.Profile) bool {
		return p == sdk.Profile{UserID: "bob", UserJID: "bob@" + host, FromUser: "bob", NickName: "Plain Bob"}
	})
}

func TestFeedbackAndReport(t *testing.T) {
	srv := sdktest.New(t)
	alice := login(t, srv.Config(), "alice")
	host := srv.Domain()
	_, err := alice.SendFeedback(t.Context(), "title <&>", "description")
	require.NoError(t, err)
	require.Equal(t, "title <&>", srv.Feedback()[0].Title)
	require.Equal(t, "alice", srv.Feedback()[0].User)
	_, err = alice.ReportUserOrGroup(t.Context(), "room@mix."+host, sdk.ChatTypeGroup, reported())
	require.NoError(t, err)
	report := srv.Reports()[0]
	require.Equal(t, "alice", report.From)
	require.Equal(t, "groupchat", report.ChatType)
	require.Equal(t, `[{"msgId":"1","message":"m","msgType":"text","filename":"","timestamp":1,"publisherId":"bob"}]`, report.Data)
}

func TestMedia(t *testing.T) {
	srv := sdktest.New(t)
	alice, bob := login(t, srv.Config(), "alice"), login(t, srv.Config(), "bob")
	for _, size := range []int{0, 1, 16, 1000, 5 << 20, 5<<20 + 1, 11 << 20} {
		content := make([]byte, size)
		_, _ = rand.Read(content)
		for _, encrypt := range []bool{false, true} {
			_, err := alice.SetMediaEncryption(encrypt)
			require.NoError(t, err)
			var last, total int64
			sent, err := alice.UploadMedia(t.Context(), sdk.MediaUpload{
				To: "bob", MessageID: "1", Name: "a.bin", Reader: bytes.NewReader(content), Size: int64(size),
				Progress: func(n, of int64) { last, total = n, of },
			})
			require.NoError(t, err)
			require.Equal(t, encrypt, sent.Data.FileKey != "")
			require.Equal(t, size > 5<<20, sent.Data.Large)
			require.Equal(t, []int64{int64(size), int64(size)}, []int64{last, total})
			var got bytes.Buffer
			_, err = bob.DownloadMedia(t.Context(), sent.Data, &got)
			require.NoError(t, err)
			require.True(t, bytes.Equal(content, got.Bytes()), "%d bytes, encrypted: %v", size, encrypt)
		}
	}
	res, err := alice.UploadMedia(t.Context(), sdk.MediaUpload{To: "bob", MessageID: "1", Name: "a", Reader: strings.NewReader("four"), Size: 5})
	failed(t, res, err)
	require.ErrorIs(t, err, sdk.ErrInvalidArgument)
	var sink bytes.Buffer
	none, err := bob.DownloadMedia(t.Context(), sdk.MediaFile{FileToken: "no-such-token"}, &sink)
	require.Equal(t, 500, failed(t, none, err).StatusCode)
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
