package frames

import (
	"bytes"
	"crypto/tls"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
)

// A server that never reads again is named as the reason, over either transport.
func TestServerThatStopsReading(t *testing.T) {
	for name, serve := range map[string]scripted.Server{
		"directtls": scripted.DirectTLS,
		"websocket": scripted.WebSocket,
	} {
		t.Run(name, func(t *testing.T) {
			stop := make(chan struct{})
			defer close(stop)
			at := serve(t, func(p *scripted.Peer) {
				if secure, ok := p.Conn.(*tls.Conn); ok {
					_ = secure.Handshake()
				}
				<-stop
			})
			addresses, err := ParseAddresses(at.Address, true)
			require.NoError(t, err)
			conn, err := Dial(t.Context(), addresses[0], &Options{
				HTTPClient: at.HTTPClient, UserAgent: scripted.UserAgent, TLSTimeout: time.Minute,
				TLSConfig: at.TLSConfig, Domain: scripted.Domain,
			})
			require.NoError(t, err)
			defer conn.Cut()
			var out *promptWriter
			switch conn := conn.(type) {
			case *tcpConn:
				out = conn.out
			case *wsConn:
				out = conn.socket.out
			}
			out.mu.Lock()
			// For 20 s.
			out.patience = 50 * time.Millisecond
			out.mu.Unlock()
			// More than the system has room for.
			for err == nil {
				var late bool
				if late, err = conn.WriteFrames(bytes.Repeat([]byte{' '}, MaxFrame)); late {
					err = conn.CatchUp()
				}
			}
			require.ErrorIs(t, err, ErrStuck)
			_, err = conn.WriteFrames([]byte{' '})
			require.ErrorIs(t, err, ErrStuck)
		})
	}
}
