// Package signal_test runs internal/signal against real Socket.IO servers (Node).
package signal_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mirrorfly-go/sdk/internal/signal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// line is what server.js prints.
type line struct {
	Event     string `json:"event"`
	Port      int    `json:"port"`
	Transport string `json:"transport"`
	Status    string `json:"status"`
	Reason    string `json:"reason"`
}

type node struct {
	url   string
	lines chan line
	stop  func()
}

// start runs server.js. Its packages come from "npm ci" in this folder.
func start(t *testing.T, version, transports string, port int) *node {
	t.Helper()
	cmd := exec.Command("node", "server.js", version, transports, strconv.Itoa(port))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start(), "node is needed, and npm ci in interop/signal")
	n := &node{lines: make(chan line, 100)}
	read := make(chan struct{})
	go func() { // ends with the process
		defer close(read)
		defer close(n.lines)
		scan := bufio.NewScanner(out)
		for scan.Scan() {
			var l line
			if json.Unmarshal(scan.Bytes(), &l) == nil {
				n.lines <- l
			}
		}
		_, _ = io.Copy(io.Discard, out)
	}()
	stopped := false
	n.stop = func() {
		if stopped {
			return
		}
		stopped = true
		_ = cmd.Process.Kill()
		<-read
		_ = cmd.Wait()
	}
	t.Cleanup(n.stop)
	l := n.expect(t, "listening")
	n.url = fmt.Sprintf("http://127.0.0.1:%d", l.Port)
	return n
}

// patience is how long is waited for what must come, far more than a busy machine needs.
const patience = 2 * time.Minute

// expect is the next line of that event; others are passed over.
func (n *node) expect(t *testing.T, event string) line {
	t.Helper()
	end := time.After(patience)
	for {
		select {
		case l, ok := <-n.lines:
			require.True(t, ok, "server.js has ended")
			if l.Event == event {
				return l
			}
		case <-end:
			require.FailNow(t, "no "+event)
		}
	}
}

func next(t *testing.T, c *signal.Conn, name string) signal.Event {
	t.Helper()
	end := time.After(patience)
	for {
		select {
		case ev, ok := <-c.Events():
			require.True(t, ok, "%v", c.Err())
			if ev.Name == name {
				return ev
			}
		case <-end:
			require.FailNow(t, "no event "+name, "%v", c.Err())
		}
	}
}

func dial(t *testing.T, n *node) *signal.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tr := &http.Transport{}
	c, err := signal.Dial(
		ctx,
		signal.Config{
			URL: n.url, AllowInsecure: true, HTTPClient: &http.Client{Transport: tr, Timeout: time.Second},
			MaxDelay: time.Second,
		},
	)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()); tr.CloseIdleConnections() })
	return c
}

func TestSocketIO(t *testing.T) {
	for _, version := range []string{"2", "4"} {
		for _, transports := range []string{"polling,websocket", "websocket", "polling"} {
			t.Run(version+" "+transports, func(t *testing.T) {
				t.Parallel()
				n := start(t, version, transports, 0)
				c := dial(t, n)
				want := "websocket"
				if transports == "polling" {
					want = "polling"
				}
				require.Equal(t, want, n.expect(t, "connection").Transport)
				exchange(t, n, c)
			})
		}
		t.Run(version+" upgrade", func(t *testing.T) {
			t.Parallel()
			n := start(t, version, "polling,websocket", 0)
			c := dial(t, withoutDirect(t, n))
			if version == "2" {
				require.Equal(t, "polling", n.expect(t, "connection").Transport)
				n.expect(t, "upgrade")
			} else { // the namespace is joined after the upgrade
				require.Equal(t, "websocket", n.expect(t, "connection").Transport)
			}
			exchange(t, n, c)
		})
	}
}

// exchange is a session: events both ways, several pings, a drop, an end.
func exchange(t *testing.T, n *node, c *signal.Conn) {
	t.Helper()
	first := next(t, c, "id")
	status := `{"statusCode":200,"message":"Login <Success> 😀é"}`
	require.NoError(t, c.Emit(t.Context(), "binary"))
	require.NoError(t, c.Emit(t.Context(), "loginStatus", status))
	require.Equal(t, status, n.expect(t, "loginStatus").Status)
	echo := next(t, c, "echo")
	var text string
	require.NoError(t, json.Unmarshal(echo.Args[0], &text))
	require.Equal(t, status, text)

	require.NoError(t, c.Emit(t.Context(), "flood"))
	next(t, c, "end")

	select { // several ping intervals, and more than interval and timeout
	case l := <-n.lines:
		require.FailNow(t, "the session ended", "%+v", l)
	case <-time.After(5 * time.Second):
	}

	_ = c.Emit(t.Context(), "drop") // fails when the end is faster than the answer to the POST
	n.expect(t, "disconnect")
	n.expect(t, "connection")
	again := next(t, c, "id")
	require.NotEqual(t, first.Args[0], again.Args[0])

	_ = c.Emit(t.Context(), "kick") // likewise
	for range c.Events() {          // until the end of c closes the channel
	}
	require.ErrorIs(t, c.Err(), signal.ErrDisconnected)
}

func TestCloseIsTold(t *testing.T) {
	for _, transports := range []string{"websocket", "polling"} {
		n := start(t, "2", transports, 0)
		c := dial(t, n)
		next(t, c, "id")
		require.NoError(t, c.Close())
		require.Contains(t,
			[]string{"client namespace disconnect", "transport close"}, n.expect(t, "disconnect").Reason,
			"at once, not by ping timeout",
		)
	}
}

func TestServerRestart(t *testing.T) {
	for _, transports := range []string{"websocket", "polling"} {
		n := start(t, "2", transports, 0)
		c := dial(t, n)
		next(t, c, "id")
		n.stop()
		port, err := strconv.Atoi(n.url[strings.LastIndex(n.url, ":")+1:])
		require.NoError(t, err)
		n = start(t, "2", transports, port)
		next(t, c, "id")
		require.NoError(t, c.Emit(t.Context(), "loginStatus", "back"))
		require.Equal(t, "back", n.expect(t, "loginStatus").Status)
	}
}

// withoutDirect is n behind a proxy that refuses WebSockets without a session.
func withoutDirect(t *testing.T, n *node) *node {
	t.Helper()
	target, err := url.Parse(n.url)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	tr := &http.Transport{}
	proxy.Transport = tr
	// connections that end with the test
	proxy.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); q.Get("transport") == "websocket" && q.Get("sid") == "" {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { hs.Close(); tr.CloseIdleConnections() })
	behind := *n
	behind.url = hs.URL
	return &behind
}
