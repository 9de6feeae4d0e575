package xmpp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
)

// A dialler has a timer of its own for the deadline of its context, as net.Dialer does. That it may
// go off first changes nothing.
func TestDiallerThatTimesOutFirst(t *testing.T) {
	for range 200 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, err := Dial(ctx, Config{
			Addresses: []Address{{Scheme: "xmpps", Host: "127.0.0.1:1"}}, Domain: "example.com", Username: "alice",
			Resource: "r",
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				end, _ := ctx.Deadline()
				for time.Now().Before(end) {
				}
				return nil, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
			},
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		cancel()
	}
}

// Several addresses are one service. What is wrong with one of them says nothing about the others,
// and what one says of the account holds for all, whichever was asked first.
func TestFailuresAtSeveralAddresses(t *testing.T) {
	refuse := func(condition string) script {
		return func(p *peer) {
			p.Open(scripted.PlainFeatures)
			p.Recv()
			p.Send(`<failure xmlns="` + nsSASL + `"><` + condition + `/></failure>`)
			p.Drain()
		}
	}
	scripts := map[string]script{
		"works": func(p *peer) { p.Login(); p.Drain() },
		"bare":  func(p *peer) { p.Open(scripted.PlainFeatures); p.Drain() },
		"wrong": refuse("not-authorized"),
		"later": refuse("temporary-auth-failure"),
		"unproved": func(p *peer) {
			p.Open(strings.Replace(scripted.PlainFeatures, "PLAIN", "SCRAM-SHA-256", 1))
			p.Recv()
			p.Send(scripted.SASLSuccess)
			p.Drain()
		},
		"replaced": func(p *peer) {
			p.Restart()
			p.Recv()
			p.Send(scripted.ServerStream + scripted.StreamError("conflict", ""))
			p.Drain()
		},
		"shutting down": func(p *peer) {
			p.Restart()
			p.Recv()
			p.Send(scripted.ServerStream + scripted.StreamError("system-shutdown", ""))
			p.Drain()
		},
	}
	for _, tc := range []struct {
		one, other string
		// TLS is demanded.
		secure bool
		// An error to match; nil: a session.
		want any
	}{
		{one: "later", other: "wrong", want: &AuthError{Step: "sasl", Condition: "not-authorized"}},
		{one: "dead", other: "wrong", want: &AuthError{Step: "sasl", Condition: "not-authorized"}},
		{one: "unproved", other: "wrong", want: &AuthError{Step: "sasl", Condition: "not-authorized"}},
		{one: "dead", other: "later", want: &AuthError{Step: "sasl", Condition: "temporary-auth-failure"}},
		{one: "dead", other: "replaced", want: &StreamError{Condition: "conflict"}},
		{one: "later", other: "replaced", want: &StreamError{Condition: "conflict"}},
		{one: "shutting down", other: "replaced", want: &StreamError{Condition: "conflict"}},
		{one: "bare", other: "dead", secure: true, want: syscall.ECONNREFUSED},
		{one: "bare", other: "bare", secure: true, want: ErrInsecure},
		{one: "later", other: "works"},
		{one: "unproved", other: "works"},
		{one: "shutting down", other: "works"},
	} {
		t.Run(tc.one+" and "+tc.other, func(t *testing.T) {
			// In random order.
			for range 6 {
				cfg := testConfig("xmpp://x:1")
				cfg.AllowInsecure = !tc.secure
				cfg.Addresses = []Address{{Scheme: "xmpp", Host: tc.one}, {Scheme: "xmpp", Host: tc.other}}
				cfg.DialContext = func(_ context.Context, _, addr string) (net.Conn, error) {
					if addr == "dead" {
						return nil, syscall.ECONNREFUSED
					}
					client, server := net.Pipe()
					t.Cleanup(func() { _ = client.Close() })
					scripted.Run(t, &peer{T: t, Conn: server, Impatient: true}, scripts[addr])
					return client, nil
				}
				s, err := Dial(soon(t), cfg)
				switch want := tc.want.(type) {
				case nil:
					require.NoError(t, err)
					require.NoError(t, s.Close(done()))
				case *AuthError:
					auth := (*AuthError)(nil)
					require.ErrorAs(t, err, &auth)
					require.Equal(t, want, auth)
				case *StreamError:
					stream := (*StreamError)(nil)
					require.ErrorAs(t, err, &stream)
					require.Equal(t, want, stream)
				case error:
					require.ErrorIs(t, err, want)
					require.Equal(t, want == ErrInsecure, errors.Is(err, ErrInsecure))
				}
			}
		})
	}
}

