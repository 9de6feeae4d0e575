package sdktest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/seal"
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
	c, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: httpClient(t, s), HTTPHeader: http.Header{"Origin": {"https://page.example"}}})
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
	return seal.Seal(fmt.Sprintf(`{"token":%q,"browser":"Chrome 120","platform":"x"}`, token), seal.Triple(s.LicenseKey()), seal.ConstIV)
}

// web answers a response event as protocol.md 7.2 says and returns the credentials.
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
	st, err := json.Marshal(map[string]any{"statusCode": status, "message": "Login Success", "public_key": c["socketId"]})
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
	go func() { done <- s.Phone("alice").Reject(ctx, qrContent(s, token)) }() // ends with the web side's answer
	require.NotEqual(t, alice.Password, web(t, s, x, 500)["password"])
	require.NoError(t, <-done)

	go func() { done <- s.Phone("alice").Reject(ctx, qrContent(s, token)) }() // likewise
	web(t, s, x, 200)
	require.ErrorContains(t, <-done, "nevertheless")
	require.ErrorIs(t, s.Phone("alice").LogoutWeb(ctx), errNoWeb, "what was rejected is no session")

	go func() { done <- s.Phone("alice").Scan(ctx, qrContent(s, token)) }() // likewise
	web(t, s, x, 500)
	require.ErrorIs(t, s.Phone("alice").LogoutWeb(ctx), errNoWeb, "nor is what has failed")
	require.ErrorContains(t, <-done, "web side")
	go func() { done <- s.Phone("alice").Scan(ctx, qrContent(s, token)) }() // likewise
	c := web(t, s, x, 200)
	require.NoError(t, <-done)
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
	for _, content := range []string{"", "nonsense", seal.Seal(`{"token":"x"}`, "otherotherother", seal.ConstIV), qrContent(s, "")} {
		require.ErrorIs(t, s.Phone("alice").Scan(t.Context(), content), errQRContent, content)
	}
	require.ErrorIs(t, s.Phone("No User").Scan(t.Context(), qrContent(s, renewed)), errPhoneUser)
	ctx, cancel := context.WithTimeout(t.Context(), glimpse)
	defer cancel()
	require.ErrorIs(t, s.Phone("alice").Scan(ctx, qrContent(s, renewed)), context.DeadlineExceeded)
	done := make(chan error, 1)
	go func() { done <- s.Phone("alice").Scan(t.Context(), qrContent(s, renewed)) }() // ends when the web side has gone
	x.next()
	x.next()
	require.NoError(t, x.c.CloseNow())
	require.ErrorContains(t, <-done, "gone")
}

// poll is one long poll of Engine.IO.
func poll(t *testing.T, s *Server, sid string) (int, []string) {
	t.Helper()
	url := s.SignalURL() + "/socket.io/?EIO=3&transport=polling"
	if sid != "" {
		url += "&sid=" + sid
	}
	resp, err := httpClient(t, s).Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	if resp.StatusCode != 200 {
		return resp.StatusCode, []string{string(raw)}
	}
	packets, err := decodePayload(string(raw))
	require.NoError(t, err)
	return resp.StatusCode, packets
}

