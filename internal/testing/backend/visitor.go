package backend

import (
	"bufio"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Visitor is one XMPP connection.
type Visitor struct {
	// Conn is the connection.
	Conn net.Conn
	// Nth is 1 for the server's first connection.
	Nth int
	// Streams is how many stream headers have come.
	Streams int

	b       *Server
	in      *bufio.Reader
	ws      bool
	user    string
	writing sync.Mutex
}

// Namespaces, as attributes.
const (
	nsSASL    = `xmlns="urn:ietf:params:xml:ns:xmpp-sasl"`
	nsBind    = `xmlns="urn:ietf:params:xml:ns:xmpp-bind"`
	nsFraming = `xmlns="urn:ietf:params:xml:ns:xmpp-framing"`
	NSStreams = `xmlns="urn:ietf:params:xml:ns:xmpp-streams"`
	NSStanzas = `xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"`
	NSStream  = `xmlns:stream="http://etherx.jabber.org/streams"`
	NSClient  = `xmlns="jabber:client"`
)

func (b *Server) enter(c net.Conn, in *bufio.Reader, ws bool) *Visitor {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.serial++
	v := &Visitor{b: b, Conn: c, in: in, ws: ws, Nth: b.serial}
	b.visitors[v] = true
	return v
}

func (b *Server) leave(v *Visitor) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.visitors, v)
	v.Conn.Close()
}

// recorded keeps what was read, to cut elements out of it as they were written.
type recorded struct {
	io.Reader
	text []byte
}

func (r *recorded) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.text = append(r.text, p[:n]...)
	return n, err
}

func (b *Server) serveTCP(c net.Conn) {
	v := b.enter(c, bufio.NewReader(c), false)
	defer b.leave(v)
	all := &recorded{Reader: v.in}
	d := xml.NewDecoder(all)
	for {
		start := d.InputOffset()
		token, err := d.RawToken()
		if err != nil {
			return
		}
		switch token := token.(type) {
		case xml.EndElement:
			v.Send("</stream:stream>")
			return
		case xml.StartElement:
			if token.Name.Local == "stream" {
				if !v.take("<open>") {
					return
				}
				continue
			}
			for depth := 1; depth > 0; {
				token, err := d.RawToken()
				if err != nil {
					return
				}
				switch token.(type) {
				case xml.StartElement:
					depth++
				case xml.EndElement:
					depth--
				}
			}
			if !v.take(string(all.text[start:d.InputOffset()])) {
				return
			}
		}
	}
}

// Send writes one element.
func (v *Visitor) Send(text string) error {
	if v.ws {
		return v.frame(1, []byte(text))
	}
	v.writing.Lock()
	defer v.writing.Unlock()
	v.Conn.SetWriteDeadline(time.Now().Add(20 * time.Second))
	_, err := io.WriteString(v.Conn, text)
	return err
}

// AttributeOf is an attribute of a stanza, "" where it has none of that name.
func AttributeOf(name, frame string) string {
	if m := regexp.MustCompile(`\s` + name + `=["']([^"']*)["']`).FindStringSubmatch(frame); m != nil {
		return m[1]
	}
	return ""
}

// take answers one element; false: the connection ends.
func (v *Visitor) take(frame string) bool {
	b := v.b
	switch {
	case strings.HasPrefix(frame, "<open"):
		v.Streams++
		if b.OnStream != nil && !b.OnStream(v) {
			return false
		}
		v.AnswerStream()
	case strings.HasPrefix(frame, "<auth"):
		_, text, _ := strings.Cut(frame, ">")
		text, _, _ = strings.Cut(text, "<")
		plain, _ := base64.StdEncoding.DecodeString(text)
		part := strings.Split(string(plain)+"\x00\x00", "\x00")
		b.mu.Lock()
		b.auths = append(b.auths, part[1]+" "+part[2])
		b.mu.Unlock()
		if b.SASL != nil {
			if condition := b.SASL(part[1], part[2]); condition != "" {
				v.Send(`<failure ` + nsSASL + `><` + condition + `/></failure>`)
				return true
			}
		}
		b.mu.Lock()
		v.user = part[1]
		b.mu.Unlock()
		v.Send(`<success ` + nsSASL + `/>`)
	case strings.HasPrefix(frame, "<close"):
		v.Send(`<close ` + nsFraming + `/>`)
		return false
	case strings.Contains(frame, "ns:xmpp-bind"):
		if b.OnBind != nil && b.OnBind(v, AttributeOf("id", frame)) {
			return true
		}
		v.Send(`<iq ` + NSClient + ` type="result" id="` + AttributeOf("id", frame) + `"><bind ` + nsBind +
			`><jid>` + v.bare() + `/Web-1</jid></bind></iq>`)
	case strings.HasPrefix(frame, "<iq") &&
		(AttributeOf("type", frame) == "get" || AttributeOf("type", frame) == "set"):
		id, to := AttributeOf("id", frame), AttributeOf("to", frame)
		if b.OnIQ == nil || !b.OnIQ(v, id, to, frame) {
			v.Result(id, to, "")
		}
	}
	return true
}

func (v *Visitor) bare() string {
	if v.b.BareJID != nil {
		return v.b.BareJID(v.user)
	}
	return v.user + "@" + Domain
}

// AnswerStream is the stream header and the features.
func (v *Visitor) AnswerStream() {
	v.header()
	v.features()
}

func (v *Visitor) header() {
	head := `<open ` + nsFraming + ` from="` + Domain + `" id="s` + fmt.Sprint(v.Streams) + `x" version="1.0"/>`
	if !v.ws {
		head = `<?xml version="1.0"?><stream:stream ` + NSClient + ` ` + NSStream + ` from="` + Domain +
			`" id="s` + fmt.Sprint(v.Streams) + `x" version="1.0">`
	}
	v.Send(head)
}

func (v *Visitor) features() {
	features := `<mechanisms ` + nsSASL + `><mechanism>PLAIN</mechanism></mechanisms>`
	if v.user != "" {
		features = `<bind ` + nsBind + `/>`
	}
	v.Send(`<stream:features ` + NSStream + `>` + features + `</stream:features>`)
}

// Result answers a request in the name of from; "": of nobody.
func (v *Visitor) Result(id, from, content string) {
	v.Send(`<iq ` + NSClient + ` type="result" id="` + id + `"` + FromAttribute(from) + `>` + content + `</iq>`)
}

// FromAttribute is a from attribute, with a space before it; "" without from.
func FromAttribute(from string) string {
	if from == "" {
		return ""
	}
	return ` from="` + from + `"`
}

// CardField is a field of a vCard as it went over the wire (protocol.md 5.2).
func CardField(frame, name string) string {
	_, after, _ := strings.Cut(frame, "<"+name+">")
	value, _, _ := strings.Cut(after, "</"+name+">")
	return value
}

// IsCard reports whether a stanza has to do with vCards.
func IsCard(frame string) bool { return strings.Contains(frame, "vcard-temp") }
