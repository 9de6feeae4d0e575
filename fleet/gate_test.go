package fleet

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// guarded returns a connection behind a gate, and its other end.
func guarded(t *testing.T, clock *testClock) (g *gate, conn, peer net.Conn) {
	t.Helper()
	g = newGate(newLease(testTTL, clock.now, clock.now()))
	near, peer := net.Pipe()
	dial := g.dialer(func(context.Context, string, string) (net.Conn, error) { return near, nil })
	conn, err := dial(t.Context(), "tcp", "server:5222")
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = conn.Close() // closed already in some tests
		_ = peer.Close()
	})
	return g, conn, peer
}

func read(t *testing.T, peer net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	_, err := io.ReadFull(peer, got)
	require.NoError(t, err)
	require.Equal(t, want, string(got))
}

// A member that was frozen for longer than its TTL writes nothing when it wakes.
func TestGateRefusesAfterTheTTL(t *testing.T) {
	clock := &testClock{instant{0, time.Unix(1e9, 0)}}
	g, conn, peer := guarded(t, clock)
	go func() { _, _ = conn.Write([]byte("early")) }() // read returns when it has
	read(t, peer, "early")
	clock.move(testTTL, testTTL)
	_, err := conn.Write([]byte("late"))
	require.ErrorIs(t, err, errGate)
	_, err = g.dialer(func(context.Context, string, string) (net.Conn, error) {
		t.Error("it dials")
		return nil, io.EOF
	})(t.Context(), "tcp", "server:5222")
	require.ErrorIs(t, err, errGate)
}

func TestGateWaits(t *testing.T) {
	for name, c := range map[string]struct {
		then gateState
		want string // that is written
		err  error
	}{
		"the handover comes to nothing": {gateOpen, "text", nil},
		"it is given":                   {gateMute, "", nil},
		"it is lost":                    {gateShut, "", errGate},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, conn, peer := guarded(t, &testClock{})
				g.set(gateWaiting)
				written, got := make(chan error, 1), make(chan string, 1)
				go func() { // ends with set
					_, err := conn.Write([]byte("text"))
					written <- err
					_ = conn.Close() // so that reading ends
				}()
				go func() { // ends with the connection
					raw, _ := io.ReadAll(peer)
					got <- string(raw)
				}()
				time.Sleep(time.Second)
				synctest.Wait()
				require.Empty(t, written)
				g.set(c.then)
				require.ErrorIs(t, <-written, c.err)
				require.Equal(t, c.want, <-got)
			})
		})
	}
}

// What waits ends with its connection, and after a while by itself.
func TestGateDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, conn, _ := guarded(t, &testClock{})
		g.set(gateWaiting)
		begin := time.Now()
		_, err := conn.Write([]byte("text"))
		require.ErrorIs(t, err, errGate)
		require.Equal(t, maxWait, time.Since(begin))
		time.AfterFunc(time.Second, func() { _ = conn.Close() })
		_, err = conn.Write([]byte("text"))
		require.ErrorIs(t, err, net.ErrClosed)
		synctest.Wait()
		require.Empty(t, g.conns)
	})
}

// Shutting closes what is open, and stays.
func TestGateShut(t *testing.T) {
	g, _, peer := guarded(t, &testClock{})
	g.set(gateShut)
	_, err := peer.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	g.set(gateOpen)
	require.ErrorIs(t, g.pass(nil), errGate)
	_, err = g.dialer(func(context.Context, string, string) (net.Conn, error) {
		near, _ := net.Pipe()
		return near, nil
	})(t.Context(), "tcp", "server:5222")
	require.ErrorIs(t, err, errGate)
}

// Requests of a program's own HTTP client are behind the gate, too.
func TestGateOfHTTP(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			return
		}
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, came, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = io.Copy(conn, came) // until the client closes it
			_ = conn.Close()
		}
	}))
	defer srv.Close()
	g := newGate(newLease(testTTL, now, now()))
	client := http.Client{Transport: &transport{base: srv.Client().Transport, gate: g}}
	resp, err := client.Get(srv.URL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())

	req, err := http.NewRequest(http.MethodGet, srv.URL, nil)
	require.NoError(t, err)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err = client.Do(req)
	require.NoError(t, err)
	stream, ok := resp.Body.(io.ReadWriteCloser)
	require.True(t, ok)
	defer stream.Close()
	_, err = stream.Write([]byte("x"))
	require.NoError(t, err)
	_, err = stream.Read(make([]byte, 1))
	require.NoError(t, err)
	g.set(gateMute)
	_, err = stream.Write([]byte("x"))
	require.NoError(t, err)
	_, err = client.Post(srv.URL, "text/plain", strings.NewReader("x"))
	require.ErrorIs(t, err, errMute)
	g.set(gateShut)
	_, err = stream.Write([]byte("x"))
	require.ErrorIs(t, err, errGate)
}
