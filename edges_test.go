package sdk_test

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

const streamReset = `<stream:error xmlns:stream="http://etherx.jabber.org/streams"><reset xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error>`

// whileReconnecting brings a client to where it has lost its server and tries to come back.
func whileReconnecting(t *testing.T, change func(*sdk.Config)) (*sdktest.Server, *sdk.Client, sdk.Credentials, *events[sdk.ConnectionEvent]) {
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
	connection.until(t, func(e sdk.ConnectionEvent) bool { // an attempt that was under way has the old one
		return e.Status == sdk.StatusReconnecting && e.Attempt > told[len(told)-1].Attempt
	})
	srv.ClearFaults()
	event := connection.until(t, func(e sdk.ConnectionEvent) bool { return isBack(e) || e.Status == sdk.StatusAuthFail })
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
		<-h.release
	}
	return res, err
}

// holding makes answers to path wait.
func holding(t *testing.T, cfg *sdk.Config, path string) *holdingTransport {
	base := &http.Transport{DialContext: cfg.DialContext, TLSClientConfig: cfg.TLSConfig}
	t.Cleanup(base.CloseIdleConnections)
	h := &holdingTransport{next: base, path: path, held: make(chan struct{}), release: make(chan struct{})}
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
	<-answer.held
	connection.until(t, hasStatus(sdk.StatusDisconnected))
	close(answer.release)
	require.NoError(t, <-done)
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
	<-answer.held
	srv.Push("alice", streamReset)
	connection.until(t, hasStatus(sdk.StatusDisconnected))
	close(answer.release)
	require.Error(t, <-done)
	connection.until(t, isBack)
}

func TestTransfersDoNotHang(t *testing.T) {
	srv := sdktest.New(t)
	cfg := srv.Config()
	cfg.RequestTimeout = 200 * time.Millisecond
	client := login(t, cfg, "alice")
	srv.SetFault(sdktest.StepREST, sdktest.FaultSilent)
	for _, size := range []int64{10, 6 << 20} {
		up, err := client.UploadMedia(context.Background(), sdk.MediaUpload{To: "bob", MessageID: "1", Name: "a", Reader: bytes.NewReader(make([]byte, size)), Size: size})
		answered(t, 599, "Request timed out", sdk.ErrNetwork, up, err)
	}
	for _, large := range []bool{true, false} {
		down, err := client.DownloadMedia(context.Background(), sdk.MediaFile{FileToken: "x", Large: large}, io.Discard)
		answered(t, 599, "Request timed out", sdk.ErrNetwork, down, err)
	}
}

func TestPanickingReader(t *testing.T) {
	srv := sdktest.New(t)
	client := login(t, srv.Config(), "alice")
	var none *bytes.Buffer
	set, err := client.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "a@example.com", Image: sdk.ImageReader("a.png", "", none, 3)})
	require.Equal(t, 400, failed(t, set, err).StatusCode)
	set, err = client.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "a@example.com", Image: sdk.ImageReader("a.png", "image/png", none, 3)})
	require.Equal(t, 400, failed(t, set, err).StatusCode)
	up, err := client.UploadMedia(t.Context(), sdk.MediaUpload{To: "bob", MessageID: "1", Name: "a", Reader: none, Size: 3})
	require.Equal(t, 400, failed(t, up, err).StatusCode)
}

// A download that fails while it feeds an upload is a bad reader, not the upload's own outcome.
func TestPipedTransfer(t *testing.T) {
	srv := sdktest.New(t)
	client := login(t, srv.Config(), "alice")
	stranger := newClient(t, srv.Config())
	r, w := io.Pipe()
	go func() {
		_, err := stranger.DownloadMedia(t.Context(), sdk.MediaFile{FileToken: "x"}, w)
		w.CloseWithError(err)
	}()
	res, err := client.UploadMedia(t.Context(), sdk.MediaUpload{To: "bob", MessageID: "1", Name: "a", Reader: r, Size: 5})
	require.Equal(t, 400, failed(t, res, err).StatusCode)
	require.ErrorIs(t, err, sdk.ErrInvalidArgument)
}

func TestListenerThatEndsItsGoroutine(t *testing.T) {
	srv := sdktest.New(t)
	client := login(t, srv.Config(), "alice")
	client.OnUserProfile(nil)
	client.OnUserProfile(func(sdk.Profile) { runtime.Goexit() })
	profiles := collect(client.OnPresence)
	_, err := client.GetUserProfile(t.Context(), "alice")
	require.NoError(t, err)
	login(t, srv.Config(), "bob")
	profiles.until(t, func(e sdk.PresenceEvent) bool { return e.Status == "online" })
}

func TestOddRegistrations(t *testing.T) {
	srv := sdktest.New(t)
	client := newClient(t, srv.Config())
	_, err := client.Register(t.Context(), "alice", nil)
	require.NoError(t, err)
	for _, number := range []any{math.NaN(), math.Inf(1), float32(math.Inf(-1))} {
		res, err := client.Register(t.Context(), "alice", sdk.RegisterMetadata(map[string]any{"a": number}))
		answered(t, 400, "metaDataType should be Valid data type", sdk.ErrInvalidArgument, res, err)
	}
	page := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
	}))
	defer page.Close()
	client = newClient(t, sdk.Config{LicenseKey: "key", APIBaseURL: page.URL, HTTPClient: page.Client()})
	_, err = client.Register(t.Context(), "alice")
	require.Error(t, err)
	require.NotErrorIs(t, err, sdk.ErrMaxSessions)
	page.Client().CloseIdleConnections()
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

