// Package goxmpp holds the library against github.com/xmppo/go-xmpp, an XMPP client that has
// nothing to do with it: as a peer, the way our users' contacts may be, on sdktest and on a real
// ejabberd (for messages, mellium.im/xmpp, too); and as the transport that it is not (README,
// dependencies), point by point, so that an upgrade that mends a point fails its test here and the
// choice can be made again.
package goxmpp

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/tour"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/mirrorfly-go/sdk/sdktest"
	"github.com/stretchr/testify/require"
	"github.com/xmppo/go-xmpp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// TestCloseNeverReturns leaves one behind: that is its point.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/xmppo/go-xmpp.(*Client).Close"))
}

// place is a service where both clients meet.
type place struct {
	config   sdk.Config
	rest     *sdktest.Server
	starttls string                     // host:port of XMPP over TCP
	blocked  string                     // condition that somebody who is blocked meets
	blocking string                     // condition that somebody who blocks meets
	befriend func(a, b *users.User)     // makes them each other's contacts
	expel    func(user sdk.Credentials) // ends the user's connections
}

func inTheBox(t *testing.T) *place {
	t.Helper()
	srv := sdktest.New(t, sdktest.Options{Trial: true})
	return &place{
		config: srv.Config(), rest: srv, starttls: srv.XMPPAddress(),
		blocked: "service-unavailable", blocking: "not-acceptable",
		befriend: func(_, _ *users.User) {}, // everybody is everybody's contact
		expel:    func(sdk.Credentials) { srv.DropConnections() },
	}
}

func onEjabberd(t *testing.T, node *xmppserver.Server) *place {
	t.Helper()
	srv := sdktest.New(t, sdktest.Options{Trial: true, XMPP: &sdktest.XMPP{
		Domain: node.Domain, APIURL: node.APIURL, Address: "wss://" + node.HTTPS + "/websocket", CAFile: node.CAFile,
	}})
	return &place{
		config: srv.Config(), rest: srv, starttls: node.C2S,
		blocked: "forbidden", blocking: "not-acceptable",
		befriend: func(a, b *users.User) { tour.Befriend(node, a, b) },
		expel: func(c sdk.Credentials) {
			node.API("kick_user", map[string]any{"user": c.Username, "host": node.Domain})
		},
	}
}

// TestBothClients: what holds at both places. The ejabberd is one for all.
func TestBothClients(t *testing.T) {
	node := xmppserver.Ejabberd(t, xmppserver.Options{MirrorFly: true, Passwords: "plain"})
	for name, scenario := range map[string]func(*testing.T, *place){
		"presence":                presence,
		"vCard":                   vCard,
		"bodies":                  bodies,
		"bodies of mellium":       bodiesOfMellium,
		"blocking":                blocking,
		"error condition is told": errorConditionIsTold,
		"attributes are doubled":  attributesAreDoubled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("sdktest", func(t *testing.T) { scenario(t, inTheBox(t)) })
			t.Run("ejabberd", func(t *testing.T) { scenario(t, onEjabberd(t, node)) })
		})
	}
}

// register makes an account that no other test uses.
func (p *place) register(t *testing.T, short string) *users.User {
	t.Helper()
	return users.Register(t, p.config, tour.Identifier(t, short))
}

// options are what the stock client needs to log in. Of the mechanisms that both places offer it
// can log in with PLAIN: see TestSCRAMIsRefused for another.
func (p *place) options(account sdk.Credentials) xmpp.Options {
	_, domain, _ := strings.Cut(account.UserJID, "@")
	conf := p.config.TLSConfig.Clone()
	conf.ServerName = domain
	return xmpp.Options{
		Host: p.starttls, User: account.UserJID, Password: account.Password, Resource: "stock",
		TLSConfig: conf, NoTLS: true, StartTLS: true, Mechanism: "PLAIN", DialTimeout: users.Patience,
	}
}

// stock is a go-xmpp client and what it receives.
type stock struct {
	*xmpp.Client
	account sdk.Credentials
	in      chan any
}

// login logs an account in with the stock client. Recv knows no deadline: the connection is
// ended by the server when the test ends.
func (p *place) login(t *testing.T, account sdk.Credentials) *stock {
	t.Helper()
	client, err := p.options(account).NewClient()
	require.NoError(t, err)
	x := &stock{Client: client, account: account, in: make(chan any, 1000)}
	ended := make(chan struct{})
	go x.receive(ended) // ends with the connection
	t.Cleanup(func() {
		p.expel(account)
		select {
		case <-ended:
		case <-time.After(users.Patience):
			t.Error("the stock client still receives")
		}
	})
	return x
}

func (x *stock) receive(ended chan<- struct{}) {
	defer close(ended)
	for {
		v, err := x.Recv()
		if err != nil {
			return
		}
		x.in <- v
	}
}

// ask sends an IQ to a bare JID and returns its answer.
func (x *stock) ask(t *testing.T, kind, to, payload string) xmpp.IQ {
	t.Helper()
	id := rand.Text()
	_, err := x.RawInformation(x.JID(), to, id, kind, payload)
	require.NoError(t, err)
	return users.Await(t, x.in, func(v any) bool {
		iq, is := v.(xmpp.IQ)
		return is && iq.ID == id && (iq.Type == xmpp.IQTypeResult || iq.Type == xmpp.IQTypeError)
	}).(xmpp.IQ)
}

// awaitPresence waits for presence of a user, whatever the resource. kind is "" or "unavailable".
func (x *stock) awaitPresence(t *testing.T, of *users.User, kind string) {
	t.Helper()
	users.Await(t, x.in, func(v any) bool {
		p, is := v.(xmpp.Presence)
		return is && strings.HasPrefix(p.From, of.JID()+"/") && p.Type == kind
	})
}
