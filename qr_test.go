package sdk_test

import (
	"context"
	"errors"
	"image"
	"image/color"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func offerQR(t *testing.T, srv *sdktest.Server, client *sdk.Client, opts sdk.QROptions) (*sdk.QRLogin, *sdk.QRCode) {
	t.Helper()
	opts.SignalServerURL = srv.SignalURL()
	login, err := client.GenerateQRCode(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, login.Close()) })
	return login, nextCode(t, login)
}

// offerBriefQR shows a code that expires soon: after that time, or as much more as a busy machine
// needs to show one at all.
func offerBriefQR(t *testing.T, srv *sdktest.Server, timeout time.Duration) *sdk.QRLogin {
	t.Helper()
	for ; ; timeout *= 2 {
		require.Less(t, timeout, patience, "no code")
		login, err := newClient(t, srv.Config()).GenerateQRCode(t.Context(),
			sdk.QROptions{SignalServerURL: srv.SignalURL(), Timeout: timeout})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, login.Close()) })
		if _, shown := <-login.Codes(); shown {
			return login
		}
	}
}

func nextCode(t *testing.T, login *sdk.QRLogin) *sdk.QRCode {
	t.Helper()
	select {
	case code, open := <-login.Codes():
		require.True(t, open, "the login has ended")
		return code
	case <-time.After(patience):
		t.Fatal("no code")
		return nil
	}
}

func requireNoMoreCodes(t *testing.T, login *sdk.QRLogin) {
	t.Helper()
	select {
	case _, open := <-login.Codes():
		require.False(t, open)
	case <-time.After(patience):
		t.Fatal("Codes stays open")
	}
}

// A terminal has 80 columns and 24 rows. Two rows are for a line of text, and for the cursor in the
// next one.
func TestQRCodeFitsATerminal(t *testing.T) {
	srv := sdktest.New(t)
	for _, tc := range []struct {
		opts          sdk.QROptions
		columns, rows int
	}{
		{sdk.QROptions{}, 45, 22},
		{sdk.QROptions{Logo: image.NewGray(image.Rect(0, 0, 50, 50))}, 45, 22},
		{sdk.QROptions{Browser: strings.Repeat("b", 20), Platform: "0123456789ab"}, 45, 22},
		{sdk.QROptions{Browser: strings.Repeat("b", 20), Platform: "0123456789abc"}, 49, 24},
	} {
		_, code := offerQR(t, srv, newClient(t, srv.Config()), tc.opts)
		columns, rows := code.TerminalSize()
		require.Equal(t, []int{tc.columns, tc.rows}, []int{columns, rows})
		lines := strings.SplitAfter(code.Terminal(), "\n")
		require.Len(t, lines, rows+1)
		require.Empty(t, lines[rows])
		for _, line := range lines[:rows] {
			require.Equal(t, columns, strings.Count(line, " ")+strings.Count(line, "▀")+strings.Count(line, "▄")+
				strings.Count(line, "█"))
		}
	}
}

func TestQRLogin(t *testing.T) {
	forEachMode(t, func(t *testing.T, srv *sdktest.Server, cfg sdk.Config) {
		client := newClient(t, cfg)
		connection := collect(client.OnConnection)
		login, code := offerQR(t, srv, client, sdk.QROptions{})
		require.NoError(t, srv.Phone("alice").Scan(t.Context(), code.Content()))
		for range 2 { // any number of times
			res, err := login.Wait(t.Context())
			require.NoError(t, err)
			require.Equal(t, "Login Success", res.Message)
			require.Equal(t, "alice", res.Data.Username)
			require.Equal(t, "alice@"+srv.Domain(), res.Data.UserJID)
			require.Equal(t, cfg.TrialLicense, res.Data.IsSandbox)
		}
		requireNoMoreCodes(t, login)
		require.NoError(t, login.Close())
		require.Equal(t, sdk.StatusConnected, client.State(), "closing the login keeps the session")
		profile, err := client.GetUserProfile(t.Context(), "alice")
		require.NoError(t, err)
		require.Equal(t, "alice", profile.Data.UserID)

		require.NoError(t, srv.Phone("alice").LogoutWeb(t.Context()))
		connection.until(t, hasStatus(sdk.StatusLoggedOut))
		connection.until(t, hasStatus(sdk.StatusDisconnected))
		require.Equal(t, []sdk.ConnectionStatus{sdk.StatusConnected, sdk.StatusLoggedOut, sdk.StatusDisconnected},
			statuses(connection))
		jid, err := client.GetCurrentUserJID()
		answered(t, 400, notRegistered, sdk.ErrNotRegistered, jid, err)
	})
}

// The stanza is out before the service is asked: the request waits until the server has seen it.
func TestQRLogoutTellsThePhoneFirst(t *testing.T) {
	srv := sdktest.New(t)
	cfg := srv.Config()
	answer := holding(t, &cfg, "/logout")
	answer.before = func() {
		require.NoError(t, srv.Wait(t.Context(), "the logout has come over XMPP", func() bool {
			return slices.ContainsFunc(srv.Requests(), func(r sdktest.Request) bool {
				return r.User == "alice" && strings.Contains(r.Stanza, `status="user_logout"`)
			})
		}))
	}
	close(answer.release)
	client := newClient(t, cfg)
	login, code := offerQR(t, srv, client, sdk.QROptions{})
	require.NoError(t, srv.Phone("alice").Scan(t.Context(), code.Content()))
	_, err := login.Wait(t.Context())
	require.NoError(t, err)
	_, err = client.Logout(t.Context())
	require.NoError(t, err)
}

