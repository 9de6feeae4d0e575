package signal

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/coder/websocket"

	"github.com/mirrorfly-go/sdk/internal/fips"
	"github.com/mirrorfly-go/sdk/internal/httpguard"
)

// webSocket is the transport with one packet in each message.
type webSocket struct {
	conn *websocket.Conn
	// pending are packets that came by polling before the upgrade. Only read uses it.
	pending []string
}

// dialWebSocket connects without polling first and reads the open packet.
func (d *dialer) dialWebSocket(ctx context.Context, protocol int) (*webSocket, handshake, error) {
	// A proxy may swallow the upgrade. Then there must be time left for polling.
	ctx, cancel := half(ctx)
	defer cancel()
	ws, err := d.openWebSocket(ctx, d.url(protocol, "websocket", ""), nil)
	if err != nil {
		return nil, handshake{}, err
	}
	hs, err := ws.handshake(ctx)
	if err != nil {
		ws.close()
		// A Socket.IO 4 server does this with protocol 3: it agrees to the WebSocket and writes an
		// HTTP error into it.
		return nil, handshake{}, fmt.Errorf("%w: %w", errProtocol, err)
	}
	hs.protocol = protocol
	return ws, hs, nil
}

func (ws *webSocket) handshake(ctx context.Context) (handshake, error) {
	packet, err := ws.read(ctx, func() {})
	if err != nil {
		return handshake{}, err
	}
	return parseOpen(packet)
}

func (d *dialer) openWebSocket(ctx context.Context, url string, cookies []*http.Cookie) (*webSocket, error) {
	if err := fips.SHA1(); err != nil {
		// Polling does not need it.
		return nil, fmt.Errorf("upgrade needs SHA-1 (RFC 6455 4.1): %w", err)
	}
	conn, resp, err := websocket.Dial(
		ctx, url, &websocket.DialOptions{HTTPClient: d.client, HTTPHeader: d.header(cookies)},
	)
	if err != nil {
		if resp != nil && resp.StatusCode != http.StatusSwitchingProtocols {
			return nil, fmt.Errorf("server answered %d", resp.StatusCode)
		}
		return nil, httpguard.WithoutURL(err)
	}
	conn.SetReadLimit(maxBody)
	return &webSocket{conn: conn}, nil
}

// upgrade moves a polling session to WebSocket when both sides support that. There is no poll
// meanwhile, so that the server keeps its packets for the new transport. When the upgrade fails
// before the server has agreed, polling goes on.
func (d *dialer) upgrade(ctx context.Context, p *polling, hs handshake) (transport, error) {
	if !hs.upgrade {
		return p, nil
	}
	probe, cancel := half(ctx)
	defer cancel()
	ws, err := d.openWebSocket(probe, d.url(hs.protocol, "websocket", hs.sid), p.cookies)
	if err != nil {
		return p, nil
	}
	const word = "probe"
	if err := ws.write(probe, string(eioPing)+word); err != nil {
		ws.close()
		return p, nil
	}
	if packet, err := ws.read(probe, func() {}); err != nil || packet != string(eioPong)+word {
		ws.close()
		return p, nil
	}
	if err := ws.write(ctx, string(eioUpgrade)); err != nil {
		ws.close()
		p.close()
		return nil, err
	}
	ws.pending = p.pending
	p.close()
	return ws, nil
}

func (ws *webSocket) read(ctx context.Context, heard func()) (string, error) {
	if len(ws.pending) > 0 {
		packet := ws.pending[0]
		ws.pending = ws.pending[1:]
		return packet, nil
	}
	for {
		kind, r, err := ws.conn.Reader(ctx)
		if err != nil {
			return "", err
		}
		data, err := io.ReadAll(hearing{r, heard})
		if err != nil {
			return "", err
		}
		if kind == websocket.MessageText && len(data) > 0 && data[0] != eioBinary {
			return string(data), nil
		}
	}
}

func (ws *webSocket) write(ctx context.Context, packets ...string) error {
	for _, p := range packets {
		if err := ws.conn.Write(ctx, websocket.MessageText, []byte(p)); err != nil {
			return err
		}
	}
	return nil
}

func (ws *webSocket) close() { _ = ws.conn.CloseNow() }
