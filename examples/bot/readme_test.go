package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestMyBot(t *testing.T) {
	// told is what listeners have heard.
	ctx, srv, told := t.Context(), sdktest.New(t), make(chan string, 100)
	login := func(name string) *sdk.Client {
		client, err := sdk.New(srv.Config())
		require.NoError(t, err)
		t.Cleanup(func() { client.Close() })
		me, err := client.Register(ctx, name)
		require.NoError(t, err)
		_, err = client.Connect(ctx, me.Data.Username, me.Data.Password)
		require.NoError(t, err)
		return client
	}
	alice, bot := login("alice"), login("bot")
	alice.OnUserProfile(func(p sdk.Profile) { told <- p.UserID + " says " + p.Status })
	bot.OnConnection(func(e sdk.ConnectionEvent) { told <- string(e.Status) })
	alice.OnMessage(func(m sdk.Message) { told <- "bot writes " + m.Text })
	// Here is what your bot does with a message, and when somebody blocks it.
	bot.OnMessage(func(m sdk.Message) { _, _ = bot.SendTextMessage(ctx, m.FromUserJID, "Hello, "+m.Text) })
	bot.OnBlock(func(e sdk.BlockEvent) { told <- "blocked by " + e.UserID })

	_, err := bot.SetUserProfile(ctx, sdk.ProfileUpdate{Name: "Bot", Email: "bot@example.com", Status: "at work"})
	require.NoError(t, err)
	require.Equal(t, "bot says at work", <-told)
	_, err = alice.SendTextMessage(ctx, "bot@"+srv.Domain(), "Bot")
	require.NoError(t, err)
	require.Equal(t, "bot writes Hello, Bot", <-told)
	srv.DropConnections()
	require.Equal(t, "DISCONNECTED", <-told)
	for <-told != "CONNECTED" { // it comes back by itself
	}
	_, err = login("carol").BlockUser(ctx, "bot@"+srv.Domain())
	require.NoError(t, err)
	require.Equal(t, "blocked by carol", <-told)
}
