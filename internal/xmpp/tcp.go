package xmpp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk/internal/plain"
	"github.com/mirrorfly-go/sdk/internal/prompt"
)

// tcpFramer cuts the byte stream of RFC 6120 into frames as RFC 7395 has them:
// the stream header becomes <open/>, its end <close/>, and every element carries
// the namespaces that it has from the header, but for jabber:client, which parse takes for granted.
type tcpFramer struct {
	raw  net.Conn // the TCP connection
	conn net.Conn // the same, or TLS over it
	in   streamReader
	part *bytes.Buffer // what has come of the next element, when that was more than one read; nil: nothing

	prompt *prompt.Conn // raw too; nil: writes wait
	wrote  moment       // when bytes have last gone out

	scan  scanner
	scope []declaration // of the stream header
}

// declaration is a namespace declaration of the stream header.
type declaration struct {
	name   string // "xmlns" or "xmlns:prefix"
	prefix string // as it stands in a name, with its colon
	text   string // ready to insert into a start tag
}

// usualScope is what a stream header mostly declares. All streams that have it share it.
var usualScope = []declaration{{"xmlns:stream", "stream:", ` xmlns:stream="` + nsStream + `"`}}

// maxScope is how many namespaces a stream header may declare: every frame
// carries them all.
const maxScope = 16

func newTCPFramer(conn net.Conn) *tcpFramer {
	conn = prompt.Wrap(conn)
	return &tcpFramer{prompt: prompt.Below(conn, writeTimeout), raw: conn, conn: conn, in: streamReader{from: conn}}
}

