package sdk

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/frames"
)

// registering answers every registration, and tells when its connections begin and end.
func registering(t *testing.T) (cfg Config, conns <-chan http.ConnState) {
	t.Helper()
	states := make(chan http.ConnState, 1000)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		// a client that is gone is seen by the test
		_, _ = io.WriteString(w, `{"status":200,"message":"ok","data":{"username":"u","password":"p","token":"t"}}`)
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew || s == http.StateClosed {
			states <- s
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	return Config{LicenseKey: "key", APIBaseURL: srv.URL, TrialLicense: true, AllowInsecure: true}, states
}

func newClient(t *testing.T, cfg Config) *Client {
	t.Helper()
	c, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func register(t *testing.T, c *Client) {
	t.Helper()
	_, err := c.Register(t.Context(), "u")
	require.NoError(t, err)
}

func TestClientsShareHTTPConnections(t *testing.T) {
	require.Zero(t, commonHTTP.users, "clients of other tests that were not closed")
	cfg, conns := registering(t)
	var all []*Client
	for range 10 {
		all = append(all, newClient(t, cfg))
	}
	for _, c := range all {
		register(t, c)
	}
	require.Equal(t, http.StateNew, <-conns)
	require.Empty(t, conns, "one for all")

	last := all[0]
	for _, c := range all[1:] {
		require.NoError(t, c.Close())
		require.NoError(t, c.Close(), "twice is once")
	}
	register(t, last)
	require.Empty(t, conns, "still up")
	require.NoError(t, last.Close())
	select {
	case state := <-conns:
		require.Equal(t, http.StateClosed, state)
	case <-time.After(idleConnTimeout * 2 / 3): // it ends by itself later
		t.Fatal("still up after the last")
	}

	register(t, newClient(t, cfg))
	require.Equal(t, http.StateNew, <-conns, "after the last comes another")
}

func TestClientsWithSomethingOfTheirOwnShareNoHTTPConnections(t *testing.T) {
	for name, own := range map[string]func(*Config){
		"TLSConfig":   func(cfg *Config) { cfg.TLSConfig = &tls.Config{} },
		"patience":    func(cfg *Config) { cfg.RequestTimeout = time.Minute },
		"DialContext": func(cfg *Config) { cfg.DialContext = new(net.Dialer).DialContext },
		"HTTPClient": func(cfg *Config) {
			cfg.HTTPClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, conns := registering(t)
			register(t, newClient(t, cfg))
			require.Equal(t, http.StateNew, <-conns)
			own(&cfg)
			register(t, newClient(t, cfg))
			require.Equal(t, http.StateNew, <-conns)
		})
	}
}

func TestHTTPPoolEndsWithTheLast(t *testing.T) {
	p := httpPool{dial: spreading}
	cfg, conns := registering(t)
	var users sync.WaitGroup
	for range 100 {
		users.Go(func() {
			defer p.leave()
			resp, err := p.join().Get(cfg.APIBaseURL)
			if err != nil {
				t.Error(err)
				return
			}
			_, err = io.Copy(io.Discard, resp.Body) // else the connection would end with the body
			if err := errors.Join(err, resp.Body.Close()); err != nil {
				t.Error(err)
			}
		})
	}
	users.Wait()
	require.Zero(t, p.users)
	late := time.After(idleConnTimeout * 2 / 3) // they end by themselves later
	for opened, closed := 0, 0; opened == 0 || closed < opened; {
		select {
		case state := <-conns:
			if state == http.StateNew {
				opened++
			} else {
				closed++
			}
		case <-late:
			t.Fatal("still up after the last")
		}
	}
}

// A TLS renegotiation, which only the caller's TLSConfig can permit, has writes wait for the
// server: not in the goroutine of who asks.
func TestPromptWritesNeedTLSThatNeverRenegotiates(t *testing.T) {
	cfg, _ := registering(t)
	u, err := url.Parse(cfg.APIBaseURL)
	require.NoError(t, err)
	for renegotiation, prompted := range map[tls.RenegotiationSupport]bool{
		tls.RenegotiateNever:          true,
		tls.RenegotiateFreelyAsClient: false,
	} {
		client := newHTTPClient(t.Context(), spreading, &tls.Config{Renegotiation: renegotiation}, nil, patience)
		conn, err := client.Transport.(*http.Transport).DialContext(t.Context(), "tcp", u.Host)
		require.NoError(t, err)
		dialled := conn.(*boundConn).NetConn()
		_, plain := dialled.(*net.TCPConn)
		possible := !plain || frames.Wrap(dialled) != dialled // not every system can
		require.Equal(t, prompted && possible, !plain)
		require.NoError(t, conn.Close())
	}
}

// net/http goes on dialling when nobody waits for it any more.
func TestHTTPPoolDialsForNobodyAfterTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		p := httpPool{dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return nil, ctx.Err()
		}}
		first := p.join()
		require.Same(t, first, p.join())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://example.com", nil)
		require.NoError(t, err)
		_, err = first.Do(req)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		p.leave()
		synctest.Wait()
		require.Empty(t, ended, "the other may want the connection")
		p.leave()
		require.Error(t, <-ended)
	})
}

// silentConn is a connection that can lose its way: then nothing comes and nothing arrives, and no
// error says so.
type silentConn struct {
	net.Conn
	lost *atomic.Bool
}

func (c silentConn) Write(p []byte) (int, error) {
	if c.lost.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// pipes is a listener of connections in memory.
type pipes chan net.Conn

func (l pipes) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l pipes) Close() error   { close(l); return nil }
func (l pipes) Addr() net.Addr { return &net.TCPAddr{} }

// A call that times out does not close an HTTP/2 connection. One that is silent for too long must
// not keep failing calls.
func TestSilentHTTP2ConnectionIsGivenUp(t *testing.T) {
	spare := httptest.NewTLSServer(nil) // for its certificate
	spare.Close()
	roots := x509.NewCertPool()
	roots.AddCert(spare.Certificate())
	synctest.Test(t, func(t *testing.T) {
		dialled := make(pipes)
		srv := &http.Server{
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, r.Proto)
			}),
			TLSConfig: &tls.Config{Certificates: spare.TLS.Certificates},
		}
		served := make(chan error, 1)
		go func() { served <- srv.ServeTLS(dialled, "", "") }() // ends with srv
		var lost []*atomic.Bool
		client := newHTTPClient(t.Context(), func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			lost = append(lost, new(atomic.Bool))
			dialled <- far
			return silentConn{near, lost[len(lost)-1]}, nil
		}, &tls.Config{RootCAs: roots}, nil, patience)
		get := func() (string, error) {
			ctx, cancel := context.WithTimeout(t.Context(), silence+patience+time.Second)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://example.com", nil)
			require.NoError(t, err)
			resp, err := client.Do(req)
			if err != nil {
				return "", err
			}
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, resp.Body.Close())
			return string(body), err
		}
		proto, err := get()
		require.NoError(t, err)
		require.Equal(t, "HTTP/2.0", proto)
		lost[0].Store(true)
		_, err = get()
		require.Error(t, err)
		_, err = get()
		require.NoError(t, err, "on a connection of its own")
		require.Len(t, lost, 2)

		client.CloseIdleConnections()
		require.NoError(t, srv.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
}
