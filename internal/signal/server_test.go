package signal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// server is an Engine.IO server, written from the protocol documents (revisions 3
// and 4), with what a test wants to see go wrong.
type server struct {
	protocol     int
	noDirect     bool // refuses a WebSocket without a session
	noUpgrade    bool // does not offer WebSocket
	noPolling    bool // WebSocket only
	brokenProbe  bool // offers it and does not answer the probe rightly
	mute         bool // no pings and no pongs
	slow         bool // sends 8 KiB, waits 10 s, and so on
	interval     time.Duration
	timeout      time.Duration
	first        string // what follows the open packet; default: the server lets the client in
	cookie       string // needed by all requests of a polling session
	peers        chan *peer
	requests     chan string // transports of the handshakes
	mu           *sync.Mutex
	sessions     map[string]*peer
	closeOnStart func() bool // nil, or says that this connection is dropped
}

// peer is the server's end of one session.
type peer struct {
	srv     *server
	sid     string
	out     chan string
	got     chan string // what the client sent, but pings
	pings   chan time.Time
	ended   chan struct{}
	end     func()
	headers http.Header
}

func (s *server) start(t *testing.T) *httptest.Server {
	t.Helper()
	hs := httptest.NewServer(s.prepare())
	t.Cleanup(func() { s.stop(); hs.Close() })
	return hs
}

func (s *server) prepare() *server {
	if s.protocol == 0 {
		s.protocol = 3
	}
	if s.interval == 0 {
		s.interval, s.timeout = 25*time.Second, 5*time.Second
	}
	s.peers, s.requests = make(chan *peer, 100), make(chan string, 100)
	s.mu, s.sessions = &sync.Mutex{}, map[string]*peer{}
	return s
}

// stop ends all sessions.
func (s *server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.sessions {
		p.end()
	}
}

func (s *server) find(sid string) *peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[sid]
}

func (s *server) open(transport string, h http.Header) *peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &peer{
		srv: s, sid: fmt.Sprintf("session/%d+", len(s.sessions)), headers: h,
		out: make(chan string, 20000), got: make(chan string, 1000), pings: make(chan time.Time, 1000),
		ended: make(chan struct{}),
	}
	p.end = sync.OnceFunc(func() { close(p.ended) })
	s.sessions[p.sid] = p
	upgrades := `"websocket"`
	if s.noUpgrade || transport == "websocket" {
		upgrades = ""
	}
	p.out <- fmt.Sprintf(`0{"sid":%q,"upgrades":[%s],"pingInterval":%d,"pingTimeout":%d,"maxPayload":1000000}`,
		p.sid, upgrades, s.interval.Milliseconds(), s.timeout.Milliseconds())
	if s.first != "" {
		p.out <- s.first
	} else if s.protocol == 3 {
		p.out <- "40"
	}
	if s.protocol == 4 && !s.mute {
		go func() { // ends with the session
			for {
				select {
				case <-time.After(s.interval):
					p.out <- "2"
				case <-p.ended:
					return
				}
			}
		}()
	}
	s.requests <- transport
	s.peers <- p
	return p
}