func post(t *testing.T, s *Server, sid, body string) int {
	t.Helper()
	resp, err := httpClient(t, s).Post(s.SignalURL()+"/socket.io/?EIO=3&transport=polling&sid="+sid, "text/plain", strings.NewReader(body))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

func TestPollingAndUpgrade(t *testing.T) {
	s := trial(t)
	_, packets := poll(t, s, "")
	sid, token := hello(t, packets...)
	require.Equal(t, 200, post(t, s, sid, "1:2"))
	_, packets = poll(t, s, sid)
	require.Equal(t, []string{"3"}, packets)

	waiting := make(chan []string, 1)
	go func() { // ends when the upgrade ends the poll
		_, p := poll(t, s, sid)
		waiting <- p
	}()
	require.Eventually(t, func() bool {
		s.signal.mu.Lock()
		defer s.signal.mu.Unlock()
		return s.signal.sockets[sid].polling
	}, patience, time.Millisecond)
	status, _ := poll(t, s, sid)
	require.Equal(t, 400, status, "one poll at a time")
	x := dialSignal(t, s, sid)
	x.send("2probe")
	require.Equal(t, "3probe", x.next())
	require.Equal(t, []string{"6"}, <-waiting)
	x.send("5")
	x.send("2")
	require.Equal(t, "3", x.next())
	status, _ = poll(t, s, sid)
	require.Equal(t, 400, status)

	done := make(chan error, 1)
	go func() { done <- s.Phone("alice").Scan(t.Context(), qrContent(s, token)) }() // ends with the answer
	web(t, s, x, 200)
	require.NoError(t, <-done)
	require.Equal(t, []string{"alice"}, s.Users(), "the phone has registered")
}

func TestPollingAlone(t *testing.T) {
	s := trial(t)
	_, packets := poll(t, s, "")
	sid, token := hello(t, packets...)
	done := make(chan error, 1)
	go func() { done <- s.Phone("alice").Scan(t.Context(), qrContent(s, token)) }() // ends with the answer
	_, packets = poll(t, s, sid)
	require.Contains(t, packets[0], `42["response",{"id":"`)
	require.Equal(t, 200, post(t, s, sid, "1:1"))
	require.ErrorContains(t, <-done, "gone")
	status, _ := poll(t, s, sid)
	require.Equal(t, 400, status)
}

func TestSignalRefusals(t *testing.T) {
	s := trial(t)
	c := httpClient(t, s)
	for query, want := range map[string]string{
		"EIO=4&transport=polling":       "Unsupported protocol version",
		"transport=polling":             "Unsupported protocol version",
		"EIO=3&transport=x":             "Transport unknown",
		"EIO=3":                         "Transport unknown",
		"EIO=3&transport=polling&sid=x": "Session ID unknown",
	} {
		resp, err := c.Get(s.SignalURL() + "/socket.io/?" + query)
		require.NoError(t, err)
		raw, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 400, resp.StatusCode)
		require.Contains(t, string(raw), want)
	}
	for _, body := range []string{"x", "-1:2", "5:2", "1:", ":", "0:", "9999999:2", "1:\xff", "1:\U0001F600", strings.Repeat("1:2", maxSignal)} {
		_, packets := poll(t, s, "")
		sid, _ := hello(t, packets...)
		require.Contains(t, []int{400, 413}, post(t, s, sid, body), body)
		status, _ := poll(t, s, sid)
		require.Equal(t, 400, status, "closed by %q", body)
	}
	for _, frame := range []string{"4", "42", "42[", "42[]", "42[1]", `42["loginStatus"]`, `42["loginStatus",{}]`, `42["loginStatus","{"]`, `42["loginStatus","{}"]`, "9", "43[]", "41"} {
		x := dialSignal(t, s, "")
		hello(t, x.next(), x.next(), x.next())
		x.send("%s", frame)
		x.send("2x")
		require.Equal(t, "3x", x.next(), frame)
	}
	x := dialSignal(t, s, "")
	hello(t, x.next(), x.next(), x.next())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_ = x.c.Write(ctx, websocket.MessageText, bytes.Repeat([]byte("4"), 10<<20))
	_, err := x.read(patience)
	require.Equal(t, websocket.StatusMessageTooBig, websocket.CloseStatus(err))
}

func TestSilentSignalClientIsDropped(t *testing.T) {
	s := trial(t, func(o *Options) { o.signalPing = glimpse })
	x := dialSignal(t, s, "")
	hello(t, x.next(), x.next(), x.next())
	_, err := x.read(patience)
	require.Error(t, err)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
}

