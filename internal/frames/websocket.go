package frames

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/mirrorfly-go/sdk/internal/fips"
	"github.com/mirrorfly-go/sdk/internal/httpguard"
	"github.com/mirrorfly-go/sdk/internal/xmltext"
)

// wsConn carries frames as WebSocket text messages (RFC 7395).
type wsConn struct {
	conn *websocket.Conn
	// socket is what conn runs on. Closing it wakes conn at once.
	socket *socket
}

// UpgradeError is an answer that is no upgrade to WebSocket.
type UpgradeError struct {
	// Status is that of the answer.
	Status int
	// Err has the text.
	Err error
}

// Error is that of Err.
func (e *UpgradeError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *UpgradeError) Unwrap() error { return e.Err }

// dialWebSocket does the upgrade; ctx bounds only that.
func dialWebSocket(ctx context.Context, addr Address, opts *Options) (*wsConn, error) {
	if err := fips.SHA1(); err != nil {
		return nil, fmt.Errorf("websocket upgrade needs SHA-1 (RFC 6455 4.1), TCP does not: %w", err)
	}
	client := http.Client{}
	if opts.HTTPClient != nil {
		client = *opts.HTTPClient
	}
	// It would end the connection, not only the upgrade.
	client.Timeout = 0
	// A redirect could lead to a place without TLS; browsers do not follow it either.
	client.CheckRedirect = httpguard.None
	base, release := boundTLS(client.Transport, opts.TLSTimeout)
	defer release()
	up := &upgrade{base: base}
	client.Transport = up

	header := http.Header{}
	if opts.UserAgent != "" {
		header.Set("User-Agent", opts.UserAgent)
	}
	conn, answer, err := websocket.Dial(ctx, addr.url(), &websocket.DialOptions{
		HTTPClient: &client, HTTPHeader: header, Subprotocols: []string{"xmpp"},
	})
	if err != nil {
		err = fmt.Errorf("websocket upgrade: %w", httpguard.WithoutURL(err))
		if answer != nil && answer.StatusCode != http.StatusSwitchingProtocols {
			err = &UpgradeError{Status: answer.StatusCode, Err: err}
		}
		return nil, err
	}
	w := &wsConn{conn: conn, socket: up.socket}
	if conn.Subprotocol() != "xmpp" {
		w.Cut()
		return nil, errors.New("websocket upgrade: server does not speak the subprotocol xmpp")
	}
	conn.SetReadLimit(MaxFrame)
	return w, nil
}

func (w *wsConn) Header(to string) []byte {
	return xmltext.Markup{Space: NSFraming, Name: "open", Attrs: []string{"to", to, "version", "1.0"}}.Bytes()
}

func (w *wsConn) Footer() []byte { return []byte(CloseFrame) }

// StartTLS fails: a WebSocket has TLS from the beginning or not at all.
func (w *wsConn) StartTLS(context.Context) error {
	return errors.New("no STARTTLS over a WebSocket (RFC 7395 3.9)")
}

// ReadFrame is where a session waits, on a stack that TLS makes deep already: 4 KiB are enough as
// long as the functions on the way down keep little. So what ReadFrame does besides waiting is in
// other functions.
//
// Messages of white space, or of nothing, are keepalives of some servers, as white space is over
// TCP (RFC 6120 4.6.1).
func (w *wsConn) ReadFrame(ctx context.Context) (string, error) {
	for {
		kind, r, err := w.conn.Reader(ctx)
		if err != nil {
			return "", notRead(err)
		}
		if frame, err := gather(kind, r); err != nil || frame != "" {
			return frame, err
		}
	}
}

// gather reads a message. It returns "" for one that is a keepalive.
func gather(kind websocket.MessageType, r io.Reader) (string, error) {
	buf := newBuffer()
	defer freeBuffer(buf)
	_, err := buf.ReadFrom(r)
	switch {
	case err != nil:
		return "", notRead(err)
	case len(xmltext.TrimSpace(buf.Bytes())) == 0:
		return "", nil
	case kind != websocket.MessageText:
		return "", xmltext.Malformed("binary WebSocket message")
	}
	return buf.String(), nil
}

func notRead(err error) error {
	if errors.Is(err, websocket.ErrMessageTooBig) {
		return ErrTooLarge
	}
	return fmt.Errorf("connection lost: %w", err)
}

// Await does not wait: a message may have been read in part already.
func (w *wsConn) Await() {}

func (w *wsConn) WriteFrames(frames ...[]byte) (late bool, err error) {
	err = w.write(frames)
	if err != nil {
		return false, fmt.Errorf("connection lost: %w", err)
	}
	return w.socket.out.isLate(), nil
}

func (w *wsConn) write(frames [][]byte) (err error) {
	if len(frames) > 1 {
		w.socket.hold()
		defer func() {
			if failed := w.socket.release(); err == nil {
				err = failed
			}
		}()
	}
	for _, frame := range frames {
		if err := w.conn.Write(context.Background(), websocket.MessageText, frame); err != nil {
			return err
		}
	}
	return nil
}

func (w *wsConn) CatchUp() error { return w.socket.out.catchUp() }

func (w *wsConn) Heard() time.Time { return w.socket.heard.last() }

func (w *wsConn) Close(ctx context.Context) error {
	stop := context.AfterFunc(ctx, w.socket.cut)
	defer stop()
	return w.conn.Close(websocket.StatusNormalClosure, "")
}

func (w *wsConn) Cut() {
	// Whatever these return, the connection is over.
	w.socket.cut()
	_ = w.conn.CloseNow()
}
