package scripted

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
)

// Message is a WebSocket frame of a server (RFC 6455 5.2): 0x81 is a whole text message, 0x01
// begins one, 0x80 ends one.
func Message(head byte, text string) []byte {
	if len(text) < 126 {
		return append([]byte{head, byte(len(text))}, text...)
	}
	return append([]byte{head, 126, byte(len(text) >> 8), byte(len(text))}, text...)
}

// RawWebSocket is a WebSocket over net.Pipe. The server takes the client through the login, then
// does what f does with the connection, and is gone.
func RawWebSocket(t testing.TB, f func(net.Conn)) Endpoint {
	return Endpoint{
		Address: "ws://pipe", AllowInsecure: true,
		HTTPClient: &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string,
			string,
		) (net.Conn, error) {
			client, server := net.Pipe()
			done := make(chan struct{})
			t.Cleanup(func() { _ = client.Close(); <-done })
			// Ends with f.
			go func() {
				defer close(done)
				defer server.Close()
				answerUpgrade(t, server)
				f(server)
			}()
			return client, nil
		}}},
	}
}

// answerUpgrade answers the upgrade that comes over conn, and says what takes a client through the
// login, without waiting for it.
func answerUpgrade(t testing.TB, conn net.Conn) {
	in := bufio.NewReader(conn)
	r, err := http.ReadRequest(in)
	if err != nil {
		t.Error(err)
		return
	}
	// Reads whatever the client says; ends with the connection.
	go func() { _, _ = io.Copy(io.Discard, in) }()
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Protocol: xmpp\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	for _, frame := range []string{ServerOpen, PlainFeatures, SASLSuccess, ServerOpen, BindFeatures, BindResult} {
		_, _ = conn.Write(Message(0x81, frame))
	}
}