func TestScanEndpoint(t *testing.T) {
	s := trial(t)
	url := s.SignalURL() + "/_test/qr/scan"
	require.Equal(t, 400, rest(t, s, "POST", url, "", "nonsense").HTTP)
	require.Equal(t, 400, rest(t, s, "POST", url, "", map[string]string{"userIdentifier": "alice", "text": "x"}).HTTP)
	x := dialSignal(t, s, "")
	_, token := hello(t, x.next(), x.next(), x.next())
	done := make(chan envelope, 1)
	go func() { // ends with the web side's answer
		done <- rest(t, s, "POST", url, "", map[string]string{"userIdentifier": "alice", "text": qrContent(s, token), "other": "x"})
	}()
	web(t, s, x, 200)
	require.Equal(t, 200, (<-done).Status)
}

func TestPayload(t *testing.T) {
	in := []string{"2", "4é😀x", "42[\"a\"]"}
	out, err := decodePayload(encodePayload(in))
	require.NoError(t, err)
	require.Equal(t, in, out)
	require.Equal(t, "5:4é😀x", encodePayload([]string{"4é😀x"}))
}

// loginQR logs a user in by QR code.
func loginQR(t *testing.T, s *Server, user string) (x *xmppClient, token string) {
	t.Helper()
	x = dialSignal(t, s, "")
	_, token = hello(t, x.next(), x.next(), x.next())
	done := make(chan error, 1)
	go func() { done <- s.Phone(user).Scan(t.Context(), qrContent(s, token)) }() // ends with the answer
	web(t, s, x, 200)
	require.NoError(t, <-done)
	return x, token
}

// The web side knows of its login before the phone does, and may end it then.
func TestQRSessionBeginsWithItsLogin(t *testing.T) {
	s := trial(t)
	for range 20 {
		x := dialSignal(t, s, "")
		_, token := hello(t, x.next(), x.next(), x.next())
		done := make(chan error, 1)
		go func() { done <- s.Phone("alice").Scan(t.Context(), qrContent(s, token)) }() // ends with the answer
		web(t, s, x, 200)
		require.NoError(t, s.Phone("alice").LogoutWeb(t.Context()))
		require.NoError(t, <-done)
		require.Equal(t, `42["logoutweb"]`, x.next())
	}
	a := connect(t, s, register(t, s, "alice"), "Web-1")
	for _, late := range []bool{false, true} { // loginStatus comes in before user_logout, or after
		x := dialSignal(t, s, "")
		_, token := hello(t, x.next(), x.next(), x.next())
		done := make(chan error, 1)
		go func() { done <- s.Phone("alice").Scan(t.Context(), qrContent(s, token)) }() // ends with the answer
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
		require.NoError(t, <-done)
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
	require.Equal(t, 200, rest(t, s, "POST", "/users/deleteMyAccount", alice.Token, map[string]any{"reason": "R"}).Status)
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
	require.ErrorIs(t, <-done, context.Canceled)
	require.ErrorIs(t, s.Phone("alice").LogoutWeb(t.Context()), errNoWeb)
}

// A client that has gone in the middle of its probe must be able to try again.
func TestUpgradeThatFailsIsForgotten(t *testing.T) {
	s := trial(t)
	k, err := s.signal.open([]string{"websocket"})
	require.NoError(t, err)
	gone := make(chan bool, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c, err := websocket.Accept(failingWriter{w}, req, nil)
		if err != nil {
			gone <- true
			return
		}
		defer c.CloseNow()
		gone <- s.signal.upgrade(req.Context(), c, k)
	}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, srv.URL, nil)
	require.NoError(t, err)
	defer c.CloseNow()
	require.NoError(t, c.Write(ctx, websocket.MessageText, []byte("2probe")))
	require.False(t, <-gone)
	require.True(t, s.signal.mayUpgrade(k))
}

// failingWriter hands out a connection that can only be read once it is hijacked.
type failingWriter struct{ http.ResponseWriter }

func (w failingWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, b, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	return failingConn{c}, bufio.NewReadWriter(b.Reader, bufio.NewWriter(failingConn{c})), nil
}

type failingConn struct{ net.Conn }

func (c failingConn) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }
