package sdk_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

const streamReset = `<stream:error xmlns:stream="http://etherx.jabber.org/streams">` +
	`<reset xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error>`

// whileReconnecting brings a client to where it has lost its server and tries to come back.
func whileReconnecting(
	t *testing.T, change func(*sdk.Config),
) (*sdktest.Server, *sdk.Client, sdk.Credentials, *events[sdk.ConnectionEvent]) {
	t.Helper()
	srv := sdktest.New(t)
	cfg := quick(srv.Config())
	if change != nil {
		change(&cfg)
	}
	client, credentials := register(t, cfg, "alice")
	connection := collect(client.OnConnection)
	connect(t, client, credentials)
	srv.SetFault(sdktest.StepUpgrade, sdktest.FaultError)
	srv.DropConnections()
	connection.until(t, hasStatus(sdk.StatusConnectionFailed))
	return srv, client, credentials, connection
}

func isBack(e sdk.ConnectionEvent) bool { return e.Status == sdk.StatusConnected && e.Attempt > 0 }

func TestBadConnectWhileReconnectingChangesNothing(t *testing.T) {
	srv, client, credentials, connection := whileReconnecting(t, nil)
	res, err := client.Connect(t.Context(), "alice", "")
	answered(t, 400, "password is not valid or required", sdk.ErrInvalidArgument, res, err)
	srv.ClearFaults()
	connection.until(t, isBack)
	_, err = client.GetUsersIBlocked(t.Context())
	require.NoError(t, err)
	res, err = client.Connect(t.Context(), credentials.Username, credentials.Password)
	answered(t, 409, "Already Logged In", sdk.ErrAlreadyLoggedIn, res, err)
	_, err = client.Logout(t.Context())
	require.NoError(t, err)
}

func TestFailedConnectWhileReconnectingGoesOnTrying(t *testing.T) {
	srv, client, credentials, connection := whileReconnecting(t, nil)
	res, err := client.Connect(t.Context(), credentials.Username, credentials.Password)
	answered(t, 500, "Connection Error", sdk.ErrNotConnected, res, err)
	srv.ClearFaults()
	connection.until(t, isBack)
	legalOrder(t, statuses(connection))
}

func TestRegisterRenewsThePasswordOfReconnection(t *testing.T) {
	srv, client, credentials, connection := whileReconnecting(t, nil)
	cfg := srv.Config()
	cfg.Transport = sdk.TransportTCP // the fault is on WebSocket
	other := newClient(t, cfg)
	connect(t, other, credentials)
	_, err := other.DeleteMyAccount(t.Context(), "reason", "")
	require.NoError(t, err)
	again, err := client.Register(t.Context(), "alice")
	require.NoError(t, err)
	require.NotEqual(t, credentials.Password, again.Data.Password)
	told := connection.list()
	// an attempt that was under way has the old one
	connection.until(t, func(e sdk.ConnectionEvent) bool {
		return e.Status == sdk.StatusReconnecting && e.Attempt > told[len(told)-1].Attempt
	})
	srv.ClearFaults()
	event := connection.until(t, func(e sdk.ConnectionEvent) bool {
		return isBack(e) || e.Status == sdk.StatusAuthFail
	})
	require.Equal(t, sdk.StatusConnected, event.Status)
}

func TestLogoutWithoutSessionTellsDisconnected(t *testing.T) {
	_, client, _, connection := whileReconnecting(t, func(c *sdk.Config) { c.Reconnect.MaxAttempts = 1 })
	_, err := client.Logout(t.Context())
	require.NoError(t, err)
	require.Equal(t, sdk.StatusDisconnected, client.State())
	require.NoError(t, client.Close())
	legalOrder(t, statuses(connection))
}

func TestRESTWorksAfterAuthFail(t *testing.T) {
	srv := sdktest.New(t)
	client, credentials := register(t, srv.Config(), "alice")
	srv.SetFault(sdktest.StepAuth, sdktest.FaultError)
	_, err := client.Connect(t.Context(), credentials.Username, credentials.Password)
	require.ErrorIs(t, err, sdk.ErrInvalidCredentials)
	_, err = client.GetUserProfile(t.Context(), "alice")
	require.NoError(t, err, "the token is still good")
	_, err = client.Logout(t.Context())
	require.NoError(t, err)
}

// holdingTransport lets a request to path wait until release is closed, and closes held when it
// does.
type holdingTransport struct {
	t       *testing.T
	next    http.RoundTripper
	path    string
	before  func() // called before the request goes out; may be nil
	held    chan struct{}
	release chan struct{}
}

func (h *holdingTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	hold := strings.HasSuffix(req.URL.Path, h.path)
	if hold && h.before != nil {
		h.before()
	}
	res, err := h.next.RoundTrip(req)
	if hold {
		close(h.held)
		patient.Hold(h.t, h.release)
	}
	return res, err
}

// holding makes answers to path wait.
func holding(t *testing.T, cfg *sdk.Config, path string) *holdingTransport {
	base := &http.Transport{DialContext: cfg.DialContext, TLSClientConfig: cfg.TLSConfig}
	t.Cleanup(base.CloseIdleConnections)
	h := &holdingTransport{
		t: t, next: base, path: path, held: make(chan struct{}), release: make(chan struct{}),
	}
	cfg.HTTPClient = &http.Client{Transport: h}
	return h
}

// The server often cuts the socket of a deleted account before the answer has arrived.
func TestDeletionNeverReconnects(t *testing.T) {
	srv := sdktest.New(t)
	cfg := quick(srv.Config())
	answer := holding(t, &cfg, "/users/deleteMyAccount")
	client, credentials := register(t, cfg, "alice")
	connection := collect(client.OnConnection)
	connect(t, client, credentials)
	done := make(chan error, 1)
	go func() {
		_, err := client.DeleteMyAccount(t.Context(), "reason", "")
		done <- err
	}()
	patient.Receive(t, answer.held)
	connection.until(t, hasStatus(sdk.StatusDisconnected))
	close(answer.release)
	require.NoError(t, patient.Receive(t, done))
	require.NoError(t, client.Close())
	require.Equal(t, []sdk.ConnectionStatus{sdk.StatusConnected, sdk.StatusDisconnected}, statuses(connection))
}

// A reset instead of the account's own end: the client would come back, were it not deleting.
func TestRefusedDeletionReconnects(t *testing.T) {
	srv := sdktest.New(t)
	cfg := quick(srv.Config())
	answer := holding(t, &cfg, "/users/deleteMyAccount")
	client, credentials := register(t, cfg, "alice")
	connection := collect(client.OnConnection)
	connect(t, client, credentials)
	srv.FailNext("users/deleteMyAccount", 417, "no")
	done := make(chan error, 1)
	go func() {
		_, err := client.DeleteMyAccount(t.Context(), "reason", "")
		done <- err
	}()
	patient.Receive(t, answer.held)
	srv.Push("alice", streamReset)
	connection.until(t, hasStatus(sdk.StatusDisconnected))
	close(answer.release)
	require.Error(t, patient.Receive(t, done))
	connection.until(t, isBack)
}

// withoutConfig takes the configuration out of answers to register once it is on.
type withoutConfig struct {
	next http.RoundTripper
	on   atomic.Bool
}

func (s *withoutConfig) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := s.next.RoundTrip(r)
	if err == nil && s.on.Load() && strings.HasSuffix(r.URL.Path, "register") {
		err = res.Body.Close()
		text := `{"status":200,"message":"ok","data":{"username":"alice","password":"p"}}`
		res.Body, res.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	}
	return res, err
}
