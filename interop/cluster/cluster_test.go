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
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/mirrorfly-go/sdk/sdktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	net.DefaultResolver = resolver() // before any test runs, and for all of them
	goleak.VerifyTestMain(m)
}

// transport is one way to a node.
type transport struct {
	name         string
	suffix       string // of the user names, since the transports share the accounts
	scheme, path string
	host         func(*xmppserver.Server) string // and port
}

var transports = []transport{
	{"WebSocket", "ws", "wss://", "/websocket", func(s *xmppserver.Server) string { return s.HTTPS }},
	{"STARTTLS", "tcp", "xmpp://", "", func(s *xmppserver.Server) string { return s.C2S }},
	{"direct TLS", "tls", "xmpps://", "", func(s *xmppserver.Server) string { return s.C2STLS }},
}

// addresses is a value for sdk.Config.XMPPAddress.
func (w transport) addresses(hosts ...string) string {
	var list []string
	for _, host := range hosts {
		list = append(list, w.scheme+host+w.path)
	}
	return strings.Join(list, ",")
}

// service is MirrorFly as a test sees it: REST by sdktest, XMPP by both nodes over one transport.
type service struct {
	node, other *xmppserver.Server // the REST half works with the first
	rest        *sdktest.Server
	way         transport
}

func newService(t *testing.T, way transport, node, other *xmppserver.Server) *service {
	t.Helper()
	return &service{node: node, other: other, way: way, rest: sdktest.New(t, sdktest.Options{Trial: true, XMPP: &sdktest.XMPP{
		Domain: node.Domain, APIURL: node.APIURL, Address: way.addresses(way.host(node), way.host(other)), CAFile: node.CAFile,
	}})}
}

// overEach runs f once for each transport, all against the same nodes.
func overEach(t *testing.T, node, other *xmppserver.Server, f func(*testing.T, *service)) {
	t.Helper()
	for _, way := range transports {
		t.Run(way.name, func(t *testing.T) { f(t, newService(t, way, node, other)) })
	}
}

func (s *service) name(short string) string { return short + "-" + s.way.suffix }

// loginAt logs a user in at one node, one of the two that the client knows. Where it may go
// later is for the gate to say.
func (s *service) loginAt(t *testing.T, home *xmppserver.Server, short string, change ...func(*sdk.Config)) (*users.User, *gate) {
	t.Helper()
	away := s.node
	if home == s.node {
		away = s.other
	}
	g := &gate{barred: s.way.host(away)}
	cfg := s.rest.Config()
	cfg.DialContext = g.dial
	for _, c := range change {
		c(&cfg)
	}
	u := s.loginWhenKnown(t, cfg, short)
	s.requireAt(t, u, home)
	return u, g
}

// loginWhenKnown registers and connects: a node learns of an account that was made at the other a moment later.
func (s *service) loginWhenKnown(t *testing.T, cfg sdk.Config, short string) *users.User {
	t.Helper()
	u := users.Register(t, cfg, s.name(short))
	require.Eventually(t, func() bool {
		_, err := u.Connect(t.Context(), u.ID(), u.Account.Password)
		return err == nil
	}, users.Patience, 50*time.Millisecond)
	u.AwaitStatus(t, sdk.StatusConnected)
	return u
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
	var sessions []struct{ Node string }
	answer := s.node.API("user_sessions_info", map[string]any{"user": u.ID(), "host": s.node.Domain})
	require.NoError(t, json.Unmarshal([]byte(answer), &sessions), answer)
	var nodes []string
	for _, session := range sessions {
		nodes = append(nodes, session.Node)
	}
	return nodes
}

// eventually repeats checks of what a node knows from the other.
func eventually(t *testing.T, check func(require.TestingT)) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) { check(c) }, users.Patience, 20*time.Millisecond)
}

// befriend makes two users each other's contacts, which tells each that the other is there.
func (s *service) befriend(a, b *users.User) {
	for _, pair := range [][2]*users.User{{a, b}, {b, a}} {
		s.node.API("add_rosteritem", map[string]any{
			"localuser": pair[0].ID(), "localhost": s.node.Domain,
			"user": pair[1].ID(), "host": s.node.Domain,
			"nick": pair[1].ID(), "group": "", "subs": "both",
		})
	}
}
