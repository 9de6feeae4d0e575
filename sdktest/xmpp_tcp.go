package sdktest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"time"
)

const (
	lingerTime  = time.Second
	lingerBytes = 64 << 20
)

// tcpTransport is RFC 6120: one XML document per stream.
type tcpTransport struct {
	srv *Server
	// raw is the TCP connection.
	raw *conn
	// conn is raw, or TLS on it.
	conn net.Conn
	in   *budgetReader
	d    *xml.Decoder
	// depth is 1 inside a stream.
	depth int
	isTLS bool
}

// serveTCP serves one connection to an XMPP port.
func (r *run) serveTCP(c *conn, direct bool) {
	defer c.Close()
	t := &tcpTransport{srv: r.srv, raw: c, conn: c}
	if direct {
		t.upgrade()
	}
	t.reset(bufio.NewReader(t.conn))
	r.serve(t, c)
}

func (t *tcpTransport) upgrade() {
	t.conn = tls.Server(t.conn, t.srv.tlsConfig("xmpp-client"))
	t.isTLS = true
}

func (t *tcpTransport) reset(r *bufio.Reader) {
	t.in = &budgetReader{r: r}
	t.restart()
}

// restart begins a new document after the last byte that was read: the decoder never reads ahead.
func (t *tcpTransport) restart() {
	t.in.left = maxStanza
	t.d = xml.NewDecoder(t.in)
	t.depth = 0
}

func (t *tcpTransport) read() (*element, error) {
	for {
		t.in.left = maxStanza
		tok, err := t.d.Token()
		if err != nil {
			return nil, t.readError(err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if t.depth == 0 {
				return t.streamHeader(tok)
			}
			e, err := readElement(t.d, tok, 1)
			if err != nil {
				return nil, t.readError(err)
			}
			return e, nil
		case xml.EndElement:
			return nil, io.EOF
		case xml.CharData:
			if len(bytes.TrimSpace(tok)) > 0 {
				return nil, &streamError{"bad-format", "text between stanzas"}
			}
		case xml.ProcInst:
			if tok.Target != "xml" || t.depth > 0 {
				return nil, xmlError(errRestricted)
			}
		default:
			return nil, xmlError(errRestricted)
		}
	}
}

// streamHeader turns <stream:stream> into the <open/> that a WebSocket client sends.
func (t *tcpTransport) streamHeader(start xml.StartElement) (*element, error) {
	if start.Name.Space != nsStreams || start.Name.Local != "stream" {
		return nil, &streamError{"invalid-namespace", ""}
	}
	e := el(nsFraming, "open")
	content := ""
	for _, a := range start.Attr {
		switch a.Name {
		case xml.Name{Local: "xmlns"}:
			content = a.Value
		case xml.Name{Local: "to"}, xml.Name{Local: "version"}:
			e.set(a.Name.Local, a.Value)
		}
	}
	if content != nsClient {
		return nil, &streamError{"invalid-namespace", ""}
	}
	t.depth = 1
	return e, nil
}

// readError tells bad XML from a lost connection.
func (t *tcpTransport) readError(err error) error {
	var syntax *xml.SyntaxError
	switch {
	case errors.Is(err, errBudget):
		return &streamError{"policy-violation", "XML stanza is too big"}
	case errors.Is(t.in.err, io.EOF), t.in.err != nil:
		return errCut
	case errors.As(err, &syntax), errors.Is(err, errRestricted), errors.Is(err, errDepth), errors.Is(err, errAttribute):
		return xmlError(err)
	}
	return &streamError{"not-well-formed", ""}
}

func (t *tcpTransport) write(raw string) error {
	if err := t.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := io.WriteString(t.conn, raw)
	return err
}

func (t *tcpTransport) header(id, from string) string {
	var b bytes.Buffer
	b.WriteString("<?xml version='1.0'?><stream:stream")
	writeAttr(&b, "xmlns", nsClient)
	writeAttr(&b, "xmlns:stream", nsStreams)
	writeAttr(&b, "from", from)
	writeAttr(&b, "id", id)
	writeAttr(&b, "version", "1.0")
	writeAttr(&b, "xml:lang", "en")
	b.WriteByte('>')
	return b.String()
}

func (t *tcpTransport) secure() bool { return t.isTLS }
func (t *tcpTransport) framed() bool { return false }

// finish ends the stream and waits a moment until the client closes the connection: when
// a socket with unread input is closed, what was just written may be lost.
func (t *tcpTransport) finish() {
	if t.write("</stream:stream>") != nil {
		return
	}
	if c, ok := t.conn.(*tls.Conn); ok {
		_ = c.CloseWrite()
	}
	if c, ok := t.raw.Conn.(*net.TCPConn); ok {
		_ = c.CloseWrite()
	}
	if t.raw.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, t.raw, lingerBytes)
	}
}

// startTLS begins TLS. It refuses what the client has sent in clear after <starttls/>,
// which must not get into the protected stream.
func (t *tcpTransport) startTLS() error {
	for t.in.r.Buffered() > 0 {
		b, err := t.in.r.ReadByte()
		if err != nil || len(bytes.TrimSpace([]byte{b})) > 0 {
			return errCut
		}
	}
	t.upgrade()
	t.reset(bufio.NewReader(t.conn))
	return nil
}

func langAttr() xml.Attr { return xml.Attr{Name: xml.Name{Space: nsXML, Local: "lang"}, Value: "en"} }

var errBudget = errors.New("too many bytes")

// budgetReader reads at most left bytes, one at a time, so that nothing after the end
// of an element is read.
type budgetReader struct {
	r    *bufio.Reader
	left int
	// err is the last error of r.
	err error
}

func (b *budgetReader) ReadByte() (byte, error) {
	if b.left <= 0 {
		return 0, errBudget
	}
	b.left--
	c, err := b.r.ReadByte()
	if err != nil {
		b.err = err
	}
	return c, err
}

// Read is only there because xml.NewDecoder needs an io.Reader. It uses ReadByte.
func (b *budgetReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c, err := b.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = c
	return 1, nil
}
