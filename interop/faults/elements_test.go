package faults

import (
	"bytes"
	"crypto/tls"
	"encoding/xml"
	"net"
)

// elements is XMPP over TCP, cut into its elements: the stream header, what is directly in it, and
// its end.
type elements struct {
	raw   net.Conn     // TCP
	conn  net.Conn     // the same, or TLS over it
	seen  bytes.Buffer // what the decoder has read of the present element
	dec   *xml.Decoder
	depth int // 1 inside a stream
}

func newElements(conn net.Conn) *elements {
	e := &elements{raw: conn, conn: conn}
	e.dec = xml.NewDecoder(e)
	return e
}

// secure goes on with TLS.
func (e *elements) secure(conn *tls.Conn) error {
	if err := conn.Handshake(); err != nil {
		return err
	}
	e.conn = conn
	e.dec = xml.NewDecoder(e)
	e.seen.Reset()
	return nil
}

// ReadByte makes the decoder read no further than it must.
func (e *elements) ReadByte() (byte, error) {
	var one [1]byte
	if _, err := e.conn.Read(one[:]); err != nil {
		return 0, err
	}
	e.seen.WriteByte(one[0])
	return one[0], nil
}

// Read is what the decoder is made with; it uses ReadByte.
func (e *elements) Read([]byte) (int, error) { return 0, bytes.ErrTooLarge }

func (e *elements) read() (string, error) {
	for {
		token, err := e.dec.RawToken() // the header of the next stream comes inside the last one
		if err != nil {
			return "", err
		}
		switch t := token.(type) {
		case xml.StartElement:
			e.depth++
			if t.Name.Local == "stream" {
				e.depth = 1
				return e.take(), nil
			}
		case xml.EndElement:
			e.depth--
			if e.depth <= 1 {
				return e.take(), nil
			}
		}
	}
}

func (e *elements) take() string {
	defer e.seen.Reset()
	return e.seen.String()
}

func (e *elements) write(text string) error {
	_, err := e.conn.Write([]byte(text))
	return err
}

func (e *elements) close() { _ = e.raw.Close() }
