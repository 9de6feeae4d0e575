// Package sdktest is MirrorFly's service in one process: REST, XMPP over
// WebSocket and TCP, and QR signalling, on real sockets with real TLS, for tests
// and for development without an account. It is to package sdk what
// net/http/httptest is to net/http.
//
//	srv := sdktest.New(t)
//	client, err := sdk.New(srv.Config())
//
// A test can read back what the clients sent and what the service now holds
// ([Server.Requests], [Server.Profile], [Server.Feedback], ...), and can make the
// service refuse, delay, cut connections and answer wrongly ([Server.FailNext],
// [Server.SetFault], ...). [Server.Wait] waits for a state. [Server.Phone] is the phone of a QR
// login.
//
// Users send each other messages: the server delivers, acknowledges and keeps them, and hands out
// what was said before ([Server.Messages], [Server.SendMessage], [Server.Waiting]).
//
// The official JavaScript SDK in a browser works with it too. Where the behaviour
// of the real service is not known (protocol.md 12), the comment of the method or
// option says what was chosen. examples/devserver is this server as a program,
// the emulator, for apps and tools in any language.
//
// It is no server for production: passwords and keys are stored in clear.
package sdktest

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// Server is a running service. All methods may be called at any time from any goroutine.
type Server struct {
	opts   Options
	domain string
	// dir is for temporary files: the CA, and media without Options.MediaDir.
	dir   string
	certs certificates
	// external is nil when this server serves XMPP.
	external *external
	ctl      *control
	store    *store
	hub      *hub
	signal   *signalHub
	media    *mediaStore
	journal  journal
	changes  changes

	mu sync.Mutex
	// run is nil after Close.
	run    *run
	addrs  addresses
	closed bool
}

// addresses are those of the listeners. Restart listens there again.
type addresses struct{ http, xmpp, xmpps string }

// New starts a server for a test and closes it when the test ends. At most one
// Options is used; without, it is a licensed service with default settings.
func New(t TB, opts ...Options) *Server {
	t.Helper()
	var o Options
	if len(opts) > 0 {
		o = opts[0]
	}
	s, err := Start(o)
	if err != nil {
		t.Fatalf("%v", err)
		return nil
	}
	t.Cleanup(s.Close)
	return s
}

// Start starts a server. It fails when an address is in use, when an option makes
// no sense, or when Options.StateStore fails.
func Start(o Options) (*Server, error) {
	s, err := start(o)
	if err != nil {
		return nil, fmt.Errorf("sdktest: start: %w", err)
	}
	return s, nil
}

func start(o Options) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{opts: o, domain: o.Domain, addrs: addresses{http: o.Listen, xmpp: o.ListenXMPP, xmpps: o.ListenXMPPS}}
	s.journal.changes = &s.changes
	s.ctl = &control{
		changes: &s.changes,
		faults:  map[Step][]*fault{}, features: allFeatures(), storage: "oracle", mechanisms: mechanismsFor(o.Trial),
	}
	if s.dir, err = os.MkdirTemp("", "sdktest-"); err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// open does all that can fail. Close cleans up, however far open has come.
func (s *Server) open() error {
	var err error
	if s.store, err = newStore(s.domain, s.opts.StateStore, &s.changes); err != nil {
		return err
	}
	if err = s.makeTLS(); err != nil {
		return err
	}
	if s.media, err = newMediaStore(s.store, cmp.Or(s.opts.MediaDir, filepath.Join(s.dir, "media"))); err != nil {
		return err
	}
	s.hub = newHub(s)
	s.signal = newSignalHub(s)
	if s.opts.XMPP != nil {
		if s.external, err = newExternal(*s.opts.XMPP); err != nil {
			return err
		}
		if s.external.pem != nil {
			s.certs.pool.AppendCertsFromPEM(s.external.pem)
		}
	}
	return s.listen()
}

// tlsConfig is the server side of TLS.
func (s *Server) tlsConfig(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: protocols,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if c, ok := hello.Conn.(*conn); ok && c.stranger.Load() {
				return s.certs.stranger, nil
			}
			return s.certificate(), nil
		},
	}
}

// listen starts a run at the addresses of the last one.
func (s *Server) listen() error {
	s.mu.Lock()
	addrs := s.addrs
	s.mu.Unlock()
	r, addrs, err := startRun(s, addrs)
	if err != nil {
		return err
	}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.run, s.addrs = r, addrs
	}
	s.mu.Unlock()
	if closed {
		r.stop()
		return errors.New("closed meanwhile")
	}
	return nil
}

func (s *Server) current() *run {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run
}

// Restart cuts all connections, stops listening, and listens again at the same
// addresses with the same data, as after a crash of the service. It fails when another
// program has taken an address meanwhile.
func (s *Server) Restart() error {
	s.mu.Lock()
	r := s.run
	s.run = nil
	closed := s.closed
	s.mu.Unlock()
	if closed || r == nil {
		return errors.New("sdktest: restart: server is closed")
	}
	r.stop()
	if err := s.listen(); err != nil {
		return fmt.Errorf("sdktest: restart: %w", err)
	}
	return nil
}

// Close ends every connection and goroutine and removes the temporary files,
// the CA file among them. It may be called several times.
func (s *Server) Close() {
	s.mu.Lock()
	r := s.run
	first := !s.closed
	s.run, s.closed = nil, true
	s.mu.Unlock()
	s.changes.tell()
	if r != nil {
		r.stop()
	}
	if !first {
		return
	}
	if s.store != nil {
		_ = s.commit() // changes without an answer, such as last seen; a failure is logged
	}
	_ = os.RemoveAll(s.dir)
}

// CAFile is a PEM file with the authority that signed the server's certificate, or with all
// certificates of Options.Certificate. Close removes it.
func (s *Server) CAFile() string { return filepath.Join(s.dir, "ca.pem") }

// pause waits for the time of Delay.
func (s *Server) pause(ctx context.Context) error { return sleep(ctx, s.currentDelay()) }
