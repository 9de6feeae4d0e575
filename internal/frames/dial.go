package frames

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// Options say how a server is dialled.
type Options struct {
	// HTTPClient is for the upgrade to WebSocket. A copy is used, without its Timeout and its
	// redirects.
	HTTPClient *http.Client
	// UserAgent is a header of the upgrade.
	UserAgent string
	// TLSTimeout bounds the TLS handshake before the upgrade, which net/http goes on with when the
	// context of Dial has ended. An http.Transport with a TLSHandshakeTimeout keeps that.
	TLSTimeout time.Duration

	// DialContext is for TCP. nil: all addresses of the name are tried.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
	// TLSConfig is for TCP. A copy is used, with at least TLS 1.2.
	TLSConfig *tls.Config
	// Domain is whom the certificate must be for over TCP, unless TLSConfig names a server.
	Domain string
}

// Dial connects to one address. ctx bounds only this: its end does nothing to the connection
// afterwards.
func Dial(ctx context.Context, addr Address, opts *Options) (Conn, error) {
	if addr.WebSocket() {
		w, err := dialWebSocket(ctx, addr, opts)
		if err != nil {
			return nil, err
		}
		return w, nil
	}
	t, err := dialTCP(ctx, addr, opts)
	if err != nil {
		return nil, err
	}
	return t, nil
}
