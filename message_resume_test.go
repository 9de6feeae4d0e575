package sdk_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// leakyConn loses what is written while losing is set, and tells of each write that has a stanza.
type leakyConn struct {
	net.Conn
	losing *atomic.Bool
	lost   chan struct{}
}

func (c leakyConn) Write(p []byte) (int, error) {
	if !c.losing.Load() {
		return c.Conn.Write(p)
	}
	// An answer of XEP-0198 alone is shorter than that.
	if len(p) > 120 {
		select {
		case c.lost <- struct{}{}:
		default:
		}
	}
	return len(p), nil
}

// Over a resumption a receipt that the server has missed is written again. Typing is not: it is
// over by then.
func TestTypingIsNotWrittenAgain(t *testing.T) {
	for what, times := range map[string]int{"<composing": 0, "<delivered": 1} {
		t.Run(what, func(t *testing.T) {
			srv, w := watched(t, sdktest.Options{ResumeTimeout: time.Minute})
			cfg := quick(srv.Config())
			cfg.Transport = sdk.TransportTCP
			losing, lost := new(atomic.Bool), make(chan struct{}, 1)
			dial := cfg.DialContext
			cfg.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dial(ctx, network, address)
				return leakyConn{conn, losing, lost}, err
			}
			register(t, srv.Config(), "bob")
			alice, credentials := register(t, cfg, "alice")
			connection := collect(alice.OnConnection)
			dones := make(chan func(), 1)
			alice.OnMessage(func(m sdk.Message) { dones <- m.Defer() })
			connect(t, alice, credentials)
			srv.Push("alice", saying(srv, "m1", "hi"))
			done := patient.Receive(t, dones)
			requireAnswer(t, srv, alice)
			losing.Store(true)
			if what == "<composing" {
				_, err := alice.SendTypingStatus(soon(t), "bob@"+srv.Domain())
				require.NoError(t, err)
			} else {
				done()
			}
			patient.Receive(t, lost)
			losing.Store(false)
			srv.DropConnections()
			require.True(t, resumption(t, connection, 1).Resumed)
			requireAnswer(t, srv, alice)
			require.Equal(t, times, w.count(what))
		})
	}
}
