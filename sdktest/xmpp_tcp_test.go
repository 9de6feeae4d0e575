package sdktest

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	xmpp "github.com/xmppo/go-xmpp"
)

// tcpConn is a raw TCP client.
type tcpConn struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func dialTCP(t *testing.T, addr string) *tcpConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	return &tcpConn{t: t, Conn: c, r: bufio.NewReader(c)}
}

func (c *tcpConn) send(format string, args ...any) {
	c.t.Helper()
	_, err := fmt.Fprintf(c, format, args...)
	require.NoError(c.t, err)
}

// until reads up to the end of want.
func (c *tcpConn) until(want string) string {
	c.t.Helper()
	var b strings.Builder
	for !strings.HasSuffix(b.String(), want) {
		x, err := c.r.ReadByte()
		require.NoError(c.t, err, "after %q, waiting for %q", b.String(), want)
		b.WriteByte(x)
	}
	return b.String()
}

func (c *tcpConn) rest() string {
	raw, _ := io.ReadAll(c.r) // cut connections are what is tested
	return string(raw)
}

func (c *tcpConn) startTLS(s *Server) *tcpConn {
	c.t.Helper()
	c.send(`<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>`)
	c.until("<proceed xmlns=\"urn:ietf:params:xml:ns:xmpp-tls\"/>")
	return c.tls(s)
}

func (c *tcpConn) tls(s *Server) *tcpConn {
	c.t.Helper()
	cfg := s.Config().TLSConfig.Clone()
	cfg.ServerName = s.Domain()
	cfg.NextProtos = []string{"xmpp-client", "http/1.1"}
	tc := tls.Client(c.Conn, cfg)
	require.NoError(c.t, tc.Handshake())
	return &tcpConn{t: c.t, Conn: tc, r: bufio.NewReader(tc)}
}

const streamHeader = `<?xml version='1.0'?>` +
	`<stream:stream to='xmpp.mirrorfly.test' version='1.0' xmlns='jabber:client' ` +
	`xmlns:stream='http://etherx.jabber.org/streams'>`

// login authenticates and binds on a protected connection.
func (c *tcpConn) login(cr credentials) {
	c.t.Helper()
	c.send("%s", streamHeader)
	c.until("</stream:features>")
	c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>",
		plain(cr.Username, cr.Password))
	c.until(`<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`)
	c.send("%s", streamHeader)
	require.Contains(c.t, c.until("</stream:features>"), "xmpp-bind")
	c.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>")
	require.Contains(c.t, c.until("</iq>"), "<jid>"+cr.Username+"@xmpp.mirrorfly.test/r</jid>")
}

func TestTCP(t *testing.T) {
	s := trial(t)
	cr := register(t, s, "alice")
	t.Run("STARTTLS", func(t *testing.T) {
		c := dialTCP(t, s.XMPPAddress())
		c.send("%s", streamHeader)
		got := c.until("</stream:features>")
		require.Contains(t, got, `<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"><required/></starttls>`)
		require.NotContains(t, got, "mechanism")
		c = c.startTLS(s)
		c.login(cr)
		c.send("<presence/>")
		c.until(`to="alice@xmpp.mirrorfly.test/r"/>`)
		c.send(" \n<iq type='get' id='p' to='xmpp.mirrorfly.test'><ping xmlns='urn:xmpp:ping'/></iq></stream:stream>")
		require.Contains(t, c.rest(), "</stream:stream>")
	})
	t.Run("direct TLS", func(t *testing.T) {
		dialTCP(t, s.XMPPSAddress()).tls(s).login(cr)
	})
	t.Run("no password in clear", func(t *testing.T) {
		c := dialTCP(t, s.XMPPAddress())
		c.send("%s", streamHeader)
		c.until("</stream:features>")
		c.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>",
			plain(cr.Username, cr.Password))
		require.Contains(t, c.rest(), "not-authorized")
	})
	t.Run("nothing is carried into TLS", func(t *testing.T) {
		c := dialTCP(t, s.XMPPAddress())
		c.send("%s", streamHeader)
		c.until("</stream:features>")
		c.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><auth/>")
		require.NotContains(t, c.rest(), "mechanism")
	})
}

func TestStreamErrorsOverTCP(t *testing.T) {
	s := trial(t)
	cr := register(t, s, "alice")
	for name, c := range map[string]struct{ raw, want string }{
		"not XML": {"GET / HTTP/1.1\r\n\r\n", "bad-format"},
		"namespace": {
			"<stream:stream xmlns:stream='urn:x' xmlns='jabber:client' to='xmpp.mirrorfly.test' version='1.0'>",
			"invalid-namespace",
		},
		"content": {
			"<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:server' " +
				"to='xmpp.mirrorfly.test' version='1.0'>",
			"invalid-namespace",
		},
		"host":         {strings.Replace(streamHeader, "xmpp.", "x.", 1), "host-unknown"},
		"endless name": {"<" + strings.Repeat("a", 2*maxStanza), "policy-violation"},
		"endless text": {strings.Repeat(" ", 100) + "<!-- " + strings.Repeat("a", 2*maxStanza), "policy-violation"},
		"DTD":          {`<!DOCTYPE x [<!ENTITY a "b">]>`, "restricted-xml"},
	} {
		conn := dialTCP(t, s.XMPPAddress())
		_, _ = io.WriteString(conn, c.raw+"<")
		require.Contains(t, conn.rest(), c.want, name)
	}
	for name, c := range map[string]struct{ raw, want string }{
		"malformed": {"<iq", ""},
		"cut":       {"<message><bo", ""},
		"crossed":   {"<message><a></b></message>", "not-well-formed"},
		"big":       {"<message>" + strings.Repeat("a", 2*maxStanza), "policy-violation"},
		"deep":      {strings.Repeat("<a>", 100), "policy-violation"},
		"text":      {"hello", "bad-format"},
		"comment":   {"<!-- x -->", "restricted-xml"},
		"stranger":  {"<iq xmlns='urn:x'/>", "unsupported-stanza-type"},
	} {
		conn := dialTCP(t, s.XMPPSAddress()).tls(s)
		conn.login(cr)
		_, _ = io.WriteString(conn, c.raw+"<")
		if c.want == "" {
			require.NoError(t, conn.Conn.(*tls.Conn).CloseWrite())
		}
		require.Contains(t, conn.rest(), c.want, name)
	}
	dialTCP(t, s.XMPPSAddress()).tls(s).login(cr) // still there
}

