package backend

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"time"
)

func (b *Server) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	c, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "+
		"Upgrade\r\nSec-WebSocket-Protocol: xmpp\r\nSec-WebSocket-Accept: "+
		base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
	v := b.enter(c, rw.Reader, true)
	defer b.leave(v)
	for {
		message, err := v.readMessage()
		if err != nil || !v.take(message) {
			return
		}
	}
}

// readMessage reads a message of a WebSocket (RFC 6455 5.2). A ping is answered, and returned as
// "".
func (v *Visitor) readMessage() (string, error) {
	var message []byte
	for {
		head := make([]byte, 2)
		if _, err := io.ReadFull(v.in, head); err != nil {
			return "", err
		}
		n := uint64(head[1] & 0x7f)
		if n > 125 {
			long := make([]byte, map[uint64]int{126: 2, 127: 8}[n])
			if _, err := io.ReadFull(v.in, long); err != nil {
				return "", err
			}
			n = 0
			for _, d := range long {
				n = n<<8 | uint64(d)
			}
		}
		mask := make([]byte, 4)
		if _, err := io.ReadFull(v.in, mask); err != nil {
			return "", err
		}
		part := make([]byte, n)
		if _, err := io.ReadFull(v.in, part); err != nil {
			return "", err
		}
		for i := range part {
			part[i] ^= mask[i&3]
		}
		switch head[0] & 15 {
		case 8:
			v.frame(8, part)
			return "", errors.New("closed")
		case 9:
			v.frame(10, part)
			return "", nil
		case 10:
			continue
		}
		if message = append(message, part...); head[0]&0x80 != 0 {
			return string(message), nil
		}
	}
}

// frameHead is the header of a whole WebSocket message of n bytes.
func frameHead(op byte, n int) []byte {
	switch {
	case n < 126:
		return []byte{0x80 | op, byte(n)}
	case n < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{0x80 | op, 126}, uint16(n))
	}
	return binary.BigEndian.AppendUint64([]byte{0x80 | op, 127}, uint64(n))
}

func (v *Visitor) frame(op byte, content []byte) error {
	v.writing.Lock()
	defer v.writing.Unlock()
	v.Conn.SetWriteDeadline(time.Now().Add(20 * time.Second))
	_, err := v.Conn.Write(append(frameHead(op, len(content)), content...))
	return err
}
