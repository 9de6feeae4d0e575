package faults

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"
)

// answering makes a tap answer requests for a path, and pass on all others.
func answering(path string, do func(*exchange)) func(*site) {
	return func(s *site) {
		s.tap.tellHTTP(func(x *exchange) {
			if x.is(path) {
				do(x)
			} else {
				x.pass()
			}
		})
	}
}

// raw answers with these bytes, and ends the connection.
func raw(text string) func(*exchange) {
	return func(x *exchange) {
		x.raw(func(w io.Writer) { _, _ = io.WriteString(w, text) })
	}
}

// switching begins the answer to a WebSocket upgrade.
const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: " +
	"Upgrade\r\nSec-WebSocket-Protocol: xmpp\r\n"

// endless is an HTTP answer whose headers do not end.
func endless(x *exchange) {
	x.raw(func(w io.Writer) {
		_, err := io.WriteString(w, "HTTP/1.1 200 OK\r\n")
		for line := "X-More: " + strings.Repeat("a", 32<<10) + "\r\n"; err == nil; {
			_, err = io.WriteString(w, line)
		}
	})
}

// dribble is an HTTP answer of one byte a second.
func dribble(text string) func(*exchange) {
	return func(x *exchange) {
		x.raw(func(w io.Writer) {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for i := range text {
				if _, err := io.WriteString(w, text[i:i+1]); err != nil {
					return
				}
				select {
				case <-tick.C:
				case <-x.tap.ctx.Done():
					return
				}
			}
		})
	}
}

// accepting is switching for this request, complete.
func accepting(x *exchange) string {
	// RFC 6455 4.2.2
	sum := sha1.Sum([]byte(x.r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return switching + "Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"
}

// page is an answer with this body, of which so many bytes are announced.
func page(announced int, content string) string {
	return fmt.Sprintf(
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", announced, content,
	)
}