// stock is a go-xmpp client. Its Recv has no deadline, so the end of the connection ends the test.
type stock struct {
	t *testing.T
	*xmpp.Client
	in chan any
}

func dialStock(t *testing.T, s *Server, c credentials, direct bool) *stock {
	t.Helper()
	cfg := s.Config().TLSConfig.Clone()
	cfg.ServerName = s.Domain()
	o := xmpp.Options{
		Host: s.XMPPAddress(), User: c.Username + "@" + s.Domain(), Password: c.Password, Resource: "stock",
		TLSConfig: cfg, NoTLS: true, StartTLS: true, DialTimeout: patience,
	}
	if direct {
		o.Host, o.NoTLS, o.StartTLS = s.XMPPSAddress(), false, false
	}
	cl, err := o.NewClient()
	require.NoError(t, err)
	x := &stock{t: t, Client: cl, in: make(chan any, 100)}
	done := make(chan struct{})
	go func() { // ends when the server closes the connection
		defer close(done)
		defer close(x.in)
		for {
			v, err := cl.Recv()
			if err != nil {
				return
			}
			select {
			case x.in <- v:
			default:
			}
		}
	}()
	t.Cleanup(func() { s.DropConnections(); <-done })
	return x
}

func (x *stock) until(match func(any) bool) any {
	x.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case v, open := <-x.in:
			require.True(x.t, open, "connection ended")
			if match(v) {
				return v
			}
		case <-deadline:
			require.Fail(x.t, "nothing came")
		}
	}
}

func TestStockClient(t *testing.T) {
	s := trial(t)
	alice, bob := register(t, s, "alice"), register(t, s, "bob")
	a := dialStock(t, s, alice, false)
	require.Equal(t, "SCRAM-SHA-256", a.Mechanism)
	b := dialStock(t, s, bob, true)

	isPresence := func(from, kind string) func(any) bool {
		return func(v any) bool {
			p, ok := v.(xmpp.Presence)
			return ok && p.From == from && p.Type == kind
		}
	}
	a.until(isPresence("bob@xmpp.mirrorfly.test/stock", ""))
	b.until(isPresence("alice@xmpp.mirrorfly.test/stock", ""))

	_, err := a.RawInformationQuery("", "", "v1", "set", "vcard-temp", "")
	require.NoError(t, err)
	_, err = a.RawInformation("", "", "v2", "set",
		"<vCard xmlns='vcard-temp'><nickName>Alice</nickName><status>here</status></vCard>")
	require.NoError(t, err)
	push := b.until(func(v any) bool {
		iq, ok := v.(xmpp.IQ)
		return ok && iq.From == "alice@xmpp.mirrorfly.test"
	}).(xmpp.IQ)
	require.Equal(t, "result", push.Type)
	require.Contains(t, string(push.Query), "Alice")
	require.Equal(t, "Alice", s.Profile("alice").NickName)

	_, err = a.RawInformation("", "", "b1", "set",
		"<block xmlns='urn:xmpp:blocking'><item jid='bob@xmpp.mirrorfly.test'/></block>")
	require.NoError(t, err)
	b.until(isPresence("alice@xmpp.mirrorfly.test/stock", "unavailable"))
	require.Equal(t, []string{"bob@xmpp.mirrorfly.test"}, s.Blocked("alice"))
	_, err = a.RawInformation("", "", "b2", "set", "<unblock xmlns='urn:xmpp:blocking'/>")
	require.NoError(t, err)
	b.until(isPresence("alice@xmpp.mirrorfly.test/stock", ""))

	_, err = b.Send(xmpp.Chat{Remote: "alice@xmpp.mirrorfly.test", Type: "chat", Text: "hi"})
	require.NoError(t, err)
	isChat := func(text string) func(any) bool {
		return func(v any) bool { chat, ok := v.(xmpp.Chat); return ok && chat.Text == text }
	}
	chat := a.until(isChat("hi")).(xmpp.Chat)
	require.True(t, chat.Stamp.IsZero())
	register(t, s, "carol")
	_, err = b.Send(xmpp.Chat{Remote: "carol@xmpp.mirrorfly.test", Type: "chat", Text: "later"})
	require.NoError(t, err)
	require.NoError(t, s.Wait(t.Context(), "it waits for carol", func() bool { return s.Waiting("carol") == 1 }))
	late := dialStock(t, s, register(t, s, "carol"), false).until(isChat("later")).(xmpp.Chat)
	require.WithinDuration(t, s.Messages("carol")[0].Time, late.Stamp, time.Millisecond)
}
