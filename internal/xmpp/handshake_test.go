package xmpp

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"mellium.im/sasl"
)

// A server that stops after any step: Dial returns when its context ends, or
// DialTimeout when the stream is not secure yet.
func TestSilentServer(t *testing.T) {
	steps := []script{
		func(*peer) {},
		func(p *peer) { p.restart(); p.recv() },
		func(p *peer) {
			if p.ws != nil { // which has no half messages
				p.recv()
				p.send(serverOpen)
				return
			}
			p.open(`<stream:features xmlns:stream="http://etherx.jabber.org/streams">`)
		},
		func(p *peer) { p.open(plainFeatures) },
		func(p *peer) { p.open(plainFeatures); p.recv() },
		func(p *peer) { p.open(plainFeatures); p.recv(); p.send(saslSuccess) },
		func(p *peer) { p.open(plainFeatures); p.recv(); p.send(saslSuccess); p.open(bindFeatures) },
		func(p *peer) { p.open(plainFeatures); p.recv(); p.send(saslSuccess); p.open(bindFeatures); p.recv() },
		func(p *peer) {
			p.open(plainFeatures)
			p.recv()
			p.send(saslSuccess)
			p.open(`<stream:features xmlns:stream="http://etherx.jabber.org/streams"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/><session xmlns="urn:ietf:params:xml:ns:xmpp-session"/></stream:features>`)
			p.recv()
			p.send(bindResult)
		},
	}
	for transport, serve := range transports {
		for i, step := range steps {
			t.Run(fmt.Sprint(transport, " step ", i), func(t *testing.T) {
				cfg := serve(t, func(p *peer) {
					p.impatient = true
					step(p)
					for {
						if p.ws != nil {
							if _, _, err := p.ws.Read(p.ctx); err != nil {
								return
							}
						} else if _, err := io.Copy(io.Discard, p.conn); err != nil || p.conn != nil {
							return
						}
					}
				})
				cfg.DialTimeout = time.Hour // is not what ends it
				s, err := Dial(within(t, 60*time.Millisecond), cfg)
				require.Nil(t, s)
				require.ErrorIs(t, err, context.DeadlineExceeded)

				if i < 3 {
					cfg.DialTimeout = 60 * time.Millisecond
					_, err = Dial(soon(t), cfg)
					require.ErrorContains(t, err, "no answer within 60ms")
					require.NotErrorIs(t, err, context.DeadlineExceeded, "that was not the caller's")
				}
			})
		}
	}
}

// TCP accepts, TLS never answers.
func TestSilentTLS(t *testing.T) {
	addr := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	for _, scheme := range []string{"xmpps", "wss"} {
		cfg := testConfig(scheme + "://" + addr)
		cfg.HTTPClient = &http.Client{Transport: &http.Transport{}, Timeout: time.Hour}
		cfg.DialTimeout = time.Second // bounds what net/http leaves behind
		_, err := Dial(within(t, 60*time.Millisecond), cfg)
		require.ErrorIs(t, err, context.DeadlineExceeded, scheme)
	}
}

// A dead address costs at most DialTimeout, in time that is not real.
func TestDeadAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := pipeServer(t, func(p *peer) { p.login(); p.drain() })
		alive := cfg.DialContext
		cfg.DialTimeout = 0 // the default
		cfg.Addresses, _ = ParseAddresses("dead:1,dead:2,dead:3,alive:1", true)
		cfg.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == "alive:1" {
				return alive(ctx, network, addr)
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}
		for range 5 {
			start := time.Now()
			s, err := Dial(t.Context(), cfg)
			require.NoError(t, err)
			require.LessOrEqual(t, time.Since(start), 3*defaultDialTimeout)
			_ = s.Close(done())
		}
		cfg.Addresses = cfg.Addresses[:3]
		_, err := Dial(t.Context(), cfg)
		for _, a := range []string{"dead:1", "dead:2", "dead:3"} {
			require.ErrorContains(t, err, a)
		}
	})
}

