package xmpp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/frames"
	"github.com/mirrorfly-go/sdk/internal/testing/fuzz"
	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
)

// Before TLS anybody on the way may have said it, and RFC 6120 5.4.3.3 has it discarded: neither
// does a redirect lead anywhere, nor does an error mean what it would mean from the server. Where
// TLS is not demanded the server may speak so.
func TestBeforeTLSNothingIsBelieved(t *testing.T) {
	var visited atomic.Int32
	inside := scripted.Listen(t, func(net.Conn) { visited.Add(1) })
	for name, text := range map[string]string{
		"conflict":       scripted.StreamError("conflict", ""),
		"not-authorized": scripted.StreamError("not-authorized", ""),
		"any other":      scripted.StreamError("policy-violation", ""),
		"see-other-host": scripted.StreamError("see-other-host", inside),
		"see-other-uri":  `<close xmlns="` + nsFraming + `" see-other-uri="xmpp://` + inside + `"/>`,
		"an ending":      "</stream:stream>",
		"a refusal":      `<failure xmlns="` + nsTLS + `"/>`,
		"wrong password": `<failure xmlns="` + nsSASL + `"><not-authorized/></failure>`,
		"a bind error": `<iq id="_bind_auth_2" type="error" xmlns="jabber:client"><error type="cancel">` +
			`<conflict xmlns="` + nsStanzas + `"/></error></iq>`,
		"not well-formed": `<a></b>`,
	} {
		for moment, before := range map[string]string{
			"for the header": "", "for the features": scripted.ServerStream,
			"for STARTTLS": scripted.ServerStream + scripted.TLSFeatures,
		} {
			t.Run(name+" "+moment, func(t *testing.T) {
				addr := scripted.Listen(t, func(c net.Conn) {
					p := &peer{T: t, Conn: c, Impatient: true}
					p.Restart()
					p.Recv()
					p.Send(before)
					if before == scripted.ServerStream+scripted.TLSFeatures {
						p.Recv()
					}
					p.Send(text)
					p.Drain()
				})
				remembered := new(Memory)
				remembered.sawTLS(scripted.Domain)
				for _, change := range []func(*Config){
					func(*Config) {},
					func(c *Config) { c.AllowInsecure, c.Memory = true, remembered },
				} {
					cfg := testConfig("xmpp://" + addr)
					change(&cfg)
					visited.Store(0)
					_, err := Dial(soon(t), cfg)
					require.Error(t, err)
					stream, auth := (*StreamError)(nil), (*AuthError)(nil)
					require.False(t, errors.As(err, &stream), err)
					require.False(t, errors.As(err, &auth), err)
					require.NotErrorIs(t, err, ErrInsecure)
					require.Zero(t, visited.Load())
				}
			})
		}
	}
	t.Run("TLS is not demanded", func(t *testing.T) {
		cfg := pipeServer(t, func(p *peer) {
			p.Impatient = true
			p.Restart()
			p.Recv()
			p.Send(scripted.ServerStream + scripted.StreamError("conflict", ""))
			p.Drain()
		})
		_, err := Dial(soon(t), cfg)
		stream := (*StreamError)(nil)
		require.ErrorAs(t, err, &stream)
		require.True(t, stream.Final())
	})
}

// scriptedConn is a connection whose other side has said everything already.
type scriptedConn struct {
	net.Conn
	in   io.Reader
	mu   *sync.Mutex
	sent *bytes.Buffer
}

func (c scriptedConn) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c scriptedConn) SetWriteDeadline(time.Time) error { return nil }

func (c scriptedConn) Close() error { return nil }

func (c scriptedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent.Write(p)
}

