package sdk_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

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
		return `<message xmlns="jabber:client" from="alice@` + host +
			`"><received xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0">` + inner +
			`</forwarded></received></message>`
	}
	userBlocked := `<message xmlns="jabber:client" from="` + host +
		`"><userblocked blocked_user="bob" type="block_user"/></message>`
	fromBob := sdk.BlockEvent{UserID: "bob", UserJID: "bob@" + host, Blocked: true}
	for _, xml := range []string{
		userBlocked, carbon(userBlocked),
		`<message xmlns="jabber:client" from="bob@` + host +
			`/x"><userblocked blocked_user="bob" type="block_user"/></message>`,
	} {
		before := len(blocks.list())
		srv.Push("alice", xml)
		blocks.until(t, func(sdk.BlockEvent) bool { return len(blocks.list()) > before })
		require.Equal(t, fromBob, blocks.list()[before])
		require.Equal(t, sdk.PresenceEvent{FromUserJID: "bob@" + host, Status: "unavailable"}, presence.list()[before])
	}
	srv.Push("alice", `<iq xmlns="jabber:client" type="set" id="b"><unblock xmlns="urn:xmpp:blocking"/></iq>`)
	blocks.until(t, func(e sdk.BlockEvent) bool { return e == sdk.BlockEvent{ByMe: true} })
	srv.Push("alice", `<message xmlns="jabber:client" from="`+host+`"><admin_block block_status="1" jid="group@mix.`+
		host+`" chat_type="groupchat"/></message>`)
	admin.until(t, func(e sdk.AdminBlockEvent) bool {
		return e == sdk.AdminBlockEvent{JID: "group@mix." + host, ChatType: sdk.ChatTypeGroup, Blocked: true}
	})
	srv.Push("alice", `<iq xmlns="jabber:client" type="result" from="bob@`+host+
		`" id="v"><vCard xmlns="vcard-temp"><nickName>Plain Bob</nickName></vCard></iq>`)
	profiles.until(t, func(p sdk.Profile) bool {
		return p == sdk.Profile{UserID: "bob", UserJID: "bob@" + host, FromUser: "bob", NickName: "Plain Bob"}
	})
}
