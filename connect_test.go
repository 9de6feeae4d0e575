package sdk_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// failed checks that a result and an error agree, and returns the error.
func failed[T any](t *testing.T, res sdk.Result[T], err error) *sdk.Error {
	t.Helper()
	var e *sdk.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, e.StatusCode, res.StatusCode)
	require.Equal(t, e.Message, res.Message)
	require.NotEqual(t, 200, e.StatusCode)
	require.NotEmpty(t, e.Message)
	require.NotEmpty(t, e.Op)
	return e
}

// answered checks what protocol.md calls R{code, message}.
func answered[T any](t *testing.T, code int, message string, kind error, res sdk.Result[T], err error) {
	t.Helper()
	e := failed(t, res, err)
	require.Equal(t, code, e.StatusCode, "%v", err)
	require.Equal(t, message, e.Message)
	if kind != nil {
		require.ErrorIs(t, err, kind)
	}
}

func TestNewChecksConfig(t *testing.T) {
	good := sdk.Config{LicenseKey: "key", APIBaseURL: "https://api.example.com/api/v1"}
	for name, c := range map[string]struct {
		change func(*sdk.Config)
		kind   error
		text   string
	}{
		"no licence":           {func(c *sdk.Config) { c.LicenseKey = "" }, sdk.ErrInvalidArgument, "License key cannot be null or empty"},
		"URL without scheme":   {func(c *sdk.Config) { c.APIBaseURL = "api.example.com" }, sdk.ErrInvalidArgument, "APIBaseURL"},
		"URL of another kind":  {func(c *sdk.Config) { c.APIBaseURL = "ftp://api.example.com" }, sdk.ErrInvalidArgument, "APIBaseURL"},
		"http":                 {func(c *sdk.Config) { c.APIBaseURL = "http://api.example.com" }, sdk.ErrInsecure, "AllowInsecure"},
		"http lookup":          {func(c *sdk.Config) { c.APIConfigURL = "http://api.example.com" }, sdk.ErrInsecure, "AllowInsecure"},
		"ws":                   {func(c *sdk.Config) { c.XMPPAddress = "wss://a.example,ws://b.example" }, sdk.ErrInsecure, "AllowInsecure"},
		"XMPP address":         {func(c *sdk.Config) { c.XMPPAddress = "smtp://a.example" }, sdk.ErrInvalidArgument, "XMPPAddress"},
		"XMPP port":            {func(c *sdk.Config) { c.XMPPAddress = "a.example:99999" }, sdk.ErrInvalidArgument, "XMPPAddress"},
		"transport":            {func(c *sdk.Config) { c.Transport = "carrier pigeon" }, sdk.ErrInvalidArgument, "Transport"},
		"negative timeout":     {func(c *sdk.Config) { c.RequestTimeout = -1 }, sdk.ErrInvalidArgument, "RequestTimeout"},
		"negative delay":       {func(c *sdk.Config) { c.Reconnect.MinDelay = -1 }, sdk.ErrInvalidArgument, "MinDelay"},
		"negative attempts":    {func(c *sdk.Config) { c.Reconnect.MaxAttempts = -1 }, sdk.ErrInvalidArgument, "MaxAttempts"},
		"negative pong":        {func(c *sdk.Config) { c.KeepAlive.Timeout = -1 }, sdk.ErrInvalidArgument, "KeepAlive"},
		"line end in the key":  {func(c *sdk.Config) { c.LicenseKey = "key\n" }, sdk.ErrInvalidArgument, "LicenseKey"},
		"key of bytes":         {func(c *sdk.Config) { c.LicenseKey = "\xff" }, sdk.ErrInvalidArgument, "LicenseKey"},
		"line end in a URL":    {func(c *sdk.Config) { c.APIBaseURL = "https://api.example.com/api/v1\n" }, sdk.ErrInvalidArgument, "APIBaseURL"},
		"line end in a lookup": {func(c *sdk.Config) { c.APIConfigURL = "https://api.example.com/\r" }, sdk.ErrInvalidArgument, "APIConfigURL"},
		"line end in a host":   {func(c *sdk.Config) { c.XMPPHost = "chat.example.com\n" }, sdk.ErrInvalidArgument, "XMPPHost"},
		"space in a host":      {func(c *sdk.Config) { c.XMPPHost = "a b" }, sdk.ErrInvalidArgument, "XMPPHost"},
		"port in a host":       {func(c *sdk.Config) { c.XMPPHost = "chat.example.com:5222" }, sdk.ErrInvalidArgument, "XMPPHost"},
		"URL for a host":       {func(c *sdk.Config) { c.XMPPHost = "wss://chat.example.com" }, sdk.ErrInvalidArgument, "XMPPHost"},
		"JID for a host":       {func(c *sdk.Config) { c.XMPPHost = "bob@chat.example.com" }, sdk.ErrInvalidArgument, "XMPPHost"},
		"host of groups":       {func(c *sdk.Config) { c.XMPPHost = "mix.example.com" }, sdk.ErrInvalidArgument, "XMPPHost"},
		"no port":              {func(c *sdk.Config) { c.XMPPAddress = "foo" }, sdk.ErrInvalidArgument, "XMPPAddress"},
		"no port, TCP":         {func(c *sdk.Config) { c.XMPPAddress, c.Transport = "foo", sdk.TransportTCP }, sdk.ErrInvalidArgument, "XMPPAddress"},
		"no port, xmpp":        {func(c *sdk.Config) { c.XMPPAddress = "a.example:5222, xmpp://foo/" }, sdk.ErrInvalidArgument, "XMPPAddress"},
		"no port, xmpps":       {func(c *sdk.Config) { c.XMPPAddress = "XMPPS://[::1]" }, sdk.ErrInvalidArgument, "XMPPAddress"},
		"line end, address":    {func(c *sdk.Config) { c.XMPPAddress = "foo\n:5222" }, sdk.ErrInvalidArgument, "XMPPAddress"},
		"delays out of order": {func(c *sdk.Config) {
			c.Reconnect.MinDelay, c.Reconnect.MaxDelay = 10*time.Second, time.Second
		}, sdk.ErrInvalidArgument, "MinDelay"},
		"TLS before 1.2": {func(c *sdk.Config) {
			c.TLSConfig = &tls.Config{MaxVersion: tls.VersionTLS11}
		}, sdk.ErrInvalidArgument, "TLSConfig.MaxVersion"},
		"device with a slash":  {func(c *sdk.Config) { c.DeviceID = "a/b" }, sdk.ErrInvalidArgument, "DeviceID"},
		"device with a comma":  {func(c *sdk.Config) { c.DeviceID = "a,b" }, sdk.ErrInvalidArgument, "DeviceID"},
		"long device":          {func(c *sdk.Config) { c.DeviceID = strings.Repeat("a", 65) }, sdk.ErrInvalidArgument, "DeviceID"},
		"header in agent name": {func(c *sdk.Config) { c.AppName = "a\r\nX-Evil: 1" }, sdk.ErrInvalidArgument, "AppName"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good
			c.change(&cfg)
			client, err := sdk.New(cfg)
			require.Nil(t, client)
			var e *sdk.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, 400, e.StatusCode)
			require.ErrorIs(t, err, c.kind)
			require.ErrorContains(t, err, c.text)
			if errors.Is(err, sdk.ErrInvalidArgument) {
				require.Equal(t, sdk.OutcomeNotSent, e.Outcome)
			}
		})
	}
	for _, change := range []func(*sdk.Config){
		func(*sdk.Config) {},
		func(c *sdk.Config) { c.XMPPHost, c.XMPPAddress = "Chat.example.com", "chat.example.com:5222" },
		func(c *sdk.Config) { c.XMPPHost, c.XMPPAddress = "localhost", "wss://localhost/x,xmpps://[::1]:1/" },
		func(c *sdk.Config) { c.XMPPHost = "[::1]" },
		func(c *sdk.Config) { c.Reconnect.MinDelay, c.Reconnect.MaxDelay = time.Second, time.Second },
		func(c *sdk.Config) { c.Reconnect.MinDelay = time.Hour },
		func(c *sdk.Config) { c.TLSConfig = &tls.Config{MaxVersion: tls.VersionTLS12} },
		func(c *sdk.Config) { c.DeviceID = "Host-1_a." + strings.Repeat("a", 55) },
	} {
		cfg := good
		change(&cfg)
		client, err := sdk.New(cfg)
		require.NoError(t, err)
		require.NoError(t, client.Close())
	}
}

