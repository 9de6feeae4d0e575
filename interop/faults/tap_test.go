package faults

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// tap stands between the client and the server inside the encryption. It sees frames (WebSocket
// messages, XMPP elements) and HTTP requests, and does with them what it is told.
type tap struct {
	t      testing.TB
	roots  *x509.CertPool // of the server
	domain string
	server addresses
	https  *http.Server
	client *http.Transport
	at     addresses       // of the tap
	ctx    context.Context // ends with close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex
	rule   func(packet) fate // nil: everything passes
	answer func(*exchange)   // nil: everything passes
	face   *identity         // what clients are shown
	wires  []*wire           // all that there were, the first connection first
	raws   map[net.Conn]struct{}
}

// addresses are host:port of the ways to a server.
type addresses struct{ https, starttls, tls string }

// packet is a frame on its way.
type packet struct {
	wire *wire
	down bool // from the server to the client
	text string
}

func (p packet) has(s string) bool { return strings.Contains(p.text, s) }

// fate is what becomes of a frame, and of its connection then.
type fate struct {
	send []string
	end  fault // cut, reset, or halfOpen: neither way passes anything any more; "": it goes on
}

func pass(p packet) fate { return fate{send: []string{p.text}} }

func newTap(t testing.TB, server addresses, roots *x509.CertPool, domain string) *tap {
	t.Helper()
	p := &tap{t: t, roots: roots, domain: domain, server: server, raws: map[net.Conn]struct{}{}, face: tapIdentity()}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.client = &http.Transport{TLSClientConfig: p.toServer()}
	ip := ownIP(t.Name() + "tap")
	p.at = addresses{https: p.serveHTTPS(ip), starttls: p.serveTCP(ip, false), tls: p.serveTCP(ip, true)}
	t.Cleanup(p.close)
	return p
}

func (p *tap) toServer() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: p.roots, ServerName: p.domain}
}

func (p *tap) toClient(protocol string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{protocol},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			return &p.face.certificate, nil
		},
	}
}

// showAs makes the tap show another certificate.
func (p *tap) showAs(face *identity) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.face = face
}

// tell says what to do with frames from now on; nil: nothing.
func (p *tap) tell(rule func(packet) fate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rule = rule
}

// tellHTTP says what to do with requests from now on, but for WebSocket upgrades that it passes on;
// nil: nothing.
func (p *tap) tellHTTP(answer func(*exchange)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// heal ends every fault, and the connections that suffer from one.
func (p *tap) heal() {
	p.tell(nil)
	p.tellHTTP(nil)
	p.showAs(tapIdentity())
	for _, w := range p.all() {
		if w.isStuck() {
			w.finish(cut)
		}
	}
}

func (p *tap) all() []*wire {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*wire(nil), p.wires...)
}

// newest is the connection that was made last.
func (p *tap) newest() *wire {
	all := p.all()
	require.NotEmpty(p.t, all)
	return all[len(all)-1]
}

func (p *tap) close() {
	p.cancel()
	_ = p.https.Close()
	p.mu.Lock()
	for c := range p.raws {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
	p.client.CloseIdleConnections()
}

// listen accepts connections, and closes them and itself with the tap.
func (p *tap) listen(ip string) net.Listener {
	ln, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	require.NoError(p.t, err)
	context.AfterFunc(p.ctx, func() { _ = ln.Close() })
	return ln
}

// track makes close end a connection.
func (p *tap) track(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		_ = c.Close()
		return
	}
	p.raws[c] = struct{}{}
}

func (p *tap) serveTCP(ip string, direct bool) string {
	ln := p.listen(ip)
	p.wg.Go(func() { // ends with the listener
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			p.track(conn)
			p.wg.Go(func() { p.relayTCP(conn.(*net.TCPConn), direct) }) // ends with the connection
		}
	})
	return ln.Addr().String()
}

func (p *tap) relayTCP(client *net.TCPConn, direct bool) {
	defer client.Close()
	address := p.server.starttls
	if direct {
		address = p.server.tls
	}
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	p.track(server)
	down, up := newElements(client), newElements(server)
	if direct {
		if down.secure(
			tls.Server(client, p.toClient("xmpp-client")),
		) != nil || up.secure(tls.Client(server, p.toServer())) != nil {
			return
		}
	}
	w := p.newWire(client, down, up)
	w.upgrade = func() error {
		if err := up.secure(tls.Client(server, p.toServer())); err != nil {
			return err
		}
		return down.secure(tls.Server(client, p.toClient("xmpp-client")))
	}
	w.run()
}

