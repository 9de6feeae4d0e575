package frames

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/mirrorfly-go/sdk/internal/plain"
	"github.com/mirrorfly-go/sdk/internal/xmltext"
)

// tcpConn cuts the byte stream of RFC 6120 into frames as RFC 7395 has them: the stream header
// becomes <open/>, its end <close/>, and every element carries the namespaces that it inherits from
// the header, except jabber:client, which readers take for granted.
type tcpConn struct {
	// raw is the TCP connection; conn the same, or TLS over it.
	raw, conn net.Conn
	out       *promptWriter
	// tlsConfig, which may be nil, and domain are for StartTLS.
	tlsConfig *tls.Config
	domain    string

	in     streamReader
	cutter xmltext.Cutter
	scope  xmltext.Scope
	// What has come of the next element, when that was more than one read. nil: nothing.
	part *bytes.Buffer
}

// maxScope is how many namespaces a stream header may declare: a frame may have to carry them all.
const maxScope = 16

func newTCPConn(conn net.Conn, opts *Options) *tcpConn {
	conn, out := promptOver(conn)
	t := &tcpConn{raw: conn, conn: conn, out: out, tlsConfig: opts.TLSConfig, domain: opts.Domain}
	t.in.init(conn, out.raw)
	return t
}

// dialTCP connects, for xmpps:// with TLS; ctx bounds only that.
func dialTCP(ctx context.Context, addr Address, opts *Options) (*tcpConn, error) {
	dial := opts.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, "tcp", addr.Host)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	t := newTCPConn(conn, opts)
	if addr.Secure() {
		if err := t.StartTLS(ctx); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// StartTLS puts TLS over the connection. The certificate must be good for the XMPP domain, not for
// the host that was dialled (RFC 6120 13.7.2).
func (t *tcpConn) StartTLS(ctx context.Context) error {
	if len(t.in.unread) > 0 {
		// It was written before the handshake, so by anybody on the way.
		t.Cut()
		return errors.New("tls: data before the handshake")
	}
	conn := tls.Client(t.raw, streamTLS(t.tlsConfig, t.domain))
	if err := conn.HandshakeContext(ctx); err != nil {
		t.Cut()
		// The error has names of the certificate in it, which anybody on the way can make.
		return fmt.Errorf("tls: %w", plain.Error(err))
	}
	t.conn = conn
	t.in.init(conn, nil)
	return nil
}

// streamTLS is what the caller wants, which may be nil, as far as XMPP permits that.
func streamTLS(wanted *tls.Config, domain string) *tls.Config {
	conf := &tls.Config{}
	if wanted != nil {
		conf = wanted.Clone()
	}
	// Those are for HTTP.
	conf.NextProtos = nil
	// While one goes on, writing waits for the server. XMPP has no use for it (RFC 6120 5.3.5).
	conf.Renegotiation = tls.RenegotiateNever
	if conf.MinVersion < tls.VersionTLS12 {
		conf.MinVersion = tls.VersionTLS12
	}
	if conf.ServerName == "" {
		conf.ServerName = domain
	}
	return conf
}

func (t *tcpConn) Header(to string) []byte {
	t.cutter = xmltext.Cutter{}
	t.scope = nil
	header := xmltext.AppendAttribute([]byte(`<?xml version="1.0"?><stream:stream`), "to", to)
	return append(header, ` version="1.0" xmlns="`+NSClient+`" xmlns:stream="`+NSStream+`">`...)
}

func (t *tcpConn) Footer() []byte { return []byte("</stream:stream>") }

// ReadFrame is where a session waits, on a stack that TLS makes deep already: 4 KiB are enough as
// long as the functions on the way down keep little. So what ReadFrame does besides waiting is in
// other functions.
func (t *tcpConn) ReadFrame(ctx context.Context) (string, error) {
	defer t.cutAfter(ctx)()
	frame, err := t.cutFrame()
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return frame, err
}

// Await can wait for bytes that are not encrypted. Those of TLS may have come already.
func (t *tcpConn) Await() { t.in.await() }

// cutFrame reads up to the end of the next element. White space between elements is a keepalive
// (RFC 6120 4.6.1) and skipped.
func (t *tcpConn) cutFrame() (string, error) {
	for {
		chunk, err := t.in.peek()
		if err != nil {
			return "", t.lost(err)
		}
		if t.part == nil {
			if blank := len(chunk) - len(xmltext.TrimSpace(chunk)); blank > 0 {
				t.in.skip(blank)
				continue
			}
		}
		n, piece, err := t.cutter.Advance(chunk)
		if err != nil {
			return "", err
		}
		if piece == xmltext.Incomplete || t.part != nil {
			if err := t.gather(chunk[:n]); err != nil {
				return "", err
			}
		}
		if piece == xmltext.Incomplete {
			t.in.skip(n)
			continue
		}
		text := string(chunk[:n])
		if t.part != nil {
			text = t.part.String()
			freeBuffer(t.part)
			t.part = nil
		}
		t.in.skip(n)
		return t.frame(piece, text)
	}
}

// lost returns the error of a read that has failed.
func (t *tcpConn) lost(err error) error {
	if err == io.EOF && t.part != nil {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("connection lost: %w", err)
}

// gather keeps a part of an element.
func (t *tcpConn) gather(chunk []byte) error {
	if t.part == nil {
		t.part = newBuffer()
	}
	if t.part.Len()+len(chunk) > MaxFrame {
		return ErrTooLarge
	}
	t.part.Write(chunk)
	return nil
}

// frame makes a frame of a piece of the stream.
func (t *tcpConn) frame(piece xmltext.Piece, text string) (string, error) {
	switch piece {
	case xmltext.StreamStart:
		return t.open(text)
	case xmltext.StreamEnd:
		return CloseFrame, nil
	}
	return t.scope.Inherit(text), nil
}

// open makes <open/> of the stream header, and keeps the namespaces that it declares.
func (t *tcpConn) open(header string) (string, error) {
	stream, err := xmltext.ParseHeader(header)
	if err != nil {
		return "", err
	}
	if !stream.Is(NSStream, "stream") {
		return "", xmltext.Malformed("no stream header")
	}
	if t.scope = xmltext.ScopeOf(stream, NSClient); len(t.scope) > maxScope {
		return "", xmltext.Malformed("%d namespaces in the stream header", len(t.scope))
	}
	return string(xmltext.Markup{Space: NSFraming, Name: "open", Attrs: []string{
		"from", stream.Attr("from"), "id", stream.Attr("id"), "version", stream.Attr("version"),
	}}.Bytes()), nil
}

func (t *tcpConn) WriteFrames(frames ...[]byte) (late bool, err error) {
	all := frames[0]
	if len(frames) > 1 {
		buf := newBuffer()
		defer freeBuffer(buf)
		for _, frame := range frames {
			buf.Write(frame)
		}
		all = buf.Bytes()
	}
	if _, err := t.conn.Write(all); err != nil {
		return false, fmt.Errorf("connection lost: %w", err)
	}
	return t.out.isLate(), nil
}

func (t *tcpConn) CatchUp() error { return t.out.catchUp() }

// cutAfter breaks the connection when ctx ends before the returned function is called.
func (t *tcpConn) cutAfter(ctx context.Context) (stop func() bool) {
	if ctx.Done() == nil {
		return func() bool { return true }
	}
	return context.AfterFunc(ctx, t.Cut)
}

func (t *tcpConn) Heard() time.Time { return t.in.heard.last() }

func (t *tcpConn) Close(ctx context.Context) error {
	defer t.cutAfter(ctx)()
	return t.conn.Close()
}

func (t *tcpConn) Cut() {
	raw := t.raw
	if c, ok := raw.(*promptConn); ok {
		raw = c.Conn // it waits for nothing
	}
	_ = raw.Close()
}