// Whatever a server says from its first byte on, and when the lost stream is taken up again: the
// login ends, succeeds only with a full JID, and without TLS nothing secret is ever said unless
// that was permitted.
func FuzzHandshake(f *testing.F) {
	const bound = `<iq id="_bind_auth_2" type="result"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><jid>` +
		scripted.Full + `</jid></bind></iq>`
	features := func(inner string) string { return `<stream:features>` + inner + `</stream:features>` }
	login := func(more string) string {
		return scripted.ServerStream +
			features(`<mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><mechanism>PLAIN</mechanism></mechanisms>`) +
			scripted.SASLSuccess + scripted.ServerStream +
			features(`<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/><sm xmlns="urn:xmpp:sm:3"/>`) + more
	}
	manage := `<enabled xmlns="urn:xmpp:sm:3" id="x" resume="true"/><a xmlns="urn:xmpp:sm:3" h="1"/>` +
		`<r xmlns="urn:xmpp:sm:3"/>`
	f.Add([]byte(login(bound+manage)),
		[]byte(login(`<resumed xmlns="urn:xmpp:sm:3" previd="x" h="1"/><presence from="a@b"/>`)), true)
	f.Add([]byte(login(bound+manage)), []byte(login(`<failed xmlns="urn:xmpp:sm:3"/>`+bound)), true)
	f.Add([]byte(login(bound+`</stream:stream>`)), []byte{}, true)
	f.Add([]byte(login(bound)), []byte{}, false)
	f.Add([]byte(scripted.ServerStream+features(`<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>`)+
		`<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>`), []byte{}, true)
	f.Add([]byte(strings.ReplaceAll(login(bound), "PLAIN", "SCRAM-SHA-1")+
		`<challenge xmlns="urn:ietf:params:xml:ns:xmpp-sasl">cj0=</challenge>`), []byte{}, true)
	f.Add([]byte("<?><0>"), []byte{}, true)
	f.Add([]byte(scripted.ServerStream+
		`<stream:error><see-other-host xmlns="urn:ietf:params:xml:ns:xmpp-streams">h:1</see-other-host>`+
		`</stream:error>`), []byte{}, true)
	f.Fuzz(func(t *testing.T, first, second []byte, insecure bool) {
		memory := &Memory{}
		resume := tryHandshake(t, first, insecure, memory, nil)
		if resume != nil {
			tryHandshake(t, second, insecure, memory, resume)
		}
	})
}

func tryHandshake(t *testing.T, in []byte, insecure bool, memory *Memory, resume *Resumption) *Resumption {
	var sent bytes.Buffer
	var mu sync.Mutex
	cfg := testConfig("xmpp://h:5222")
	cfg.AllowInsecure, cfg.Memory, cfg.Resume = insecure, memory, resume
	cfg.DialContext = func(context.Context, string, string) (net.Conn, error) {
		return scriptedConn{in: bytes.NewReader(in), mu: &mu, sent: &sent}, nil
	}
	var s *Session
	var err error
	// It may send us elsewhere twice.
	fuzz.Bounded(t, 3*len(in), frames.MaxFrame, func() {
		if s, err = Dial(t.Context(), cfg); err == nil {
			if err = s.Start(t.Context()); err == nil {
				err = serveToEnd(s)
			}
		}
	})
	require.Error(t, err, "the connection ends")
	require.NotContains(t, sent.String(), scripted.Password)
	require.NotContains(t, err.Error(), scripted.Password)
	if !insecure {
		require.Nil(t, s)
		require.NotContains(t, sent.String(), "<auth")
	}
	if s == nil {
		return nil
	}
	require.NotEmpty(t, s.JID().Local)
	require.NotEmpty(t, s.JID().Resource)
	return s.Resumption()
}

// The certificate must be one that we trust, for the XMPP domain.
func TestCertificates(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"stranger's CA": func(c *Config) { c.TLSConfig = nil },
		"other domain":  func(c *Config) { c.TLSConfig.ServerName = "other.example" },
	} {
		for transport, serve := range map[string]serverFunc{"starttls": startTLSServer, "directtls": directTLSServer} {
			t.Run(name+" "+transport, func(t *testing.T) {
				cfg := serve(t, func(p *peer) {
					p.Restart()
					if n, err := p.Read(); err == nil {
						t.Errorf("client went on: %s", n)
					}
				})
				change(&cfg)
				_, err := Dial(t.Context(), cfg)
				require.ErrorContains(t, err, "tls: ")
			})
		}
	}
	t.Run("old TLS", func(t *testing.T) {
		cert, pool := scripted.Certificate(t, scripted.Domain)
		addr := scripted.Listen(t, func(c net.Conn) {
			_ = tls.Server(c, &tls.Config{
				Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10,
				MaxVersion: tls.VersionTLS11,
			}).Handshake()
		})
		cfg := testConfig("xmpps://" + addr)
		cfg.TLSConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10}
		_, err := Dial(t.Context(), cfg)
		require.ErrorContains(t, err, "tls: ")
	})
}

