package xmpp

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A dialler has a timer of its own for the deadline of its context, as net.Dialer does. That it may go off first changes nothing.
func TestDiallerThatTimesOutFirst(t *testing.T) {
	for range 200 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, err := Dial(ctx, Config{
			Addresses: []Address{{Scheme: schemeXMPPS, Host: "127.0.0.1:1"}}, Domain: "example.com", Username: "alice", Resource: "r",
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

// Several addresses are one service. What is wrong with one of them says nothing about the others, and what one says of the account
// holds for all, whichever was asked first.
func TestFailuresAtSeveralAddresses(t *testing.T) {
	refuse := func(condition string) script {
		return func(p *peer) {
			p.open(plainFeatures)
			p.recv()
			p.send(`<failure xmlns="` + nsSASL + `"><` + condition + `/></failure>`)
			p.drain()
		}
	}
	scripts := map[string]script{
		"works": func(p *peer) { p.login(); p.drain() },
		"bare":  func(p *peer) { p.open(plainFeatures); p.drain() },
		"wrong": refuse("not-authorized"),
		"later": refuse("temporary-auth-failure"),
		"unproved": func(p *peer) {
			p.open(strings.Replace(plainFeatures, "PLAIN", "SCRAM-SHA-256", 1))
			p.recv()
			p.send(saslSuccess)
			p.drain()
		},
		"replaced": func(p *peer) { p.restart(); p.recv(); p.send(serverStream + streamErrorOf("conflict", "")); p.drain() },
		"shutting down": func(p *peer) {
			p.restart()
			p.recv()
			p.send(serverStream + streamErrorOf("system-shutdown", ""))
			p.drain()
		},
	}
	for _, tc := range []struct {
		one, other string
		secure     bool // TLS is demanded
		want       any  // an error to match; nil: a session
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
			for range 6 { // in random order
				cfg := testConfig("xmpp://x:1")
				cfg.AllowInsecure = !tc.secure
				cfg.Addresses = []Address{{Scheme: schemeXMPP, Host: tc.one}, {Scheme: schemeXMPP, Host: tc.other}}
				cfg.DialContext = func(_ context.Context, _, addr string) (net.Conn, error) {
					if addr == "dead" {
						return nil, syscall.ECONNREFUSED
					}
					client, server := net.Pipe()
					t.Cleanup(func() { _ = client.Close() })
					run(t, &peer{t: t, conn: server, impatient: true}, scripts[addr])
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
