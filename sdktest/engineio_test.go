package sdktest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

func FuzzPayload(f *testing.F) {
	f.Add("1:2")
	f.Add("5:4é😀x2:40")
	f.Fuzz(func(t *testing.T, raw string) {
		packets, err := decodePayload(raw)
		if err != nil {
			return
		}
		again, err := decodePayload(encodePayload(packets))
		require.NoError(t, err)
		require.Equal(t, packets, again)
	})
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
	resp, err := httpClient(t, s).Post(s.SignalURL()+"/socket.io/?EIO=3&transport=polling&sid="+sid, "text/plain",
		strings.NewReader(body))
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
	require.Equal(t, []string{"6"}, patient.Receive(t, waiting))
	x.send("5")
	x.send("2")
	require.Equal(t, "3", x.next())
	status, _ = poll(t, s, sid)
	require.Equal(t, 400, status)

	done := make(chan error, 1)
	// ends with the answer
	go func() { done <- s.Phone("alice").Scan(t.Context(), qrContent(s, token)) }()
	web(t, s, x, 200)
	require.NoError(t, patient.Receive(t, done))
	require.Equal(t, []string{"alice"}, s.Users(), "the phone has registered")
}

func TestPollingAlone(t *testing.T) {
	s := trial(t)
	_, packets := poll(t, s, "")
	sid, token := hello(t, packets...)
	done := make(chan error, 1)
	// ends with the answer
	go func() { done <- s.Phone("alice").Scan(t.Context(), qrContent(s, token)) }()
	_, packets = poll(t, s, sid)
	require.Contains(t, packets[0], `42["response",{"id":"`)
	require.Equal(t, 200, post(t, s, sid, "1:1"))
	require.ErrorContains(t, patient.Receive(t, done), "gone")
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
	for _, body := range []string{
		"x", "-1:2", "5:2", "1:", ":", "0:", "9999999:2", "1:\xff", "1:\U0001F600", strings.Repeat("1:2", maxSignal),
	} {
		_, packets := poll(t, s, "")
		sid, _ := hello(t, packets...)
		require.Contains(t, []int{400, 413}, post(t, s, sid, body), body)
		status, _ := poll(t, s, sid)
		require.Equal(t, 400, status, "closed by %q", body)
	}
	for _, frame := range []string{
		"4", "42", "42[", "42[]", "42[1]", `42["loginStatus"]`, `42["loginStatus",{}]`,
		`42["loginStatus","{"]`, `42["loginStatus","{}"]`, "9", "43[]", "41",
	} {
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

func TestPayload(t *testing.T) {
	in := []string{"2", "4é😀x", "42[\"a\"]"}
	out, err := decodePayload(encodePayload(in))
	require.NoError(t, err)
	require.Equal(t, in, out)
	require.Equal(t, "5:4é😀x", encodePayload([]string{"4é😀x"}))
}

// A client whose connection was lost during its probe must be able to try again.
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
	require.False(t, patient.Receive(t, gone))
	require.True(t, s.signal.mayUpgrade(k))
}

// failingWriter has a connection that can only be read after Hijack.
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