// packet handles a packet of the client.
func (p *peer) packet(packet string) {
	switch {
	case packet == "2" && p.srv.protocol == 3:
		p.pings <- time.Now()
		if !p.srv.mute {
			p.out <- "3"
		}
	case packet == "40" && p.srv.protocol == 4 && p.srv.first == "":
		p.out <- `40{"sid":"other"}`
	default:
		p.got <- packet
	}
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	refuse := func(code int, text string) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"code":%d,"message":%q}`, code, text)
	}
	if s.closeOnStart != nil && q.Get("sid") == "" && s.closeOnStart() {
		panic(http.ErrAbortHandler)
	}
	p := s.find(q.Get("sid"))
	switch transport := q.Get("transport"); {
	case r.URL.Path != "/socket.io/":
		http.NotFound(w, r)
	case s.noPolling && q.Get("transport") == "polling":
		refuse(0, "Transport unknown")
	case s.protocol == 4 && q.Get("EIO") != "4" && transport == "websocket":
		// As in engine.io, the refusal follows the upgrade.
		if conn, err := websocket.Accept(w, r, nil); err == nil {
			conn.Write(r.Context(), websocket.MessageText, []byte("HTTP/1.1 400 Bad Request"))
			conn.CloseNow()
		}
	case s.protocol == 4 && q.Get("EIO") != "4":
		refuse(5, "Unsupported protocol version")
	case p == nil && q.Get("sid") != "":
		refuse(1, "Session ID unknown")
	case s.cookie != "" && p != nil && !strings.Contains(r.Header.Get("Cookie"), s.cookie):
		refuse(1, "Session ID unknown")
	case transport == "websocket" && p == nil && s.noDirect:
		refuse(0, "Transport unknown")
	case transport == "websocket":
		s.webSocket(w, r, p)
	case transport == "polling" && p == nil && r.Method == http.MethodGet:
		if s.cookie != "" {
			http.SetCookie(w, &http.Cookie{Name: "io", Value: s.cookie})
		}
		s.open(transport, r.Header).poll(w, r)
	case transport == "polling" && r.Method == http.MethodGet:
		p.poll(w, r)
	case transport == "polling" && r.Method == http.MethodPost:
		body, _ := io.ReadAll(r.Body)
		for _, packet := range split(s.protocol, string(body)) {
			p.packet(packet)
		}
		io.WriteString(w, "ok")
	default:
		refuse(3, "Bad request")
	}
}

// poll answers with the packets that wait, once there are some.
func (p *peer) poll(w http.ResponseWriter, r *http.Request) {
	var packets []string
	select {
	case packet := <-p.out:
		packets = append(packets, packet)
	case <-p.ended:
		http.Error(w, "gone", http.StatusBadRequest)
		return
	case <-r.Context().Done():
		return
	}
	for len(packets) < 200 {
		select {
		case packet := <-p.out:
			packets = append(packets, packet)
			continue
		default:
		}
		break
	}
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	io.WriteString(w, join(p.srv.protocol, packets))
}

func (s *server) webSocket(w http.ResponseWriter, r *http.Request, p *peer) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if p != nil { // an upgrade
		_, probe, _ := conn.Read(ctx)
		answer := "3probe"
		if string(probe) != "2probe" || s.brokenProbe {
			answer = "6"
		}
		conn.Write(ctx, websocket.MessageText, []byte(answer))
		if _, done, _ := conn.Read(ctx); string(done) != "5" {
			return
		}
	} else {
		p = s.open("websocket", r.Header)
	}
	go func() { // ends with the connection
		defer p.end()
		for {
			_, data, err := conn.Read(ctx)
			if err != nil {
				return
			}
			p.packet(string(data))
		}
	}()
	for {
		select {
		case packet := <-p.out:
			kind := websocket.MessageText
			if rest, ok := strings.CutPrefix(packet, "binary:"); ok {
				kind, packet = websocket.MessageBinary, rest
			}
			if s.send(ctx, conn, kind, packet) != nil {
				return
			}
		case <-p.ended:
			return
		}
	}
}

func (s *server) send(ctx context.Context, conn *websocket.Conn, kind websocket.MessageType, packet string) error {
	if !s.slow {
		return conn.Write(ctx, kind, []byte(packet))
	}
	w, err := conn.Writer(ctx, kind)
	for err == nil && packet != "" {
		n := min(len(packet), 8<<10) // more than the connection keeps back
		_, err = io.WriteString(w, packet[:n])
		if packet = packet[n:]; packet != "" {
			time.Sleep(10 * time.Second) // synthetic
		}
	}
	return errors.Join(err, w.Close())
}

// split and join are the polling payload, on UTF-16 as a JavaScript server has it.
func split(protocol int, body string) (packets []string) {
	if protocol == 4 {
		return strings.Split(body, "\x1e")
	}
	units := utf16.Encode([]rune(body))
	for len(units) > 0 {
		colon := 0
		for units[colon] != ':' {
			colon++
		}
		n, err := strconv.Atoi(string(utf16.Decode(units[:colon])))
		if err != nil {
			panic(err)
		}
		units = units[colon+1:]
		packets, units = append(packets, string(utf16.Decode(units[:n]))), units[n:]
	}
	return packets
}

func join(protocol int, packets []string) (body string) {
	if protocol == 4 {
		return strings.Join(packets, "\x1e")
	}
	for _, p := range packets {
		if raw, ok := strings.CutPrefix(p, "raw:"); ok { // a broken payload
			return raw
		}
		body += strconv.Itoa(len(utf16.Encode([]rune(p)))) + ":" + p
	}
	return body
}

// pipes is a network within the process, for tests on synthetic time.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	close func()
}

func newPipes() *pipes {
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.done) })
	return p
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.close(); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, srv := net.Pipe()
	select {
	case p.conns <- srv:
		return client, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// startPipes serves s within a synctest bubble and returns a Config that reaches it.
func (s *server) startPipes(t *testing.T) Config {
	t.Helper()
	network := newPipes()
	hs := &http.Server{Handler: s.prepare()}
	served := make(chan struct{})
	go func() { defer close(served); hs.Serve(network) }() // ends with hs.Close
	tr := &http.Transport{DialContext: network.dial}
	t.Cleanup(func() {
		s.stop()
		tr.CloseIdleConnections()
		require.NoError(t, hs.Close())
		<-served
	})
	return Config{
		URL: "http://signal.test", AllowInsecure: true, HTTPClient: &http.Client{Transport: tr, Timeout: time.Second},
	}
}
