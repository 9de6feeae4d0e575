package sdktest

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"mellium.im/sasl"
)

func TestHandshakeFrames(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	x := dialWS(t, s)
	x.send(openFrame, s.Domain())
	require.Regexp(t, `^<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" from="xmpp.mirrorfly.test" id="\w+" version="1.0" xml:lang="en"/>$`, x.next())
	require.Equal(t, `<stream:features xmlns:stream="http://etherx.jabber.org/streams"><mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl">`+
		`<mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism></mechanisms><pipelining xmlns="urn:xmpp:features:pipelining"/></stream:features>`, x.next())
	x.send(`<auth mechanism="PLAIN" xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%s</auth>`, plain("alice", c.Password))
	require.Equal(t, `<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`, x.next())
	require.Equal(t, `<stream:features xmlns:stream="http://etherx.jabber.org/streams"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/>`+
		`<session xmlns="urn:ietf:params:xml:ns:xmpp-session"><optional/></session></stream:features>`, x.open(s.Domain()))
	x.send(`<iq id="_bind_auth_2" type="set" xmlns="jabber:client"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><resource>Web-1</resource></bind></iq>`)
	require.Equal(t, `<iq xmlns="jabber:client" type="result" id="_bind_auth_2"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><jid>alice@xmpp.mirrorfly.test/Web-1</jid></bind></iq>`, x.next())
	require.Contains(t, x.ask("set", "", `<enable xmlns="urn:xmpp:carbons:2"/>`), `type="result"`)
	x.send(`<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`)
	require.Equal(t, `<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`, x.next())
	_, err := x.read(patience)
	require.Equal(t, websocket.StatusNormalClosure, websocket.CloseStatus(err))
}

// scram runs the client side of SCRAM and returns the last element of the server.
func scram(t *testing.T, x *xmppClient, m sasl.Mechanism, user, password string) string {
	t.Helper()
	n := sasl.NewClient(m, sasl.Credentials(func() ([]byte, []byte, []byte) { return []byte(user), []byte(password), nil }))
	_, out, err := n.Step(nil)
	require.NoError(t, err)
	x.send(`<auth mechanism="%s" xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%s</auth>`, m.Name, base64.StdEncoding.EncodeToString(out))
	for {
		raw := x.next()
		e, err := parseElement([]byte(raw))
		require.NoError(t, err)
		if e.name.Local == "failure" {
			return raw
		}
		in, err := base64.StdEncoding.DecodeString(e.text())
		require.NoError(t, err)
		_, out, err = n.Step(in)
		require.NoError(t, err)
		if e.name.Local == "success" {
			return raw
		}
		x.send(`<response xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%s</response>`, base64.StdEncoding.EncodeToString(out))
	}
}

func TestSASL(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	for _, m := range []sasl.Mechanism{sasl.ScramSha1, sasl.ScramSha256} {
		x := dialWS(t, s)
		x.open(s.Domain())
		require.Contains(t, scram(t, x, m, "alice", "wrong"), "<not-authorized/>")
		require.Contains(t, scram(t, x, m, "nobody", c.Password), "<not-authorized/>")
		require.Contains(t, scram(t, x, m, "alice", c.Password), "<success ")
		require.Contains(t, x.open(s.Domain()), "xmpp-bind")
	}
	x := dialWS(t, s)
	x.open(s.Domain())
	auth := func(mechanism, data string) string {
		x.send(`<auth mechanism="%s" xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%s</auth>`, mechanism, data)
		return x.next()
	}
	require.Contains(t, auth("X-NONE", ""), "<invalid-mechanism/>")
	require.Contains(t, auth("PLAIN", "###"), "<incorrect-encoding/>")
	require.Contains(t, auth("PLAIN", "AAAA"), "<not-authorized/>")
	require.Contains(t, auth("SCRAM-SHA-1", "AAAA"), "<not-authorized/>")
	require.Contains(t, auth("PLAIN", plain("alice", "wrong")), "<not-authorized/>")
	require.Contains(t, x.next(), "policy-violation", "five failures end the stream")
}

func TestPlainWithoutInitialResponse(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	x := dialWS(t, s)
	x.open(s.Domain())
	x.send(`<auth mechanism="PLAIN" xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`)
	require.Equal(t, `<challenge xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`, x.next())
	x.send(`<response xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%s</response>`, plain("alice", c.Password))
	require.Contains(t, x.next(), "<success ")
}

