package sdk_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/backend"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestGetJID(t *testing.T) {
	srv := sdktest.New(t)
	client, credentials := register(t, srv.Config(), "alice")
	res, err := client.GetJID("bob")
	answered(t, 400, failed(t, res, err).Message, sdk.ErrNotRegistered, res, err)
	connect(t, client, credentials)
	for _, user := range []string{"bob", "Bob", "bob@" + srv.Domain(), "BOB@" + strings.ToUpper(srv.Domain())} {
		res, err := client.GetJID(user)
		require.NoError(t, err, user)
		require.Equal(t, sdk.Result[string]{StatusCode: 200, Message: "Success", Data: "bob@" + srv.Domain()}, res)
	}
	_, err = client.BlockUser(t.Context(), "bob@"+srv.Domain())
	require.NoError(t, err)
	for _, user := range []string{"", "a b", "a/b", "@" + srv.Domain(), "bob@", "bob@" + srv.Domain() +
		"/x", "bob@mix." + srv.Domain(), "a\n", "a@b@c", "\xff"} {
		res, err := client.GetJID(user)
		require.Equal(t, 400, failed(t, res, err).StatusCode, "%q", user)
		require.ErrorIs(t, err, sdk.ErrInvalidArgument)
		require.ErrorContains(t, err, "userId")
	}
	res, err = client.GetJID("")
	answered(t, 400, "userId is not valid or required", sdk.ErrInvalidArgument, res, err)
	require.NoError(t, client.Close())
	_, err = client.GetJID("bob")
	require.ErrorIs(t, err, sdk.ErrClosed)
}

// The domain is the one that the server has bound, whatever the service told before.
func TestGetJIDAtTheBoundDomain(t *testing.T) {
	b := backend.New(t)
	b.BareJID = func(user string) string { return user + "@bound.test" }
	res, err := b.Connected(b.Config(sdk.TransportTCP), "alice").GetJID("bob")
	require.NoError(t, err)
	require.Equal(t, "bob@bound.test", res.Data)
}

// Who is logged in is what the server has bound, whatever was typed (RFC 6120 7.6.1).
func TestIdentityIsWhatTheServerBound(t *testing.T) {
	for _, transport := range bothTransports {
		b := backend.New(t)
		b.BareJID = func(user string) string { return strings.ToLower(user) + "@" + backend.Domain }
		b.On("POST /moderation/report", func(w http.ResponseWriter, _ *http.Request) {
			backend.AnswerJSON(w, backend.Done)
		})
		client := newClient(t, b.Config(transport))
		_, err := client.Connect(t.Context(), "Alice", "pw")
		require.NoError(t, err)
		me, err := client.GetCurrentUserJID()
		require.NoError(t, err)
		require.Equal(t, "alice@"+backend.Domain, me.Data)
		require.Equal(t, []string{"Alice pw"}, b.Logins(), "SASL gets what was typed")

		_, err = client.ReportUserOrGroup(t.Context(), "bob@"+backend.Domain, sdk.ChatTypeChat, []sdk.ReportedMessage{
			{MsgID: "1", MsgType: "text", Timestamp: 1, PublisherID: "bob"},
		})
		require.NoError(t, err)
		require.Contains(t, b.Calls("POST /moderation/report")[0].Body, `"from":"alice"`)

		_, err = client.Connect(t.Context(), "ALICE", "pw")
		require.ErrorIs(t, err, sdk.ErrAlreadyLoggedIn)
		b.ExpireTokens()
		_, err = client.GetUserProfile(t.Context(), "bob")
		require.NoError(t, err, "the same account to REST, too")
	}
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
	require.Equal(t, `[{"msgId":"1","message":"m","msgType":"text","filename":"","timestamp":1,"publisherId":"bob"}]`,
		report.Data)
}