// Bytes that came in clear text after <proceed/> must not count as the server's.
func TestSTARTTLSInjection(t *testing.T) {
	addr := scripted.Listen(t, func(c net.Conn) {
		p := &peer{T: t, Conn: c}
		p.Open(scripted.TLSFeatures)
		p.Recv()
		p.Send(`<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/><success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`)
		_, _ = io.Copy(io.Discard, c)
	})
	_, err := Dial(t.Context(), testConfig("xmpp://"+addr))
	require.ErrorContains(t, err, "before the handshake")
}

// What a server may say during the handshake, and what Dial makes of it.
func TestHandshakeFailures(t *testing.T) {
	const stream = `xmlns:stream="http://etherx.jabber.org/streams"`
	sasl := func(inner string) script {
		return func(p *peer) {
			p.Open(scripted.PlainFeatures)
			p.Recv()
			p.Send(inner)
			p.Drain()
		}
	}
	bound := func(features, reply string) script {
		return func(p *peer) {
			p.Open(scripted.PlainFeatures)
			p.Recv()
			p.Send(scripted.SASLSuccess)
			p.Open(features)
			p.Send(reply)
			p.Drain()
		}
	}
	failure := func(inner string) script {
		return sasl(`<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl">` + inner + `</failure>`)
	}
	for _, tc := range []struct {
		name   string
		script script
		// Want.
		auth *AuthError
		// Or this.
		stream *StreamError
		text   string
	}{
		{name: "wrong password", script: failure(`<not-authorized/><text xml:lang="en">Invalid username or ` +
			`password</text>`), auth: &AuthError{
			Step: "sasl", Condition: "not-authorized",
			Text: "Invalid username or password",
		}},
		{
			name: "failure without condition", script: failure(``),
			auth: &AuthError{Step: "sasl", Condition: "undefined-condition"},
		},
		{
			name:   "failure with a novel",
			script: failure(`<not-authorized/><text>` + strings.Repeat("é", 5000) + `</text>`),
			auth:   &AuthError{Step: "sasl", Condition: "not-authorized", Text: strings.Repeat("é", 128) + "..."},
		},
		{
			name:   "PLAIN challenged",
			script: sasl(`<challenge xmlns="urn:ietf:params:xml:ns:xmpp-sasl">aGk=</challenge>`),
			text:   "sasl failed",
		},
		{
			name:   "success that is not base64",
			script: sasl(`<challenge xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%%%</challenge>`), text: "not base64",
		},
		{
			name: "success of another namespace", script: sasl(`<success xmlns="urn:other"/>`),
			text: "got <success> instead",
		},
		{name: "stanza instead of success", script: sasl(scripted.BindResult), text: "got <iq> instead"},
		{name: "stream error", script: sasl(`<stream:error ` + stream +
			`><policy-violation xmlns="urn:ietf:params:xml:ns:xmpp-streams"/>` +
			`<text xmlns="urn:ietf:params:xml:ns:xmpp-streams">Too many failed authentications</text>` +
			`</stream:error>`), stream: &StreamError{
			Condition: "policy-violation",
			Text:      "Too many failed authentications",
		}},
		{
			name: "malformed", script: sasl(`<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"></failure>`),
			text: errMalformed.Error(),
		},
		{name: "no mechanism of ours", script: func(p *peer) {
			p.Open(strings.Replace(scripted.PlainFeatures, "PLAIN", "X-OAUTH2", 1))
			p.Drain()
		}, text: "no common mechanism, server offers: X-OAUTH2"},
		{name: "no mechanisms at all", script: func(p *peer) {
			p.Open(scripted.BindFeatures)
			p.Drain()
		}, text: "no common mechanism"},
		{name: "features missing", script: func(p *peer) {
			p.Open(scripted.BindResult)
			p.Drain()
		}, text: "stream features: got <iq>"},
		{name: "no bind", script: bound(`<stream:features `+stream+`/>`, ``), text: "no resource binding"},
		{
			name: "bind refused", script: bound(scripted.BindFeatures,
				`<iq id="_bind_auth_2" type="error" xmlns="jabber:client"><error type="cancel">`+
					`<conflict xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`),
			auth: &AuthError{Step: "bind", Condition: "conflict"},
		},
		{
			name: "bind refused for now",
			script: bound(scripted.BindFeatures,
				`<iq id="_bind_auth_2" type="error" xmlns="jabber:client"><error type="wait">`+
					`<resource-constraint xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`),
			auth: &AuthError{Step: "bind", Condition: "resource-constraint", wait: true},
		},
		{name: "bound to nothing", script: bound(scripted.BindFeatures,
			`<iq id="_bind_auth_2" type="result" xmlns="jabber:client"/>`), text: "no full JID"},
		{
			name:   "bound to a bare JID",
			script: bound(scripted.BindFeatures, strings.Replace(scripted.BindResult, "/"+scripted.Resource, "", 1)),
			text:   "no full JID",
		},
		{name: "session refused", script: func(p *peer) {
			p.Open(scripted.PlainFeatures)
			p.Recv()
			p.Send(scripted.SASLSuccess)
			p.Open(`<stream:features ` + stream +
				`><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/>` +
				`<session xmlns="urn:ietf:params:xml:ns:xmpp-session"></session></stream:features>`)
			p.Recv()
			p.Send(scripted.BindResult)
			p.Expect(`<iq id="_session_auth_2" type="set" xmlns="jabber:client">` +
				`<session xmlns="urn:ietf:params:xml:ns:xmpp-session"/></iq>`)
			p.Send(`<iq id="_session_auth_2" type="error" xmlns="jabber:client"><error type="cancel">` +
				`<forbidden xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`)
			p.Drain()
		}, auth: &AuthError{Step: "session", Condition: "forbidden"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Dial(soon(t), webSocketServer(t, tc.script))
			require.Error(t, err)
			auth, stream := (*AuthError)(nil), (*StreamError)(nil)
			switch {
			case tc.auth != nil:
				require.ErrorAs(t, err, &auth)
				require.Equal(t, tc.auth, auth)
				require.Equal(t, !tc.auth.wait && tc.auth.Condition != "conflict", auth.Final())
			case tc.stream != nil:
				require.ErrorAs(t, err, &stream)
				require.Equal(t, tc.stream, stream)
				require.False(t, errors.As(err, &auth))
			default:
				require.ErrorContains(t, err, tc.text)
			}
			require.NotContains(t, err.Error(), scripted.Password)
		})
	}
	require.False(t, (&AuthError{Condition: "temporary-auth-failure"}).Final())
}

