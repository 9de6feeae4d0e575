package jssdk_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// TestStockServers: the official JavaScript SDK and package sdk write to each other through an
// ejabberd and a Prosody that know nothing of the service, in one browser.
func TestStockServers(t *testing.T) {
	needAll(t)
	services := map[string]*service{
		"ejabberd": onStock(t, "ejabberd", xmppserver.Ejabberd(t, xmppserver.Options{})),
		"prosody":  onStock(t, "prosody", xmppserver.ProsodyWithAPI(t, xmppserver.Options{})),
	}
	b := startBrowser(t, services["ejabberd"], services["prosody"])
	for name, svc := range services {
		b.Run(t, name, func(t *testing.T) {
			s := &stage{T: t, svc: svc, browser: b, parties: map[string]party{
				"alice": b.open(t, "alice", "UTC"), "bob": newGopher(svc), "bob's desk": b.open(t, "bob's desk", "UTC"),
			}}
			onAStockServer(s)
			b.RequireClean(t, quirks...)
		})
	}
}

func onStock(t *testing.T, name string, node *xmppserver.Server) *service {
	t.Helper()
	srv := sdktest.New(t, sdktest.Options{LicenseKey: license, Trial: true, XMPP: &sdktest.XMPP{
		Domain: node.Domain, APIURL: node.APIURL, Address: "wss://" + node.HTTPS + "/websocket", CAFile: node.CAFile,
	}})
	address, err := url.Parse(srv.URL())
	require.NoError(t, err)
	return &service{address: address.Host, trial: true, srv: srv, node: node, api: "api-" + name}
}

func onAStockServer(s *stage) {
	api := "https://" + s.svc.api + ".mirrorfly.test/api/v1"
	passwords := map[string]any{}
	for _, who := range []string{"alice", "bob"} {
		s.call(who, "initializeSDK", s.options(api)).done()
		passwords[who] = s.call(who, "register", who).is(200, "Success")["data"].(object)["password"]
	}
	for _, pair := range [][2]string{{"alice", "bob"}, {"bob", "alice"}} {
		s.svc.node.API("add_rosteritem", object{
			"localuser": pair[0], "localhost": host, "user": pair[1], "host": host, "nick": pair[1], "group": "",
			"subs": "both",
		})
	}
	for _, who := range []string{"alice", "bob"} {
		s.call(who, "connect", who, passwords[who]).bare(200, "Login Success")
		s.await(who, "connectionListener", `{"status": "CONNECTED"}`)
	}
	s.meet("alice", "bob")
	talk(s, "alice", "bob")
	talk(s, "bob", "alice")
	exchangeFile(s, "alice", "bob", 1_000, true)
	exchangeFile(s, "bob", "alice", 1_000, true)
	comeBack(s, "alice", "bob")
	comeBack(s, "bob", "alice")
	twoDevices(s, api)
}

// twoDevices: what one device of an account sends, the other one gets as a carbon (XEP-0280). What
// comes for the account both get, and both acknowledge it.
func twoDevices(s *stage, api string) {
	password := s.call("bob", "register", "bob").is(200, "Success")["data"].(object)["password"]
	s.call("bob's desk", "initializeSDK", s.options(api)).done()
	s.call("bob's desk", "connect", "bob", password).bare(200, "Login Success")
	s.await("bob's desk", "connectionListener", `{"status": "CONNECTED"}`)
	// The desk sends first: then the server has read before that the desk wants carbons. The
	// JavaScript SDK does not wait for the answer to that.
	for _, pair := range [][2]string{{"bob's desk", "bob"}, {"bob", "bob's desk"}} {
		from, other := pair[0], pair[1]
		id := map[string]string{"bob": "by-bob", "bob's desk": "by-desk"}[from]
		s.call(from, "sendTextMessage", object{"toJid": alice, "messageText": id, "msgId": id}).is(200, "Success")
		told := s.await(other, "messageListener", marshal(object{
			"msgType": "carbonSentMessage", "msgId": id, "toUserJid": alice, "fromUserId": "bob",
		})).(object)
		require.Equal(s, id, told["msgBody"].(object)["message"])
		s.awaitMessage("messageListener", "bob", "alice", id)
	}
	s.call("alice", "sendTextMessage", object{"toJid": bob, "messageText": "both", "msgId": "both"}).is(200, "Success")
	for _, device := range []string{"bob", "bob's desk"} {
		s.await(device, "messageListener", `{"msgType": "receiveMessage", "msgId": "both", "fromUserId": "alice"}`)
		s.awaitStatus("alice", "bob", "both", "delivered")
	}
}
