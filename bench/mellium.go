package main

import (
	"context"
	"encoding/xml"
	"net"

	"mellium.im/sasl"
	"mellium.im/xmlstream"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/stanza"
	"mellium.im/xmpp/websocket"
)

// mellium is a session of mellium.im/xmpp.
type mellium struct {
	*xmpp.Session
	bare jid.JID
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
	// Close owns it. It ends with the session.
	go func() { _ = s.Serve(nil) }()
	if err := s.Send(ctx, stanza.Presence{}.Wrap(nil)); err != nil {
		return nil, err
	}
	return mellium{s, bare}, nil
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
