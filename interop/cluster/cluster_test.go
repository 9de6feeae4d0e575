// Package cluster takes the library to a service that runs on two machines: two
// joined ejabberd nodes, 127.0.0.1 and 127.0.0.2, with sdktest in front of them as
// the REST half. What clients and contacts see when a node dies or stops is
// written down in interop/servers/README.md.
package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/tour"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	net.DefaultResolver = resolver() // before any test runs, and for all of them
	goleak.VerifyTestMain(m)
}

// service is MirrorFly as a test sees it: REST by sdktest, XMPP by both nodes over one transport.
type service struct {
	*tour.Service
	other *xmppserver.Server
}

func newService(t *testing.T, way tour.Way, node, other *xmppserver.Server) *service {
	t.Helper()
	return &service{Service: tour.New(t, way, node, other), other: other}
}

// overEach runs f once for each transport, all against the same nodes.
func overEach(t *testing.T, node, other *xmppserver.Server, f func(*testing.T, *service)) {
	t.Helper()
	for _, way := range tour.Ways() {
		t.Run(way.Name, func(t *testing.T) { f(t, newService(t, way, node, other)) })
	}
}

// loginAt logs a user in at one node, one of the two that the client knows. Where it may go
// later is for the gate to say.
func (s *service) loginAt(
	t *testing.T, home *xmppserver.Server, short string, change ...func(*sdk.Config),
) (*users.User, *gate) {
	t.Helper()
	away := s.Node
	if home == s.Node {
		away = s.other
	}
	g := &gate{barred: s.Way.Host(away)}
	u := s.Register(t, short, append(change, func(cfg *sdk.Config) { cfg.DialContext = g.dial })...)
	connectWhenKnown(t, u)
	s.requireAt(t, u, home)
	return u, g
}

// againAt connects the account of u from another device, which knows one node only.
func (s *service) againAt(t *testing.T, node *xmppserver.Server, u *users.User) *users.User {
	t.Helper()
	other := users.New(t, s.Config(func(cfg *sdk.Config) { cfg.XMPPAddress = s.Way.Addresses(s.Way.Host(node)) }))
	other.Account = u.Account
	connectWhenKnown(t, other)
	return other
}

// connectWhenKnown connects: a node learns of an account that was made at the other a moment later.
func connectWhenKnown(t *testing.T, u *users.User) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := u.Connect(t.Context(), u.ID(), u.Account.Password)
		return err == nil
	}, users.Patience, 50*time.Millisecond)
	u.AwaitStatus(t, sdk.StatusConnected)
}

// gate keeps a client away from one address until it is open.
type gate struct {
	barred string
	open   atomic.Bool
}

func (g *gate) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if address == g.barred && !g.open.Load() {
		return nil, errors.New("kept away from this node")
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// erlangName is what a node calls itself.
func erlangName(node *xmppserver.Server) string {
	host, _, _ := net.SplitHostPort(node.C2S)
	return "ejabberd@" + host
}

// requireAt waits until the sessions of a user are at these nodes: what is written on one node
// is on the other a moment later.
func (s *service) requireAt(t *testing.T, u *users.User, at ...*xmppserver.Server) {
	t.Helper()
	var want []string
	for _, node := range at {
		want = append(want, erlangName(node))
	}
	eventually(t, func(t require.TestingT) { require.ElementsMatch(t, want, s.nodesOf(t, u)) })
}

// nodesOf asks the service where the sessions of a user are.
func (s *service) nodesOf(t require.TestingT, u *users.User) []string {
	var nodes []string
	for _, session := range sessionsOf(t, s.Node, u) {
		nodes = append(nodes, session.Node)
	}
	return nodes
}

type session struct {
	Node     string
	Priority int // below zero before the initial presence
}

// sessionsOf are those that a node knows of.
func sessionsOf(t require.TestingT, node *xmppserver.Server, u *users.User) (sessions []session) {
	answer := node.API("user_sessions_info", map[string]any{"user": u.ID(), "host": node.Domain})
	require.NoError(t, json.Unmarshal([]byte(answer), &sessions), answer)
	return sessions
}

// eventually repeats checks of what a node knows from the other.
func eventually(t *testing.T, check func(require.TestingT)) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) { check(c) }, users.Patience, 20*time.Millisecond)
}

// befriend makes two users each other's contacts, which tells each that the other is there. A node
// drops presence for whom it does not know to be present, so both are, at both nodes, before.
func (s *service) befriend(t *testing.T, a, b *users.User) {
	t.Helper()
	for _, node := range []*xmppserver.Server{s.Node, s.other} {
		for _, u := range []*users.User{a, b} {
			eventually(t, func(t require.TestingT) {
				known := sessionsOf(t, node, u)
				require.Len(t, known, 1)
				require.GreaterOrEqual(t, known[0].Priority, 0)
			})
		}
	}
	tour.Befriend(s.Node, a, b)
}