// dialTCP connects, for xmpps:// with TLS; ctx bounds only that.
func dialTCP(ctx context.Context, cfg *Config, addr Address) (*tcpFramer, error) {
	dial := cfg.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, "tcp", addr.Host)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	t := newTCPFramer(conn)
	if addr.Scheme == schemeXMPPS {
		if err := t.startTLS(ctx, cfg); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// startTLS puts TLS over the connection. The certificate must be good for the
// XMPP domain, not for the host that was dialled (RFC 6120 13.7.2).
func (t *tcpFramer) startTLS(ctx context.Context, cfg *Config) error {
	if len(t.in.unread) > 0 {
		// Written before the handshake, so by anybody on the way.
		t.Cut()
		return errors.New("tls: data before the handshake")
	}
	conn := tls.Client(t.raw, cfg.streamTLS())
	if err := conn.HandshakeContext(ctx); err != nil {
		t.Cut()
		return fmt.Errorf("tls: %w", plain.Error(err)) // the names in a certificate are in there, which anybody on the way can make
	}
	t.conn = conn
	t.in = streamReader{from: conn}
	return nil
}

// streamTLS is what the caller wants, as far as XMPP permits.
func (cfg *Config) streamTLS() *tls.Config {
	conf := &tls.Config{}
	if cfg.TLSConfig != nil {
		conf = cfg.TLSConfig.Clone()
	}
	conf.NextProtos = nil                     // those are for HTTP
	conf.Renegotiation = tls.RenegotiateNever // while it goes on, writing waits for the server; XMPP has no use for it (RFC 6120 5.3.5)
	if conf.MinVersion < tls.VersionTLS12 {
		conf.MinVersion = tls.VersionTLS12
	}
	if conf.ServerName == "" {
		conf.ServerName = cfg.Domain
	}
	return conf
}

func (t *tcpFramer) Header(to string) []byte {
	t.scan = scanner{declaration: true}
	t.scope = nil
	header := appendAttribute([]byte(`<?xml version="1.0"?><stream:stream`), "to", to)
	return append(header, ` version="1.0" xmlns="`+nsClient+`" xmlns:stream="`+nsStream+`">`...)
}

func (t *tcpFramer) ReadFrame(ctx context.Context) (string, error) {
	defer t.cutAfter(ctx)()
	frame, err := t.cutFrame()
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return frame, err
}

// cutFrame reads up to the end of the next element. White space between
// elements is a keepalive (RFC 6120 4.6.1) and skipped.
func (t *tcpFramer) cutFrame() (string, error) {
	for {
		chunk, err := t.in.peek()
		if err != nil {
			if err == io.EOF && t.part != nil {
				err = io.ErrUnexpectedEOF
			}
			return "", fmt.Errorf("connection lost: %w", err)
		}
		if t.part == nil {
			if blank := len(chunk) - len(trimSpace(chunk)); blank > 0 {
				t.in.skip(blank)
				continue
			}
		}
		n, e, err := t.scan.advance(chunk)
		if err != nil {
			return "", err
		}
		if e != edgeNone && t.part == nil { // the usual case: no detour
			frame := string(chunk[:n])
			t.in.skip(n)
			return t.take(e, frame)
		}
		if t.part == nil {
			t.part = newBuffer()
		}
		if t.part.Len()+n > maxFrame {
			return "", errTooLarge
		}
		t.part.Write(chunk[:n])
		t.in.skip(n)
		if e != edgeNone {
			frame := t.part.String()
			release(t.part)
			t.part = nil
			return t.take(e, frame)
		}
	}
}

// take makes a frame of what ends with e.
func (t *tcpFramer) take(e edge, frame string) (string, error) {
	switch {
	case t.scan.floor == 0:
		return t.openStream(e, frame)
	case t.scan.depth == 0:
		return closeFrame, nil
	}
	return t.inherit(frame), nil
}

// openStream makes the <open/> of the stream header and remembers the
// namespaces that it declares.
func (t *tcpFramer) openStream(e edge, header string) (string, error) {
	if e != edgeOpen {
		return "", malformed("stream closed by its header")
	}
	header, err := withoutDeclaration(header)
	if err != nil {
		return "", err
	}
	header += "</" + header[1:nameEnd(header, 1)] + ">" // so that it is an element
	if err := check(header); err != nil {
		return "", err
	}
	stream := newElement(header, scope{})
	if !stream.is(nsStream, "stream") {
		return "", malformed("no stream header")
	}
	for name, value := range attributes(stream.tag) {
		prefix, some := strings.CutPrefix(name, "xmlns:")
		if some && prefix != "" || name == "xmlns" && value != nsClient { // which parse takes for granted
			// Copies: the header is not held for the sake of a name.
			t.scope = append(t.scope, declaration{strings.Clone(name), prefix + ":", string(appendAttribute(nil, name, unescape(value)))})
		}
	}
	if len(t.scope) > maxScope {
		return "", malformed("%d namespaces in the stream header", len(t.scope))
	}
	if slices.Equal(t.scope, usualScope) {
		t.scope = usualScope
	}
	t.scan.floor = 1
	return string(markup{space: nsFraming, name: "open", attrs: []string{
		"from", stream.attr("from"), "id", stream.attr("id"), "version", stream.attr("version"),
	}}.frame()), nil
}

// withoutDeclaration takes the XML declaration off the stream header. XMPP is UTF-8 (RFC 6120 11.6).
func withoutDeclaration(header string) (string, error) {
	after, some := strings.CutPrefix(header, "<?")
	if !some {
		return header, nil
	}
	declaration, rest, ends := strings.Cut(after, "?>")
	declaration = "<" + declaration + "/>" // so that it is an element
	rest = strings.TrimSpace(rest)
	if check(declaration) != nil || !ends || rest == "" {
		return "", malformed("bad XML declaration")
	}
	e := newElement(declaration, scope{})
	version, encoding := e.attr("version"), e.attr("encoding")
	if e.local != "xml" || version != "1.0" || encoding != "" && !strings.EqualFold(encoding, "utf-8") {
		return "", malformed("bad XML declaration")
	}
	return rest, nil
}

// inherit adds to the start tag of a frame the namespaces that are in scope, but for
// prefixes that occur nowhere in it.
func (t *tcpFramer) inherit(frame string) string {
	var add strings.Builder
	for _, d := range t.scope {
		if (d.name == "xmlns" || strings.Contains(frame, d.prefix)) && !declares(frame, d.name) {
			add.WriteString(d.text)
		}
	}
	if add.Len() == 0 {
		return frame
	}
	name := nameEnd(frame, 1)
	return frame[:name] + add.String() + frame[name:]
}

// declares reports whether the start tag of a frame, which has not been checked yet, has an attribute of that name.
func declares(frame, name string) bool {
	at := nameEnd(frame, 1)
	for {
		at = skipSpace(frame, at)
		end := nameEnd(frame, at)
		if frame[at:end] == name {
			return true
		}
		var err error
		if at, err = checkAttribute(frame, at); err != nil {
			return false
		}
	}
}

func (t *tcpFramer) WriteFrames(ctx context.Context, frames ...[]byte) error {
	defer t.cutAfter(ctx)()
	all := frames[0]
	if len(frames) > 1 {
		buf := newBuffer()
		defer release(buf)
		for _, frame := range frames {
			buf.Write(frame)
		}
		all = buf.Bytes()
	}
	_, err := writeNoting(t.conn, all, &t.wrote)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return fmt.Errorf("connection lost: %w", err)
	}
}

// cutAfter breaks the connection when ctx ends before the returned function is called.
func (t *tcpFramer) cutAfter(ctx context.Context) (stop func() bool) {
	if ctx.Done() == nil {
		return func() bool { return true }
	}
	return context.AfterFunc(ctx, t.Cut)
}

func (t *tcpFramer) Heard() time.Duration { return t.in.heard.last() }

func (t *tcpFramer) Wrote() time.Duration { return t.wrote.last() }

func (t *tcpFramer) Prompt() *prompt.Conn { return t.prompt }

func (t *tcpFramer) End(ctx context.Context) error {
	return t.WriteFrames(ctx, []byte("</stream:stream>"))
}

func (t *tcpFramer) Close(ctx context.Context) error {
	defer t.cutAfter(ctx)()
	return t.conn.Close()
}

func (t *tcpFramer) Cut() { _ = t.raw.Close() }
