package sdk_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// What the service has for the JavaScript SDK, which reads one message and the number of unread
// messages under names of their own.
func TestMessageAndUnreadOfSdktest(t *testing.T) {
	srv := sdktest.New(t)
	alice := login(t, srv.Config(), "alice")
	id, err := srv.SendMessage(t.Context(), "bob", "alice", "Hello")
	require.NoError(t, err)
	_, err = srv.SendMessage(t.Context(), "bob", "alice", "Are you there?")
	require.NoError(t, err)
	bob := "bob@" + srv.Domain()

	m, err := alice.GetMessageByID(t.Context(), bob, id)
	require.NoError(t, err)
	require.Equal(t, "Hello", m.Data.Text)
	require.False(t, m.Data.Unsealed)
	chats, err := alice.GetRecentChats(t.Context(), sdk.RecentQuery{})
	require.NoError(t, err)
	require.Len(t, chats.Data.Chats, 1)
	require.Equal(t, 2, chats.Data.Chats[0].Unread)
	require.Equal(t, bob, chats.Data.Chats[0].UserJID)
}

// The list of conversations names the other side and has its picture, whoever wrote last, but not
// when the other side has blocked this one.
func TestNamesInRecentChatsOfSdktest(t *testing.T) {
	srv := sdktest.New(t)
	alice := login(t, srv.Config(), "alice")
	for user, name := range map[string]string{"alice": "Alice", "bob": "Bob"} {
		require.NoError(t, srv.SetProfile(t.Context(), user, sdktest.Profile{NickName: name, Image: name + ".png"}))
	}
	recent := func() []string {
		chats, err := alice.GetRecentChats(t.Context(), sdk.RecentQuery{})
		require.NoError(t, err)
		require.Len(t, chats.Data.Chats, 1)
		return []string{chats.Data.Chats[0].NickName, chats.Data.Chats[0].Image, chats.Data.Chats[0].Last.Text}
	}
	_, err := srv.SendMessage(t.Context(), "bob", "alice", "Hello")
	require.NoError(t, err)
	require.Equal(t, []string{"Bob", "Bob.png", "Hello"}, recent())
	_, err = alice.SendTextMessage(t.Context(), "bob@"+srv.Domain(), "Hi")
	require.NoError(t, err)
	require.Equal(t, []string{"Bob", "Bob.png", "Hi"}, recent())
	_, err = login(t, srv.Config(), "bob").BlockUser(t.Context(), "alice@"+srv.Domain())
	require.NoError(t, err)
	require.Equal(t, []string{"", "", "Hi"}, recent())
}
