package sdktest

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// Namespaces on the wire.
const (
	nsClient     = "jabber:client"
	nsStreams    = "http://etherx.jabber.org/streams"
	nsFraming    = "urn:ietf:params:xml:ns:xmpp-framing"
	nsStreamErr  = "urn:ietf:params:xml:ns:xmpp-streams"
	nsTLS        = "urn:ietf:params:xml:ns:xmpp-tls"
	nsSASL       = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsBind       = "urn:ietf:params:xml:ns:xmpp-bind"
	nsSession    = "urn:ietf:params:xml:ns:xmpp-session"
	nsPipelining = "urn:xmpp:features:pipelining"
	nsStanzas    = "urn:ietf:params:xml:ns:xmpp-stanzas"
	nsPing       = "urn:xmpp:ping"
	nsCarbons    = "urn:xmpp:carbons:2"
	nsForward    = "urn:xmpp:forward:0"
	nsHints      = "urn:xmpp:hints"
	nsDelay      = "urn:xmpp:delay"
	nsReceipts   = "urn:xmpp:receipts"
	nsContent    = "urn:xmpp:content"
	nsTime       = "urn:xmpp:messagetime"
	nsVCard      = "vcard-temp"
	nsLast       = "jabber:iq:last"
	nsRoster     = "jabber:iq:roster"
	nsBlocking   = "urn:xmpp:blocking"
	nsBlockErr   = "urn:xmpp:blocking:errors"
	nsActivities = "jabber:iq:user_activities"
	nsDiscoInfo  = "http://jabber.org/protocol/disco#info"
	nsDiscoItems = "http://jabber.org/protocol/disco#items"
	nsXML        = "http://www.w3.org/XML/1998/namespace"
)

const (
	maxStanza = 256 << 10 // bytes of one top-level element
	maxDepth  = 64        // nesting of one top-level element
)

// element is any XML element, as a tree: a server also forwards what it does not
// know. An empty namespace is that of the parent.
type element struct {
	name xml.Name
	// attrs does not contain namespace declarations.
	attrs []xml.Attr
	nodes []node
}

// node is a child element or, when el is nil, text.
type node struct {
	el   *element
	text string
}

// el builds an element; attrs are name, value pairs and those with an empty value are left out.
func el(space, local string, attrs ...string) *element {
	e := &element{name: xml.Name{Space: space, Local: local}}
	for i := 0; i+1 < len(attrs); i += 2 {
		if attrs[i+1] != "" {
			e.set(attrs[i], attrs[i+1])
		}
	}
	return e
}

// add appends child elements and returns e.
func (e *element) add(children ...*element) *element {
	for _, c := range children {
		if c != nil {
			e.nodes = append(e.nodes, node{el: c})
		}
	}
	return e
}

// txt appends text and returns e.
func (e *element) txt(s string) *element {
	e.nodes = append(e.nodes, node{text: s})
	return e
}

func (e *element) is(space, local string) bool {
	return e != nil && e.name.Space == space && e.name.Local == local
}

