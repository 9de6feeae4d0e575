package xmpp

import "strings"

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
	nsVCard      = "vcard-temp"
	nsCaps       = "http://jabber.org/protocol/caps"
	nsPipelining = "urn:xmpp:features:pipelining"
)

const closeFrame = `<close xmlns="` + nsFraming + `"/>`

// The kinds of an iq, and what a presence or message may share with them.
const (
	kindGet    = "get"
	kindSet    = "set"
	kindResult = "result"
	kindError  = "error"
)

// iq is one that we send. The order of attributes is the one on the wire; RFC 7395
// wants every stanza to carry its namespace, and TCP does not mind.
type iq struct {
	from, id, to, kind string
	payload            markup
}

func (q *iq) frame() []byte {
	return markup{
		space: nsClient, name: "iq",
		attrs:    []string{"from", q.from, "id", q.id, "to", q.to, "type", q.kind},
		children: []markup{q.payload},
	}.frame()
}

// activity is a query of the service's own (protocol.md 5.6, 5.11).
func activity(status, socketID string) markup {
	return markup{space: nsActivities, name: "query", attrs: []string{"status", status, "socket_id", socketID}}
}

// empty is an element with nothing in it.
func empty(space, name string) markup { return markup{space: space, name: name} }

// stanza is a received element with what nearly every kind of it has.
type stanza struct {
	element
	id, kind, from, to string // the attributes id, type, from and to
}

// parse checks a frame and reads its start tag.
func parse(frame string) (*stanza, error) {
	if err := check(frame); err != nil {
		return nil, err
	}
	st := &stanza{element: newElement(strings.TrimSpace(frame), scope{unprefixed: nsClient})}
	for name, value := range attributes(st.tag) {
		switch name {
		case "id":
			st.id = unescape(value)
		case "type":
			st.kind = unescape(value)
		case "from":
			st.from = unescape(value)
		case "to":
			st.to = unescape(value)
		}
	}
	return st, nil
}

// jidsIn are the JIDs of a block, an unblock or a blocklist (XEP-0191), and how many items there are.
func jidsIn(list element) (jids []string, items int) {
	jids = []string{}
	for item := range list.children() {
		if item.local != "item" {
			continue
		}
		items++
		if jid := item.attr("jid"); jid != "" {
			jids = append(jids, strings.Clone(jid))
		}
	}
	return jids, items
}

// condition is the content of an error element: a first child of the namespace space that
// names what went wrong, and perhaps a text (RFC 6120 4.9.2, 6.5, 8.3.2).
type condition struct {
	name    string // clipped; "undefined-condition" when there is none
	content string
	text    string // clipped
}

func conditionIn(e element, space string) condition {
	c := condition{name: "undefined-condition"}
	named := false
	for child := range e.children() {
		switch {
		case child.local == "text":
			c.text = clip(child.text())
		case child.space == space && !named:
			c.name, c.content, named = clip(child.local), child.text(), true
		}
	}
	return c
}

// refusal is what an iq of type error says.
func (st *stanza) refusal() *StanzaError {
	e, _ := st.child("", "error")
	c := conditionIn(e, nsStanzas)
	return &StanzaError{Type: clip(e.attr("type")), Condition: c.name, Text: c.text}
}
