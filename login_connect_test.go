package sdk_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/backend"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
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

// A password with the line end of the file that it was read from is nobody's.
func TestConnectChecksTexts(t *testing.T) {
	srv := sdktest.New(t)
	client, credentials := register(t, srv.Config(), "alice")
	sent := len(srv.Requests())
	for name, login := range map[string][2]string{
		"username": {"alice\n", credentials.Password}, "password": {"alice", credentials.Password + "\r\n"},
	} {
		res, err := client.Connect(t.Context(), login[0], login[1])
		answered(t, 400, name+" has a line end, another control character, or is not UTF-8", sdk.ErrInvalidArgument,
			res, err)
		require.NotContains(t, err.Error(), credentials.Password)
	}
	require.Len(t, srv.Requests(), sent)
}

// Connect and Close do not wait for a DialContext that does not look at its context, and what that
// brings in the end is closed.
func TestDialThatIgnoresItsContext(t *testing.T) {
	for _, end := range []string{"deadline", "close"} {
		b := backend.New(t)
		cfg := b.Config(sdk.TransportTCP)
		dialling, goOn, late := make(chan struct{}), make(chan struct{}), make(chan net.Conn, 1)
		address := b.TCPAddress()
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
		patient.Receive(t, dialling)
		if end == "close" {
			require.NoError(t, client.Close())
			require.ErrorIs(t, patient.Receive(t, failed), sdk.ErrClosed)
		} else {
			cancel()
			require.ErrorIs(t, patient.Receive(t, failed), context.Canceled)
		}
		cancel()
		close(goOn)
		conn := patient.Receive(t, late)
		_, err := io.Copy(io.Discard, conn)
		require.ErrorIs(t, err, net.ErrClosed)
	}
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
		"HTML": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("<html>It works!</html>"))
		},
		"empty": func(http.ResponseWriter, *http.Request) {},
		"array": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`[1,2]`)) },
		"wrong types": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"status":200,"data":17}`))
		},
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
			if onlyTCP && transport == sdk.TransportWebSocket || step == sdktest.StepUpgrade &&
				transport == sdk.TransportTCP {
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
				// what is given to a TLS handshake, or to an address, when ctx has more
				const ownTime = 15 * time.Second
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
	asked := func() bool { return len(srv.Requests()) > before }
	require.NoError(t, srv.Wait(t.Context(), "the request has come", asked))
	srv.DropConnections()
	patient.Receive(t, done)
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
	srv.SetFault(sdktest.StepMessage, sdktest.FaultSilent)
	bob := "bob@" + srv.Domain()
	_, err := newClient(t, cfg).Register(soon(t), "bob")
	require.NoError(t, err)
	for name, call := range map[string]func() (int, string, error){
		"GetLastSeen": func() (int, string, error) {
			r, err := client.GetLastSeen(context.Background(), bob)
			return r.StatusCode, r.Message, err
		},
		"SendTextMessage": func() (int, string, error) {
			r, err := client.SendTextMessage(context.Background(), bob, "hello")
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
			// as long as the machine is too busy to send it in this time
			outcome := sdk.OutcomeNotSent
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
