package xmpp

import (
	"bytes"
	"encoding/xml"
	"io"
	"sync"
)

const (
	nsClient     = "jabber:client"
	nsStream     = "http://etherx.jabber.org/streams"
	nsFraming    = "urn:ietf:params:xml:ns:xmpp-framing"
	nsTLS        = "urn:ietf:params:xml:ns:xmpp-tls"
	nsSASL       = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsBind       = "urn:ietf:params:xml:ns:xmpp-bind"
	nsSession    = "urn:ietf:params:xml:ns:xmpp-session"
	nsStreams    = "urn:ietf:params:xml:ns:xmpp-streams"
	nsStanzas    = "urn:ietf:params:xml:ns:xmpp-stanzas"
	nsManagement = "urn:xmpp:sm:3"
	nsPing       = "urn:xmpp:ping"
	nsCarbons    = "urn:xmpp:carbons:2"
	nsForward    = "urn:xmpp:forward:0"
	nsBlocking   = "urn:xmpp:blocking"
	nsLast       = "jabber:iq:last"
	nsActivities = "jabber:iq:user_activities"
)

const closeFrame = `<close xmlns="` + nsFraming + `"/>`

// The kinds of an iq, and what a presence or message may share with them.
const (
	kindGet    = "get"
	kindSet    = "set"
	kindResult = "result"
	kindError  = "error"
)

// What we send. The order of fields is the order on the wire; RFC 7395 wants
// every stanza to carry its namespace, and TCP does not mind.

type openElement struct {
	XMLName xml.Name `xml:"urn:ietf:params:xml:ns:xmpp-framing open"`
	From    string   `xml:"from,attr,omitempty"`
	ID      string   `xml:"id,attr,omitempty"`
	To      string   `xml:"to,attr,omitempty"`
	Version string   `xml:"version,attr,omitempty"`
}

type iq struct {
	XMLName xml.Name `xml:"jabber:client iq"`
	From    string   `xml:"from,attr,omitempty"`
	ID      string   `xml:"id,attr"`
	To      string   `xml:"to,attr,omitempty"`
	Type    string   `xml:"type,attr"`
	Payload any      // names itself; nil: none
}

type presence struct {
	XMLName  xml.Name `xml:"jabber:client presence"`
	Type     string   `xml:"type,attr,omitempty"`
	Priority string   `xml:"priority,omitempty"`
}

// element is an empty element.
type element struct{ XMLName xml.Name }

func empty(space, local string) element { return element{xml.Name{Space: space, Local: local}} }

// activity is a query of the service's own (protocol.md 5.6, 5.11).
type activity struct {
	XMLName  xml.Name `xml:"jabber:iq:user_activities query"`
	Status   string   `xml:"status,attr"`
	SocketID string   `xml:"socket_id,attr,omitempty"`
}

// blocking is a block, an unblock or a blocklist, sent and received (XEP-0191).
type blocking struct {
	XMLName xml.Name
	Items   []blockItem `xml:"item"`
}

type blockItem struct {
	JID string `xml:"jid,attr"`
}

func (b *blocking) jids() []string {
	jids := make([]string, 0, len(b.Items))
	for _, item := range b.Items {
		if item.JID != "" {
			jids = append(jids, item.JID)
		}
	}
	return jids
}

// errorPayload is an <error/> that we send.
type errorPayload struct {
	XMLName   xml.Name `xml:"error"`
	Type      string   `xml:"type,attr"`
	Condition element
}

// encoder is an xml.Encoder that is used again, since each brings a 4 KiB buffer.
type encoder struct {
	buf bytes.Buffer
	xml *xml.Encoder
}

// encoders is a free list and nothing else: what comes out of it is empty.
var encoders = sync.Pool{New: func() any {
	e := new(encoder)
	e.xml = xml.NewEncoder(&e.buf)
	return e
}}

func encode(v any) ([]byte, error) {
	e := encoders.Get().(*encoder)
	if err := e.xml.Encode(v); err != nil {
		return nil, err // and e is not used again: it may be inside an element
	}
	frame := bytes.Clone(e.buf.Bytes())
	e.buf.Reset()
	if e.buf.Cap() <= keptBuffer {
		encoders.Put(e)
	}
	return frame, nil
}

// stanza is a received element whose start tag has been read. Its rest must be
// read too, by decode, skip or eachChild: only then is it known to be well-formed.
type stanza struct {
	dec  *xml.Decoder
	root xml.StartElement

	id, kind, from, to string // the attributes id, type, from and to
}

// parse checks a frame and reads its start tag.
func parse(frame []byte) (*stanza, error) {
	if err := checkFrame(frame); err != nil {
		return nil, err
	}
	st := &stanza{dec: xml.NewDecoder(bytes.NewReader(frame))}
	st.dec.DefaultSpace = nsClient
	var err error
	if st.root, err = firstElement(st.dec); err != nil {
		return nil, err
	}
	for _, a := range st.root.Attr {
		if a.Name.Space != "" {
			continue
		}
		switch a.Name.Local {
		case "id":
			st.id = a.Value
		case "type":
			st.kind = a.Value
		case "from":
			st.from = a.Value
		case "to":
			st.to = a.Value
		}
	}
	return st, nil
}

// firstElement reads up to the first start tag.
func firstElement(dec *xml.Decoder) (xml.StartElement, error) {
	for {
		tok, err := dec.Token()
		if err != nil {
			return xml.StartElement{}, badXML(err)
		}
		if start, ok := tok.(xml.StartElement); ok {
			return start, nil
		}
	}
}

func (st *stanza) is(space, local string) bool {
	return st.root.Name == xml.Name{Space: space, Local: local}
}

// decode reads the rest into v, whose fields must all be strings: then nothing
// but malformed XML is an error.
func (st *stanza) decode(v any) error { return badXML(st.dec.DecodeElement(v, &st.root)) }

// skip reads the rest for nothing.
func (st *stanza) skip() error { return badXML(st.dec.Skip()) }

// badXML marks what the decoder found as the end of the stream.
func badXML(err error) error {
	switch err {
	case nil:
		return nil
	case io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return malformed("%s", clip(err.Error()))
}

// attr returns an attribute of an element, or "".
func attr(start xml.StartElement, name string) string {
	for _, a := range start.Attr {
		if a.Name.Space == "" && a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// condition is the content of an error element: a first child that names what
// went wrong, and perhaps a text (RFC 6120 4.9.2, 6.5, 8.3.2).
type condition struct {
	Type     string `xml:"type,attr"`
	Text     string `xml:"text"`
	Children []struct {
		XMLName xml.Name
		Content string `xml:",chardata"`
	} `xml:",any"`
}

// in returns the first child of a namespace and its content.
func (c *condition) in(space string) (name, content string) {
	for _, child := range c.Children {
		if child.XMLName.Space == space {
			return clip(child.XMLName.Local), child.Content
		}
	}
	return "undefined-condition", ""
}

func (c *condition) stanzaError() *StanzaError {
	name, _ := c.in(nsStanzas)
	return &StanzaError{Type: clip(c.Type), Condition: name, Text: clip(c.Text)}
}
