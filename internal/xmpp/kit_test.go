package xmpp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come: for one that would hang. Nothing takes so long, however busy the machine.
const patience = 2 * time.Minute

const (
	testDomain   = "xmpp.example.com"
	testUser     = "alice_1"
	testPassword = "s3cret"
	testResource = "Web-11111111-2222-4333-8444-555555555555"
	testBare     = testUser + "@" + testDomain
	testFull     = testBare + "/" + testResource

	plainFeatures = `<stream:features xmlns:stream="http://etherx.jabber.org/streams"><mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><mechanism>PLAIN</mechanism></mechanisms></stream:features>`
	bindFeatures  = `<stream:features xmlns:stream="http://etherx.jabber.org/streams"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></stream:features>`
	tlsFeatures   = `<stream:features xmlns:stream="http://etherx.jabber.org/streams"><starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"><required/></starttls></stream:features>`
	bindResult    = `<iq id="_bind_auth_2" type="result" xmlns="jabber:client"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><jid>` + testFull + `</jid></bind></iq>`
	saslSuccess   = `<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/>`
	serverStream  = `<?xml version='1.0'?><stream:stream id='s1' from='` + testDomain + `' version='1.0' xml:lang='en' xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client'>`
	serverOpen    = `<open from="` + testDomain + `" id="s1" version="1.0" xml:lang="en" xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`
)

// node is a parsed element that prints canonically: namespaces resolved,
// attributes sorted, ids of ours as ID.
type node struct {
	name  xml.Name
	attrs []xml.Attr
	inner []any // node or string
}

var uuid4 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func (n node) attr(name string) string {
	for _, a := range n.attrs {
		if a.Name.Space == "" && a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (n node) text() string {
	var b strings.Builder
	for _, c := range n.inner {
		if s, ok := c.(string); ok {
			b.WriteString(s)
		}
	}
	return b.String()
}

func (n node) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "<{%s}%s", n.name.Space, n.name.Local)
	var attrs []string
	for _, a := range n.attrs {
		if a.Name.Space == "xmlns" || a.Name.Local == "xmlns" {
			continue
		}
		if a.Name.Local == "id" && uuid4.MatchString(a.Value) {
			a.Value = "ID"
		}
		attrs = append(attrs, fmt.Sprintf(" {%s}%s=%q", a.Name.Space, a.Name.Local, a.Value))
	}
	slices.Sort(attrs)
	b.WriteString(strings.Join(attrs, "") + ">")
	for _, c := range n.inner {
		fmt.Fprintf(&b, "%v", c)
	}
	b.WriteString("</>")
	return b.String()
}

func readNode(dec *xml.Decoder, start xml.StartElement) (node, error) {
	n := node{name: start.Name, attrs: start.Attr}
	for {
		tok, err := dec.Token()
		if err != nil {
			return n, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			child, err := readNode(dec, tok)
			if err != nil {
				return n, err
			}
			n.inner = append(n.inner, child)
		case xml.CharData:
			n.inner = append(n.inner, string(tok))
		case xml.EndElement:
			return n, nil
		}
	}
}

func parseNode(s string) (node, error) {
	dec := xml.NewDecoder(strings.NewReader(s))
	tok, err := dec.Token()
	if err != nil {
		return node{}, err
	}
	start, ok := tok.(xml.StartElement)
	if !ok {
		return node{}, fmt.Errorf("no element: %q", s)
	}
	n, err := readNode(dec, start)
	if err != nil {
		return node{}, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return node{}, fmt.Errorf("more than one element: %q", s)
	}
	return n, nil
}

func canon(t testing.TB, s string) string {
	t.Helper()
	n, err := parseNode(s)
	require.NoError(t, err, s)
	return n.String()
}

// peer is the server's end of one connection. Its methods are for the script's
// goroutine; what goes wrong ends that and fails the test.
type peer struct {
	t    testing.TB
	conn net.Conn        // TCP
	dec  *xml.Decoder    // TCP
	ws   *websocket.Conn // WebSocket
	ctx  context.Context

	impatient bool // the client may leave at any step: that is no failure
}

func (p *peer) fail(format string, args ...any) {
	p.t.Helper()
	if !p.impatient {
		p.t.Errorf(format, args...)
	}
	runtime.Goexit()
}

// send writes text as it is; on a WebSocket as one message. A client that has
// gone is no failure.
func (p *peer) send(text string) {
	if p.ws != nil {
		_ = p.ws.Write(p.ctx, websocket.MessageText, []byte(text))
		return
	}
	_, _ = io.WriteString(p.conn, text)
}

var errStreamEnd = errors.New("end of stream")

func (p *peer) read() (node, error) {
	if p.ws != nil {
		_, b, err := p.ws.Read(p.ctx)
		if err != nil {
			return node{}, err
		}
		return parseNode(string(b))
	}
	for {
		tok, err := p.dec.Token()
		if err != nil {
			return node{}, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if tok.Name.Local == "stream" {
				return node{name: tok.Name, attrs: tok.Attr}, nil
			}
			return readNode(p.dec, tok)
		case xml.EndElement:
			return node{}, errStreamEnd
		}
	}
}

