package xmpp

import (
	"bytes"
	"context"
	"testing"

	"github.com/coder/websocket"
)

// One request and its reply over a WebSocket with TLS. The allocations are those
// of the client and of a server that only fills in the id.
func BenchmarkLastActivity(b *testing.B) {
	c := dial(b, webSocketServer(b, func(p *peer) {
		p.login()
		reply := []byte(`<iq from="bob@xmpp.example.com" to="` + testFull + `" type="result" xmlns="jabber:client" id="00000000-0000-4000-8000-000000000000"><query xmlns="jabber:iq:last" seconds="903"/></iq>`)
		at := bytes.Index(reply, []byte("00000000-"))
		buf := make([]byte, 4096)
		for {
			_, r, err := p.ws.Reader(p.ctx)
			if err != nil {
				return
			}
			n := 0
			for err == nil {
				var m int
				m, err = r.Read(buf[n:])
				n += m
			}
			id := bytes.Index(buf[:n], []byte(` id="`)) + len(` id="`)
			copy(reply[at:], buf[id:id+36])
			if p.ws.Write(p.ctx, websocket.MessageText, reply) != nil {
				return
			}
		}
	}))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.ReportAllocs()
	for b.Loop() {
		if _, seconds, err := c.LastActivity(ctx, "bob@xmpp.example.com"); err != nil || seconds != 903 {
			b.Fatal(seconds, err)
		}
	}
}

func BenchmarkReceivePresence(b *testing.B) {
	cfg := Config{Handle: func(Event) {}}
	cfg.setDefaults()
	s := newSession(&cfg, &negotiation{cfg: &cfg, f: nowhere{}, jid: JID{testUser, testDomain, testResource}})
	defer s.end(ErrClosed)
	frame := (`<presence xmlns='jabber:client' xml:lang='en' to='` + testFull + `' from='bob@xmpp.example.com/x'><priority>1</priority></presence>`)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.receive(frame); err != nil {
			b.Fatal(err)
		}
	}
}

// over returns the same bytes for ever.
type over struct {
	text []byte
	at   int
}

func (o *over) Read(p []byte) (int, error) {
	n := copy(p, o.text[o.at:])
	o.at = (o.at + n) % len(o.text)
	return n, nil
}

// One stanza cut from a TCP stream.
func BenchmarkCutFrame(b *testing.B) {
	reply := `<iq xml:lang='en' to='` + testFull + `' from='bob@xmpp.example.com' type='result' id='00000000-0000-4000-8000-000000000000'><query seconds='903' xmlns='jabber:iq:last'/></iq>`
	t := &tcpFramer{in: streamReader{from: &over{text: []byte(reply)}}, scope: usualScope, scan: scanner{floor: 1, depth: 1}}
	b.ReportAllocs()
	for b.Loop() {
		if frame, err := t.ReadFrame(context.Background()); err != nil || frame != reply {
			b.Fatal(frame, err)
		}
	}
}
