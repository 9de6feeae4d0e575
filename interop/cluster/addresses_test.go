package cluster

import (
	"context"
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/stretchr/testify/require"
)

// addresses: several addresses are one service.
func addresses(t *testing.T, a, b *xmppserver.Server) {
	overEach(t, a, b, func(t *testing.T, s *service) {
		t.Parallel() // most of it is waiting
		t.Run("both nodes are used", func(t *testing.T) {
			s.requireSpread(t, "list", s.Config())
		})
		t.Run("both records of a name are used", func(t *testing.T) {
			s.requireSpread(t, "name", s.configFor("both.xmpp.mirrorfly.test"))
		})
		t.Run("dead address", func(t *testing.T) { testDeadAddress(t, s) })
		t.Run("dead record", func(t *testing.T) {
			s.blackHole(t, "127.0.0.3")
			u := users.Login(t, s.configFor("half-dead.xmpp.mirrorfly.test"), s.Name("dead-record"))
			s.requireAt(t, u, a)
		})
	})
}

// configFor reaches the service by a name, which the library looks up.
func (s *service) configFor(name string) sdk.Config {
	cfg := s.Config()
	_, port, _ := net.SplitHostPort(s.Way.Host(s.Node))
	cfg.XMPPAddress = s.Way.Addresses(net.JoinHostPort(name, port))
	cfg.DialContext = nil
	return cfg
}

// requireSpread checks that clients with the same configuration do not all go to one node.
func (s *service) requireSpread(t *testing.T, short string, cfg sdk.Config) {
	t.Helper()
	account := users.Register(t, cfg, s.Name(short)).Account
	const clients = 24 // all at one of two nodes by chance: once in eight million runs
	used := map[string]int{}
	for n := 0; n < clients && len(used) < 2; n++ {
		u := users.New(t, cfg)
		u.Account = account
		connectWhenKnown(t, u)
		used[s.awaitNode(t, u)]++
		require.NoError(t, u.Close())
		s.requireAt(t, u) // nowhere
	}
	require.Len(t, used, 2, "%v", used)
}

func (s *service) awaitNode(t *testing.T, u *users.User) string {
	t.Helper()
	var nodes []string
	eventually(t, func(c require.TestingT) {
		nodes = s.nodesOf(c, u)
		require.Len(c, nodes, 1)
	})
	return nodes[0]
}

// dialTimeout is what one dead address may cost while there is another (internal/xmpp says so),
// with as much again for a machine that is busy. A call has 30s.
const dialTimeout = 2 * 5 * time.Second

// testDeadAddress: an address that swallows everything is given up soon, and the next is tried.
func testDeadAddress(t *testing.T, s *service) {
	const dead = "192.0.2.1:443" // RFC 5737: no host has it
	stuck := make(chan time.Duration, 1)
	cfg := s.Config()
	cfg.XMPPAddress = s.Way.Addresses(dead, s.Way.Host(s.Node))
	cfg.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != dead {
			return new(net.Dialer).DialContext(ctx, network, address)
		}
		start := time.Now()
		<-ctx.Done()
		stuck <- time.Since(start)
		return nil, ctx.Err()
	}
	account := users.Register(t, cfg, s.Name("dead-address")).Account
	for range 64 { // which address is first is left to chance
		u := users.New(t, cfg)
		u.Account = account
		u.Login(t)
		s.requireAt(t, u, s.Node)
		if len(stuck) > 0 {
			require.Less(t, <-stuck, dialTimeout)
			return
		}
		require.NoError(t, u.Close())
	}
	require.Fail(t, "the dead address was never tried")
}

// blackHole makes the address that has the node's port on another IP swallow all that wants to
// connect: somebody listens there, never takes a connection, and has no room for more.
func (s *service) blackHole(t *testing.T, ip string) {
	t.Helper()
	_, text, _ := net.SplitHostPort(s.Way.Host(s.Node))
	port, err := strconv.Atoi(text)
	require.NoError(t, err)
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte(net.ParseIP(ip).To4())}))
	require.NoError(t, syscall.Listen(fd, 0))
	address := net.JoinHostPort(ip, text)
	for range 16 {
		conn, err := net.DialTimeout("tcp", address, 500*time.Millisecond)
		if err != nil {
			return
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	require.Fail(t, "still takes connections")
}
