package latency_test

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
)

// cost is what something took: time, and round trips.
type cost struct {
	took time.Duration
	all  int // of all connections together
	xmpp int // of the XMPP connection alone, from its beginning: TLS is the first
}

// client is a user of the library whose connections go over the links, and are counted.
type client struct {
	*users.User
	t   *testing.T
	svc *service
	all chain

	mu   sync.Mutex
	xmpp *wire // the last that was made to the XMPP server

	back chan cost // of sessions that were made again
}

func newClient(t *testing.T, svc *service) *client {
	t.Helper()
	c := &client{t: t, svc: svc, back: make(chan cost, 1)}
	c.all.restart()
	cfg := svc.config(c.dial)
	cfg.Reconnect.MinDelay = time.Millisecond
	c.User = users.New(t, cfg)
	c.OnConnection(func(e sdk.ConnectionEvent) {
		if e.Status == sdk.StatusConnected && e.Resumed {
			c.back <- cost{time.Since(c.wire().up), c.all.trips(), c.wire().own.trips()}
		}
	})
	return c
}

func (c *client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, c.svc.near[address])
	if err != nil {
		return nil, err
	}
	w := newWire(conn, &c.all)
	if address == c.svc.xmpp {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.xmpp = w
	}
	return w, nil
}

func (c *client) wire() *wire {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.xmpp
}

// measure is the cost of a call.
func (c *client) measure(call func(context.Context) error) cost {
	c.t.Helper()
	c.all.restart()
	start := time.Now()
	err := call(c.t.Context())
	spent := cost{took: time.Since(start), all: c.all.trips()}
	require.NoError(c.t, err)
	return spent
}

func (c *client) register(name string) {
	c.t.Helper()
	registered, err := c.Register(c.t.Context(), name)
	require.NoError(c.t, err)
	c.Account = registered.Data
}

func (c *client) connect() cost {
	c.t.Helper()
	var trips int
	spent := c.measure(func(ctx context.Context) error {
		_, err := c.Connect(ctx, c.Account.Username, c.Account.Password)
		trips = c.wire().own.trips()
		return err
	})
	spent.xmpp = trips
	c.lastSeen() // whatever belongs to connecting has been answered when this is
	return spent
}

func (c *client) lastSeen() cost {
	return c.measure(func(ctx context.Context) error {
		_, err := c.GetLastSeen(ctx, c.JID())
		return err
	})
}

func (c *client) profile(of string) cost {
	return c.measure(func(ctx context.Context) error {
		_, err := c.GetUserProfile(ctx, of)
		return err
	})
}

// reconnect cuts the session and waits until it has been resumed.
func (c *client) reconnect() cost {
	c.t.Helper()
	c.all.restart()
	require.NoError(c.t, c.wire().Close())
	select {
	case spent := <-c.back:
		return spent
	case <-time.After(users.Patience):
		require.FailNow(c.t, "the session is not resumed")
		return cost{}
	}
}

// shake counts the round trips of a TLS handshake with one of the servers.
func shake(t *testing.T, svc *service, address string) (trips int) {
	t.Helper()
	var c chain
	c.restart()
	conn, err := net.Dial("tcp", svc.near[address])
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	cfg := svc.Config().TLSConfig.Clone()
	cfg.ServerName, _, err = net.SplitHostPort(address)
	require.NoError(t, err)
	require.NoError(t, tls.Client(newWire(conn, &c), cfg).HandshakeContext(t.Context()))
	return c.trips()
}