// A server that is slow is waited for where there is no other, and left for another.
func TestSlowAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := pipeServer(t, func(p *peer) { p.login(); p.drain() })
		alive := cfg.DialContext
		cfg.DialTimeout = 0 // the default
		slow := 0
		cfg.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == "slow:1" {
				slow++
				select {
				case <-time.After(2 * defaultDialTimeout):
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
			return alive(ctx, network, addr)
		}
		for addresses, most := range map[string]time.Duration{"slow:1": 2 * defaultDialTimeout, "slow:1,alive:1": defaultDialTimeout} {
			cfg.Addresses, _ = ParseAddresses(addresses, true)
			for slow = 0; slow == 0; { // the order is left to chance
				start := time.Now()
				s, err := Dial(t.Context(), cfg)
				require.NoError(t, err)
				require.LessOrEqual(t, time.Since(start), most)
				_ = s.Close(done())
			}
		}
	})
}

func TestInsecure(t *testing.T) {
	cfg := testConfig("ws://127.0.0.1:1/websocket")
	_, err := Dial(t.Context(), cfg)
	require.ErrorIs(t, err, ErrInsecure)

	// A server, or somebody on the way, that takes STARTTLS out of the features.
	stripped := pipeServer(t, func(p *peer) {
		p.open(plainFeatures)
		if n, err := p.read(); err == nil {
			t.Errorf("client went on: %s", n)
		}
	})
	stripped.AllowInsecure = false
	_, err = Dial(t.Context(), stripped)
	require.ErrorIs(t, err, ErrInsecure)

	// ws:// with permission.
	srv := httptest.NewServer(webSocketHandler(t, func(p *peer) { p.login(); p.drain() }))
	defer srv.Close()
	cfg = testConfig("ws://" + srv.Listener.Addr().String())
	cfg.AllowInsecure = true
	cfg.HTTPClient = srv.Client()
	s, err := Dial(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, s.Close(done()))
}

