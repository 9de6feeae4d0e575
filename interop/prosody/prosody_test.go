// Package prosody takes the library on its tour against a real Prosody: the
// Debian package, started from nothing, with sdktest in front of it as the REST
// half of the service.
//
// sdktest keeps its accounts on the XMPP server by a few commands of ejabberd's
// HTTP API. modules/mod_ejabberd_api.lua, which these tests load into Prosody,
// answers the same commands from inside the server; everything else, XMPP above
// all, is as Debian ships it. What Prosody answers to each stanza is written down
// in interop/servers/README.md.
package prosody

import (
	"maps"
	"path/filepath"
	"testing"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/mirrorfly-go/sdk/sdktest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start starts a Prosody that also answers the commands of ejabberd's HTTP API. env are
// further variables of the start script.
func start(t *testing.T, o xmppserver.Options) *xmppserver.Server {
	t.Helper()
	shared, err := filepath.Abs("../servers/prosody/modules")
	require.NoError(t, err)
	own, err := filepath.Abs("modules")
	require.NoError(t, err)
	env := map[string]string{"PLUGINS": shared + ";" + own, "EXTRA_MODULES": "ejabberd_api"}
	if o.MirrorFly {
		env["EXTRA_MODULES"] += " mirrorfly"
	}
	maps.Copy(env, o.Env)
	o.Env = env
	node := xmppserver.Prosody(t, o)
	node.APIURL = "http://" + node.HTTP + "/api"
	return node
}

// transport is one way to the server.
type transport struct {
	name    string
	suffix  string // of the user names, since the transports share a server and its accounts
	address func(*xmppserver.Server) string
}

var transports = []transport{
	{"WebSocket", "ws", func(s *xmppserver.Server) string { return "wss://" + s.HTTPS + "/websocket" }},
	{"STARTTLS", "tcp", func(s *xmppserver.Server) string { return "xmpp://" + s.C2S }},
	{"direct TLS", "tls", func(s *xmppserver.Server) string { return "xmpps://" + s.C2STLS }},
}

// service is MirrorFly as a test sees it: REST by sdktest, XMPP by Prosody over one transport.
type service struct {
	node *xmppserver.Server
	rest *sdktest.Server
	way  transport
}

// overEach runs f once for each transport, all against the same server, each with a REST
// half of its own.
func overEach(t *testing.T, node *xmppserver.Server, f func(*testing.T, *service)) {
	t.Helper()
	for _, way := range transports {
		t.Run(way.name, func(t *testing.T) { f(t, newService(t, node, way)) })
	}
}

func newService(t *testing.T, node *xmppserver.Server, way transport) *service {
	t.Helper()
	return &service{node: node, way: way, rest: sdktest.New(t, sdktest.Options{Trial: true, XMPP: &sdktest.XMPP{
		Domain: node.Domain, APIURL: node.APIURL, Address: way.address(node), CAFile: node.CAFile,
	}})}
}

func (s *service) config(change ...func(*sdk.Config)) sdk.Config {
	cfg := s.rest.Config()
	for _, c := range change {
		c(&cfg)
	}
	return cfg
}

func (s *service) register(t *testing.T, name string, change ...func(*sdk.Config)) *users.User {
	t.Helper()
	return users.Register(t, s.config(change...), name+"-"+s.way.suffix)
}

func (s *service) login(t *testing.T, name string, change ...func(*sdk.Config)) *users.User {
	t.Helper()
	return users.Login(t, s.config(change...), name+"-"+s.way.suffix)
}

// account names a user to the API, with further arguments as key, value.
func (s *service) account(u *users.User, more ...string) map[string]any {
	args := map[string]any{"user": u.ID(), "host": s.node.Domain}
	for i := 0; i < len(more); i += 2 {
		args[more[i]] = more[i+1]
	}
	return args
}

// befriend makes two users each other's contacts. Who logs in afterwards sees the other.
func (s *service) befriend(a, b *users.User) {
	for _, pair := range [][2]*users.User{{a, b}, {b, a}} {
		s.node.API("add_rosteritem", map[string]any{
			"localuser": pair[0].ID(), "localhost": s.node.Domain,
			"user": pair[1].ID(), "host": s.node.Domain,
			"nick": pair[1].ID(), "group": "", "subs": "both",
		})
	}
}

// friends are two users, logged in, who see each other.
func (s *service) friends(t *testing.T) (anna, ben *users.User) {
	t.Helper()
	anna, ben = s.register(t, "anna"), s.register(t, "ben")
	s.befriend(anna, ben)
	anna.Login(t)
	ben.Login(t)
	anna.AwaitPresence(t, ben, "online")
	ben.AwaitPresence(t, anna, "online")
	return anna, ben
}