type rawConn struct{}

func (p *tap) serveHTTPS(ip string) string {
	ln := p.listen(ip)
	p.https = &http.Server{
		Handler: http.HandlerFunc(p.serve),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			raw := c.(*tls.Conn).NetConn()
			p.track(raw)
			return context.WithValue(ctx, rawConn{}, raw)
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	// ends with close
	p.wg.Go(func() { _ = p.https.Serve(tls.NewListener(ln, p.toClient("http/1.1"))) })
	return ln.Addr().String()
}

func (p *tap) serve(rw http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	answer := p.answer
	p.mu.Unlock()
	x := &exchange{tap: p, w: rw, r: r}
	if answer == nil {
		answer = (*exchange).pass
	}
	answer(x)
}

func (p *tap) relayWebSocket(rw http.ResponseWriter, r *http.Request) {
	var protocols []string
	if offered := r.Header.Get("Sec-WebSocket-Protocol"); offered != "" {
		protocols = strings.Split(offered, ", ")
	}
	up, _, err := websocket.Dial(p.ctx, "wss://"+p.server.https+r.URL.RequestURI(), &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: p.client}, Subprotocols: protocols,
	})
	if err != nil {
		http.Error(rw, "no server", http.StatusBadGateway)
		return
	}
	defer up.CloseNow()
	down, err := websocket.Accept(rw, r, &websocket.AcceptOptions{Subprotocols: protocols})
	if err != nil {
		return // Accept has answered
	}
	defer down.CloseNow()
	const large = 64 << 20
	up.SetReadLimit(large)
	down.SetReadLimit(large)
	raw := r.Context().Value(rawConn{}).(*net.TCPConn)
	p.newWire(raw, messages{p.ctx, down}, messages{p.ctx, up}).run()
}

// frames is one side of a connection.
type frames interface {
	read() (string, error)
	write(string) error
	close() // as if the process had ended
}

// messages is a WebSocket.
type messages struct {
	ctx  context.Context
	conn *websocket.Conn
}

func (m messages) read() (string, error) {
	_, data, err := m.conn.Read(m.ctx)
	return string(data), err
}

func (m messages) write(text string) error {
	return m.conn.Write(m.ctx, websocket.MessageText, []byte(text))
}
func (m messages) close() { _ = m.conn.CloseNow() }

// wire is one connection through a tap.
type wire struct {
	tap      *tap
	number   int          // 1 for the first
	raw      *net.TCPConn // to the client
	client   frames
	server   frames
	upgrade  func() error // puts TLS under both sides; nil: it is there
	over     chan struct{}
	overOnce sync.Once

	mu    sync.Mutex // one frame at a time to the client, and stuck
	stuck bool
}

func (p *tap) newWire(raw *net.TCPConn, client, server frames) *wire {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := &wire{tap: p, number: len(p.wires) + 1, raw: raw, client: client, server: server, over: make(chan struct{})}
	p.wires = append(p.wires, w)
	return w
}

// run relays until either side ends. Downwards in this goroutine, which also does STARTTLS.
func (w *wire) run() {
	context.AfterFunc(w.tap.ctx, func() { w.finish(cut) })
	upwards := make(chan struct{})
	proceeded := make(chan struct{})
	go func() { // ends with either side
		defer close(upwards)
		w.relay(w.client, false, proceeded)
	}()
	w.relay(w.server, true, proceeded)
	<-upwards
}

func (w *wire) relay(from frames, down bool, proceeded chan struct{}) {
	for {
		text, err := from.read()
		if err != nil {
			w.relayEnd(err)
			return
		}
		f := w.decide(packet{wire: w, down: down, text: text})
		for _, out := range f.send {
			if w.write(down, out) != nil {
				w.finish(cut)
				return
			}
		}
		if f.end != "" {
			w.finish(f.end)
			if f.end == halfOpen {
				<-w.over
			}
			return
		}
		if w.isStuck() {
			<-w.over
			return
		}
		if w.upgrade == nil {
			continue
		}
		if !down && strings.Contains(text, "<starttls") { // what comes next is TLS
			select {
			case <-proceeded:
			case <-w.over:
				return
			}
		}
		if down && strings.Contains(text, "<proceed") {
			if w.upgrade() != nil {
				w.finish(cut)
				return
			}
			close(proceeded)
		}
	}
}

