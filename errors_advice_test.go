package sdk_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// Messages are the JavaScript SDK's; the text of the error goes on to say what to do.
func TestErrorsSayWhatToDo(t *testing.T) {
	srv, ctx := sdktest.New(t), t.Context()
	open := func(change func(*sdk.Config)) *sdk.Client {
		cfg := srv.Config()
		change(&cfg)
		c, err := sdk.New(cfg)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		return c
	}
	c := open(func(*sdk.Config) {})
	me, err := c.Register(ctx, "alice")
	require.NoError(t, err)
	_, err = c.GetUserProfile(ctx, "alice")
	require.ErrorContains(t, err, "(400); call Connect first, Register alone does not log in")
	_, err = c.Connect(ctx, "alice", "wrong")
	require.ErrorContains(t, err, "Invalid Credentials (400); Connect wants Username and Password")
	_, err = c.Connect(ctx, me.Data.Username, me.Data.Password)
	require.NoError(t, err)
	_, err = c.Connect(ctx, me.Data.Username, me.Data.Password)
	require.ErrorContains(t, err, "Already Logged In (409); call Logout first")
	_, err = c.GetUserProfile(ctx, "nobody")
	require.ErrorContains(t, err, "User not available (400); give the user id or JID")
	_, err = c.BlockUser(ctx, "b ob")
	require.ErrorContains(t, err, "toUserJid format is invalid (400): argument userJID; "+
		"a user id such as alice, or a bare JID is wanted, such as alice@xmpp.example.com")
	_, err = c.SendTypingStatus(ctx, "bob")
	require.ErrorContains(t, err, "toJid format is invalid (400): argument toJID; a bare JID is wanted")
	_, err = c.ReportUserOrGroup(ctx, "bob", sdk.ChatTypeChat, nil)
	require.ErrorContains(t, err, "or of a group for ChatTypeGroup")
	_, err = c.SetUserProfile(ctx, sdk.ProfileUpdate{Email: "ann@mail.example.com"})
	require.ErrorContains(t, err, "email is not valid or required (400): argument Email; before the @ it has letters")
	require.NoError(t, c.Close())
	_, err = c.GetUserProfile(ctx, "alice")
	require.ErrorContains(t, err, "Client is closed (500); make another one with New")

	_, err = open(func(cfg *sdk.Config) { cfg.TLSConfig = nil }).Register(ctx, "alice")
	require.ErrorContains(t, err,
		`unknown authority; it is signed by "CN=sdktest CA,O=sdktest"; `+
			"if you trust that server, give its authority in Config.TLSConfig.RootCAs")
	_, err = open(func(cfg *sdk.Config) { cfg.APIBaseURL += "/v2" }).Register(ctx, "alice")
	require.ErrorContains(t, err, "(404); Config.APIBaseURL must be the whole base URL")
	srv.SetMaxSessions(1)
	_, err = open(func(*sdk.Config) {}).Register(ctx, "alice", sdk.ForceRegister(false))
	require.ErrorContains(t, err, "(405); log another device out")
	require.EqualError(t, &sdk.Error{Op: "X", Message: "boom", StatusCode: 500}, "sdk: X: boom (500)",
		"nothing where there is nothing to do")
}