// A server that stops after any step: Dial returns when its context ends, or
// DialTimeout when the stream is not secure yet.
func TestSilentServer(t *testing.T) {
	steps := []script{
		func(*peer) {},
		func(p *peer) { p.Restart(); p.Recv() },
		func(p *peer) {
			// Which has no half messages.
			if p.WS != nil {
				p.Recv()
				p.Send(scripted.ServerOpen)
				return
			}
			p.Open(`<stream:features xmlns:stream="http://etherx.jabber.org/streams">`)
		},
		func(p *peer) { p.Open(scripted.PlainFeatures) },
		func(p *peer) { p.Open(scripted.PlainFeatures); p.Recv() },
		func(p *peer) { p.Open(scripted.PlainFeatures); p.Recv(); p.Send(scripted.SASLSuccess) },
		func(p *peer) {
			p.Open(scripted.PlainFeatures)
			p.Recv()
			p.Send(scripted.SASLSuccess)
			p.Open(scripted.BindFeatures)
		},
		func(p *peer) {
			p.Open(scripted.PlainFeatures)
			p.Recv()
			p.Send(scripted.SASLSuccess)
			p.Open(scripted.BindFeatures)
			p.Recv()
		},
		func(p *peer) {
			p.Open(scripted.PlainFeatures)
			p.Recv()
			p.Send(scripted.SASLSuccess)
			p.Open(`<stream:features xmlns:stream="http://etherx.jabber.org/streams">` +
				`<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/>` +
				`<session xmlns="urn:ietf:params:xml:ns:xmpp-session"/></stream:features>`)
			p.Recv()
			p.Send(scripted.BindResult)
		},
	}
	for transport, serve := range transports {
		for i, step := range steps {
			t.Run(fmt.Sprint(transport, " step ", i), func(t *testing.T) {
				cfg := serve(t, func(p *peer) {
					p.Impatient = true
					step(p)
					for {
						if p.WS != nil {
							if _, _, err := p.WS.Read(context.Background()); err != nil {
								return
							}
						} else if _, err := io.Copy(io.Discard, p.Conn); err != nil || p.Conn != nil {
							return
						}
					}
				})
				// Is not what ends it.
				cfg.DialTimeout = time.Hour
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
	addr := scripted.Listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	for _, scheme := range []string{"xmpps", "wss"} {
		cfg := testConfig(scheme + "://" + addr)
		cfg.HTTPClient = &http.Client{Transport: &http.Transport{}, Timeout: time.Hour}
		// Bounds what net/http leaves behind.
		cfg.DialTimeout = time.Second
		_, err := Dial(within(t, 60*time.Millisecond), cfg)
		require.ErrorIs(t, err, context.DeadlineExceeded, scheme)
	}
}

// A dead address costs at most DialTimeout, in time that is not real.
func TestDeadAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := pipeServer(t, func(p *peer) { p.Login(); p.Drain() })
		alive := cfg.DialContext
		// The default.
		cfg.DialTimeout = 0
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
		cfg := pipeServer(t, func(p *peer) { p.Login(); p.Drain() })
		alive := cfg.DialContext
		// The default.
		cfg.DialTimeout = 0
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
		for addresses, most := range map[string]time.Duration{
			"slow:1":         2 * defaultDialTimeout,
			"slow:1,alive:1": defaultDialTimeout,
		} {
			cfg.Addresses, _ = ParseAddresses(addresses, true)
			// The order is left to chance.
			for slow = 0; slow == 0; {
				start := time.Now()
				s, err := Dial(t.Context(), cfg)
				require.NoError(t, err)
				require.LessOrEqual(t, time.Since(start), most)
				_ = s.Close(done())
			}
		}
	})
}

// The end of the context after Dial has returned is no matter to the session.
func TestDialContextEnds(t *testing.T) {
	for name, serve := range transports {
		t.Run(name, func(t *testing.T) {
			cfg := serve(t, func(p *peer) { p.Login(); answerAll(p) })
			ctx, cancel := context.WithCancel(context.Background())
			s, err := Dial(ctx, cfg)
			require.NoError(t, err)
			cancel()
			served := make(chan error, 1)
			// Ends with Close below.
			go func() { served <- serveToEnd(s) }()
			for range 20 {
				require.NoError(t, s.Ping(soon(t)))
			}
			require.NoError(t, s.Close(done()))
			require.ErrorIs(t, <-served, ErrClosed)
		})
	}
}

// Nor is the timeout of the HTTP client that has made the upgrade. It doubles while a busy machine
// needs longer for that.
func TestHTTPClientTimeout(t *testing.T) {
	cfg := webSocketServer(t, func(p *peer) { p.Login(); answerAll(p) })
	cfg.Handle = func(Event) {}
	cfg.HTTPClient.Timeout = 50 * time.Millisecond
	s, err := Dial(soon(t), cfg)
	for ; err != nil; s, err = Dial(soon(t), cfg) {
		cfg.HTTPClient.Timeout *= 2
		require.Less(t, cfg.HTTPClient.Timeout, patience, "%v", err)
	}
	served := make(chan error, 1)
	// Ends with Close below.
	go func() { served <- serveToEnd(s) }()
	require.NoError(t, s.Ping(soon(t)))
	select {
	case err := <-served:
		require.NoError(t, err)
	case <-time.After(2 * cfg.HTTPClient.Timeout):
	}
	require.NoError(t, s.Ping(soon(t)))
	require.NoError(t, s.Close(done()))
	require.ErrorIs(t, <-served, ErrClosed)
}

// see-other-uri and see-other-host: followed, but not in circles and not downhill.
func TestRedirects(t *testing.T) {
	var visits atomic.Int32
	target := webSocketServer(t, func(p *peer) { visits.Add(1); p.Login(); p.Drain() })
	to := func(uri string) script {
		return func(p *peer) {
			visits.Add(1)
			p.Recv()
			p.Send(`<close xmlns="urn:ietf:params:xml:ns:xmpp-framing" see-other-uri="` + uri + `"/>`)
			p.Drain()
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
	cfg := startTLSServer(t, func(p *peer) { p.Login(); p.Drain() })
	other := cfg.Addresses[0].Host
	from := startTLSServer(t, func(p *peer) {
		p.Restart()
		p.Recv()
		p.Send(scripted.ServerStream + scripted.StreamError("see-other-host", other))
		p.Drain()
	})
	// Each has an authority of its own.
	from.TLSConfig.InsecureSkipVerify = true
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
