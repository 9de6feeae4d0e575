package main

import (
	"context"
	"encoding/xml"
	"net"

	"mellium.im/sasl"
	"mellium.im/xmlstream"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/ping"
	"mellium.im/xmpp/stanza"
	"mellium.im/xmpp/websocket"
)

// mellium is a session of mellium.im/xmpp.
type mellium struct {
	*xmpp.Session
	bare jid.JID
	talk
	// far is talk.with.
	far jid.JID
}

func dialMellium(ctx context.Context, at *place, who account) (session, error) {
	bare, err := jid.Parse(at.jid(who))
	if err != nil {
		return nil, err
	}
	config := func(*xmpp.Session, *xmpp.StreamConfig) xmpp.StreamConfig {
		return xmpp.StreamConfig{
			Features: []xmpp.StreamFeature{xmpp.SASL("", who.Password, sasl.Plain), xmpp.BindResource()},
		}
	}
	var conn net.Conn
	negotiator := xmpp.NewNegotiator(config)
	if at.webSocket() {
		negotiator = websocket.Negotiator(config)
		d := websocket.Dialer{Origin: "http://" + at.Domain, TLSConfig: at.tls, InsecureNoTLS: at.transport == overWS}
		conn, err = d.DialDirect(ctx, at.address())
	} else {
		conn, err = at.dialTCP(ctx)
	}
	if err != nil {
		return nil, err
	}
	// Without "Secure" it does not log in, so it is set for plain connections, too.
	s, err := xmpp.NewSession(ctx, bare.Domain(), bare, conn, xmpp.Secure, negotiator)
	if err != nil {
		return nil, err
	}
	m := mellium{Session: s, bare: bare, talk: at.talk}
	var handler xmpp.Handler
	if m.with != "" {
		if m.far, err = jid.Parse(m.with); err != nil {
			return nil, err
		}
		handler = xmpp.HandlerFunc(m.hear)
	}
	// Close owns it. It ends with the session.
	go func() { _ = s.Serve(handler) }()
	if err := s.Send(ctx, stanza.Presence{}.Wrap(nil)); err != nil {
		return nil, err
	}
	return m, nil
}

func (m mellium) Ask(ctx context.Context) error {
	query := xmlstream.Wrap(nil, xml.StartElement{Name: xml.Name{Space: "jabber:iq:last", Local: "query"}})
	var last lastActivity
	return m.UnmarshalIQElement(ctx, query, stanza.IQ{Type: stanza.GetIQ, To: m.bare}, &last)
}

// lastActivity is the payload of an answer.
type lastActivity struct {
	XMLName xml.Name `xml:"jabber:iq:last query"`
	Seconds int64    `xml:"seconds,attr"`
}

// Say has the server answer a ping behind the message: it handles a stream in its order (RFC 6120
// 10.1).
func (m mellium) Say(ctx context.Context) error {
	if err := m.Encode(ctx, melliumText{Message: m.message(), Body: text}); err != nil {
		return err
	}
	return ping.Send(ctx, m.Session, m.bare.Domain())
}

func (m mellium) message() stanza.Message {
	return stanza.Message{To: m.far, Type: stanza.ChatMessage}
}

// hear answers a message. What t writes goes out at its end, in one WebSocket message, where two
// stanzas must not be: so m writes.
func (m mellium) hear(t xmlstream.TokenReadEncoder, start *xml.StartElement) error {
	if start.Name.Local != "message" || m.heard == nil {
		return nil
	}
	var got melliumText
	if err := xml.NewTokenDecoder(xmlstream.MultiReader(xmlstream.Token(*start), t)).Decode(&got); err != nil {
		return err
	}
	if got.Body == "" {
		return nil
	}
	ctx := context.Background()
	if m.echo {
		if err := m.Encode(ctx, melliumText{Message: m.message(), Body: got.Body}); err != nil {
			return err
		}
	}
	told := melliumReceipt{Message: m.message()}
	told.Delivered.ID = got.ID
	err := m.Encode(ctx, told)
	m.heard()
	return err
}

type melliumText struct {
	stanza.Message
	Body string `xml:"body"`
}

type melliumReceipt struct {
	stanza.Message
	Delivered struct {
		ID string `xml:"id,attr"`
	} `xml:"urn:xmpp:receipts delivered"`
}