func TestLicensedSASLTakesTheSealedPassword(t *testing.T) {
	s := New(t)
	c := register(t, s, "alice")
	x := dialWS(t, s)
	require.NotContains(t, x.open(s.Domain()), "SCRAM")
	for wire, want := range map[string]string{
		c.Password: "<not-authorized/>",
		wirePassword(s, c.Password, time.Now().Add(-48*time.Hour)): "currentTimestamp",
	} {
		x.send(`<auth mechanism="PLAIN" xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%s</auth>`, plain("alice", wire))
		require.Contains(t, x.next(), want)
	}
	connect(t, s, c, "Web-1")
	s.BlockByAdmin("alice", true)
	x.send(`<auth mechanism="PLAIN" xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%s</auth>`, plain("alice", wirePassword(s, c.Password, time.Now())))
	require.Contains(t, x.next(), "<not-authorized/>")
}

func TestPresence(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	bob := register(t, s, "bob")
	b1 := connect(t, s, bob, "Web-1")
	require.Contains(t, b1.until("<presence", a.jid), `to="`+b1.jid+`"`)
	a.until("<presence", b1.jid)
	b2 := connect(t, s, bob, "Web-2")
	b2.until("<presence", b1.jid)
	b1.until("<presence", b2.jid)
	a.until("<presence", b2.jid)
	b1.send(`<presence xmlns="jabber:client"><show>away</show></presence>`)
	a.until("<presence", b1.jid, "<show>away</show>")
	require.Equal(t, []string{"Web-1", "Web-2"}, s.Resources("bob"))

	b1.send(`<presence type="unavailable" xmlns="jabber:client"/>`)
	a.until(b1.jid, `type="unavailable"`)
	require.Contains(t, a.ask("get", "bob@"+s.Domain(), `<query xmlns="jabber:iq:last"/>`), `seconds="0"`)
	require.NoError(t, b2.c.CloseNow())
	a.until(b2.jid, `type="unavailable"`)
	require.NotContains(t, strings.Join(a.settle(), ""), "presence")
}

func TestNoContacts(t *testing.T) {
	s := trial(t, func(o *Options) { o.NoContacts = true })
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	setVCard(t, b, "Bob")
	require.Empty(t, a.settle())
	require.NotContains(t, a.ask("get", "", `<query xmlns="jabber:iq:roster"/>`), "<item")
	b.send(`<presence to="alice@%s" xmlns="jabber:client"/>`, s.Domain())
	a.until("<presence", b.jid)
}

func setVCard(t *testing.T, x *xmppClient, nick string) {
	t.Helper()
	reply := x.ask("set", "", `<vCard xmlns="vcard-temp"><nickName>`+nick+`</nickName><image>a.png</image><thumbImage></thumbImage><email>e</email><mobileNumber></mobileNumber><status>I&apos;m &lt;here&gt;</status></vCard>`)
	require.Contains(t, reply, `type="result"`)
}

func TestVCard(t *testing.T) {
	s := trial(t)
	alice := register(t, s, "alice")
	a1, a2 := connect(t, s, alice, "Web-1"), connect(t, s, alice, "Web-2")
	bob := register(t, s, "bob")
	b := connect(t, s, bob, "Web-1")
	require.Contains(t, a1.ask("get", "", `<vCard xmlns="vcard-temp"/>`), `<vCard xmlns="vcard-temp"/>`)
	setVCard(t, a1, "Alice")
	for _, x := range []*xmppClient{a1, a2, b} {
		push := x.until("vcard-temp", `from="alice@xmpp.mirrorfly.test"`, `type="result"`)
		require.Contains(t, push, `to="`+x.jid+`"`)
		require.Contains(t, push, "<nickName>Alice</nickName><image>a.png</image><thumbImage/>")
	}
	require.Equal(t, Profile{
		UserID: "alice", UserJID: "alice@" + s.Domain(), NickName: "Alice", Image: "a.png", Email: "e", Status: "I'm <here>",
	}, s.Profile("alice@"+s.Domain()))
	require.Contains(t, b.ask("get", "alice@"+s.Domain(), `<vCard xmlns="vcard-temp"/>`), "<nickName>Alice</nickName>")
	require.Contains(t, b.ask("get", "nobody@"+s.Domain(), `<vCard xmlns="vcard-temp"/>`), "item-not-found")
	require.Contains(t, b.ask("set", "alice@"+s.Domain(), `<vCard xmlns="vcard-temp"><nickName>X</nickName></vCard>`), "forbidden")
	require.Equal(t, "Alice", s.Profile("alice").NickName)
	require.Contains(t, string(rest(t, s, "GET", "/contacts/vcard?userId=alice", bob.Token, nil).Data), `"nickName":"Alice"`)
	require.True(t, register(t, s, "alice").IsProfileUpdated)
	roster := b.ask("get", "", `<query xmlns="jabber:iq:roster"/>`)
	require.Contains(t, roster, `<query xmlns="jabber:iq:roster" contact_permission="1"><item jid="alice@xmpp.mirrorfly.test" subscription="both"><profile><vCard xmlns="vcard-temp"><nickName>Alice`)
	require.Contains(t, roster, "<is_admin_blocked>0</is_admin_blocked>")
}