func TestQRCodesAreRenewed(t *testing.T) {
	srv := sdktest.New(t)
	client := newClient(t, srv.Config())
	login, first := offerQR(t, srv, client, sdk.QROptions{})
	srv.ExpireQR()
	second := nextCode(t, login)
	require.NotEqual(t, first.Content(), second.Content())
	require.Error(t, srv.Phone("alice").Scan(t.Context(), first.Content()))
	require.NoError(t, srv.Phone("alice").Scan(t.Context(), second.Content()))
	_, err := login.Wait(t.Context())
	require.NoError(t, err)
}

func TestQRLoginFails(t *testing.T) {
	srv := sdktest.New(t)
	t.Run("rejected", func(t *testing.T) {
		login, code := offerQR(t, srv, newClient(t, srv.Config()), sdk.QROptions{})
		require.NoError(t, srv.Phone("alice").Reject(t.Context(), code.Content()))
		res, err := login.Wait(t.Context())
		answered(t, 400, "Invalid Credentials", sdk.ErrInvalidCredentials, res, err)
		require.ErrorContains(t, err, "the phone has refused the login")
		requireNoMoreCodes(t, login)
	})
	t.Run("expired", func(t *testing.T) {
		login := offerBriefQR(t, srv, 50*time.Millisecond)
		res, err := login.Wait(t.Context())
		answered(t, 410, "QR code expired", sdk.ErrQRExpired, res, err)
		requireNoMoreCodes(t, login)
	})
	t.Run("context of Wait", func(t *testing.T) {
		login, code := offerQR(t, srv, newClient(t, srv.Config()), sdk.QROptions{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		res, err := login.Wait(ctx)
		answered(t, 499, "API cancelled by user", nil, res, err)
		require.NoError(t, srv.Phone("alice").Scan(t.Context(), code.Content()), "the login itself goes on")
		_, err = login.Wait(t.Context())
		require.NoError(t, err)
	})
	t.Run("closed", func(t *testing.T) {
		login, _ := offerQR(t, srv, newClient(t, srv.Config()), sdk.QROptions{})
		require.NoError(t, login.Close())
		require.NoError(t, login.Close())
		res, err := login.Wait(t.Context())
		answered(t, 500, "QR login is closed", sdk.ErrClosed, res, err)
		requireNoMoreCodes(t, login)
	})
	t.Run("client closed", func(t *testing.T) {
		client := newClient(t, srv.Config())
		login, _ := offerQR(t, srv, client, sdk.QROptions{})
		require.NoError(t, client.Close())
		res, err := login.Wait(t.Context())
		answered(t, 500, "Client is closed", sdk.ErrClosed, res, err)
		requireNoMoreCodes(t, login)
		_, err = client.GenerateQRCode(t.Context(), sdk.QROptions{SignalServerURL: srv.SignalURL()})
		require.ErrorIs(t, err, sdk.ErrClosed)
	})
	t.Run("refused by Dials", func(t *testing.T) {
		cfg := srv.Config()
		cfg.Dials = dialsThat(func(context.Context) error { return errors.New("not today") })
		client := newClient(t, cfg)
		login, code := offerQR(t, srv, client, sdk.QROptions{})
		require.Error(t, srv.Phone("alice").Scan(t.Context(), code.Content()))
		res, err := login.Wait(t.Context())
		answered(t, 500, "not today", nil, res, err)
		require.Zero(t, client.Stats().ConnectsFailed, "it was no attempt")
	})
	t.Run("already logged in", func(t *testing.T) {
		client := login(t, srv.Config(), "bob")
		qr, code := offerQR(t, srv, client, sdk.QROptions{})
		require.Error(t, srv.Phone("alice").Scan(t.Context(), code.Content()))
		res, err := qr.Wait(t.Context())
		answered(t, 409, "Already Logged In", sdk.ErrAlreadyLoggedIn, res, err)
	})
}

func TestQROptionsAreChecked(t *testing.T) {
	srv := sdktest.New(t)
	client := newClient(t, srv.Config())
	for name, c := range map[string]struct {
		opts sdk.QROptions
		kind error
	}{
		"no server":        {sdk.QROptions{}, sdk.ErrInvalidArgument},
		"http":             {sdk.QROptions{SignalServerURL: "http://127.0.0.1:1"}, sdk.ErrInsecure},
		"no URL":           {sdk.QROptions{SignalServerURL: "nonsense"}, sdk.ErrInvalidArgument},
		"no such server":   {sdk.QROptions{SignalServerURL: "https://127.0.0.1:1"}, sdk.ErrNetwork},
		"tiny":             {sdk.QROptions{SignalServerURL: srv.SignalURL(), Size: 20}, sdk.ErrInvalidArgument},
		"negative timeout": {sdk.QROptions{SignalServerURL: srv.SignalURL(), Timeout: -1}, sdk.ErrInvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			login, err := client.GenerateQRCode(t.Context(), c.opts)
			require.Nil(t, login)
			require.ErrorIs(t, err, c.kind)
			var e *sdk.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, "GenerateQRCode", e.Op)
		})
	}
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
			// signalling stays away
			cfg.Reconnect.MinDelay, cfg.Reconnect.MaxDelay = time.Hour, time.Hour
			answer := holding(t, &cfg, "/login")
			client := newClient(t, cfg)
			connection := collect(client.OnConnection)
			login, code := offerQR(t, srv, client, sdk.QROptions{})
			scanned := make(chan error, 1)
			go func() { scanned <- srv.Phone("alice").Scan(t.Context(), code.Content()) }()
			patient.Receive(t, answer.held)
			srv.SetFault(sdktest.StepSignal, sdktest.FaultClose)
			srv.DropConnections()
			patient.Receive(t, scanned)
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