// Stream headers that are none.
func TestBadStreamHeaders(t *testing.T) {
	for name, header := range map[string]string{
		"html":             "<html><body>",
		"http":             "HTTP/1.1 400 Bad Request\r\n\r\n",
		"other namespace":  `<stream:stream version="1.0" xmlns:stream="urn:x">`,
		"no version":       `<stream:stream xmlns:stream="http://etherx.jabber.org/streams">`,
		"version 0.9":      `<stream:stream version="0.9" xmlns:stream="http://etherx.jabber.org/streams">`,
		"empty stream":     `<stream:stream version="1.0" xmlns:stream="http://etherx.jabber.org/streams"/>`,
		"doctype":          `<!DOCTYPE x [<!ENTITY a "b">]>` + scripted.ServerStream,
		"two declarations": `<?xml version="1.0"?>` + scripted.ServerStream,
		"latin1": strings.Replace(scripted.ServerStream, "<?xml version='1.0'?>",
			"<?xml version='1.0' encoding='latin1'?>", 1),
		"end before start": `</stream:stream>`,
		"other instruction": `<?php version="1.0"?>` +
			strings.TrimPrefix(scripted.ServerStream, "<?xml version='1.0'?>"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Dial(soon(t), pipeServer(t, func(p *peer) {
				p.Restart()
				p.Recv()
				p.Send(header)
				p.Drain()
			}))
			require.Error(t, err)
			require.NotErrorIs(t, err, context.DeadlineExceeded)
		})
	}
}