// A password with the line end of the file that it was read from is nobody's.
func TestConnectChecksTexts(t *testing.T) {
	srv := sdktest.New(t)
	client, credentials := register(t, srv.Config(), "alice")
	sent := len(srv.Requests())
	for name, login := range map[string][2]string{
		"username": {"alice\n", credentials.Password}, "password": {"alice", credentials.Password + "\r\n"},
	} {
		res, err := client.Connect(t.Context(), login[0], login[1])
		answered(t, 400, name+" has a line end, another control character, or is not UTF-8", sdk.ErrInvalidArgument, res, err)
		require.NotContains(t, err.Error(), credentials.Password)
	}
	require.Len(t, srv.Requests(), sent)
}

// Connect and Close do not wait for a DialContext that does not look at its context, and what that
// brings in the end is closed.
func TestDialThatIgnoresItsContext(t *testing.T) {
	for _, end := range []string{"deadline", "close"} {
		b := newBackEnd(t)
		cfg := b.config(sdk.TransportTCP)
		dialling, goOn, late := make(chan struct{}), make(chan struct{}), make(chan net.Conn, 1)
		address := b.tcp.Addr().String()
		cfg.DialContext = func(ctx context.Context, network, to string) (net.Conn, error) {
			if to != address {
				return new(net.Dialer).DialContext(ctx, network, to)
			}
			close(dialling)
			<-goOn
			conn, err := net.Dial(network, to)
			late <- conn
			return conn, err
		}
		client, credentials := register(t, cfg, "alice")
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() {
			_, err := client.Connect(ctx, credentials.Username, credentials.Password)
			failed <- err
		}()
		<-dialling
		if end == "close" {
			require.NoError(t, client.Close())
			require.ErrorIs(t, <-failed, sdk.ErrClosed)
		} else {
			cancel()
			require.ErrorIs(t, <-failed, context.Canceled)
		}
		cancel()
		close(goOn)
		conn := <-late
		_, err := io.Copy(io.Discard, conn)
		require.ErrorIs(t, err, net.ErrClosed)
	}
}

