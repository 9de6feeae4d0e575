package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
)

// The transports. Without TLS they go to a listener that offers none.
const (
	// WebSocket
	overWS = "ws"
	// WebSocket over TLS
	overWSS = "wss"
	// TCP
	overTCP = "tcp"
	// TCP with TLS from the first byte
	overTLS = "tls"
)

// read only
var transports = []string{overWS, overTCP, overWSS, overTLS}

// session is one logged in connection of a peer.
type session interface {
	// Ask sends one jabber:iq:last request about the own account and returns when it is answered.
	// Any number of goroutines may call it at once.
	Ask(ctx context.Context) error
	Close() error
}

// peer is a client library, or the limit that it is held against.
type peer struct {
	name       string
	transports []string
	// part of this repository, so not among whom "best peer" means
	ours bool
	// the scenarios that it is in unless peers are named
	in   []string
	dial func(ctx context.Context, at *place, who account) (session, error)
}

// limitName is the peer that all ratios are to.
const limitName = "limit"

func peers() []peer {
	tcp := []string{overTCP, overTLS}
	all := []string{"requests", "idle", "many"}
	return []peer{
		{name: limitName, transports: transports, ours: true, in: all, dial: dialLimit},
		{name: "limit-sm", transports: transports, ours: true, in: all[:1], dial: dialManagedLimit},
		{name: "sdk", transports: transports, ours: true, in: all, dial: dialSDK},
		{name: "transport", transports: transports, ours: true, dial: dialTransport},
		{name: "go-xmpp", transports: tcp, in: all[:2], dial: dialGoXMPP},
		{name: "mellium", transports: transports, in: all[:2], dial: dialMellium},
	}
}

func findPeer(name string) (peer, error) {
	all := peers()
	i := slices.IndexFunc(all, func(p peer) bool { return p.name == name })
	if i < 0 {
		return peer{}, fmt.Errorf("no peer %q", name)
	}
	return all[i], nil
}

// account is a user whom the service and its XMPP server know.
type account struct{ Username, Password string }

// service is what peers need to reach a server: XMPP by several transports, and the REST half for
// package sdk.
type service struct {
	// "ejabberd" or "sdktest"
	Name   string
	Domain string
	// by transport, a URL for WebSocket and host:port for TCP
	Addresses  map[string]string
	APIBaseURL string
	LicenseKey string
	// PEM
	Roots string
	// Roots are those of the system, as this process sees it
	trusted bool
}

// trust makes s.Roots the ones of the system, as they are for a user of a public service: no peer
// needs a TLS configuration for them. Before the first use of TLS only.
func (s *service) trust() error {
	dir, err := os.MkdirTemp("", "bench-roots-")
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "roots.pem")
	err = errors.Join(
		os.WriteFile(file, []byte(s.Roots), 0o600), os.Setenv("SSL_CERT_FILE", file), os.Setenv("SSL_CERT_DIR", dir),
	)
	if err == nil {
		// reads them
		_, err = x509.SystemCertPool()
	}
	s.trusted = err == nil
	return errors.Join(err, os.RemoveAll(dir))
}

// place is a service reached by one transport, with what sessions of one process may share.
type place struct {
	service
	transport string
	tls       *tls.Config
	http      *http.Client
}

func (s service) by(transport string) (*place, error) {
	if s.Addresses[transport] == "" {
		return nil, fmt.Errorf("%s has no transport %q", s.Name, transport)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(s.Roots)) {
		return nil, errors.New("no certificate to trust")
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	return &place{
		service: s, transport: transport, tls: conf,
		http: &http.Client{Transport: &http.Transport{TLSClientConfig: conf.Clone()}},
	}, nil
}

func (p *place) address() string { return p.Addresses[p.transport] }

func (p *place) webSocket() bool { return p.transport == overWS || p.transport == overWSS }

func (p *place) jid(who account) string { return who.Username + "@" + p.Domain }

// tlsFor is the TLS configuration of a connection to the domain.
func (p *place) tlsFor() *tls.Config {
	conf := p.tls.Clone()
	conf.ServerName = p.Domain
	return conf
}

// dialTCP connects, with TLS where the transport says so.
func (p *place) dialTCP(ctx context.Context) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.address())
	if err != nil || p.transport == overTCP {
		return conn, err
	}
	secure := tls.Client(conn, p.tlsFor())
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secure, nil
}
