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
	// overWS is WebSocket.
	overWS = "ws"
	// overWSS is WebSocket over TLS.
	overWSS = "wss"
	// overTCP is plain TCP.
	overTCP = "tcp"
	// overTLS is TCP with TLS from the first byte.
	overTLS = "tls"
)

// transports is immutable.
var transports = []string{overWS, overTCP, overWSS, overTLS}

// session is a connection of a peer that is logged in.
type session interface {
	// Ask sends one jabber:iq:last request about the own account and returns when it is answered.
	// Any number of goroutines may call it at once.
	Ask(ctx context.Context) error
	Close() error
}

// talker is a session that sends messages.
type talker interface {
	session
	// Say sends a text to the other user, and returns when it is known that the server has it. Any
	// number of goroutines may call it at once.
	Say(ctx context.Context) error
}

// peer is a client library, or the limit with which they are compared.
type peer struct {
	name       string
	transports []string
	// ours: it is a part of this repository, so it cannot be the "best peer".
	ours bool
	// in are the scenarios that it is in, unless the command line names peers.
	in   []string
	dial func(ctx context.Context, at *place, who account) (session, error)
}

// limitName is the peer to which all ratios are.
const limitName = "limit"

func peers() []peer {
	tcp := []string{overTCP, overTLS}
	others := []string{"requests", "idle", "send", "receive", "echo"}
	return []peer{
		{name: limitName, transports: transports, ours: true, in: append([]string{"many"}, others...), dial: dialLimit},
		{
			name: "limit-sm", transports: transports, ours: true, in: []string{"requests", "receive"},
			dial: dialManagedLimit,
		},
		{
			name: "sdk", transports: transports, ours: true, in: append([]string{"many", "burst"}, others...),
			dial: dialSDK,
		},
		{name: "transport", transports: transports, ours: true, dial: dialTransport},
		{name: "go-xmpp", transports: tcp, in: others, dial: dialGoXMPP},
		{name: "mellium", transports: transports, in: others, dial: dialMellium},
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

// account is a user of the service and its XMPP server.
type account struct{ Username, Password string }

// service is what peers need to reach a server: XMPP by several transports, and the REST half for
// package sdk.
type service struct {
	// Name is "ejabberd" or "sdktest".
	Name   string
	Domain string
	// Addresses are by transport: a URL for WebSocket and host:port for TCP.
	Addresses  map[string]string
	APIBaseURL string
	LicenseKey string
	// Roots is PEM.
	Roots string
	// trusted: the roots of the system are Roots, as this process sees it.
	trusted bool
}

// trust makes s.Roots the roots of the system, as for a user of a public service: then no peer
// needs a TLS configuration for them. It must be called before the first use of TLS.
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
		// This reads them.
		_, err = x509.SystemCertPool()
	}
	s.trusted = err == nil
	return errors.Join(err, os.RemoveAll(dir))
}

// place is a service with one of its transports, and with what the sessions of a process may share.
type place struct {
	service
	transport string
	tls       *tls.Config
	http      *http.Client
	talk      talk
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

// dialTCP connects, with TLS if the transport has it.
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
