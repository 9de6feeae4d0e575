package latency_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/tour"
	"github.com/mirrorfly-go/sdk/interop/internal/users"
	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// The names of the service. Clients know the first; the second is handed out to them, as it is to
// users of MirrorFly.
const (
	apiName  = "api.mirrorfly.test"
	xmppName = "xmpp.mirrorfly.test"
	apiBase  = "https://" + apiName + "/api/v1"
)

// service is a REST half and a real ejabberd, each at the far end of a link.
type service struct {
	*sdktest.Server
	near         map[string]string // where the link to host:port of a name begins
	xmpp         string            // the ejabberd's host:port by its name
	users, pages int               // how many there were
}

func newService(t *testing.T, o xmppserver.Options) *service {
	t.Helper()
	o.Domain = xmppName
	node := xmppserver.Ejabberd(t, o)
	rest := tour.New(t, tour.Ways()[0], node).REST
	api, err := url.Parse(rest.URL())
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(node.HTTPS)
	require.NoError(t, err)
	s := &service{Server: rest, xmpp: net.JoinHostPort(xmppName, port)}
	s.near = map[string]string{apiName + ":443": far(t, api.Host), s.xmpp: far(t, node.HTTPS)}
	return s
}

// name is a user that is not registered yet.
func (s *service) name() string {
	s.users++
	return fmt.Sprintf("user-%d", s.users)
}

// config is for a client that has to learn from the service where the XMPP server is.
func (s *service) config(dial func(ctx context.Context, network, address string) (net.Conn, error)) sdk.Config {
	cfg := s.Config()
	cfg.APIBaseURL, cfg.XMPPHost, cfg.XMPPAddress, cfg.DialContext = apiBase, "", "", dial
	tour.Quickly(&cfg)
	return cfg
}

// resident is a user with a profile, which anybody can read.
func (s *service) resident(t *testing.T) (id string) {
	t.Helper()
	u := users.Login(t, s.Config(), s.name())
	_, err := u.SetUserProfile(t.Context(), sdk.ProfileUpdate{Name: "Anna", Email: "anna@example.com", Status: "here"})
	require.NoError(t, err)
	return u.ID()
}