// Stanzas that come while the resource is being bound are told once Serve runs.
func TestEarlyStanzas(t *testing.T) {
	const presence = `<presence from="bob@xmpp.example.com/x" xmlns="jabber:client"/>`
	login := func(n int) script {
		return func(p *peer) {
			p.Open(scripted.PlainFeatures)
			p.Recv()
			p.Send(scripted.SASLSuccess)
			p.Open(scripted.BindFeatures)
			p.Recv()
			for range n {
				p.Send(presence)
			}
			p.Send(scripted.BindResult)
			p.Send(strings.Replace(presence, "bob", "last", 1))
			p.Drain()
		}
	}
	c := dial(t, pipeServer(t, login(maxEarly)))
	for range maxEarly {
		require.Equal(t, "bob", c.event().(Presence).From.Local)
	}
	require.Equal(t, "last", c.event().(Presence).From.Local)

	_, err := Dial(soon(t), pipeServer(t, login(maxEarly+1)))
	require.ErrorContains(t, err, "no answer among 64 stanzas")
}

// A TLSConfig with a ClientSessionCache saves the next handshake its certificates (RFC 8446 2.2),
// and with TLS 1.2 a round trip.
func TestTLSSessionIsTakenUp(t *testing.T) {
	cert, pool := scripted.Certificate(t, scripted.Domain)
	conf := &tls.Config{Certificates: []tls.Certificate{cert}}
	resumed := make(chan bool, 1)
	addr := scripted.Listen(t, func(conn net.Conn) {
		secure := tls.Server(conn, conf)
		p := &peer{T: t, Conn: secure}
		p.Login()
		resumed <- secure.ConnectionState().DidResume
		p.Drain()
	})
	cfg := testConfig("xmpps://" + addr)
	cfg.TLSConfig = &tls.Config{RootCAs: pool, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	for _, want := range []bool{false, true} {
		c := dial(t, cfg)
		require.Equal(t, want, <-resumed)
		require.NoError(t, c.Close(done()))
		require.ErrorIs(t, c.ended(), ErrClosed)
	}
}

// SECURITY.md: TLS 1.2 or later over TCP, also when the TLSConfig permits less.
func TestTLS12(t *testing.T) {
	cert, pool := scripted.Certificate(t, scripted.Domain)
	for _, version := range []uint16{tls.VersionTLS11, tls.VersionTLS12} {
		old := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: version}
		for scheme, server := range map[string]func(net.Conn){
			"xmpps": func(conn net.Conn) {
				p := &peer{T: t, Conn: tls.Server(conn, old), Impatient: true}
				p.Login()
				p.Drain()
			},
			"xmpp": func(conn net.Conn) {
				p := &peer{T: t, Conn: conn, Impatient: true}
				p.Open(scripted.TLSFeatures)
				p.Recv()
				p.Send(`<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>`)
				p.Conn = tls.Server(conn, old)
				p.Login()
				p.Drain()
			},
		} {
			t.Run(scheme+" "+tls.VersionName(version), func(t *testing.T) {
				cfg := testConfig(scheme + "://" + scripted.Listen(t, server))
				cfg.TLSConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10}
				s, err := Dial(t.Context(), cfg)
				if version < tls.VersionTLS12 {
					require.ErrorContains(t, err, "tls: ")
					require.ErrorContains(t, err, "version")
					return
				}
				require.NoError(t, err)
				require.NoError(t, s.Close(done()))
			})
		}
	}
}
