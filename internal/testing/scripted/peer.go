// Package scripted is the server's end of XMPP connections, which does what the script of a test
// says. It knows nothing of the client.
package scripted

import (
	"bufio"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/coder/websocket"

	"github.com/mirrorfly-go/sdk/internal/testing/xmltree"
)

// Peer is the server's end of one connection. Its methods are for the goroutine of the script. What
// goes wrong ends that and fails the test.
type Peer struct {
	T testing.TB
	// Conn is the connection over TCP, WS the one over WebSocket; one of them is nil.
	Conn net.Conn
	WS   *websocket.Conn
	// Impatient: the client may leave at any step; that is no failure.
	Impatient bool

	dec *xml.Decoder
}

// Script is what a server does with a connection.
type Script func(p *Peer)

// InTurn runs a script for each connection, in order.
func InTurn(scripts ...Script) Script {
	next := make(chan Script, len(scripts))
	for _, s := range scripts {
		next <- s
	}
	return func(p *Peer) {
		select {
		case s := <-next:
			s(p)
		default:
			p.Fail("there are only %d scripts", len(scripts))
		}
	}
}

// Fail ends the script, and fails the test unless the client is permitted to leave.
func (p *Peer) Fail(format string, args ...any) {
	p.T.Helper()
	if !p.Impatient {
		p.T.Errorf(format, args...)
	}
	runtime.Goexit()
}

// Send writes text as it is; on a WebSocket as one message. A client that has gone is no failure.
func (p *Peer) Send(text string) {
	if p.WS != nil {
		_ = p.WS.Write(context.Background(), websocket.MessageText, []byte(text))
		return
	}
	_, _ = io.WriteString(p.Conn, text)
}

// ErrStreamEnd is what Read returns at the end of the client's stream, over TCP.
var ErrStreamEnd = errors.New("end of stream")

// Read reads the next element, or the header of a stream.
func (p *Peer) Read() (xmltree.Node, error) {
	if p.WS != nil {
		_, b, err := p.WS.Read(context.Background())
		if err != nil {
			return xmltree.Node{}, err
		}
		return xmltree.Parse(string(b))
	}
	for {
		tok, err := p.dec.Token()
		if err != nil {
			return xmltree.Node{}, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if tok.Name.Local == "stream" {
				return xmltree.Node{Name: tok.Name, Attrs: tok.Attr}, nil
			}
			return xmltree.Read(p.dec, tok)
		case xml.EndElement:
			return xmltree.Node{}, ErrStreamEnd
		}
	}
}

// Recv is Read for what has to come.
func (p *Peer) Recv() xmltree.Node {
	p.T.Helper()
	n, err := p.Read()
	if err != nil {
		p.Fail("server reads: %v", err)
	}
	return n
}

// Drain reads until the client is gone.
func (p *Peer) Drain() {
	for {
		if _, err := p.Read(); err != nil && !errors.Is(err, ErrStreamEnd) {
			return
		}
	}
}

// Expect reads an element that has to be this one.
func (p *Peer) Expect(want string) xmltree.Node {
	p.T.Helper()
	got := p.Recv()
	w, err := xmltree.Parse(want)
	if err != nil {
		p.Fail("bad expectation: %v", err)
	}
	if got.String() != w.String() {
		p.Fail("client sent\n%s\nwant\n%s", got, w)
	}
	return got
}

// Restart begins to read a new stream.
func (p *Peer) Restart() {
	if p.WS == nil {
		p.dec = xml.NewDecoder(bufio.NewReader(p.Conn))
	}
}

// ExpectEnd reads the end of the client's stream.
func (p *Peer) ExpectEnd() {
	p.T.Helper()
	if p.WS != nil {
		p.Expect(closeFrame)
		return
	}
	if n, err := p.Read(); !errors.Is(err, ErrStreamEnd) {
		p.Fail("want end of stream, got %v, %v", n, err)
	}
}

// SendEnd writes the end of the server's stream.
func (p *Peer) SendEnd() {
	if p.WS != nil {
		p.Send(closeFrame)
	} else {
		p.Send("</stream:stream>")
	}
}
