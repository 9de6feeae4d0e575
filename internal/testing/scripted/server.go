package scripted

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// Endpoint is how a client reaches a server.
type Endpoint struct {
	Address       string
	AllowInsecure bool
	HTTPClient    *http.Client
	TLSConfig     *tls.Config
	DialContext   func(ctx context.Context, network, address string) (net.Conn, error)
}

// UserAgent is what the server expects in the upgrade to WebSocket.
const UserAgent = "test"

// Server begins to serve. The script runs once for each connection.
type Server func(t testing.TB, s Script) Endpoint

// Servers are the ways to reach one, by name.
var Servers = map[string]Server{"websocket": WebSocket, "starttls": StartTLS, "directtls": DirectTLS, "tcp": Pipe}

// Run runs a script on a connection; the test waits for its end.
func Run(t testing.TB, p *Peer, s Script) {
	done := make(chan struct{})
	t.Cleanup(func() { <-done })
	// Ends with the script: when the client is gone.
	go func() {
		defer close(done)
		defer func() {
			if p.Conn != nil {
				_ = p.Conn.Close()
			}
		}()
		s(p)
	}()
}

// Pipe is TCP without TLS, over net.Pipe.
func Pipe(t testing.TB, s Script) Endpoint {
	return Endpoint{
		Address: "xmpp://pipe:5222", AllowInsecure: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			client, server := net.Pipe()
			t.Cleanup(func() { _ = client.Close() })
			Run(t, &Peer{T: t, Conn: server}, s)
			return client, nil
		},
	}
}

// Certificate returns one for these names, and the authority that has signed it.
func Certificate(t testing.TB, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	require.NoError(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: names,
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	require.NoError(t, err)
	caCert, err := x509.ParseCertificate(caDER)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(caCert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// Listen serves each connection with f until the test ends.
func Listen(t testing.TB, f func(net.Conn)) (addr string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	t.Cleanup(func() {
		_ = ln.Close()
		wg.Wait()
	})
	// Ends when the listener is closed.
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			// Ends with f.
			wg.Go(func() {
				defer func() { _ = conn.Close() }()
				f(conn)
			})
		}
	})
	return ln.Addr().String()
}

// DirectTLS is TCP with TLS from the first byte.
func DirectTLS(t testing.TB, s Script) Endpoint {
	cert, pool := Certificate(t, Domain)
	addr := Listen(t, func(conn net.Conn) {
		s(&Peer{T: t, Conn: tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}})})
	})
	return Endpoint{Address: "xmpps://" + addr, TLSConfig: &tls.Config{RootCAs: pool}}
}

// StartTLS is TCP with STARTTLS. The script begins when TLS is in place.
func StartTLS(t testing.TB, s Script) Endpoint {
	cert, pool := Certificate(t, Domain)
	addr := Listen(t, func(conn net.Conn) {
		p := &Peer{T: t, Conn: conn, Impatient: true}
		p.Open(TLSFeatures)
		p.Expect(`<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>`)
		p.Send(`<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>`)
		p.Conn, p.Impatient = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}}), false
		s(p)
	})
	return Endpoint{Address: "xmpp://" + addr, TLSConfig: &tls.Config{RootCAs: pool}}
}

// WebSocketHandler upgrades and runs the script.
func WebSocketHandler(t testing.TB, s Script) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/websocket" || r.UserAgent() != UserAgent {
			t.Errorf("bad upgrade request: %s, agent %q", r.URL, r.UserAgent())
		}
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"xmpp"}})
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		conn.SetReadLimit(1 << 20)
		defer func() { _ = conn.CloseNow() }()
		done := make(chan struct{})
		// Ends with the script.
		go func() {
			defer close(done)
			s(&Peer{T: t, WS: conn})
		}()
		<-done
	}
}

// WebSocket is a WebSocket over TLS.
func WebSocket(t testing.TB, s Script) Endpoint {
	var wg sync.WaitGroup
	handler := WebSocketHandler(t, s)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wg.Add(1)
		defer wg.Done()
		handler(w, r)
	}))
	t.Cleanup(func() {
		srv.Client().CloseIdleConnections()
		srv.Close()
		wg.Wait()
	})
	return Endpoint{Address: "wss://" + srv.Listener.Addr().String(), HTTPClient: srv.Client()}
}