// The certificate must be one that we trust, for the XMPP domain.
func TestCertificates(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"stranger's CA": func(c *Config) { c.TLSConfig = nil },
		"other domain":  func(c *Config) { c.TLSConfig.ServerName = "other.example" },
	} {
		for transport, serve := range map[string]func(testing.TB, script) Config{"starttls": startTLSServer, "directtls": directTLSServer} {
			t.Run(name+" "+transport, func(t *testing.T) {
				cfg := serve(t, func(p *peer) {
					p.restart()
					if n, err := p.read(); err == nil {
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
		cert, pool := testCA(t, testDomain)
		addr := listen(t, func(c net.Conn) {
			_ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}).Handshake()
		})
		cfg := testConfig("xmpps://" + addr)
		cfg.TLSConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10}
		_, err := Dial(t.Context(), cfg)
		require.ErrorContains(t, err, "tls: ")
	})
}

// Bytes that came in clear text after <proceed/> must not count as the server's.
func TestSTARTTLSInjection(t *testing.T) {
	addr := listen(t, func(c net.Conn) {
		p := &peer{t: t, conn: c}
		p.open(tlsFeatures)
		p.recv()
		p.send(`<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/><success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`)
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
			p.open(plainFeatures)
			p.recv()
			p.send(inner)
			p.drain()
		}
	}
	bound := func(features, reply string) script {
		return func(p *peer) {
			p.open(plainFeatures)
			p.recv()
			p.send(saslSuccess)
			p.open(features)
			p.send(reply)
			p.drain()
		}
	}
	failure := func(inner string) script {
		return sasl(`<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl">` + inner + `</failure>`)
	}
	for _, tc := range []struct {
		name   string
		script script
		auth   *AuthError   // want
		stream *StreamError // or this
		text   string
	}{
		{name: "wrong password", script: failure(`<not-authorized/><text xml:lang="en">Invalid username or password</text>`), auth: &AuthError{Step: "sasl", Condition: "not-authorized", Text: "Invalid username or password"}},
		{name: "failure without condition", script: failure(``), auth: &AuthError{Step: "sasl", Condition: "undefined-condition"}},
		{name: "failure with a novel", script: failure(`<not-authorized/><text>` + strings.Repeat("é", 5000) + `</text>`), auth: &AuthError{Step: "sasl", Condition: "not-authorized", Text: strings.Repeat("é", 128) + "..."}},
		{name: "PLAIN challenged", script: sasl(`<challenge xmlns="urn:ietf:params:xml:ns:xmpp-sasl">aGk=</challenge>`), text: "sasl failed"},
		{name: "success that is not base64", script: sasl(`<challenge xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%%%</challenge>`), text: "not base64"},
		{name: "success of another namespace", script: sasl(`<success xmlns="urn:other"/>`), text: "got <success> instead"},
		{name: "stanza instead of success", script: sasl(bindResult), text: "got <iq> instead"},
		{name: "stream error", script: sasl(`<stream:error ` + stream + `><policy-violation xmlns="urn:ietf:params:xml:ns:xmpp-streams"/><text xmlns="urn:ietf:params:xml:ns:xmpp-streams">Too many failed authentications</text></stream:error>`), stream: &StreamError{Condition: "policy-violation", Text: "Too many failed authentications"}},
		{name: "malformed", script: sasl(`<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"></failure>`), text: errMalformed.Error()},
		{name: "no mechanism of ours", script: func(p *peer) {
			p.open(strings.Replace(plainFeatures, "PLAIN", "X-OAUTH2", 1))
			p.drain()
		}, text: "no common mechanism, server offers: X-OAUTH2"},
		{name: "no mechanisms at all", script: func(p *peer) { p.open(bindFeatures); p.drain() }, text: "no common mechanism"},
		{name: "features missing", script: func(p *peer) { p.open(bindResult); p.drain() }, text: "stream features: got <iq>"},
		{name: "no bind", script: bound(`<stream:features `+stream+`/>`, ``), text: "no resource binding"},
		{name: "bind refused", script: bound(bindFeatures, `<iq id="_bind_auth_2" type="error" xmlns="jabber:client"><error type="cancel"><conflict xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`), auth: &AuthError{Step: "bind", Condition: "conflict"}},
		{name: "bind refused for now", script: bound(bindFeatures, `<iq id="_bind_auth_2" type="error" xmlns="jabber:client"><error type="wait"><resource-constraint xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`), auth: &AuthError{Step: "bind", Condition: "resource-constraint", wait: true}},
		{name: "bound to nothing", script: bound(bindFeatures, `<iq id="_bind_auth_2" type="result" xmlns="jabber:client"/>`), text: "no full JID"},
		{name: "bound to a bare JID", script: bound(bindFeatures, strings.Replace(bindResult, "/"+testResource, "", 1)), text: "no full JID"},
		{name: "session refused", script: func(p *peer) {
			p.open(plainFeatures)
			p.recv()
			p.send(saslSuccess)
			p.open(`<stream:features ` + stream + `><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/><session xmlns="urn:ietf:params:xml:ns:xmpp-session"></session></stream:features>`)
			p.recv()
			p.send(bindResult)
			p.expect(`<iq id="_session_auth_2" type="set" xmlns="jabber:client"><session xmlns="urn:ietf:params:xml:ns:xmpp-session"/></iq>`)
			p.send(`<iq id="_session_auth_2" type="error" xmlns="jabber:client"><error type="cancel"><forbidden xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`)
			p.drain()
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
			require.NotContains(t, err.Error(), testPassword)
		})
	}
	require.False(t, (&AuthError{Condition: "temporary-auth-failure"}).Final())
}

// Stream headers that are none.
func TestBadStreamHeaders(t *testing.T) {
	for name, header := range map[string]string{
		"html":              "<html><body>",
		"http":              "HTTP/1.1 400 Bad Request\r\n\r\n",
		"other namespace":   `<stream:stream version="1.0" xmlns:stream="urn:x">`,
		"no version":        `<stream:stream xmlns:stream="http://etherx.jabber.org/streams">`,
		"version 0.9":       `<stream:stream version="0.9" xmlns:stream="http://etherx.jabber.org/streams">`,
		"empty stream":      `<stream:stream version="1.0" xmlns:stream="http://etherx.jabber.org/streams"/>`,
		"doctype":           `<!DOCTYPE x [<!ENTITY a "b">]>` + serverStream,
		"two declarations":  `<?xml version="1.0"?>` + serverStream,
		"latin1":            strings.Replace(serverStream, "<?xml version='1.0'?>", "<?xml version='1.0' encoding='latin1'?>", 1),
		"end before start":  `</stream:stream>`,
		"other instruction": `<?php version="1.0"?>` + strings.TrimPrefix(serverStream, "<?xml version='1.0'?>"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Dial(soon(t), pipeServer(t, func(p *peer) {
				p.restart()
				p.recv()
				p.send(header)
				p.drain()
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
			p.open(plainFeatures)
			p.recv()
			p.send(saslSuccess)
			p.open(bindFeatures)
			p.recv()
			for range n {
				p.send(presence)
			}
			p.send(bindResult)
			p.send(strings.Replace(presence, "bob", "last", 1))
			p.drain()
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

// The end of the context after Dial has returned is no matter to the session.
func TestDialContextEnds(t *testing.T) {
	for name, serve := range transports {
		t.Run(name, func(t *testing.T) {
			cfg := serve(t, func(p *peer) { p.login(); answerAll(p) })
			ctx, cancel := context.WithCancel(context.Background())
			s, err := Dial(ctx, cfg)
			require.NoError(t, err)
			cancel()
			served := make(chan error, 1)
			go func() { served <- s.Serve() }() // ends with Close below
			for range 20 {
				require.NoError(t, s.Ping(soon(t)))
			}
			require.NoError(t, s.Close(done()))
			require.ErrorIs(t, <-served, ErrClosed)
		})
	}
}

// Nor is the timeout of the HTTP client that has made the upgrade.
func TestHTTPClientTimeout(t *testing.T) {
	cfg := webSocketServer(t, func(p *peer) { p.login(); answerAll(p) })
	cfg.HTTPClient.Timeout = 50 * time.Millisecond
	c := dial(t, cfg)
	require.NoError(t, c.Ping(soon(t)))
	select {
	case err := <-c.served:
		require.NoError(t, err)
	case <-time.After(2 * cfg.HTTPClient.Timeout):
	}
	require.NoError(t, c.Ping(soon(t)))
}

// answerAll answers every iq with an empty result, and the end of the stream, until the client is gone.
func answerAll(p *peer) {
	for {
		n, err := p.read()
		if errors.Is(err, errStreamEnd) || n.name.Local == "close" {
			p.sendEnd()
			p.drain()
			return
		}
		if err != nil {
			return
		}
		if n.name.Local == "iq" {
			from := n.attr("to")
			if from == "" {
				from = testBare
			}
			p.send(fmt.Sprintf(`<iq from="%s" id="%s" type="result" xmlns="jabber:client"/>`, from, n.attr("id")))
		}
	}
}

// SCRAM against the server side of the SASL library.
func TestSCRAM(t *testing.T) {
	mechanisms := map[string]struct {
		m    sasl.Mechanism
		hash func() hash.Hash
	}{"SCRAM-SHA-1": {sasl.ScramSha1, sha1.New}, "SCRAM-SHA-256": {sasl.ScramSha256, sha256.New}}
	for _, tc := range []struct {
		name     string
		offered  []string
		want     string
		password string
		inSucc   bool // the signature comes with <success/>
		change   func(msg string, step int) string
		text     string // wanted error
	}{
		{name: "sha1", offered: []string{"PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"}, want: "SCRAM-SHA-1", inSucc: true},
		{name: "sha256", offered: []string{"SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN", "SCRAM-SHA-512"}, want: "SCRAM-SHA-256", inSucc: true},
		{name: "signature in a challenge", offered: []string{"SCRAM-SHA-256"}, want: "SCRAM-SHA-256"},
		{name: "wrong password", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1", password: "other", text: "not-authorized"},
		{name: "wrong signature", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1", inSucc: true, change: at(1, func(string) string { return "v=AAAA" }), text: "sasl failed"},
		{name: "no signature", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1", inSucc: true, change: at(1, func(string) string { return "" }), text: "sasl failed"},
		{name: "few iterations", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1", change: at(0, replace("i=4096", "i=4095")), text: "4095 iterations"},
		{name: "absurd iterations", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1", change: at(0, replace("i=4096", "i=1000001")), text: "1000001 iterations"},
		{name: "iterations overflow", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1", change: at(0, replace("i=4096", "i=99999999999999999999")), text: "bad iteration count"},
		{name: "negative iterations", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1", change: at(0, replace("i=4096", "i=-4096")), text: "iterations"},
		{name: "iterations twice", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1", change: at(0, replace("i=4096", "i=4096,i=1")), text: "bad extension"},
		{name: "short last field", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1", change: at(0, replace("i=4096", "i=4096,x")), text: "bad extension"},
		{name: "mandatory extension", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1", change: at(0, replace("r=", "m=x,r=")), text: "fields missing"},
		{name: "no salt", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1", change: at(0, replace("s=c2FsdA==", "s=")), text: "bad salt"},
		{name: "nonce of another", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1", change: at(0, replace("r=", "r=x")), text: "nonce is not ours"},
		{name: "enormous nonce", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1", change: at(0, replace(",s=", strings.Repeat("x", maxServerFirst)+",s=")), text: "too long"},
		{name: "nonce only ours", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1", change: at(0, func(m string) string {
			r, rest, _ := strings.Cut(m, ",")
			return r[:2+22] + "," + rest
		}), text: "nonce is not ours"},
		{name: "empty challenge", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1", change: at(0, func(string) string { return "" }), text: "sasl failed"},
		{name: "garbage challenge", offered: []string{"SCRAM-SHA-1"}, want: "SCRAM-SHA-1", change: at(0, func(string) string { return "\x00\xff,,," }), text: "fields missing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := pipeServer(t, func(p *peer) {
				var names strings.Builder
				for _, m := range tc.offered {
					names.WriteString("<mechanism>" + m + "</mechanism>")
				}
				p.open(strings.Replace(plainFeatures, "<mechanism>PLAIN</mechanism>", names.String(), 1))
				mech := mechanisms[tc.want]
				server := sasl.NewServer(mech.m, nil, sasl.SaltedCredentials(func(user, _ []byte, _ string) ([]byte, []byte, int64, error) {
					if string(user) != testUser {
						return nil, nil, 0, sasl.ErrAuthn
					}
					salt := []byte("salt")
					return salt, sasl.SCRAMSaltPassword(mech.hash, []byte(testPassword), salt, 4096), 4096, nil
				}))
				scramServer(p, server, tc.want, tc.inSucc, tc.change)
			})
			if tc.password != "" {
				cfg.Password = tc.password
			}
			s, err := Dial(soon(t), cfg)
			if tc.text == "" {
				require.NoError(t, err)
				_ = s.Close(done())
				return
			}
			auth := (*AuthError)(nil)
			require.ErrorAs(t, err, &auth)
			require.ErrorContains(t, err, tc.text)
			require.Equal(t, auth.Err == nil, auth.Final())
		})
	}
}

func at(step int, f func(string) string) func(string, int) string {
	return func(msg string, i int) string {
		if i == step {
			return f(msg)
		}
		return msg
	}
}

func replace(old, with string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, with, 1) }
}

func scramServer(p *peer, server *sasl.Negotiator, mechanism string, inSuccess bool, change func(string, int) string) {
	const ns = ` xmlns="urn:ietf:params:xml:ns:xmpp-sasl">`
	n, err := p.read()
	for step := 0; err == nil; step++ {
		if step == 0 && (n.name.Local != "auth" || n.attr("mechanism") != mechanism) {
			p.fail("client chose %s", n)
		}
		data, _ := base64.StdEncoding.DecodeString(n.text())
		more, resp, failed := server.Step(data)
		if failed != nil {
			p.send(`<failure` + ns + `<not-authorized/></failure>`)
			p.drain()
			return
		}
		if change != nil {
			resp = []byte(change(string(resp), step))
		}
		text := base64.StdEncoding.EncodeToString(resp)
		if !more && inSuccess {
			p.send(`<success` + ns + text + `</success>`)
			break
		}
		p.send(`<challenge` + ns + text + `</challenge>`)
		if n, err = p.read(); !more && err == nil {
			p.send(saslSuccess)
			break
		}
	}
	if err != nil {
		return
	}
	p.restart()
	if _, err := p.read(); err != nil {
		return // it did not believe us
	}
	p.send(serverStream + bindFeatures)
	p.recv()
	p.send(bindResult)
	p.drain()
}

// Success at once, without a word of SCRAM.
func TestSCRAMSkipped(t *testing.T) {
	for _, first := range []string{saslSuccess, `<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl">dj1BQUFB</success>`} {
		_, err := Dial(soon(t), pipeServer(t, func(p *peer) {
			p.open(strings.Replace(plainFeatures, "PLAIN", "SCRAM-SHA-256", 1))
			p.recv()
			p.send(first)
			p.drain()
		}))
		require.ErrorContains(t, err, "sasl failed")
	}
}

func TestChecksBeforeDialing(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no address":   func(c *Config) { c.Addresses = nil },
		"no domain":    func(c *Config) { c.Domain = "" },
		"no user":      func(c *Config) { c.Username = "" },
		"no resource":  func(c *Config) { c.Resource = "" },
		"NUL in user":  func(c *Config) { c.Username = "a\x00b" },
		"user is a JD": func(c *Config) { c.Username = "a@b" },
	} {
		cfg := testConfig("xmpp://x:1")
		cfg.DialContext = func(context.Context, string, string) (net.Conn, error) {
			t.Error(name, "dialled")
			return nil, io.EOF
		}
		change(&cfg)
		_, err := Dial(t.Context(), cfg)
		require.Error(t, err, name)
	}
	cfg := pipeServer(t, func(p *peer) { p.open(plainFeatures); p.drain() })
	cfg.Password = "a\x00b"
	_, err := Dial(t.Context(), cfg)
	require.ErrorContains(t, err, "NUL in the password")
}

// see-other-uri and see-other-host: followed, but not in circles and not downhill.
func TestRedirects(t *testing.T) {
	var visits atomic.Int32
	target := webSocketServer(t, func(p *peer) { visits.Add(1); p.login(); p.drain() })
	to := func(uri string) script {
		return func(p *peer) {
			visits.Add(1)
			p.recv()
			p.send(`<close xmlns="urn:ietf:params:xml:ns:xmpp-framing" see-other-uri="` + uri + `"/>`)
			p.drain()
		}
	}
	// One certificate serves them all.
	redirecting := func(uri string) Config {
		cfg := webSocketServer(t, to(uri))
		cfg.HTTPClient = target.HTTPClient
		return cfg
	}
	s, err := Dial(soon(t), redirecting(target.Addresses[0].String()))
	require.NoError(t, err)
	require.NoError(t, s.Close(done()))
	require.EqualValues(t, 2, visits.Load())

	for uri, text := range map[string]string{
		"ws://127.0.0.1:1/websocket":   "refused",
		"xmpp://127.0.0.1:1":           "refused",
		"https://127.0.0.1:1/":         "unknown scheme",
		"wss://user:pass@127.0.0.1:1/": "must not carry a user",
		"":                             "server closed the stream",
	} {
		_, err := Dial(soon(t), redirecting(uri))
		require.ErrorContains(t, err, text, uri)
	}

	visits.Store(0)
	self := ""
	loop := webSocketServer(t, func(p *peer) { to(self)(p) })
	self = loop.Addresses[0].String()
	_, err = Dial(soon(t), loop)
	require.ErrorContains(t, err, "too often")
	require.EqualValues(t, 1+maxRedirects, visits.Load())

	// TCP, with STARTTLS at both ends: the server sends us elsewhere once TLS is up.
	cfg := startTLSServer(t, func(p *peer) { p.login(); p.drain() })
	other := cfg.Addresses[0].Host
	from := startTLSServer(t, func(p *peer) {
		p.restart()
		p.recv()
		p.send(serverStream + streamErrorOf("see-other-host", other))
		p.drain()
	})
	from.TLSConfig.InsecureSkipVerify = true // each has an authority of its own
	s, err = Dial(soon(t), from)
	require.NoError(t, err)
	require.NoError(t, s.Close(done()))
}

// Upgrades that are none.
func TestBadUpgrades(t *testing.T) {
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		text    string
	}{
		"forbidden": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "403"},
		"html":      {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }, "200"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, "302"},
		"no subprotocol": {func(w http.ResponseWriter, r *http.Request) {
			if c, err := websocket.Accept(w, r, nil); err == nil {
				_ = c.CloseNow()
			}
		}, "subprotocol"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewTLSServer(tc.handler)
			defer srv.Close()
			cfg := testConfig("wss://" + srv.Listener.Addr().String() + "/websocket?secret=1")
			cfg.HTTPClient = srv.Client()
			_, err := Dial(soon(t), cfg)
			require.ErrorContains(t, err, tc.text)
			require.NotContains(t, err.Error(), "secret")
		})
	}
	_, err := Dial(soon(t), testConfig("wss://127.0.0.1:1/websocket?secret=1"))
	require.ErrorContains(t, err, "refused")
	require.NotContains(t, err.Error(), "secret")
}

// Passwords are in no log line and in no error, whatever the server says.
func TestNoSecrets(t *testing.T) {
	const secret = "m4rked-s3cret"
	encoded := base64.StdEncoding.EncodeToString([]byte("\x00" + testUser + "\x00" + secret))
	eachTransport(t, func(t *testing.T, serve func(testing.TB, script) Config) {
		var log syncBuffer
		check := func(text string) {
			t.Helper()
			require.NotContains(t, text, secret)
			require.NotContains(t, text, encoded)
		}
		cfg := serve(t, func(p *peer) {
			p.open(plainFeatures)
			p.recv()
			p.send(saslSuccess)
			p.open(bindFeatures)
			p.recv()
			p.send(bindResult)
			answerAll(p)
		})
		cfg.Password = secret
		cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c := dial(t, cfg)
		require.NoError(t, c.SetVCard(soon(t), VCard{NickName: secret, Status: secret}))
		require.NoError(t, c.LogOutQR(t.Context(), secret))
		require.NoError(t, c.Close(t.Context()))
		c.ended()
		check(log.String())
		require.Contains(t, log.String(), "<auth", "frames are logged")

		cfg = serve(t, func(p *peer) {
			p.open(plainFeatures)
			p.recv()
			p.send(`<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><not-authorized/></failure>`)
			p.drain()
		})
		cfg.Password = secret
		_, err := Dial(soon(t), cfg)
		require.ErrorContains(t, err, "not-authorized")
		check(err.Error())
	})
}

// A TLSConfig with a ClientSessionCache saves the next handshake its certificates (RFC 8446 2.2), and with TLS 1.2 a round trip.
func TestTLSSessionIsTakenUp(t *testing.T) {
	cert, pool := testCA(t, testDomain)
	conf := &tls.Config{Certificates: []tls.Certificate{cert}}
	resumed := make(chan bool, 1)
	addr := listen(t, func(conn net.Conn) {
		secure := tls.Server(conn, conf)
		p := &peer{t: t, conn: secure}
		p.login()
		resumed <- secure.ConnectionState().DidResume
		p.drain()
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

// Whatever the caller's TLSConfig says for HTTP, a stream never waits for a renegotiation.
func TestStreamTLS(t *testing.T) {
	own := &tls.Config{Renegotiation: tls.RenegotiateFreelyAsClient, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS10}
	conf := (&Config{TLSConfig: own, Domain: "example.com"}).streamTLS()
	require.Equal(t, tls.RenegotiateNever, conf.Renegotiation)
	require.Empty(t, conf.NextProtos)
	require.EqualValues(t, tls.VersionTLS12, conf.MinVersion)
	require.Equal(t, "example.com", conf.ServerName)
	require.Equal(t, tls.RenegotiateFreelyAsClient, own.Renegotiation, "theirs")
}