func (p *peer) recv() node {
	p.t.Helper()
	n, err := p.read()
	if err != nil {
		p.fail("server reads: %v", err)
	}
	return n
}

// drain reads until the client is gone.
func (p *peer) drain() {
	for {
		if _, err := p.read(); err != nil && !errors.Is(err, errStreamEnd) {
			return
		}
	}
}

func (p *peer) expect(want string) node {
	p.t.Helper()
	got := p.recv()
	w, err := parseNode(want)
	if err != nil {
		p.fail("bad expectation: %v", err)
	}
	if got.String() != w.String() {
		p.fail("client sent\n%s\nwant\n%s", got, w)
	}
	return got
}

// restart begins to read a new stream.
func (p *peer) restart() {
	if p.ws == nil {
		p.dec = xml.NewDecoder(bufio.NewReader(p.conn))
	}
}

// open reads the client's stream header and answers with ours and the features.
func (p *peer) open(features string) {
	p.t.Helper()
	p.restart()
	if p.ws != nil {
		p.expect(`<open to="` + testDomain + `" version="1.0" xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`)
		p.send(serverOpen)
	} else {
		h := p.recv()
		if h.name.Space != nsStream || h.attr("to") != testDomain || h.attr("version") != "1.0" {
			p.fail("bad stream header: %s", h)
		}
		p.send(serverStream)
	}
	p.send(features)
}

// expectEnd reads the end of the client's stream.
func (p *peer) expectEnd() {
	p.t.Helper()
	if p.ws != nil {
		p.expect(closeFrame)
		return
	}
	if n, err := p.read(); !errors.Is(err, errStreamEnd) {
		p.fail("want end of stream, got %v, %v", n, err)
	}
}

func (p *peer) sendEnd() {
	if p.ws != nil {
		p.send(closeFrame)
	} else {
		p.send("</stream:stream>")
	}
}

const plainAuth = `<auth mechanism="PLAIN" xmlns="urn:ietf:params:xml:ns:xmpp-sasl">AGFsaWNlXzEAczNjcmV0</auth>`

// login takes the client to a bound resource.
func (p *peer) login() {
	p.t.Helper()
	p.loginAfter(plainFeatures)
}

// loginAfter is login, step by step, after these features.
func (p *peer) loginAfter(features string) {
	p.t.Helper()
	p.open(features)
	p.expect(plainAuth)
	p.send(saslSuccess)
	p.open(bindFeatures)
	p.expect(`<iq id="_bind_auth_2" type="set" xmlns="jabber:client"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><resource>` + testResource + `</resource></bind></iq>`)
	p.send(bindResult)
}

type script func(p *peer)

// transports are the ways to reach a scripted server. Each returns what to dial
// it with; the script runs once per connection.
var transports = map[string]func(t testing.TB, s script) Config{
	"websocket": webSocketServer,
	"starttls":  startTLSServer,
	"directtls": directTLSServer,
	"tcp":       pipeServer,
}

// eachTransport runs f on every transport, in a bubble: see still.
func eachTransport(t *testing.T, f func(t *testing.T, serve func(testing.TB, script) Config)) {
	for name, serve := range transports {
		t.Run(name, func(t *testing.T) { still(t, func(t *testing.T) { f(t, serve) }) })
	}
}

// still runs f in a bubble. Beside a listener on a real socket no time passes there, so that none of the times that a session gives a
// server, some of them a second, is over before a busy machine has got to it. Over a pipe time passes only when all wait.
func still(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

func testConfig(addr string) Config {
	addrs, err := ParseAddresses(addr, true)
	if err != nil {
		panic(err)
	}
	return Config{
		Addresses: addrs, Domain: testDomain, Username: testUser, Password: testPassword, Resource: testResource,
		UserAgent: "test", DialTimeout: patience,
	}
}

// run runs a script; the test waits for it.
func run(t testing.TB, p *peer, s script) {
	done := make(chan struct{})
	t.Cleanup(func() { <-done })
	go func() { // ends with the script: when the client is gone
		defer close(done)
		defer func() {
			if p.conn != nil {
				_ = p.conn.Close()
			}
		}()
		s(p)
	}()
}

// pipeServer is TCP without TLS, over net.Pipe.
func pipeServer(t testing.TB, s script) Config {
	cfg := testConfig("xmpp://pipe:5222")
	cfg.AllowInsecure = true
	cfg.DialContext = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		t.Cleanup(func() { _ = client.Close() })
		run(t, &peer{t: t, conn: server}, s)
		return client, nil
	}
	return cfg
}

// testCA signs one certificate, for the names given.
func testCA(t testing.TB, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	require.NoError(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: names,
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	require.NoError(t, err)
	caCert, err := x509.ParseCertificate(caDER)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(caCert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// listen serves each connection with f until the test ends.
func listen(t testing.TB, f func(net.Conn)) (addr string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	t.Cleanup(func() {
		_ = ln.Close()
		wg.Wait()
	})
	wg.Go(func() { // ends when the listener is closed
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { // ends with f
				defer func() { _ = conn.Close() }()
				f(conn)
			})
		}
	})
	return ln.Addr().String()
}

func directTLSServer(t testing.TB, s script) Config {
	cert, pool := testCA(t, testDomain)
	addr := listen(t, func(conn net.Conn) {
		s(&peer{t: t, conn: tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}})})
	})
	cfg := testConfig("xmpps://" + addr)
	cfg.TLSConfig = &tls.Config{RootCAs: pool}
	return cfg
}

