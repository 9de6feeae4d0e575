package rest

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/unsent"
)

// stalling is a connection whose writes stand still while gate is locked, as on a link that is down
// for a while.
type stalling struct {
	net.Conn
	gate *sync.RWMutex
}

func (s *stalling) Write(p []byte) (int, error) {
	s.gate.RLock()
	defer s.gate.RUnlock()
	return s.Conn.Write(p)
}

// Over HTTP/2 a request that is given up while it is being written may still arrive: it does not
// count as unsent.
func TestHTTP2StalledWrite(t *testing.T) {
	var logouts atomic.Int32
	came := make(chan struct{}, 8)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/logout" {
			logouts.Add(1)
			came <- struct{}{}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"status":200,"message":"ok","data":{}}`))
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	var gate sync.RWMutex
	tr := srv.Client().Transport.(*http.Transport).Clone()
	tr.ForceAttemptHTTP2 = true
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, srv.Listener.Addr().String())
		return &stalling{conn, &gate}, err
	}
	defer tr.CloseIdleConnections()
	c := New(Config{LicenseKey: "k", BaseURL: srv.URL, HTTPClient: &http.Client{Transport: tr}})
	defer c.Close()
	require.NoError(t, c.Logout(t.Context())) // the connection is up
	<-came

	gate.Lock()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := c.Logout(ctx)
	require.Error(t, err)
	told := unsent.Is(err)
	gate.Unlock() // the link is back
	select {
	case <-came:
	case <-time.After(5 * time.Second):
	}
	require.False(t, told && logouts.Load() == 2, "said to be not sent, and arrived")
}

// A write that was answered with a redirect is not repeated when the place that it leads to is not
// there.
func TestRedirectRepeatsAWrite(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, dead.Close())
	var posts atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts.Add(1)
			http.Redirect(w, r, "http://"+dead.Addr().String()+"/done", http.StatusSeeOther)
		}
	}))
	defer srv.Close()
	c := New(Config{LicenseKey: "k", BaseURL: srv.URL, AllowInsecure: true, HTTPClient: srv.Client()})
	defer c.Close()
	err = c.Feedback(t.Context(), "title", "text")
	require.Error(t, err)
	require.EqualValues(t, 1, posts.Load(), "%v", err)
}

// The same behind a transport that does not trace: nobody knows what became of it.
func TestRedirectUntraced(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, dead.Close())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+dead.Addr().String()+"/done", http.StatusSeeOther)
	}))
	defer srv.Close()
	c := New(
		Config{
			LicenseKey: "k", BaseURL: srv.URL, AllowInsecure: true,
			HTTPClient: &http.Client{Transport: wrapped{srv.Client().Transport}},
		},
	)
	defer c.Close()
	err = c.Feedback(t.Context(), "title", "text")
	require.Error(t, err)
	require.False(t, unsent.Is(err), "%v", err)
}

type wrapped struct{ http.RoundTripper } // and passes no traces on

func (w wrapped) RoundTrip(r *http.Request) (*http.Response, error) {
	return w.RoundTripper.RoundTrip(r.Clone(context.Background()))
}
