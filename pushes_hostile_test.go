package sdk_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// A broken stream ends that session, not the client.
func TestHostilePushes(t *testing.T) {
	for name, xml := range map[string]string{
		"not XML":     `<presence from="bob"><<>>`,
		"10 MiB":      "<message><body>" + strings.Repeat("x", 10<<20) + "</body></message>",
		"too deep":    strings.Repeat("<a>", 10000) + strings.Repeat("</a>", 10000),
		"DTD":         `<!DOCTYPE x [<!ENTITY a "aaaa">]><message>&a;</message>`,
		"instruction": `<?php evil ?>`,
		"bad UTF-8":   "<message><body>\xff\xfe</body></message>",
		"stream error": `<stream:error xmlns:stream="http://etherx.jabber.org/streams">` +
			`<policy-violation xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error>`,
	} {
		for _, transport := range []sdk.Transport{sdk.TransportWebSocket, sdk.TransportTCP} {
			t.Run(name+"/"+string(transport), func(t *testing.T) {
				t.Parallel()
				srv := sdktest.New(t)
				cfg := quick(srv.Config())
				cfg.Transport = transport
				client, credentials := register(t, cfg, "alice")
				connection := collect(client.OnConnection)
				connect(t, client, credentials)
				require.Equal(t, 1, srv.Push("alice", xml))
				event := connection.until(t, hasStatus(sdk.StatusDisconnected))
				require.ErrorIs(t, event.Err, sdk.ErrNotConnected)
				connection.until(t, func(e sdk.ConnectionEvent) bool {
					return e.Status == sdk.StatusConnected && e.Attempt == 1
				})
				_, err := client.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "a@example.com"})
				require.NoError(t, err)
			})
		}
	}
}

// What is well-formed and makes no sense is ignored: later pushes arrive.
func TestSenselessPushes(t *testing.T) {
	srv := sdktest.New(t)
	client, credentials := register(t, srv.Config(), "alice")
	connection := collect(client.OnConnection)
	presence := collect(client.OnPresence)
	profiles := collect(client.OnUserProfile)
	blocks := collect(client.OnBlock)
	deleted := collect(client.OnUserDeleted)
	admin := collect(client.OnAdminBlock)
	connect(t, client, credentials)
	host := srv.Domain()
	for _, xml := range []string{
		`<iq xmlns="jabber:client" type="result" id="x"/>`,
		`<iq xmlns="jabber:client" type="result" from="bob@evil.example" id="x"><vCard xmlns="vcard-temp">` +
			`<nickName>Evil</nickName></vCard></iq>`,
		`<iq xmlns="jabber:client" type="result" from="bob@` + host +
			`/phone" id="x"><vCard xmlns="vcard-temp"><nickName>Evil</nickName></vCard></iq>`,
		`<iq xmlns="jabber:client" type="result" from="a@b@c" id="x"><vCard xmlns="vcard-temp"/></iq>`,
		`<iq xmlns="jabber:client" type="set" from="bob@` + host +
			`" id="b"><block xmlns="urn:xmpp:blocking"><item jid="alice@` + host + `"/></block></iq>`,
		`<message xmlns="jabber:client" from="bob@` + host +
			`/x"><userblocked blocked_user="carol" type="block_user"/></message>`,
		`<message xmlns="jabber:client" from="bob@` + host + `/x"><user_deleted user="carol@` + host + `"/></message>`,
		`<message xmlns="jabber:client" from="bob@` + host + `/x"><admin_block block_status="1" jid="alice@` + host +
			`" chat_type="chat"/></message>`,
		`<message xmlns="jabber:client" from="bob@` + host +
			`/x"><received xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0">` +
			`<message xmlns="jabber:client" from="` + host + `"><user_deleted user="carol@` + host +
			`"/></message></forwarded></received></message>`,
		`<message xmlns="jabber:client" type="error" from="` + host + `"><user_deleted user="carol@` + host +
			`"/></message>`,
		`<message xmlns="jabber:client" from="` + host + `"><userblocked/></message>`,
		`<message xmlns="jabber:client" from="` + host + `"><userblocked blocked_user="" type="block_user"/></message>`,
		`<message xmlns="jabber:client" from="` + host +
			`"><userblocked blocked_user="carol" type="sideways"/></message>`,
		`<presence xmlns="jabber:client" from=""/>`,
		`<presence xmlns="jabber:client" from="alice@` + host + `/other"/>`,
		`<unknown xmlns="urn:nobody"/>`,
	} {
		require.Equal(t, 1, srv.Push("alice", xml))
	}
	srv.Push("alice", `<message xmlns="jabber:client" from="`+host+`"><user_deleted user="dave@`+host+`"/></message>`)
	deleted.until(t, func(sdk.UserDeletedEvent) bool { return true })
	require.Equal(t, []sdk.UserDeletedEvent{{UserJID: "dave@" + host}}, deleted.list())
	require.Empty(t, presence.list())
	require.Empty(t, profiles.list())
	require.Empty(t, blocks.list())
	require.Empty(t, admin.list())
	require.Equal(t, []sdk.ConnectionStatus{sdk.StatusConnected}, statuses(connection))
}

// JSON without end costs no memory.
func TestHugeAnswersStayBounded(t *testing.T) {
	srv := sdktest.New(t)
	client, credentials := register(t, srv.Config(), "alice")
	connect(t, client, credentials)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	srv.SetFault(sdktest.StepREST, sdktest.FaultHuge)
	for range 5 {
		res, err := client.GetUserProfile(t.Context(), "alice")
		failed(t, res, err)
	}
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(256<<20), "five answers of more than 4 MiB each")
}

// What strangers claim is ignored, and counted over all sessions of the client.
func TestForgeriesAreCounted(t *testing.T) {
	srv := sdktest.New(t)
	client, credentials := register(t, quick(srv.Config()), "alice")
	connection, blocks, profiles := collect(client.OnConnection), collect(client.OnBlock), collect(client.OnUserProfile)
	connect(t, client, credentials)
	require.Zero(t, client.Ignored())
	forgeries := []string{
		`<message xmlns="jabber:client" from="mallory@stranger.example/x">` +
			`<userblocked blocked_user="bob" type="block_user"/></message>`,
		`<iq xmlns="jabber:client" from="mallory@stranger.example/x" type="set" id="b">` +
			`<block xmlns="urn:xmpp:blocking"><item jid="bob@x"/></block></iq>`,
		`<iq xmlns="jabber:client" from="mallory@stranger.example" type="result" id="v">` +
			`<vCard xmlns="vcard-temp"><nickName>Bob</nickName></vCard></iq>`,
	}
	for round := range 2 {
		for _, xml := range forgeries {
			require.Equal(t, 1, srv.Push("alice", xml))
		}
		_, err := client.GetUsersIBlocked(t.Context()) // its reply comes behind them
		require.NoError(t, err)
		require.Equal(t, (round+1)*len(forgeries), client.Ignored())
		srv.DropConnections()
		resumption(t, connection, round+1)
	}
	require.Empty(t, blocks.list())
	require.Empty(t, profiles.list())
}