func startTLSServer(t testing.TB, s script) Config {
	cert, pool := testCA(t, testDomain)
	addr := listen(t, func(conn net.Conn) {
		p := &peer{t: t, conn: conn, impatient: true}
		p.open(tlsFeatures)
		p.expect(`<starttls xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>`)
		p.send(`<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>`)
		p.conn, p.impatient = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}}), false
		s(p)
	})
	cfg := testConfig("xmpp://" + addr)
	cfg.TLSConfig = &tls.Config{RootCAs: pool}
	return cfg
}

// webSocketHandler upgrades and runs the script.
func webSocketHandler(t testing.TB, s script) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/websocket" || r.UserAgent() != "test" {
			t.Errorf("bad upgrade request: %s, agent %q", r.URL, r.UserAgent())
		}
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"xmpp"}})
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		conn.SetReadLimit(maxFrame)
		defer func() { _ = conn.CloseNow() }()
		done := make(chan struct{})
		go func() { // ends with the script
			defer close(done)
			s(&peer{t: t, ws: conn, ctx: context.Background()})
		}()
		<-done
	}
}

func webSocketServer(t testing.TB, s script) Config {
	var wg sync.WaitGroup
	handler := webSocketHandler(t, s)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wg.Add(1)
		defer wg.Done()
		handler(w, r)
	}))
	t.Cleanup(func() {
		srv.Client().CloseIdleConnections()
		srv.Close()
		wg.Wait()
	})
	cfg := testConfig("wss://" + srv.Listener.Addr().String())
	cfg.HTTPClient = srv.Client()
	return cfg
}

// client is a session under test with its read loop running.
type client struct {
	*Session
	t      testing.TB
	served chan error
	events chan Event
}

// dial dials and serves; the test ends with the session closed and Serve back.
func dial(t testing.TB, cfg Config) *client {
	t.Helper()
	return dialThrough(t, cfg, nil)
}

// dialThrough is dial with something around the transport.
func dialThrough(t testing.TB, cfg Config, wrap func(framer) framer) *client {
	t.Helper()
	c := &client{t: t, served: make(chan error, 1), events: make(chan Event, 1024)}
	if cfg.Handle == nil {
		cfg.Handle = func(e Event) { c.events <- e }
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := Dial(ctx, cfg)
	require.NoError(t, err)
	if wrap != nil {
		s.f, s.prompt = wrap(s.f), nil
	}
	c.Session = s
	returned := make(chan struct{})
	go func() { // ends with the session
		defer close(returned)
		c.served <- s.Serve()
	}()
	t.Cleanup(func() {
		_ = s.Close(done())
		<-returned
	})
	return c
}

// done is a context that has ended.
func done() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// soon is for what ends by itself.
func soon(t testing.TB) context.Context { return within(t, patience) }

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// ended waits for Serve to return.
func (c *client) ended() error {
	c.t.Helper()
	select {
	case err := <-c.served:
		return err
	case <-time.After(patience):
		require.FailNow(c.t, "Serve did not return")
		return nil
	}
}

func (c *client) event() Event {
	c.t.Helper()
	select {
	case e := <-c.events:
		return e
	case <-time.After(patience):
		require.FailNow(c.t, "no event")
		return nil
	}
}

// pending returns how many requests wait for a reply.
func (c *client) pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for range c.waiters.all() {
		n++
	}
	return n
}

// vectors is testdata/stanzas.json: exchanges recorded from the service's own client.
type vectors struct {
	Methods []struct {
		Method   string
		Args     map[string]string
		Outgoing string
		Inbound  string
		Result   json.RawMessage
		Note     string
	}
	Stream []struct{ Step, Direction, XML string }
	Events []struct {
		Event    string
		Inbound  string
		Listener string
		Payload  json.RawMessage
		Reply    string
	}
}

func loadVectors(t testing.TB) vectors {
	t.Helper()
	b, err := os.ReadFile("testdata/stanzas.json")
	require.NoError(t, err)
	var v vectors
	require.NoError(t, json.Unmarshal(b, &v))
	require.NotEmpty(t, v.Methods)
	require.NotEmpty(t, v.Stream)
	require.NotEmpty(t, v.Events)
	return v
}

// stream returns a recorded stream frame.
func (v vectors) stream(t testing.TB, step string) string {
	t.Helper()
	for _, s := range v.Stream {
		if s.Step == step {
			return s.XML
		}
	}
	require.FailNow(t, "no such step", step)
	return ""
}

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// replyTo puts the id of a request into a reply.
func replyTo(reply string, request node) string { return fmt.Sprintf(reply, request.attr("id")) }