func TestConnectedBeforePresence(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	bob := register(t, s, "bob")
	b := dialWS(t, s)
	b.open(s.Domain())
	b.send(`<auth mechanism="PLAIN" xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%s</auth>`, plain("bob", bob.Password))
	require.Contains(t, b.next(), "<success ")
	b.open(s.Domain())
	b.send(`<iq id="b" type="set" xmlns="jabber:client"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><resource>r</resource></bind></iq>`)
	require.Contains(t, b.next(), "<jid>")
	s.store.mu.Lock()
	s.store.state.Accounts["bob"].LastSeen = time.Now().Add(-time.Hour)
	s.store.mu.Unlock()
	setVCard(t, a, "Alice")
	require.Contains(t, b.next(), "<nickName>Alice</nickName>")
	last := `<query xmlns="jabber:iq:last"/>`
	require.Contains(t, a.ask("get", "bob@"+s.Domain(), last), `seconds="0"`)
	b.send(`<presence type="unavailable" xmlns="jabber:client"/>`)
	b.settle()
	require.Regexp(t, `seconds="36\d\d"`, a.ask("get", "bob@"+s.Domain(), last))
}

func TestLastSeen(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	register(t, s, "bob")
	s.store.mu.Lock()
	s.store.state.Accounts["bob"].LastSeen = time.Now().Add(-903 * time.Second)
	s.store.mu.Unlock()
	last := `<query xmlns="jabber:iq:last"/>`
	require.Regexp(t, `from="bob@xmpp.mirrorfly.test" to="`+a.jid+`"><query xmlns="jabber:iq:last" seconds="9\d\d"/>`, a.ask("get", "bob@"+s.Domain(), last))
	require.Contains(t, a.ask("get", "nobody@"+s.Domain(), last), "item-not-found")
	require.Contains(t, a.ask("get", "", last), `seconds="0"`)
	require.Contains(t, a.ask("get", s.Domain(), last), `seconds=`)
	require.Contains(t, a.ask("get", "x@elsewhere.example", last), "remote-server-not-found")
}

func TestUnknownIQ(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	register(t, s, "bob")
	for _, to := range []string{"", s.Domain(), "bob@" + s.Domain(), "bob@" + s.Domain() + "/gone"} {
		require.Contains(t, a.ask("get", to, `<query xmlns="urn:x"/>`), "service-unavailable", to)
	}
	require.Contains(t, a.ask("get", "", ""), "bad-request")
	require.Contains(t, a.ask("what", "", `<query xmlns="urn:x"/>`), "bad-request")
	require.Contains(t, a.ask("get", "", `<query xmlns="jabber:iq:user_activities" status="x"/>`), "bad-request")
	require.Contains(t, a.ask("set", "", `<query socket_id="S" status="user_logout" xmlns="jabber:iq:user_activities"/>`), `type="result"`)
}

