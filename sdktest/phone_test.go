package sdktest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

func TestScanEndpoint(t *testing.T) {
	s := trial(t)
	url := s.SignalURL() + "/_test/qr/scan"
	require.Equal(t, 400, rest(t, s, "POST", url, "", "nonsense").HTTP)
	require.Equal(t, 400, rest(t, s, "POST", url, "", map[string]string{"userIdentifier": "alice", "text": "x"}).HTTP)
	x := dialSignal(t, s, "")
	_, token := hello(t, x.next(), x.next(), x.next())
	done := make(chan envelope, 1)
	go func() { // ends with the web side's answer
		done <- rest(t, s, "POST", url, "",
			map[string]string{"userIdentifier": "alice", "text": qrContent(s, token), "other": "x"})
	}()
	web(t, s, x, 200)
	require.Equal(t, 200, patient.Receive(t, done).Status)
}

// The web side knows of its login before the phone does, and may end it then.
func TestQRSessionBeginsWithItsLogin(t *testing.T) {
	s := trial(t)
	for range 20 {
		x := dialSignal(t, s, "")
		_, token := hello(t, x.next(), x.next(), x.next())
		done := make(chan error, 1)
		// ends with the answer
		go func() { done <- s.Phone("alice").Scan(t.Context(), qrContent(s, token)) }()
		web(t, s, x, 200)
		require.NoError(t, s.Phone("alice").LogoutWeb(t.Context()))
		require.NoError(t, patient.Receive(t, done))
		require.Equal(t, `42["logoutweb"]`, x.next())
	}
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	for _, late := range []bool{false, true} { // loginStatus comes in before user_logout, or after
		x := dialSignal(t, s, "")
		_, token := hello(t, x.next(), x.next(), x.next())
		done := make(chan error, 1)
		// ends with the answer
		go func() { done <- s.Phone("alice").Scan(t.Context(), qrContent(s, token)) }()
		logout := `<query socket_id="` + token + `" status="user_logout" xmlns="jabber:iq:user_activities"/>`
		if late {
			require.Eventually(t, func() bool {
				s.signal.mu.Lock()
				defer s.signal.mu.Unlock()
				return len(s.signal.waiting) == 1
			}, patience, time.Millisecond)
			require.Contains(t, a.ask("set", "", logout), `type="result"`)
		}
		web(t, s, x, 200)
		require.NoError(t, patient.Receive(t, done))
		if !late {
			require.Contains(t, a.ask("set", "", logout), `type="result"`)
		}
		require.ErrorIs(t, s.Phone("alice").LogoutWeb(t.Context()), errNoWeb, "late: %t", late)
	}
}

func TestLogoutWebOutlivesTheSocket(t *testing.T) {
	s := trial(t)
	alice := register(t, s, "alice")
	_, first := loginQR(t, s, "alice")
	x, second := loginQR(t, s, "alice")
	s.DropConnections()
	_, err := x.read(patience)
	require.Error(t, err)
	require.NoError(t, s.Restart())
	a := connect(t, s, alice, "Web-1")
	other, _ := loginQR(t, s, "bob")
	require.NoError(t, s.Phone("alice").LogoutWeb(t.Context()))
	a.until(`<logout socket_id="` + first + "," + second + `"/>`)
	require.ErrorIs(t, s.Phone("alice").LogoutWeb(t.Context()), errNoWeb)
	other.send("2")
	require.Equal(t, "3", other.next(), "another user's session goes on")

	loginQR(t, s, "alice")
	require.Equal(t, 200, rest(t, s, "POST", "/users/deleteMyAccount", alice.Token,
		map[string]any{"reason": "R"}).Status)
	require.ErrorIs(t, s.Phone("alice").LogoutWeb(t.Context()), errNoWeb, "the sessions go with the account")
}

func TestLogoutWebWaitsNoLongerThanItsContext(t *testing.T) {
	s := trial(t)
	x := dialSignal(t, s, "")
	_, token := hello(t, x.next(), x.next(), x.next())
	scan, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Phone("alice").Scan(scan, qrContent(s, token)) }() // ends with scan
	x.next()
	ctx, cancel := context.WithTimeout(t.Context(), glimpse)
	defer cancel()
	require.ErrorIs(t, s.Phone("alice").LogoutWeb(ctx), context.DeadlineExceeded)
	stop()
	require.ErrorIs(t, patient.Receive(t, done), context.Canceled)
	require.ErrorIs(t, s.Phone("alice").LogoutWeb(t.Context()), errNoWeb)
}