func (w *wire) decide(p packet) fate {
	w.tap.mu.Lock()
	rule := w.tap.rule
	w.tap.mu.Unlock()
	if rule == nil {
		return pass(p)
	}
	return rule(p)
}

func (w *wire) write(down bool, text string) error {
	if !down {
		return w.server.write(text)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.client.write(text)
}

// inject sends the client a frame that the server has not sent.
func (w *wire) inject(text string) error { return w.write(true, text) }

// relayEnd passes the end of one side on to the other, as it came.
func (w *wire) relayEnd(err error) {
	var closed websocket.CloseError
	if down, is := w.client.(messages); is && errors.As(err, &closed) {
		_ = down.conn.Close(closed.Code, closed.Reason)
	}
	w.finish(cut)
}

func (w *wire) isStuck() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stuck
}

// finish ends the connection on both sides, to the client as how says: cut, reset or halfOpen.
func (w *wire) finish(how fault) {
	if how == halfOpen {
		w.mu.Lock()
		w.stuck = true
		w.mu.Unlock()
		return
	}
	w.overOnce.Do(func() {
		close(w.over)
		if how == reset {
			_ = w.raw.SetLinger(0)
			_ = w.raw.Close()
		}
		w.client.close()
		w.server.close()
	})
}

// exchange is one HTTP request on its way through a tap.
type exchange struct {
	tap  *tap
	w    http.ResponseWriter
	r    *http.Request
	kept net.Conn // taken over by beginning
}

func (x *exchange) is(path string) bool { return strings.Contains(x.r.URL.Path, path) }

// pass lets the request and its answer through.
func (x *exchange) pass() {
	if strings.EqualFold(x.r.Header.Get("Upgrade"), "websocket") {
		x.tap.relayWebSocket(x.w, x.r)
		return
	}
	resp := x.send()
	defer resp.Body.Close()
	if x.answer(resp, resp.Body) != nil {
		panic(http.ErrAbortHandler)
	}
}

// answer is what the client gets.
func (x *exchange) answer(resp *http.Response, body io.Reader) error {
	for name, values := range resp.Header {
		x.w.Header()[name] = values
	}
	x.w.WriteHeader(resp.StatusCode)
	_, err := io.Copy(x.w, body)
	return err
}

// fetch lets the request through and keeps the answer.
func (x *exchange) fetch() (*http.Response, []byte) {
	resp := x.send()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return resp, body
}

// send lets the request through. When there is no answer the client's connection is cut.
func (x *exchange) send() *http.Response {
	out := x.r.Clone(x.r.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI = "https", x.tap.server.https, ""
	resp, err := x.tap.client.RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return resp
}

// raw takes the connection over, to write what net/http would not.
func (x *exchange) raw(use func(io.Writer)) {
	_, _ = io.Copy(io.Discard, x.r.Body)
	conn, _, err := x.w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	use(conn)
}

// beginning sends the beginning of an answer, and takes the connection over.
func (x *exchange) beginning(text string) {
	conn, _, err := x.w.(http.Hijacker).Hijack()
	require.NoError(x.tap.t, err)
	x.kept = conn
	_, _ = io.WriteString(conn, text)
}

// hold keeps the connection as it is, until the client leaves.
func (x *exchange) hold() {
	_, _ = io.Copy(io.Discard, x.kept)
	_ = x.kept.Close()
}

// cutByReset ends the client's connection by RST.
func (x *exchange) cutByReset() {
	raw := x.r.Context().Value(rawConn{}).(*net.TCPConn)
	_ = raw.SetLinger(0)
	_ = raw.Close()
}

// reset is an RST instead of an answer.
func (x *exchange) reset() {
	x.cutByReset()
	panic(http.ErrAbortHandler)
}

// hang keeps the client waiting until it leaves.
func (x *exchange) hang() {
	select {
	case <-x.r.Context().Done():
	case <-x.tap.ctx.Done():
	}
	panic(http.ErrAbortHandler)
}