func TestIQBetweenUsers(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	b := connect(t, s, register(t, s, "bob"), "Web-1")
	a.send(`<iq id="q1" to="%s" type="get" from="mallory@x" xmlns="jabber:client"><query xmlns="urn:x"/></iq>`, b.jid)
	require.Contains(t, b.until(`id="q1"`), `from="`+a.jid+`"`)
	b.send(`<iq id="q1" to="%s" type="result" xmlns="jabber:client"/>`, a.jid)
	require.Contains(t, a.until(`id="q1"`), `from="`+b.jid+`"`)
	a.send(`<iq id="q2" to="%s" type="get" xmlns="jabber:client"><ping xmlns="urn:xmpp:ping"/></iq>`, a.jid)
	require.Contains(t, a.until(`id="q2"`), `type="get"`, "a full JID is a stream, one's own too")
}

func TestMessagesAndCarbons(t *testing.T) {
	s := trial(t)
	alice := register(t, s, "alice")
	a1, a2 := connect(t, s, alice, "Web-1"), connect(t, s, alice, "Web-2")
	bob := register(t, s, "bob")
	b1, b2 := connect(t, s, bob, "Web-1"), connect(t, s, bob, "Web-2")
	for _, x := range []*xmppClient{a1, a2, b1, b2} {
		x.ask("set", "", `<enable xmlns="urn:xmpp:carbons:2"/>`)
	}
	a1.send(`<message id="m1" to="%s" type="chat" from="forged@x" xmlns="jabber:client"><body>hi</body></message>`, b1.jid)
	require.Contains(t, b1.until(`id="m1"`), `from="`+a1.jid+`"`)
	require.Contains(t, b2.until(`id="m1"`), `<received xmlns="urn:xmpp:carbons:2">`)
	require.Contains(t, a2.until(`id="m1"`), `<sent xmlns="urn:xmpp:carbons:2">`)
	a1.send(`<message id="m2" to="bob@%s" type="chat" xmlns="jabber:client"><body>hi</body></message>`, s.Domain())
	require.NotContains(t, b1.until(`id="m2"`), "carbons")
	require.NotContains(t, b2.until(`id="m2"`), "carbons")
	a1.send(`<message id="m3" to="carol@%s" type="chat" xmlns="jabber:client"><body>hi</body></message>`, s.Domain())
	require.Contains(t, a1.until(`id="m3"`), "service-unavailable")
}

func TestSameResourceReplacesTheOldStream(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	old := connect(t, s, c, "Web-1")
	connect(t, s, c, "Web-1")
	require.Contains(t, old.until("stream:error"), `<conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/>`)
	require.Contains(t, old.until("<close"), "framing")
	require.Equal(t, []string{"Web-1"}, s.Resources("alice"))
}

func TestAnnouncements(t *testing.T) {
	s := trial(t)
	alice, bob := register(t, s, "alice"), register(t, s, "bob")
	a, b := connect(t, s, alice, "Web-1"), connect(t, s, bob, "Web-1")
	s.BlockByAdmin("bob", true)
	for _, x := range []*xmppClient{a, b} {
		require.Contains(t, x.until("admin_block"), `<admin_block block_status="1" chat_type="chat" jid="bob@xmpp.mirrorfly.test"/>`)
	}
	s.BlockByAdmin("bob", false)
	require.Contains(t, a.until("admin_block"), `block_status="0"`)
	bob = register(t, s, "bob")
	require.Equal(t, 200, rest(t, s, "POST", "/users/deleteMyAccount", bob.Token, map[string]any{"reason": "R"}).Status)
	require.Contains(t, a.until("user_deleted"), `<user_deleted user="bob@xmpp.mirrorfly.test"/>`)
	b.until("user_deleted")
	b.until("stream:error", "conflict")
	a.until(b.jid, "unavailable")
}

func TestPush(t *testing.T) {
	s := trial(t)
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	require.Equal(t, 1, s.Push("alice@"+s.Domain(), `<message xmlns="jabber:client"><<broken`))
	require.Equal(t, `<message xmlns="jabber:client"><<broken`, a.next())
	require.Zero(t, s.Push("nobody", "<x/>"))
}

func TestServerPings(t *testing.T) {
	tick := make(chan time.Time)
	s := trial(t, func(o *Options) { o.PingInterval, o.tick = -1, tick })
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	for range 3 {
		tick <- time.Now()
		ping, err := parseElement([]byte(a.until("urn:xmpp:ping")))
		require.NoError(t, err)
		a.send(`<iq id="%s" type="result" to="%s" xmlns="jabber:client"/>`, ping.attr("id"), s.Domain())
		a.settle() // it has the answer
	}
	for range 2 { // and now none
		tick <- time.Now()
	}
	_, err := a.read(patience)
	for err == nil {
		_, err = a.read(patience)
	}
	require.NotErrorIs(t, err, context.DeadlineExceeded)
}

