package sdktest

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

func TestHandshakeFrames(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	x := dialWS(t, s)
	x.send(openFrame, s.Domain())
	require.Regexp(t, `^<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" from="xmpp.mirrorfly.test" `+
		`id="\w+" version="1.0" xml:lang="en"/>$`, x.next())
	require.Equal(t, `<stream:features xmlns:stream="http://etherx.jabber.org/streams">`+
		`<mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl">`+
		`<mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism>`+
		`</mechanisms><pipelining xmlns="urn:xmpp:features:pipelining"/></stream:features>`, x.next())
	x.send(`<auth mechanism="PLAIN" xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%s</auth>`, plain("alice", c.Password))
	require.Equal(t, `<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`, x.next())
	require.Equal(t, `<stream:features xmlns:stream="http://etherx.jabber.org/streams">`+
		`<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/>`+
		`<session xmlns="urn:ietf:params:xml:ns:xmpp-session"><optional/></session>`+
		`</stream:features>`, x.open(s.Domain()))
	x.send(`<iq id="_bind_auth_2" type="set" xmlns="jabber:client"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind">` +
		`<resource>Web-1</resource></bind></iq>`)
	require.Equal(t, `<iq xmlns="jabber:client" type="result" id="_bind_auth_2">`+
		`<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><jid>alice@xmpp.mirrorfly.test/Web-1</jid></bind>`+
		`</iq>`, x.next())
	require.Contains(t, x.ask("set", "", `<enable xmlns="urn:xmpp:carbons:2"/>`), `type="result"`)
	x.send(`<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`)
	require.Equal(t, `<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`, x.next())
	_, err := x.read(patience)
	require.Equal(t, websocket.StatusNormalClosure, websocket.CloseStatus(err))
}

func setVCard(t *testing.T, x *xmppClient, nick string) {
	t.Helper()
	reply := x.ask("set", "", `<vCard xmlns="vcard-temp"><nickName>`+nick+`</nickName><image>a.png</image>`+
		`<thumbImage></thumbImage><email>e</email><mobileNumber></mobileNumber><status>I&apos;m &lt;here&gt;</status>`+
		`</vCard>`)
	require.Contains(t, reply, `type="result"`)
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

func TestSlowReaderIsCutOff(t *testing.T) {
	s := trial(t)
	connect(t, s, register(t, s, "alice"), "Web-1")
	body := "<message xmlns='jabber:client'>" + strings.Repeat("a", 64<<10) + "</message>"
	for range 4 * queueLength {
		s.hub.push("alice", body) // Push waits for the reader, as long as writeTimeout
	}
	gone(t, s, "alice")
}

func TestUnfinishedHandshakesEnd(t *testing.T) {
	s := trial(t, func(o *Options) { o.handshake = glimpse })
	for name, send := range map[string]string{"silent": "", "half": "<stream:str", "header": streamHeader} {
		conn := dialTCP(t, s.XMPPAddress())
		conn.send("%s", send)
		_, err := io.ReadAll(conn.r)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded, name)
	}
	conn := dialTCP(t, s.XMPPSAddress()) // TLS never begins
	require.Empty(t, conn.rest())
	x := dialWS(t, s)
	x.open(s.Domain())
	_, err := x.read(patience)
	require.Error(t, err)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	connect(t, s, register(t, s, "alice"), "Web-1")
}
