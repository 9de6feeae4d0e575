package sdk_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/backend"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// clockAt is a Config.Now that is off by what the second result holds.
func clockAt(off time.Duration) (now func() time.Time, by *atomic.Int64) {
	by = new(atomic.Int64)
	by.Store(int64(off))
	return func() time.Time { return time.Now().UTC().Add(time.Duration(by.Load())) }, by
}

// In licensed mode the password carries the time. Refused while the clock is off it may be right:
// the error says so, and the credentials stay.
func TestWrongClockAtConnect(t *testing.T) {
	for _, off := range []time.Duration{48 * time.Hour, -48 * time.Hour} {
		cfg := quick(sdktest.New(t, sdktest.Options{Trial: false}).Config())
		now, by := clockAt(off)
		cfg.Now = now
		client, me := register(t, cfg, "alice")
		res, err := client.Connect(t.Context(), me.Username, me.Password)
		require.NotErrorIs(t, err, sdk.ErrInvalidCredentials)
		require.ErrorIs(t, err, sdk.ErrNetwork)
		require.ErrorContains(t, err, "the clock here is off by "+off.String())
		require.True(t, failed(t, res, err).Retryable())
		by.Store(0)
		connect(t, client, me)
	}
}

// The same where it is the XMPP server that refuses, which takes the same password.
func TestWrongClockAtTheXMPPServer(t *testing.T) {
	b := backend.New(t)
	var off atomic.Bool
	off.Store(true)
	b.SASL = func(string, string) string {
		if off.Load() {
			return "not-authorized"
		}
		return ""
	}
	cfg := b.Config(sdk.TransportTCP)
	cfg.TrialLicense = false
	now, by := clockAt(48 * time.Hour)
	cfg.Now = now
	client := newClient(t, cfg)
	connection := collect(client.OnConnection)
	_, err := client.Connect(t.Context(), "alice", b.Password())
	require.NotErrorIs(t, err, sdk.ErrInvalidCredentials)
	require.ErrorIs(t, err, sdk.ErrNetwork)
	require.ErrorContains(t, err, "the clock here is off by 48h")
	connection.until(t, hasStatus(sdk.StatusConnectionFailed))
	by.Store(0)
	off.Store(false)
	b.ExpireTokens()
	_, err = client.GetUserProfile(t.Context(), "bob")
	require.NoError(t, err, "the credentials were kept")
	_, err = client.Connect(t.Context(), "alice", b.Password())
	require.NoError(t, err)
}

// The same for a session that is made again: it is, once the clock is right.
func TestWrongClockWhileReconnecting(t *testing.T) {
	for _, transport := range []sdk.Transport{sdk.TransportWebSocket, sdk.TransportTCP} {
		srv := sdktest.New(t, sdktest.Options{Trial: false})
		cfg := quick(srv.Config())
		cfg.Transport = transport
		now, by := clockAt(0)
		cfg.Now = now
		client := login(t, cfg, "alice")
		connection := collect(client.OnConnection)
		by.Store(int64(48 * time.Hour))
		srv.DropConnections()
		event := connection.until(t, hasStatus(sdk.StatusConnectionFailed))
		require.ErrorContains(t, event.Err, "the clock here is off by 48h")
		require.False(t, event.Final)
		by.Store(0)
		connection.until(t, isBack)
		srv.ExpireTokens()
		_, err := client.GetUserProfile(t.Context(), "alice")
		require.NoError(t, err, "the credentials were kept for the next token, too")
	}
}

// A wrong password is one when the clocks agree, when the service tells no time, and in trial mode,
// where no password carries it.
func TestWrongPasswordAndTheClock(t *testing.T) {
	for name, tc := range map[string]struct {
		trial bool
		off   time.Duration
		dated bool
	}{
		"clocks agree":           {false, 30 * time.Second, true},
		"no time told":           {false, 48 * time.Hour, false},
		"no time in a password":  {true, 48 * time.Hour, true},
		"clocks agree, in trial": {true, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := quick(sdktest.New(t, sdktest.Options{Trial: tc.trial}).Config())
			cfg.Now, _ = clockAt(tc.off)
			g := behindGateway(t, &cfg)
			client, me := register(t, cfg, "alice")
			g.answers("login", func(*http.Request) *http.Response {
				resp := told(200, `{"status":400,"message":"Invalid Credentials"}`)
				if tc.dated {
					resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
				}
				return resp
			})
			res, err := client.Connect(t.Context(), me.Username, "wrong")
			answered(t, 400, "Invalid Credentials", sdk.ErrInvalidCredentials, res, err)
		})
	}
}
