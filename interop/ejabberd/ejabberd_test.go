// Package ejabberd takes the library on its tour against a real ejabberd: the
// Debian package, started from nothing, with sdktest in front of it as the REST
// half of the service. What ejabberd answers to each stanza is written down in
// interop/servers/README.md.
package ejabberd

import (
	"context"
	"testing"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/mirrorfly-go/sdk/sdktest"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait: far more than a busy machine needs, and well below the test's own limit.
const patience = 30 * time.Second

// transport is one way to a node.
type transport struct {
	name    string
	suffix  string // of the user names, since the transports share a node and its accounts
	address func(*xmppserver.Server) string
}

var transports = []transport{
	{"WebSocket", "ws", func(s *xmppserver.Server) string { return "wss://" + s.HTTPS + "/websocket" }},
	{"STARTTLS", "tcp", func(s *xmppserver.Server) string { return "xmpp://" + s.C2S }},
	{"direct TLS", "tls", func(s *xmppserver.Server) string { return "xmpps://" + s.C2STLS }},
}

// overEach runs f once for each transport, all against the node, each with a REST
// half of its own.
func overEach(t *testing.T, node *xmppserver.Server, f func(*testing.T, *service)) {
	t.Helper()
	for _, way := range transports {
		t.Run(way.name, func(t *testing.T) { f(t, newService(t, node, way)) })
	}
}

// service is MirrorFly as a test sees it: REST by sdktest, XMPP by ejabberd.
type service struct {
	node *xmppserver.Server
	rest *sdktest.Server
	way  transport
}

func newService(t *testing.T, node *xmppserver.Server, way transport) *service {
	t.Helper()
	rest, err := sdktest.Start(sdktest.Options{Trial: true, XMPP: &sdktest.XMPP{
		Domain: node.Domain, APIURL: node.APIURL, Address: way.address(node), CAFile: node.CAFile,
	}})
	require.NoError(t, err)
	t.Cleanup(func() { rest.Close() })
	return &service{node: node, rest: rest, way: way}
}

// user is one registered account with its client and what its listeners were told.
type user struct {
	*sdk.Client
	credentials sdk.Credentials
	connections chan sdk.ConnectionEvent
	presences   chan sdk.PresenceEvent
	blocks      chan sdk.BlockEvent
	profiles    chan sdk.Profile
}

// client is a client without an account yet, listening to everything.
func (s *service) client(t *testing.T, change ...func(*sdk.Config)) *user {
	t.Helper()
	cfg := s.rest.Config()
	for _, c := range change {
		c(&cfg)
	}
	client, err := sdk.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	u := &user{
		Client:      client,
		connections: make(chan sdk.ConnectionEvent, 1000), presences: make(chan sdk.PresenceEvent, 1000),
		blocks: make(chan sdk.BlockEvent, 1000), profiles: make(chan sdk.Profile, 1000),
	}
	client.OnConnection(func(e sdk.ConnectionEvent) { u.connections <- e })
	client.OnPresence(func(e sdk.PresenceEvent) { u.presences <- e })
	client.OnBlock(func(e sdk.BlockEvent) { u.blocks <- e })
	client.OnUserProfile(func(p sdk.Profile) { u.profiles <- p })
	return u
}

// register makes an account, on the REST half and through that on the node.
func (s *service) register(t *testing.T, name string, change ...func(*sdk.Config)) *user {
	t.Helper()
	u := s.client(t, change...)
	registered, err := u.Register(t.Context(), name+"-"+s.way.suffix)
	require.NoError(t, err)
	u.credentials = registered.Data
	return u
}

// login is register and Connect.
func (s *service) login(t *testing.T, name string, change ...func(*sdk.Config)) *user {
	t.Helper()
	u := s.register(t, name, change...)
	u.connect(t)
	return u
}

// loginAgain connects the same account from another device.
func (s *service) loginAgain(t *testing.T, first *user, change ...func(*sdk.Config)) *user {
	t.Helper()
	u := s.client(t, change...)
	u.credentials = first.credentials
	u.connect(t)
	return u
}

func (u *user) connect(t *testing.T) {
	t.Helper()
	res, err := u.Connect(t.Context(), u.credentials.Username, u.credentials.Password)
	require.NoError(t, err)
	require.Equal(t, "Login Success", res.Message)
	u.awaitStatus(t, sdk.StatusConnected)
}

func (u *user) jid() string { return u.credentials.UserJID }

func (u *user) id() string { return u.credentials.Username }

func (u *user) awaitStatus(t *testing.T, want sdk.ConnectionStatus) sdk.ConnectionEvent {
	t.Helper()
	return await(t, u.connections, func(e sdk.ConnectionEvent) bool { return e.Status == want })
}

func (u *user) awaitPresence(t *testing.T, of *user, status string) {
	t.Helper()
	await(t, u.presences, func(e sdk.PresenceEvent) bool { return e.FromUserJID == of.jid() && e.Status == status })
}

// await returns the next event that fits and drops those before it.
func await[T any](t *testing.T, events <-chan T, fits func(T) bool) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var seen []T
	for {
		select {
		case e := <-events:
			if fits(e) {
				return e
			}
			seen = append(seen, e)
		case <-ctx.Done():
			require.FailNow(t, "no such event", "only %+v", seen)
		}
	}
}

// account names a user to ejabberd's HTTP API, with further arguments as key, value.
func (s *service) account(u *user, more ...string) map[string]any {
	args := map[string]any{"user": u.id(), "host": s.node.Domain}
	for i := 0; i < len(more); i += 2 {
		args[more[i]] = more[i+1]
	}
	return args
}

// befriend makes two users each other's contacts, as the service does.
func (s *service) befriend(a, b *user) {
	for _, pair := range [][2]*user{{a, b}, {b, a}} {
		s.node.API("add_rosteritem", map[string]any{
			"localuser": pair[0].id(), "localhost": s.node.Domain,
			"user": pair[1].id(), "host": s.node.Domain,
			"nick": pair[1].id(), "group": "", "subs": "both",
		})
	}
}

// requireFailure checks that a call failed with what ejabberd's error became:
// 500 "Request Failed" (protocol.md 5) and the condition.
func requireFailure(t *testing.T, err error, condition string) {
	t.Helper()
	var failed *sdk.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, 500, failed.StatusCode)
	require.Equal(t, "Request Failed", failed.Message)
	require.Equal(t, condition, failed.Condition)
}
