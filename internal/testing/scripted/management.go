package scripted

import "github.com/mirrorfly-go/sdk/internal/testing/xmltree"

// What the two sides say where streams are managed (XEP-0198).
const (
	Enable  = `<enable resume="true" xmlns="urn:xmpp:sm:3"/>`
	Enabled = `<enabled id="one" resume="true" xmlns="urn:xmpp:sm:3"/>`
	Hello   = `<presence xmlns="jabber:client"><priority>1</priority></presence>`
	Carbons = `<iq id="ID" type="set" xmlns="jabber:client"><enable xmlns="urn:xmpp:carbons:2"/></iq>`
	Request = `<r xmlns="urn:xmpp:sm:3"/>`
	Online  = `<presence from="bob@xmpp.example.com/x" xmlns="jabber:client"/>`
)

// ManagedFeatures are BindFeatures of a server that can manage streams.
var ManagedFeatures = WithFeature(BindFeatures, `<sm xmlns="urn:xmpp:sm:3"/>`)

// Managed takes a client that has called Start to a stream that counts. What it asks for, carbons,
// is not answered yet.
func (p *Peer) Managed() (asked xmltree.Node) {
	p.T.Helper()
	asked = p.Enabling(Enabled)
	p.Expect(Request)
	return asked
}

// Enabling is Managed with another answer to the client's wish to count; "": none.
func (p *Peer) Enabling(answer string) (asked xmltree.Node) {
	p.T.Helper()
	p.Authenticated(ManagedFeatures)
	p.Expect(BindRequest)
	p.Send(BindResult)
	p.Expect(Enable)
	p.Expect(Hello)
	asked = p.Expect(Carbons)
	if answer != "" {
		p.Send(answer)
	}
	return asked
}

// Resumed takes the client back to the stream of Managed, of which nothing has arrived on either
// side.
func (p *Peer) Resumed() {
	p.T.Helper()
	p.Authenticated(ManagedFeatures)
	p.Expect(`<resume h="0" previd="one" xmlns="urn:xmpp:sm:3"/>`)
	p.Send(`<resumed h="0" previd="one" xmlns="urn:xmpp:sm:3"/>`)
}

// Announced reads what the client sends when nothing of it has arrived before.
func (p *Peer) Announced() {
	p.T.Helper()
	p.Expect(Hello)
	p.Expect(Carbons)
	p.Expect(Request)
}
