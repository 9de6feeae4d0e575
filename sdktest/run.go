package sdktest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// run is the server between two Restarts: its listeners, connections and goroutines.
// It is started once and stopped once.
type run struct {
	srv    *Server
	ctx    context.Context
	cancel context.CancelFunc
	http   *http.Server
	lns    []net.Listener

	mu    sync.Mutex
	conns map[*conn]struct{}
	ended bool
	// wg counts handlers, XMPP sessions, accept loops and HTTP connections.
	wg sync.WaitGroup
}

func startRun(s *Server, at addresses) (*run, addresses, error) {
	r := &run{srv: s, conns: map[*conn]struct{}{}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	httpLn, err := r.listen(at.http, StepHTTPAccept, StepHTTPTLS)
	if err != nil {
		r.stop()
		return nil, at, err
	}
	at.http = httpLn.Addr().String()
	r.serveHTTP(httpLn)
	if s.external != nil {
		return r, at, nil
	}
	plain, err := r.listen(at.xmpp, StepAccept, "")
	if err != nil {
		r.stop()
		return nil, at, err
	}
	direct, err := r.listen(at.xmpps, StepAccept, StepTLS)
	if err != nil {
		r.stop()
		return nil, at, err
	}
	at.xmpp, at.xmpps = plain.Addr().String(), direct.Addr().String()
	r.goTracked(func() { r.acceptXMPP(plain, false) }) // ends when stop closes the listener
	r.goTracked(func() { r.acceptXMPP(direct, true) }) // likewise
	return r, at, nil
}

func (r *run) listen(addr string, accept, tlsStep Step) (*listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w; end what uses it, or take port 0", err)
	}
	r.lns = append(r.lns, ln)
	return &listener{Listener: ln, run: r, accept: accept, tls: tlsStep}, nil
}

func (r *run) serveHTTP(ln *listener) {
	r.http = &http.Server{
		Handler:           r.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return r.ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if t, ok := c.(*tls.Conn); ok {
				return context.WithValue(ctx, connKey{}, t.NetConn())
			}
			return ctx
		},
		// stop also waits for the goroutines of net/http. StateNew comes from Serve, which is
		// counted itself, so that Add is never called while Wait returns.
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				r.wg.Add(1)
			case http.StateClosed, http.StateHijacked:
				r.wg.Done()
			}
		},
		ErrorLog: slog.NewLogLogger(r.srv.opts.Logger.Handler(), slog.LevelDebug),
	}
	// HTTP/1.1 alone: faults cut connections, and WebSocket upgrades need it.
	tlsLn := tls.NewListener(ln, r.srv.tlsConfig("http/1.1"))
	r.goTracked(func() { _ = r.http.Serve(tlsLn) }) // ends when stop closes the server
}

// connKey finds the *conn below an HTTP request.
type connKey struct{}

func connOf(req *http.Request) *conn {
	c, _ := req.Context().Value(connKey{}).(*conn)
	return c
}

// adopt registers a new connection, or closes it and returns nil.
func (r *run) adopt(raw net.Conn) *conn {
	c := &conn{Conn: raw, closed: make(chan struct{}), gone: r.forget}
	r.mu.Lock()
	full := r.ended || len(r.conns) >= maxConns
	if !full {
		r.conns[c] = struct{}{}
	}
	r.mu.Unlock()
	if full {
		_ = raw.Close()
		return nil
	}
	return c
}

func (r *run) forget(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
}

// dropConns closes all connections; those that are spared only at the end.
func (r *run) dropConns(atEnd bool) {
	r.mu.Lock()
	list := make([]*conn, 0, len(r.conns))
	for c := range r.conns {
		if atEnd || !c.spared.Load() {
			list = append(list, c)
		}
	}
	r.mu.Unlock()
	for _, c := range list {
		_ = c.Close()
	}
}

// enter counts a goroutine for which stop has to wait. It returns false when the run is
// over. Every enter that returns true needs a leave.
func (r *run) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return false
	}
	r.wg.Add(1)
	return true
}

func (r *run) leave() { r.wg.Done() }

func (r *run) goTracked(f func()) {
	if !r.enter() {
		return
	}
	go func() {
		defer r.leave()
		f()
	}()
}

// stop ends everything and waits for it.
func (r *run) stop() {
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.cancel()
	for _, ln := range r.lns {
		_ = ln.Close()
	}
	if r.http != nil {
		_ = r.http.Close()
	}
	r.dropConns(true)
	r.srv.signal.closeAll()
	r.wg.Wait()
	r.srv.signal.closeAll() // also what came in meanwhile
	r.srv.hub.endAll()      // the streams that wait for another connection
}

// acceptXMPP serves XMPP over TCP until the listener is closed.
func (r *run) acceptXMPP(ln *listener, direct bool) {
	for {
		nc, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of file descriptors, or the peer was gone before it was accepted.
			if sleep(r.ctx, 10*time.Millisecond) != nil {
				return
			}
			continue
		}
		c := nc.(*conn) // listener returns nothing else
		// Ends with the connection, at the latest when stop closes it.
		r.goTracked(func() { r.serveTCP(c, direct) })
	}
}

// sleep waits d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