func TestStreamErrorsOverWebSocket(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	bound := func(raw string) func() *xmppClient {
		return func() *xmppClient {
			x := connect(t, s, c, "Web-1")
			x.send("%s", raw)
			return x
		}
	}
	fresh := func(raw string) func() *xmppClient {
		return func() *xmppClient {
			x := dialWS(t, s)
			x.send("%s", raw)
			return x
		}
	}
	deep := strings.Repeat("<a>", 100) + strings.Repeat("</a>", 100)
	for name, c := range map[string]struct {
		dial func() *xmppClient
		want string
	}{
		"malformed":          {bound("<iq"), "not-well-formed"},
		"mismatched":         {bound("<message xmlns='jabber:client'><a></b></message>"), "not-well-formed"},
		"entity":             {bound("<message xmlns='jabber:client'>&lol;</message>"), "not-well-formed"},
		"dtd":                {bound(`<!DOCTYPE a [<!ENTITY l "l">]><message xmlns='jabber:client'/>`), "restricted-xml"},
		"comment":            {bound("<message xmlns='jabber:client'><!-- x --></message>"), "restricted-xml"},
		"two stanzas":        {bound("<presence xmlns='jabber:client'/><presence xmlns='jabber:client'/>"), "bad-format"},
		"deep":               {bound("<message xmlns='jabber:client'>" + deep + "</message>"), "policy-violation"},
		"big":                {bound("<message xmlns='jabber:client'>" + strings.Repeat("a", maxStanza) + "</message>"), "policy-violation"},
		"no namespace":       {bound("<presence/>"), "unsupported-stanza-type"},
		"unknown stanza":     {bound("<stanza xmlns='jabber:client'/>"), "unsupported-stanza-type"},
		"empty":              {bound(""), "not-well-formed"},
		"NUL":                {bound("\x00"), "not-well-formed"},
		"wrong host":         {fresh(fmt.Sprintf(openFrame, "other.example")), "host-unknown"},
		"no header":          {fresh("<iq xmlns='jabber:client'/>"), "bad-format"},
		"TCP header":         {fresh(`<stream:stream xmlns:stream="http://etherx.jabber.org/streams"/>`), "bad-format"},
		"open of another ns": {fresh(`<open to="x" version="1.0" xmlns="urn:x"/>`), "invalid-namespace"},
		"version":            {fresh(`<open to="xmpp.mirrorfly.test" xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`), "unsupported-version"},
	} {
		x := c.dial()
		require.Contains(t, x.until("<stream:error "), c.want, name)
		require.Contains(t, x.until("<close"), "framing", name)
	}
	x := dialWS(t, s)
	x.open(s.Domain())
	x.send(`<presence xmlns="jabber:client"/>`)
	require.Contains(t, x.next(), "not-authorized")
	require.Equal(t, 200, rest(t, s, "GET", "/users/config", c.Token, nil).Status, "the server is still there")
}

func TestWebSocketNeedsSubprotocol(t *testing.T) {
	s := trial(t)
	_, resp, err := websocket.Dial(t.Context(), s.XMPPURL(), &websocket.DialOptions{HTTPClient: httpClient(t, s)})
	require.Error(t, err)
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
	huge := connect(t, s, register(t, s, "alice"), "Web-1")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_ = huge.c.Write(ctx, websocket.MessageText, make([]byte, 8*maxStanza))
	for err = nil; err == nil; _, err = huge.read(patience) {
	}
	require.Equal(t, websocket.StatusMessageTooBig, websocket.CloseStatus(err))
}

func TestSlowReaderIsCutOff(t *testing.T) {
	s := trial(t)
	connect(t, s, register(t, s, "alice"), "Web-1")
	body := "<message xmlns='jabber:client'>" + strings.Repeat("a", 64<<10) + "</message>"
	for range 4 * queueLength {
		s.Push("alice", body)
	}
	require.Eventually(t, func() bool { return len(s.Resources("alice")) == 0 }, patience, time.Millisecond)
}