func TestRegisterChecksArguments(t *testing.T) {
	srv := sdktest.New(t)
	client := newClient(t, srv.Config())
	for _, c := range []struct{ id, message string }{
		{"", "User identifier is empty, Please pass valid user identifier"},
		{"with space", "User identifier should not contain the whitespaces"},
		{"tab\t", "User identifier should not contain the whitespaces"},
		{"Capital", "User identifiers can only contain lowercase alphanumeric characters, hyphens (-), and underscores (_)."},
		{"ünicode", "User identifiers can only contain lowercase alphanumeric characters, hyphens (-), and underscores (_)."},
		{"a@b", "User identifiers can only contain lowercase alphanumeric characters, hyphens (-), and underscores (_)."},
		{"a\x00", "User identifiers can only contain lowercase alphanumeric characters, hyphens (-), and underscores (_)."},
	} {
		res, err := client.Register(t.Context(), c.id)
		answered(t, 400, c.message, sdk.ErrInvalidArgument, res, err)
	}
	res, err := client.Register(t.Context(), "alice", sdk.RegisterMetadata(map[string]any{"a": 1, "b": 2, "c": 3, "d": 4}))
	answered(t, 400, "metaData can have at most 3 entries, not 4", sdk.ErrInvalidArgument, res, err)
	res, err = client.Register(t.Context(), "alice", sdk.RegisterMetadata(map[string]any{"a": []int{1}}))
	answered(t, 400, "metaDataType should be Valid data type", sdk.ErrInvalidArgument, res, err)
	require.Empty(t, srv.Requests(), "bad input fails before the network")

	res, err = client.Register(t.Context(), "alice", sdk.RegisterMetadata(map[string]any{"plan": "gold", "age": 7, "vip": true}))
	require.NoError(t, err)
	require.Equal(t, "alice", res.Data.Username)
	require.Contains(t, srv.Requests()[0].Body, `"metaData":{"age":7,"plan":"gold","vip":true}`)
}

