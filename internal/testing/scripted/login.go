package scripted

import (
	"fmt"
	"strings"

	"github.com/mirrorfly-go/sdk/internal/testing/xmltree"
)

// Who logs in.
const (
	Domain   = "xmpp.example.com"
	User     = "alice_1"
	Password = "s3cret"
	Resource = "Web-11111111-2222-4333-8444-555555555555"
	Bare     = User + "@" + Domain
	Full     = Bare + "/" + Resource
)

const (
	nsStream   = "http://etherx.jabber.org/streams"
	nsStreams  = "urn:ietf:params:xml:ns:xmpp-streams"
	closeFrame = `<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`
)

// The frames of a login with PLAIN.
const (
	ServerStream = `<?xml version='1.0'?><stream:stream id='s1' from='` + Domain +
		`' version='1.0' xml:lang='en' xmlns:stream='` + nsStream + `' xmlns='jabber:client'>`
	ServerOpen = `<open from="` + Domain +
		`" id="s1" version="1.0" xml:lang="en" xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`
	PlainFeatures = `<stream:features xmlns:stream="` + nsStream +
		`"><mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><mechanism>PLAIN</mechanism></mechanisms>` +
		`</stream:features>`
	TLSFeatures = `<stream:features xmlns:stream="` + nsStream +
		`"><starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"><required/></starttls></stream:features>`
	BindFeatures = `<stream:features xmlns:stream="` + nsStream +
		`"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></stream:features>`
	OpenRequest = `<open to="` + Domain + `" version="1.0" xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`
	PlainAuth   = `<auth mechanism="PLAIN" xmlns="urn:ietf:params:xml:ns:xmpp-sasl">AGFsaWNlXzEAczNjcmV0</auth>`
	SASLSuccess = `<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`
	BindRequest = `<iq id="_bind_auth_2" type="set" xmlns="jabber:client">` +
		`<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><resource>` + Resource + `</resource></bind></iq>`
	BindResult = `<iq id="_bind_auth_2" type="result" xmlns="jabber:client">` +
		`<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><jid>` + Full + `</jid></bind></iq>`
)

// Open reads the client's stream header and answers with ours and the features.
func (p *Peer) Open(features string) {
	p.T.Helper()
	p.Restart()
	if p.WS != nil {
		p.Expect(OpenRequest)
		p.Send(ServerOpen)
	} else {
		h := p.Recv()
		if h.Name.Space != nsStream || h.Attr("to") != Domain || h.Attr("version") != "1.0" {
			p.Fail("bad stream header: %s", h)
		}
		p.Send(ServerStream)
	}
	p.Send(features)
}

// Authenticated takes the client to the features after the login.
func (p *Peer) Authenticated(features string) {
	p.T.Helper()
	p.authenticatedAfter(PlainFeatures, features)
}

func (p *Peer) authenticatedAfter(before, after string) {
	p.T.Helper()
	p.Open(before)
	p.Expect(PlainAuth)
	p.Send(SASLSuccess)
	p.Open(after)
}

// Login takes the client to a bound resource.
func (p *Peer) Login() {
	p.T.Helper()
	p.LoginAfter(PlainFeatures)
}

// LoginAfter is Login, step by step, after these features.
func (p *Peer) LoginAfter(features string) {
	p.T.Helper()
	p.authenticatedAfter(features, BindFeatures)
	p.Expect(BindRequest)
	p.Send(BindResult)
}

// LoginInOneGo takes the client through all that follows the first features. It answers only when
// everything has come.
func (p *Peer) LoginInOneGo(features, request, answer string) {
	p.T.Helper()
	p.Expect(PlainAuth)
	p.Expect(OpenRequest)
	p.Expect(request)
	p.Send(SASLSuccess)
	p.Send(ServerOpen)
	p.Send(features)
	p.Send(answer)
}

// WithFeature adds an element to stream features.
func WithFeature(features, element string) string {
	return strings.Replace(features, "</stream:features>", element+"</stream:features>", 1)
}

// StreamError is a stream error, perhaps with content in its condition.
func StreamError(condition, content string) string {
	return `<stream:error xmlns:stream="` + nsStream + `"><` + condition + ` xmlns="` + nsStreams + `">` +
		content + `</` + condition + `></stream:error>`
}

// ReplyTo puts the id of a request into a reply.
func ReplyTo(reply string, request xmltree.Node) string {
	return fmt.Sprintf(reply, request.Attr("id"))
}

// Pong is a reply without content, for ReplyTo.
const Pong = `<iq id="%s" type="result" xmlns="jabber:client"/>`

// Answer answers so many requests.
func (p *Peer) Answer(requests int) {
	p.T.Helper()
	for range requests {
		p.Send(ReplyTo(Pong, p.Recv()))
	}
}
