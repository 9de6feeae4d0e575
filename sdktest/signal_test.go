package sdktest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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

	go func() { done <- s.Phone("alice").Scan(ctx, qrContent(s, token)) }() // likewise
	web(t, s, x, 500)
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