func TestRegisterOutcomes(t *testing.T) {
	t.Run("too many sessions", func(t *testing.T) {
		srv := sdktest.New(t)
		srv.SetMaxSessions(1)
		client, _ := register(t, srv.Config(), "alice")
		res, err := client.Register(t.Context(), "alice", sdk.ForceRegister(false))
		answered(t, 405, "You have reached maximum sessions allowed.", sdk.ErrMaxSessions, res, err)
		_, err = client.Register(t.Context(), "alice")
		require.NoError(t, err, "force is the default")
	})
	t.Run("unknown licence", func(t *testing.T) {
		cfg := sdktest.New(t).Config()
		cfg.LicenseKey = "somebody else's"
		client := newClient(t, cfg)
		res, err := client.Register(t.Context(), "alice")
		e := failed(t, res, err)
		require.NotContains(t, []int{599, 499}, e.StatusCode)
		require.NotContains(t, err.Error(), cfg.LicenseKey)
	})
	t.Run("licence lookup", func(t *testing.T) {
		for _, trial := range []bool{true, false} {
			cfg := sdktest.New(t, sdktest.Options{Trial: trial}).Config()
			cfg.APIBaseURL = ""
			cfg.TrialLicense = !trial // the lookup decides
			client, credentials := register(t, cfg, "alice")
			require.Equal(t, trial, credentials.IsSandbox)
			connect(t, client, credentials)
		}
	})
	t.Run("rate limit", func(t *testing.T) {
		srv := sdktest.New(t)
		client := newClient(t, srv.Config())
		for range 3 {
			srv.FailNext("register", 429, "slow down")
		}
		res, err := client.Register(t.Context(), "alice")
		answered(t, 429, "slow down", sdk.ErrRateLimited, res, err)
		require.Equal(t, time.Second, failed(t, res, err).RetryAfter)
	})
}

func TestConnectOutcomes(t *testing.T) {
	forEachMode(t, func(t *testing.T, srv *sdktest.Server, cfg sdk.Config) {
		client, credentials := register(t, cfg, "alice")
		connection := collect(client.OnConnection)

		res, err := client.Connect(t.Context(), "", "secret")
		answered(t, 400, "username is not valid or required", sdk.ErrInvalidArgument, res, err)
		res, err = client.Connect(t.Context(), "alice", "")
		answered(t, 400, "password is not valid or required", sdk.ErrInvalidArgument, res, err)
		res, err = client.Connect(t.Context(), "", "")
		answered(t, 400, "password is not valid or required", sdk.ErrInvalidArgument, res, err)
		res, err = client.Connect(t.Context(), "alice", "wrong")
		answered(t, 400, "Invalid Credentials", sdk.ErrInvalidCredentials, res, err)
		res, err = client.Connect(t.Context(), "nobody", credentials.Password)
		answered(t, 400, "Invalid Credentials", sdk.ErrInvalidCredentials, res, err)

		srv.BlockByAdmin("alice", true)
		res, err = client.Connect(t.Context(), "alice", credentials.Password)
		e := failed(t, res, err)
		require.Equal(t, 403, e.StatusCode)
		require.ErrorIs(t, err, sdk.ErrBlockedByAdmin)
		srv.BlockByAdmin("alice", false)

		require.Empty(t, connection.list(), "no connection was tried")
		connect(t, client, credentials)
		res, err = client.Connect(t.Context(), "alice", credentials.Password)
		answered(t, 409, "Already Logged In", sdk.ErrAlreadyLoggedIn, res, err)
		res, err = client.Connect(t.Context(), "alice", "wrong")
		answered(t, 400, "Invalid Credentials", sdk.ErrInvalidCredentials, res, err)
		res, err = client.Connect(t.Context(), "nobody", "any")
		answered(t, 400, "Invalid Credentials", sdk.ErrInvalidCredentials, res, err)
		_, bob := register(t, cfg, "bob")
		res, err = client.Connect(t.Context(), bob.Username, bob.Password)
		answered(t, 409, "Already Logged In", sdk.ErrAlreadyLoggedIn, res, err)

		profile, err := client.GetUserProfile(t.Context(), "alice")
		require.NoError(t, err, "a Connect that fails leaves the login that works alone")
		require.Equal(t, 200, profile.StatusCode)
		connection.until(t, hasStatus(sdk.StatusConnected))
		require.Equal(t, []sdk.ConnectionStatus{sdk.StatusConnected}, statuses(connection))
	})
}

func TestConnectRefusedBySASL(t *testing.T) {
	for _, transport := range []sdk.Transport{sdk.TransportWebSocket, sdk.TransportTCP} {
		srv := sdktest.New(t)
		cfg := srv.Config()
		cfg.Transport = transport
		client, credentials := register(t, cfg, "alice")
		connection := collect(client.OnConnection)
		srv.SetFault(sdktest.StepAuth, sdktest.FaultError)
		res, err := client.Connect(t.Context(), "alice", credentials.Password)
		answered(t, 401, "Invalid Credentials", sdk.ErrInvalidCredentials, res, err)
		require.Equal(t, "not-authorized", failed(t, res, err).Condition)
		event := connection.until(t, hasStatus(sdk.StatusAuthFail))
		require.Equal(t, 401, event.StatusCode)
		require.Equal(t, "Invalid Credentials", event.Message)
		require.Equal(t, sdk.StatusAuthFail, client.State())

		srv.ClearFaults()
		connect(t, client, credentials)
	}
}

func TestEachSASLMechanism(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"} {
		srv := sdktest.New(t, sdktest.Options{Trial: true})
		srv.SetMechanisms(mechanism)
		login(t, srv.Config(), "alice")
	}
	srv := sdktest.New(t, sdktest.Options{Trial: true})
	srv.SetMechanisms("X-UNKNOWN")
	client, credentials := register(t, srv.Config(), "alice")
	res, err := client.Connect(t.Context(), "alice", credentials.Password)
	answered(t, 500, "Connection Error", sdk.ErrNotConnected, res, err)
}

func TestDirectTLSAndSeveralAddresses(t *testing.T) {
	srv := sdktest.New(t)
	cfg := srv.Config()
	cfg.XMPPAddress = "xmpps://" + srv.XMPPSAddress()
	login(t, cfg, "alice")

	dead, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, dead.Close())
	cfg.XMPPAddress = "xmpps://" + dead.Addr().String() + ", " + srv.XMPPURL() + ", wss://" + dead.Addr().String()
	for range 4 { // the order is random
		login(t, cfg, "bob")
	}
}

func TestFirstConnectNeedsNoRegister(t *testing.T) {
	srv := sdktest.New(t)
	_, credentials := register(t, srv.Config(), "alice")
	client := newClient(t, srv.Config())
	connect(t, client, credentials)
	jid, err := client.GetCurrentUserJID()
	require.NoError(t, err)
	require.Equal(t, "alice@"+srv.Domain(), jid.Data)

	srv.FailNext("users/config", 400, "no config")
	other := newClient(t, srv.Config())
	res, err := other.Connect(t.Context(), "alice", credentials.Password)
	answered(t, 500, "Connection Error", sdk.ErrNotConnected, res, err)
	require.ErrorContains(t, err, "no config")
}

func TestUnreachableService(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, gone.Close())
	client := newClient(t, sdk.Config{LicenseKey: "key", APIBaseURL: "https://" + gone.Addr().String()})
	res, err := client.Register(t.Context(), "alice")
	answered(t, 599, "Network Error", sdk.ErrNetwork, res, err)
	require.ErrorContains(t, err, "refused", "the cause is told")

	client = newClient(t, sdk.Config{LicenseKey: "key", APIBaseURL: "https://no-such-host.invalid"})
	res, err = client.Register(t.Context(), "alice")
	answered(t, 599, "Network Error", sdk.ErrNetwork, res, err)
}

func TestStrangersCertificate(t *testing.T) {
	srv := sdktest.New(t)
	cfg := srv.Config()
	cfg.TLSConfig = nil
	client := newClient(t, cfg)
	res, err := client.Register(t.Context(), "alice")
	answered(t, 599, "Network Error", sdk.ErrNetwork, res, err)
	var unverified *tls.CertificateVerificationError
	require.ErrorAs(t, err, &unverified)

	cfg = srv.Config()
	cfg.Transport = sdk.TransportTCP
	client, credentials := register(t, cfg, "alice")
	srv.SetFault(sdktest.StepTLS, sdktest.FaultWrongSender)
	res2, err := client.Connect(t.Context(), "alice", credentials.Password)
	answered(t, 500, "Connection Error", sdk.ErrNetwork, res2, err)
	require.ErrorAs(t, err, &unverified)
}

func TestAnswersThatAreNoAnswers(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"HTML":          func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>It works!</html>")) },
		"empty":         func(http.ResponseWriter, *http.Request) {},
		"array":         func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`[1,2]`)) },
		"wrong types":   func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"status":200,"data":17}`)) },
		"truncated":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"status":200,"da`)) },
		"bad gateway":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotImplemented) },
		"JSON for ever": func(w http.ResponseWriter, _ *http.Request) { endless(w) },
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewTLSServer(handler)
			defer server.Close()
			client := newClient(t, sdk.Config{LicenseKey: "key", APIBaseURL: server.URL, HTTPClient: server.Client()})
			res, err := client.Register(t.Context(), "alice")
			e := failed(t, res, err)
			require.GreaterOrEqual(t, e.StatusCode, 500)
			server.Client().CloseIdleConnections()
		})
	}
}

// endless would be 2 GiB, if somebody read it.
func endless(w http.ResponseWriter) {
	chunk := []byte(strings.Repeat(" ", 1<<20))
	for range 2048 {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// Every step at which a server may fall silent: Connect ends with its context, and nothing is left.
func TestSilentServer(t *testing.T) {
	for _, transport := range []sdk.Transport{sdk.TransportWebSocket, sdk.TransportTCP} {
		for _, step := range []sdktest.Step{
			sdktest.StepHTTPAccept, sdktest.StepHTTPTLS, sdktest.StepREST, sdktest.StepUpgrade, sdktest.StepAccept,
			sdktest.StepStartTLS, sdktest.StepTLS, sdktest.StepStream, sdktest.StepAuth, sdktest.StepBind,
		} {
			onlyTCP := step == sdktest.StepAccept || step == sdktest.StepStartTLS || step == sdktest.StepTLS
			if onlyTCP && transport == sdk.TransportWebSocket || step == sdktest.StepUpgrade && transport == sdk.TransportTCP {
				continue
			}
			t.Run(string(transport)+"/"+string(step), func(t *testing.T) {
				t.Parallel()
				srv := sdktest.New(t)
				cfg := srv.Config()
				cfg.Transport = transport
				_, credentials := register(t, cfg, "alice")
				client := newClient(t, cfg) // with no connection yet
				srv.SetFault(step, sdktest.FaultSilent)
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				const ownTime = 15 * time.Second // what is given to a TLS handshake, or to an address, when ctx has more
				start := time.Now()
				res, err := client.Connect(ctx, "alice", credentials.Password)
				answered(t, 599, "Request timed out", sdk.ErrNetwork, res, err)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Less(t, time.Since(start), ownTime*2/3)

				ctx, cancel = context.WithCancel(t.Context())
				time.AfterFunc(100*time.Millisecond, cancel)
				res, err = client.Connect(ctx, "alice", credentials.Password)
				answered(t, 499, "API cancelled by user", nil, res, err)
				require.ErrorIs(t, err, context.Canceled)
			})
		}
	}
}

func TestUnansweredRequest(t *testing.T) {
	srv := sdktest.New(t)
	client := login(t, srv.Config(), "alice")
	srv.SetFault(sdktest.StepIQ, sdktest.FaultSilent)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	res, err := client.SetUserProfile(ctx, sdk.ProfileUpdate{Email: "a@example.com"})
	answered(t, 599, "Request timed out", sdk.ErrNetwork, res, err)

	before := len(srv.Requests())
	done := make(chan struct{})
	go func() { // ends with the connection
		defer close(done)
		res, err = client.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "a@example.com"})
	}()
	require.Eventually(t, func() bool { return len(srv.Requests()) > before }, patience, time.Millisecond)
	srv.DropConnections()
	<-done
	answered(t, 500, "Connection Error", sdk.ErrNotConnected, res, err)
}

