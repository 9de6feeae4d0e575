package xmpp

import (
	"strings"

	"github.com/mirrorfly-go/sdk/internal/frames"
	"github.com/mirrorfly-go/sdk/internal/xmltext"
)

const (
	nsClient     = frames.NSClient
	nsStream     = frames.NSStream
	nsFraming    = frames.NSFraming
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
	nsVCard      = "vcard-temp"
	nsCaps       = "http://jabber.org/protocol/caps"
	nsPipelining = "urn:xmpp:features:pipelining"
	nsContent    = "urn:xmpp:content"
	nsReceipts   = "urn:xmpp:receipts"
	nsTime       = "urn:xmpp:messagetime"
	nsChatStates = "http://jabber.org/protocol/chatstates"
	nsHints      = "urn:xmpp:hints"
	nsDelay      = "urn:xmpp:delay"
	nsRoster     = "jabber:iq:roster"
)

// The kinds of an iq, and what a presence or message may share with them.
const (
	kindGet    = "get"
	kindSet    = "set"
	kindResult = "result"
	kindError  = "error"
)

// iq is an iq that we send. Its attributes are in the order of the wire. RFC 7395 wants every
// stanza to carry its namespace; over TCP that does no harm.
type iq struct {
	from, id, to, kind string
	payload            xmltext.Markup
}

func (q *iq) frame() []byte {
	return xmltext.Markup{
		Space: nsClient, Name: "iq",
		Attrs:    []string{"from", q.from, "id", q.id, "to", q.to, "type", q.kind},
		Children: []xmltext.Markup{q.payload},
	}.Bytes()
}

// activity returns a query of the service's own (protocol.md 5.6, 5.11).
func activity(status, socketID string) xmltext.Markup {
	return xmltext.Markup{Space: nsActivities, Name: "query", Attrs: []string{"status", status, "socket_id", socketID}}
}

// empty returns an element with nothing in it.
func empty(space, name string) xmltext.Markup { return xmltext.Markup{Space: space, Name: name} }

// stanza is a received element with the attributes that nearly every kind of it has.
type stanza struct {
	xmltext.Element
	// The attributes id, type, from and to.
	id, kind, from, to string
}

// parse checks a frame and reads its start tag.
func parse(frame string) (*stanza, error) {
	e, err := xmltext.Parse(frame, nsClient)
	if err != nil {
		return nil, err
	}
	st := &stanza{Element: e}
	for name, value := range e.Attributes() {
		switch name {
		case "id":
			st.id = value
		case "type":
			st.kind = value
		case "from":
			st.from = value
		case "to":
			st.to = value
		}
	}
	return st, nil
}

// jidsIn returns the JIDs of a block, an unblock or a blocklist (XEP-0191), and how many items
// there are.
func jidsIn(list xmltext.Element) (jids []string, items int) {
	jids = []string{}
	for item := range list.Children() {
		if item.Local != "item" {
			continue
		}
		items++
		if jid := item.Attr("jid"); jid != "" {
			jids = append(jids, strings.Clone(jid))
		}
	}
	return jids, items
}

// condition is the content of an error element: a first child of the namespace space that
// names what went wrong, and perhaps a text (RFC 6120 4.9.2, 6.5, 8.3.2).
type condition struct {
	// name is "undefined-condition" when there is none. It and text are clipped.
	name, content, text string
}

func conditionIn(e xmltext.Element, space string) condition {
	c := condition{name: "undefined-condition"}
	named := false
	for child := range e.Children() {
		switch {
		case child.Local == "text":
			c.text = clip(child.Text())
		case child.Space == space && !named:
			c.name, c.content, named = clip(child.Local), child.Text(), true
		}
	}
	return c
}

// refusal returns the error of an iq of type error.
func (st *stanza) refusal() *StanzaError {
	e, _ := st.Child("", "error")
	c := conditionIn(e, nsStanzas)
	return &StanzaError{Type: clip(e.Attr("type")), Condition: c.name, Text: c.text}
}