func (e *element) attr(name string) string {
	for _, a := range e.attrs {
		if a.Name.Space == "" && a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (e *element) set(name, value string) {
	for i, a := range e.attrs {
		if a.Name.Space == "" && a.Name.Local == name {
			e.attrs[i].Value = value
			return
		}
	}
	e.attrs = append(e.attrs, xml.Attr{Name: xml.Name{Local: name}, Value: value})
}

// children are the child elements, without text.
func (e *element) children() []*element {
	var out []*element
	for _, n := range e.nodes {
		if n.el != nil {
			out = append(out, n.el)
		}
	}
	return out
}

// first is the first child element, or nil.
func (e *element) first() *element {
	for _, n := range e.nodes {
		if n.el != nil {
			return n.el
		}
	}
	return nil
}

// child is the first child element of that local name in any namespace, or nil.
func (e *element) child(local string) *element {
	for _, n := range e.nodes {
		if n.el != nil && n.el.name.Local == local {
			return n.el
		}
	}
	return nil
}

// text is the text directly inside e.
func (e *element) text() string {
	var b strings.Builder
	if e != nil {
		for _, n := range e.nodes {
			b.WriteString(n.text)
		}
	}
	return b.String()
}

// readdressed is a copy of e with other from and to attributes; the children are shared.
func (e *element) readdressed(from, to string) *element {
	c := &element{name: e.name, attrs: append([]xml.Attr(nil), e.attrs...), nodes: e.nodes}
	if from != "" {
		c.set("from", from)
	}
	if to != "" {
		c.set("to", to)
	}
	return c
}

// String is e as XML that stands on its own: its namespace is always declared.
func (e *element) String() string {
	var b bytes.Buffer
	e.encode(&b, "")
	return b.String()
}

func (e *element) encode(b *bytes.Buffer, parent string) {
	tag, scope := e.name.Local, parent
	b.WriteByte('<')
	if e.name.Space == nsStreams {
		// protocol.md 4.3: browsers look for the prefix, and inside WebSocket frames nothing else
		// declares it.
		tag = "stream:" + e.name.Local
		b.WriteString(tag)
		writeAttr(b, "xmlns:stream", nsStreams)
	} else {
		b.WriteString(tag)
		if e.name.Space != "" && e.name.Space != parent {
			scope = e.name.Space
			writeAttr(b, "xmlns", scope)
		}
	}
	for _, a := range e.attrs {
		switch a.Name.Space {
		case "":
			writeAttr(b, a.Name.Local, a.Value)
		case nsXML:
			writeAttr(b, "xml:"+a.Name.Local, a.Value)
		default:
			writeAttr(b, "xmlns:a", a.Name.Space)
			writeAttr(b, "a:"+a.Name.Local, a.Value)
		}
	}
	if len(e.nodes) == 0 {
		b.WriteString("/>")
		return
	}
	b.WriteByte('>')
	for _, n := range e.nodes {
		if n.el != nil {
			n.el.encode(b, scope)
		} else {
			escape(b, n.text)
		}
	}
	b.WriteString("</" + tag + ">")
}

func writeAttr(b *bytes.Buffer, name, value string) {
	b.WriteString(" " + name + `="`)
	escape(b, value)
	b.WriteByte('"')
}

// escape cannot fail: a bytes.Buffer takes everything.
func escape(b *bytes.Buffer, s string) { _ = xml.EscapeText(b, []byte(s)) }

// Why an element was refused.
var (
	errRestricted = errors.New("comment, processing instruction or DTD")
	errDepth      = errors.New("nested too deep")
	errTrailing   = errors.New("more than one element")
	errName       = errors.New("a name that is no name without its prefix")
	errAttribute  = errors.New("two attributes from foreign namespaces, or two of the same name")
)

// parseElement reads exactly one element.
func parseElement(raw []byte) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(raw))
	var root *element
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) && root != nil {
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if root != nil {
				return nil, errTrailing
			}
			if root, err = readElement(d, t, 1); err != nil {
				return nil, err
			}
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, errTrailing
			}
		default:
			return nil, errRestricted
		}
	}
}

// isName reports whether local is a name without a prefix, too: a:0 is a name, 0 is not.
func isName(local string) bool {
	if c := local[0] | 0x20; c >= 'a' && c <= 'z' {
		return true
	}
	_, err := xml.NewDecoder(strings.NewReader("<" + local + "/>")).Token()
	return err == nil
}

// readElement reads the rest of the element that start opened.
func readElement(d *xml.Decoder, start xml.StartElement, depth int) (*element, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	if !isName(start.Name.Local) {
		return nil, errName
	}
	e := &element{name: start.Name}
	var err error
	if e.attrs, err = plainAttrs(start.Attr); err != nil {
		return nil, err
	}
	for {
		tok, err := d.Token()
		if err != nil {
			return nil, err
		}
		switch t := tok.(type) {
		case xml.StartElement:
			c, err := readElement(d, t, depth+1)
			if err != nil {
				return nil, err
			}
			e.nodes = append(e.nodes, node{el: c})
		case xml.CharData:
			if len(t) > 0 { // an empty CDATA section
				e.nodes = append(e.nodes, node{text: string(t)})
			}
		case xml.EndElement:
			return e, nil
		default:
			return nil, errRestricted
		}
	}
}

// plainAttrs drops namespace declarations and refuses what encode could not
// write again: duplicates, and more than one attribute of a foreign namespace.
func plainAttrs(in []xml.Attr) ([]xml.Attr, error) {
	var out []xml.Attr
	seen := make(map[xml.Name]bool, len(in))
	foreign := 0
	for _, a := range in {
		if seen[a.Name] {
			return nil, errAttribute
		}
		seen[a.Name] = true
		if a.Name.Space == "xmlns" || (a.Name.Space == "" && a.Name.Local == "xmlns") {
			continue
		}
		if a.Name.Space != "" && a.Name.Space != nsXML {
			if foreign++; foreign > 1 {
				return nil, errAttribute
			}
		}
		out = append(out, a)
	}
	return out, nil
}
