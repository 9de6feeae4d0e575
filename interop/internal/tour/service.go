// Package tour is what the tests of the real XMPP servers have in common: the service
// that each makes up with sdktest, the ways to it, and the scenarios that all must pass.
package tour

import (
	"regexp"
	"strings"
	"testing"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// Way is one transport to a server.
type Way struct {
	Name string

	// short is a part of user names.
	short        string
	scheme, path string
	host         func(*xmppserver.Server) string
}

// Ways are all ways.
func Ways() []Way {
	return []Way{
		{"WebSocket", "ws", "wss://", "/websocket", func(s *xmppserver.Server) string { return s.HTTPS }},
		{"STARTTLS", "tcp", "xmpp://", "", func(s *xmppserver.Server) string { return s.C2S }},
		{"direct TLS", "tls", "xmpps://", "", func(s *xmppserver.Server) string { return s.C2STLS }},
	}
}

// Host is where a server listens for this way, with the port.
func (w Way) Host(node *xmppserver.Server) string { return w.host(node) }

// Addresses is a value for sdk.Config.XMPPAddress. The hosts are with port.
func (w Way) Addresses(hosts ...string) string {
	var list []string
	for _, host := range hosts {
		list = append(list, w.scheme+host+w.path)
	}
	return strings.Join(list, ",")
}

// Service is MirrorFly as a test sees it: REST by sdktest, XMPP by real servers over one transport.
type Service struct {
	// Node is the server that the REST half works with.
	Node *xmppserver.Server
	REST *sdktest.Server
	Way  Way

	// suffix is in the name of every user: the services of many tests share a server and its
	// accounts.
	suffix string
}

// New puts a REST half in front of a server, or of a cluster of them.
func New(t testing.TB, way Way, node *xmppserver.Server, others ...*xmppserver.Server) *Service {
	t.Helper()
	hosts := []string{way.Host(node)}
	for _, other := range others {
		hosts = append(hosts, way.Host(other))
	}
	return &Service{
		Node: node, Way: way, suffix: Identifier(t, way.short),
		REST: sdktest.New(t, sdktest.Options{Trial: true, XMPP: &sdktest.XMPP{
			Domain: node.Domain, APIURL: node.APIURL, Address: way.Addresses(hosts...), CAFile: node.CAFile,
		}}),
	}
}

// OverEach runs f once for each transport, all against the same server, each with a REST
// half of its own.
func OverEach(t *testing.T, node *xmppserver.Server, f func(*testing.T, *Service)) {
	t.Helper()
	for _, way := range Ways() {
		t.Run(way.Name, func(t *testing.T) { f(t, New(t, way, node)) })
	}
}

// Name is the name of a user that no other service uses.
func (s *Service) Name(short string) string { return short + "-" + s.suffix }

// Identifier is a user identifier that no other test has: with the name of the test behind it. So
// the log of a server tells which test a user belongs to.
func Identifier(t testing.TB, short string) string {
	test := strings.ToLower(strings.TrimPrefix(t.Name(), "Test"))
	return short + "-" + notInIdentifiers.ReplaceAllString(test, "-")
}

var notInIdentifiers = regexp.MustCompile(`[^a-z0-9_-]+`)

// Config is for a client of the service.
func (s *Service) Config(change ...func(*sdk.Config)) sdk.Config {
	cfg := s.REST.Config()
	for _, c := range change {
		c(&cfg)
	}
	return cfg
}

// Register makes an account, on the REST half and through that on the server.
func (s *Service) Register(t testing.TB, short string, change ...func(*sdk.Config)) *users.User {
	t.Helper()
	return users.Register(t, s.Config(change...), s.Name(short))
}

// Login is Register and Connect.
func (s *Service) Login(t testing.TB, short string, change ...func(*sdk.Config)) *users.User {
	t.Helper()
	return users.Login(t, s.Config(change...), s.Name(short))
}

// Account names a user to the server's HTTP API, with further arguments as key, value.
func (s *Service) Account(u *users.User, more ...string) map[string]any {
	args := map[string]any{"user": u.ID(), "host": s.Node.Domain}
	for i := 0; i < len(more); i += 2 {
		args[more[i]] = more[i+1]
	}
	return args
}

// Friends are two users, logged in, who see each other. Each was told so once.
func (s *Service) Friends(t testing.TB) (anna, ben *users.User) {
	t.Helper()
	anna, ben = s.Register(t, "anna"), s.Register(t, "ben")
	Befriend(s.Node, anna, ben)
	anna.Login(t)
	ben.Login(t)
	anna.AwaitPresence(t, ben, "online")
	ben.AwaitPresence(t, anna, "online")
	return anna, ben
}

// Befriend makes two users each other's contacts, as the service does. Who logs in afterwards sees
// the other. Who is logged in is shown to the other by ejabberd, if it knows the presence of both
// already; by Prosody not.
func Befriend(node *xmppserver.Server, a, b *users.User) {
	for _, pair := range [][2]*users.User{{a, b}, {b, a}} {
		node.API("add_rosteritem", map[string]any{
			"localuser": pair[0].ID(), "localhost": node.Domain,
			"user": pair[1].ID(), "host": node.Domain,
			"nick": pair[1].ID(), "group": "", "subs": "both",
		})
	}
}