func TestRequestTimeoutIsTheDefaultDeadline(t *testing.T) {
	srv := sdktest.New(t)
	cfg := srv.Config()
	cfg.RequestTimeout = 200 * time.Millisecond
	client := newClient(t, cfg)
	srv.SetFault(sdktest.StepREST, sdktest.FaultSilent)
	res, err := client.Register(context.Background(), "alice")
	answered(t, 599, "Request timed out", sdk.ErrNetwork, res, err)
}

// Requests over XMPP have it too, each of them.
func TestRequestTimeoutOfXMPP(t *testing.T) {
	srv := sdktest.New(t)
	cfg := srv.Config()
	cfg.RequestTimeout = 200 * time.Millisecond
	client := login(t, cfg, "alice")
	srv.SetFault(sdktest.StepIQ, sdktest.FaultSilent)
	bob := "bob@" + srv.Domain()
	for name, call := range map[string]func() (int, string, error){
		"GetLastSeen": func() (int, string, error) {
			r, err := client.GetLastSeen(context.Background(), bob)
			return r.StatusCode, r.Message, err
		},
		"BlockUser": func() (int, string, error) {
			r, err := client.BlockUser(context.Background(), bob)
			return r.StatusCode, r.Message, err
		},
		"UnblockUser": func() (int, string, error) {
			r, err := client.UnblockUser(context.Background(), bob)
			return r.StatusCode, r.Message, err
		},
		"GetUsersIBlocked": func() (int, string, error) {
			r, err := client.GetUsersIBlocked(context.Background())
			return r.StatusCode, r.Message, err
		},
		"GetUsersWhoBlockedMe": func() (int, string, error) {
			r, err := client.GetUsersWhoBlockedMe(context.Background())
			return r.StatusCode, r.Message, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			outcome := sdk.OutcomeNotSent // as long as the machine is too busy to send it in this time
			for range 20 {
				status, message, err := call()
				require.Equal(t, 599, status, "%v", err)
				require.Equal(t, "Request timed out", message)
				require.ErrorIs(t, err, sdk.ErrNetwork)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				if outcome = outcomeTold(t, err); outcome != sdk.OutcomeNotSent {
					break
				}
			}
			require.Equal(t, sdk.OutcomeUnknown, outcome)
		})
	}
}

// The session lives on when the context of Connect has ended.
func TestConnectContextBoundsOnlyConnect(t *testing.T) {
	srv := sdktest.New(t)
	client, credentials := register(t, srv.Config(), "alice")
	ctx, cancel := context.WithCancel(t.Context())
	_, err := client.Connect(ctx, credentials.Username, credentials.Password)
	require.NoError(t, err)
	cancel()
	_, err = client.SetUserProfile(t.Context(), sdk.ProfileUpdate{Email: "a@example.com"})
	require.NoError(t, err)
	require.Equal(t, sdk.StatusConnected, client.State())
}