func TestRegisterWithoutConfigKeepsTheConfig(t *testing.T) {
	srv := sdktest.New(t)
	srv.SetFeature("block", false)
	cfg := srv.Config()
	base := &http.Transport{DialContext: cfg.DialContext, TLSClientConfig: cfg.TLSConfig}
	defer base.CloseIdleConnections()
	strip := &withoutConfig{next: base}
	cfg.HTTPClient = &http.Client{Transport: strip}
	client := login(t, cfg, "alice")
	_, err := client.SetUserProfile(t.Context(), sdk.ProfileUpdate{Name: "Alice", Email: "a@example.com"})
	require.NoError(t, err)
	strip.on.Store(true)
	res, err := client.Register(t.Context(), "alice")
	require.NoError(t, err)
	require.Equal(t, "alice@"+srv.Domain(), res.Data.UserJID)
	profile, err := client.GetUserProfile(t.Context(), "alice")
	require.NoError(t, err)
	require.Equal(t, "Alice", profile.Data.NickName)
	require.False(t, client.Features().Block)
}

func TestMaxDelayBelowTheDefaultMinDelay(t *testing.T) {
	_, _, _, connection := whileReconnecting(t, func(c *sdk.Config) { c.Reconnect = sdk.ReconnectPolicy{MaxDelay: 5 * time.Millisecond} })
	connection.until(t, func(e sdk.ConnectionEvent) bool { return e.Attempt == 5 })
	for _, e := range connection.list() {
		require.LessOrEqual(t, e.RetryIn, 5*time.Millisecond)
	}
}

func TestAddressErrorsShowNoPassword(t *testing.T) {
	for _, address := range []string{"wss://bot:MARKED@host:99x", "xmpp://MARKED@host", "wss://bot:MARKED@host", "wss://host/?MARKED#x"} {
		_, err := sdk.New(sdk.Config{LicenseKey: "key", XMPPAddress: address})
		require.ErrorIs(t, err, sdk.ErrInvalidArgument)
		require.NotContains(t, err.Error(), "MARKED")
	}
}

func TestLogin401(t *testing.T) {
	srv := sdktest.New(t)
	client, credentials := register(t, srv.Config(), "alice")
	srv.FailNext("login", 401, "Unauthorized")
	res, err := client.Connect(t.Context(), credentials.Username, credentials.Password)
	answered(t, 401, "Unauthorized", sdk.ErrInvalidCredentials, res, err)
}

func TestLastSeenTime(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	require.Equal(t, now.Add(-time.Minute), sdk.LastSeen{Seconds: 60}.Time(now))
	require.True(t, sdk.LastSeen{Seconds: math.MaxInt64}.Time(now).Before(now.AddDate(-200, 0, 0)))
}

// The phone hears of the login over a signalling connection that is away at that moment: Wait does
// not wait for it.
func TestQRLoginWhileSignallingIsAway(t *testing.T) {
	for name, meanwhile := range map[string]func(*testing.T, *sdk.Client, *sdk.QRLogin){
		"nothing": func(*testing.T, *sdk.Client, *sdk.QRLogin) {},
		"close":   func(t *testing.T, _ *sdk.Client, login *sdk.QRLogin) { require.NoError(t, login.Close()) },
		"logout": func(t *testing.T, client *sdk.Client, _ *sdk.QRLogin) {
			_, err := client.Logout(t.Context())
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := sdktest.New(t)
			cfg := srv.Config()
			cfg.Reconnect.MinDelay, cfg.Reconnect.MaxDelay = time.Hour, time.Hour // signalling stays away
			answer := holding(t, &cfg, "/login")
			client := newClient(t, cfg)
			connection := collect(client.OnConnection)
			login, code := offerQR(t, srv, client, sdk.QROptions{})
			scanned := make(chan error, 1)
			go func() { scanned <- srv.Phone("alice").Scan(t.Context(), code.Content()) }()
			<-answer.held
			srv.SetFault(sdktest.StepSignal, sdktest.FaultClose)
			srv.DropConnections()
			<-scanned
			close(answer.release)
			connection.until(t, hasStatus(sdk.StatusConnected))
			meanwhile(t, client, login)
			res, err := login.Wait(t.Context())
			require.NoError(t, err)
			require.Equal(t, "alice@"+srv.Domain(), res.Data.UserJID)
			if name == "close" {
				require.Equal(t, sdk.StatusConnected, client.State())
			}
		})
	}
}

func TestNoCodeAfterTheEnd(t *testing.T) {
	srv := sdktest.New(t)
	login := offerBriefQR(t, srv, 200*time.Millisecond)
	srv.ExpireQR() // a second code, which nobody takes
	_, err := login.Wait(t.Context())
	require.ErrorIs(t, err, sdk.ErrQRExpired)
	_, open := <-login.Codes()
	require.False(t, open)
}

// The race detector watches: the caller may change the logo once GenerateQRCode has returned.
func TestLogoIsCopied(t *testing.T) {
	srv := sdktest.New(t)
	logo := image.NewRGBA(image.Rect(0, 0, 64, 64))
	login, _ := offerQR(t, srv, newClient(t, srv.Config()), sdk.QROptions{Logo: logo})
	srv.ExpireQR()
	for i := range 64 * 64 {
		logo.Set(i%64, i/64, color.White)
	}
	nextCode(t, login)
}
