package sdktest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/seal"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

// dialSignal opens a signalling session over WebSocket, or upgrades sid.
func dialSignal(t *testing.T, s *Server, sid string) *xmppClient {
	t.Helper()
	url := s.SignalURL() + "/socket.io/?EIO=3&transport=websocket"
	if sid != "" {
		url += "&sid=" + sid
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, url,
		&websocket.DialOptions{HTTPClient: httpClient(t,
			s), HTTPHeader: http.Header{"Origin": {"https://page.example"}}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.CloseNow() })
	return &xmppClient{t: t, c: c}
}

// hello reads up to the id event and returns sid and token.
func hello(t *testing.T, frames ...string) (sid, token string) {
	t.Helper()
	require.Len(t, frames, 3)
	var open struct {
		SID                       string
		Upgrades                  []string
		PingInterval, PingTimeout int
	}
	require.Equal(t, "0", frames[0][:1])
	require.NoError(t, json.Unmarshal([]byte(frames[0][1:]), &open))
	require.Equal(t, []int{25000, 5000}, []int{open.PingInterval, open.PingTimeout})
	require.NotNil(t, open.Upgrades)
	require.Equal(t, "40", frames[1])
	return open.SID, eventID(t, frames[2])
}

func eventID(t *testing.T, frame string) string {
	t.Helper()
	var event []string
	require.Equal(t, "42", frame[:2])
	require.NoError(t, json.Unmarshal([]byte(frame[2:]), &event))
	require.Equal(t, "id", event[0])
	return event[1]
}

func qrContent(s *Server, token string) string {
	return seal.Seal(fmt.Sprintf(`{"token":%q,"browser":"Chrome 120","platform":"x"}`, token),
		seal.Triple(s.LicenseKey()), seal.ConstIV)
}

// web answers a response event in the way of protocol.md 7.2 and returns the credentials.
func web(t *testing.T, s *Server, x *xmppClient, status int) map[string]string {
	t.Helper()
	var event []json.RawMessage
	frame := x.next()
	require.NoError(t, json.Unmarshal([]byte(frame[2:]), &event))
	require.Equal(t, `"response"`, string(event[0]))
	var arg struct{ ID string }
	require.NoError(t, json.Unmarshal(event[1], &arg))
	var c map[string]string
	require.NoError(t, json.Unmarshal([]byte(seal.Open(arg.ID, seal.Triple(s.LicenseKey()), seal.ConstIV)), &c))
	st, err := json.Marshal(map[string]any{
		"statusCode": status, "message": "Login Success", "public_key": c["socketId"],
	})
	require.NoError(t, err)
	args, err := json.Marshal([]string{"loginStatus", string(st)})
	require.NoError(t, err)
	x.send("42%s", args)
	return c
}

func TestQRLoginOverWebSocket(t *testing.T) {
	s := New(t)
	alice := register(t, s, "alice")
	x := dialSignal(t, s, "")
	_, token := hello(t, x.next(), x.next(), x.next())
	x.send("2")
	require.Equal(t, "3", x.next())

	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// ends with the web side's answer
	go func() { done <- s.Phone("alice").Reject(ctx, qrContent(s, token)) }()
	require.NotEqual(t, alice.Password, web(t, s, x, 500)["password"])
	require.NoError(t, patient.Receive(t, done))

	go func() { done <- s.Phone("alice").Reject(ctx, qrContent(s, token)) }() // likewise
	web(t, s, x, 200)
	require.ErrorContains(t, patient.Receive(t, done), "nevertheless")
	require.ErrorIs(t, s.Phone("alice").LogoutWeb(ctx), errNoWeb, "what was rejected is no session")

	go func() { done <- s.Phone("alice").Scan(ctx, qrContent(s, token)) }() // likewise
	web(t, s, x, 500)
	require.ErrorIs(t, s.Phone("alice").LogoutWeb(ctx), errNoWeb, "nor is what has failed")
	require.ErrorContains(t, patient.Receive(t, done), "web side")
	go func() { done <- s.Phone("alice").Scan(ctx, qrContent(s, token)) }() // likewise
	c := web(t, s, x, 200)
	require.NoError(t, patient.Receive(t, done))
	require.Equal(t, "alice "+alice.Password, c["username"]+" "+c["password"])
	require.ErrorIs(t, s.Phone("alice").Scan(ctx, qrContent(s, token)), errQRToken, "a code works once")

	session := connect(t, s, alice, "Web-1")
	require.ErrorIs(t, s.Phone("bob").LogoutWeb(ctx), errNoWeb)
	require.NoError(t, s.Phone("alice").LogoutWeb(ctx))
	require.Equal(t, `42["logoutweb"]`, x.next())
	session.until(`<logout socket_id="` + token + `"/>`)
	require.ErrorIs(t, s.Phone("alice").LogoutWeb(ctx), errNoWeb)
}

func TestExpireQR(t *testing.T) {
	s := trial(t)
	x := dialSignal(t, s, "")
	_, token := hello(t, x.next(), x.next(), x.next())
	s.ExpireQR()
	renewed := eventID(t, x.next())
	require.NotEqual(t, token, renewed)
	require.ErrorIs(t, s.Phone("alice").Scan(t.Context(), qrContent(s, token)), errQRToken)
	for _, content := range []string{"", "nonsense", seal.Seal(`{"token":"x"}`, "otherotherother",
		seal.ConstIV), qrContent(s, "")} {
		require.ErrorIs(t, s.Phone("alice").Scan(t.Context(), content), errQRContent, content)
	}
	require.ErrorIs(t, s.Phone("No User").Scan(t.Context(), qrContent(s, renewed)), errPhoneUser)
	ctx, cancel := context.WithTimeout(t.Context(), glimpse)
	defer cancel()
	require.ErrorIs(t, s.Phone("alice").Scan(ctx, qrContent(s, renewed)), context.DeadlineExceeded)
	done := make(chan error, 1)
	// ends when the web side has gone
	go func() { done <- s.Phone("alice").Scan(t.Context(), qrContent(s, renewed)) }()
	x.next()
	x.next()
	require.NoError(t, x.c.CloseNow())
	require.ErrorContains(t, patient.Receive(t, done), "gone")
}

func TestSilentSignalClientIsDropped(t *testing.T) {
	s := trial(t, func(o *Options) { o.signalPing = glimpse })
	x := dialSignal(t, s, "")
	hello(t, x.next(), x.next(), x.next())
	_, err := x.read(patience)
	require.Error(t, err)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
}

// loginQR logs a user in by QR code.
func loginQR(t *testing.T, s *Server, user string) (x *xmppClient, token string) {
	t.Helper()
	x = dialSignal(t, s, "")
	_, token = hello(t, x.next(), x.next(), x.next())
	done := make(chan error, 1)
	// ends with the answer
	go func() { done <- s.Phone(user).Scan(t.Context(), qrContent(s, token)) }()
	web(t, s, x, 200)
	require.NoError(t, patient.Receive(t, done))
	return x, token
}

func TestWebLogoutEndsTheQRSession(t *testing.T) {
	s := trial(t)
	alice := register(t, s, "alice")
	x := dialSignal(t, s, "")
	_, token := hello(t, x.next(), x.next(), x.next())
	done := make(chan error, 1)
	// ends with the answer
	go func() { done <- s.Phone("alice").Scan(t.Context(), qrContent(s, token)) }()
	web(t, s, x, 200)
	require.NoError(t, patient.Receive(t, done))
	a := connect(t, s, alice, "Web-1")
	logout := `<query socket_id="` + token + `" status="user_logout" xmlns="jabber:iq:user_activities"/>`
	require.Contains(t, a.ask("set", "", logout), `type="result"`)
	require.ErrorIs(t, s.Phone("alice").LogoutWeb(t.Context()), errNoWeb)
	require.ErrorIs(t, s.Phone("alice").Scan(t.Context(), qrContent(s, token)), errQRToken)
}
