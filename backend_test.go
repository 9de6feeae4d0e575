package sdk_test

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mirrorfly-go/sdk"
)

const chatDomain = "chat.test"

// backEnd is a service on loopback, without TLS: REST and XMPP over WebSocket at one port, XMPP
// over TCP at another. It does what protocol.md says unless told otherwise. The functions and
// settings are set before the first client comes.
type backEnd struct {
	t    testing.TB
	http *httptest.Server
	tcp  net.Listener

	password string // of every account
	// stream features besides mechanisms and bind; nil: none
	offered func(v *visitor) string
	bareJID func(user string) string // what is bound; nil: user@chat.test
	// condition of the refusal, "" for none; nil: every password is good
	sasl func(user, password string) string
	// before a stream header is answered; false: hang up
	onStream func(v *visitor) bool
	onBind   func(v *visitor, id string) bool // true: answered
	// after the first presence, in a goroutine of its own
	onUp    func(v *visitor)
	onIQ    func(v *visitor, id, to, frame string) bool // requests of a session; true: answered
	onLogin func(w http.ResponseWriter, nth int) bool   // POST /login; true: answered
	// who has not authenticated by then is cut; 0: never
	quietAt time.Duration

	mu       sync.Mutex
	rest     map[string]http.HandlerFunc // "METHOD /path"
	requests []restRequest
	tokens   map[string]string // token: user
	visitors map[*visitor]bool
	auths    []string // "user password", in their order
	serial   int
}

type restRequest struct{ call, token, body string }

// visitor is one XMPP connection.
type visitor struct {
	b       *backEnd
	conn    net.Conn
	in      *bufio.Reader
	got     atomic.Int64 // bytes that have come
	ws      bool
	nth     int // 1 for the back end's first connection
	streams int // stream headers that have come
	user    string
	present bool
	writing sync.Mutex
}

func newBackEnd(t testing.TB) *backEnd {
	t.Helper()
	b := &backEnd{
		t: t, password: "pw", rest: map[string]http.HandlerFunc{}, tokens: map[string]string{},
		visitors: map[*visitor]bool{},
	}
	var err error
	if b.tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	b.http = httptest.NewServer(http.HandlerFunc(b.serveHTTP))
	go func() {
		for {
			c, err := b.tcp.Accept()
			if err != nil {
				return
			}
			go b.serveTCP(c)
		}
	}()
	t.Cleanup(func() {
		b.tcp.Close()
		b.cut()
		b.http.Close()
	})
	return b
}

// config reaches the back end.
func (b *backEnd) config(transport sdk.Transport) sdk.Config {
	cfg := sdk.Config{
		LicenseKey: "license-key", APIBaseURL: b.http.URL + "/api/v1", TrialLicense: true, AllowInsecure: true,
		Transport:   transport,
		XMPPAddress: "ws" + strings.TrimPrefix(b.http.URL, "http") + "/websocket", RequestTimeout: 5 * time.Second,
		Reconnect: sdk.ReconnectPolicy{MinDelay: 10 * time.Millisecond, MaxDelay: 100 * time.Millisecond},
	}
	if transport == sdk.TransportTCP {
		cfg.XMPPAddress = "xmpp://" + b.tcp.Addr().String()
	}
	return cfg
}

func clientOf(t testing.TB, cfg sdk.Config) *sdk.Client {
	t.Helper()
	c, err := sdk.New(cfg)
	if err != nil {
		t.Fatal("New:", err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// connected is a client of user with a session.
func (b *backEnd) connected(cfg sdk.Config, user string) *sdk.Client {
	b.t.Helper()
	c := clientOf(b.t, cfg)
	if _, err := c.Connect(b.t.Context(), user, b.password); err != nil {
		b.t.Fatal("Connect:", err)
	}
	return c
}

// on answers a REST call, such as "POST /login", with h.
func (b *backEnd) on(call string, h http.HandlerFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rest[call] = h
}

// calls are the REST requests so far.
func (b *backEnd) calls(call string) (found []restRequest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.requests {
		if r.call == call {
			found = append(found, r)
		}
	}
	return found
}

// expireTokens makes all tokens stale.
func (b *backEnd) expireTokens() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.tokens)
}

// cut ends every XMPP connection, as a broken network would.
func (b *backEnd) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for v := range b.visitors {
		v.conn.Close()
	}
}

// connections is how many XMPP connections there were.
func (b *backEnd) connections() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.serial
}

func (b *backEnd) logins() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.auths)
}

func answerJSON(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, text)
}

const done200 = `{"status":200,"message":"ok"}`

func (b *backEnd) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/websocket" {
		b.serveWebSocket(w, r)
		return
	}
	call := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/v1")
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	b.mu.Lock()
	token := r.Header.Get("Authorization")
	b.requests = append(b.requests, restRequest{call, token, string(body)})
	h, known := b.rest[call], b.tokens[token] != ""
	nth := 0
	for _, r := range b.requests {
		if r.call == call {
			nth++
		}
	}
	b.mu.Unlock()
	config := `{"xmppHost":"` + chatDomain + `","xmppPortWeb":"1"}`
	switch {
	case h != nil:
		h(w, r)
	case call == "POST /login":
		if b.onLogin == nil || !b.onLogin(w, nth) {
			user := jsonField(body, "username")
			b.mu.Lock()
			token := fmt.Sprintf("token-of-%s-%d", user, nth)
			b.tokens[token] = user
			b.mu.Unlock()
			answerJSON(w, `{"status":200,"message":"ok","data":{"token":"`+token+`"}}`)
		}
	case call == "POST /sandbox/register":
		b.mu.Lock()
		password := b.password
		b.mu.Unlock()
		answerJSON(w, `{"status":200,"message":"ok","data":{"username":"`+jsonField(body, "userIdentifier")+
			`","password":"`+password+`","isProfileUpdated":0,"config":`+config+`}}`)
	case !known:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(401)
		io.WriteString(w, `{"status":401,"message":"Token Expired"}`)
	case call == "GET /users/config":
		answerJSON(w, `{"status":200,"message":"ok","data":`+config+`}`)
	case call == "GET /contacts/vcard":
		answerJSON(w, `{"status":200,"message":"ok","data":{"userId":"`+r.URL.Query().Get("userId")+
			`","nickName":"somebody"}}`)
	case call == "POST /media/":
		answerJSON(w, `{"status":200,"message":"ok","data":{"fileToken":"media-1","fileTokenThumb":"media-1-thumb"}}`)
	case strings.HasPrefix(call, "POST /moderation/"), call == "POST /users/deleteMyAccount", call == "GET /logout":
		answerJSON(w, done200)
	default:
		w.WriteHeader(404)
	}
}

func jsonField(body []byte, name string) string {
	if m := regexp.MustCompile(`"` + name + `":"([^"]*)"`).FindSubmatch(body); m != nil {
		return string(m[1])
	}
	return ""
}

// ---- XMPP

const (
	nsOfSASL    = `xmlns="urn:ietf:params:xml:ns:xmpp-sasl"`
	nsOfBind    = `xmlns="urn:ietf:params:xml:ns:xmpp-bind"`
	nsOfFraming = `xmlns="urn:ietf:params:xml:ns:xmpp-framing"`
	nsOfStreams = `xmlns="urn:ietf:params:xml:ns:xmpp-streams"`
	nsOfStanzas = `xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"`
	nsOfStream  = `xmlns:stream="http://etherx.jabber.org/streams"`
	nsOfClient  = `xmlns="jabber:client"`
)

func (b *backEnd) enter(c net.Conn, in *bufio.Reader, ws bool) *visitor {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.serial++
	v := &visitor{b: b, conn: c, ws: ws, nth: b.serial}
	v.in = bufio.NewReader(counting{in, &v.got})
	b.visitors[v] = true
	if b.quietAt > 0 {
		time.AfterFunc(b.quietAt, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			if v.user == "" {
				c.Close()
			}
		})
	}
	return v
}

type counting struct {
	io.Reader
	n *atomic.Int64
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func (b *backEnd) leave(v *visitor) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.visitors, v)
	v.conn.Close()
}

// recorded keeps what was read, to cut elements out of it as they were written.
type recorded struct {
	io.Reader
	text []byte
}

func (r *recorded) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.text = append(r.text, p[:n]...)
	return n, err
}

func (b *backEnd) serveTCP(c net.Conn) {
	v := b.enter(c, bufio.NewReader(c), false)
	defer b.leave(v)
	all := &recorded{Reader: v.in}
	d := xml.NewDecoder(all)
	for {
		start := d.InputOffset()
		token, err := d.RawToken()
		if err != nil {
			return
		}
		switch token := token.(type) {
		case xml.EndElement:
			v.send("</stream:stream>")
			return
		case xml.StartElement:
			if token.Name.Local == "stream" {
				if !v.take("<open>") {
					return
				}
				continue
			}
			for depth := 1; depth > 0; {
				token, err := d.RawToken()
				if err != nil {
					return
				}
				switch token.(type) {
				case xml.StartElement:
					depth++
				case xml.EndElement:
					depth--
				}
			}
			if !v.take(string(all.text[start:d.InputOffset()])) {
				return
			}
		}
	}
}

func (b *backEnd) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	c, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "+
		"Upgrade\r\nSec-WebSocket-Protocol: xmpp\r\nSec-WebSocket-Accept: "+
		base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
	v := b.enter(c, rw.Reader, true)
	defer b.leave(v)
	for {
		message, err := v.readMessage()
		if err != nil || !v.take(message) {
			return
		}
	}
}

// readMessage reads a message of a WebSocket (RFC 6455 5.2). A ping is answered, and returned as
// "".
func (v *visitor) readMessage() (string, error) {
	var message []byte
	for {
		head := make([]byte, 2)
		if _, err := io.ReadFull(v.in, head); err != nil {
			return "", err
		}
		n := uint64(head[1] & 0x7f)
		if n > 125 {
			long := make([]byte, map[uint64]int{126: 2, 127: 8}[n])
			if _, err := io.ReadFull(v.in, long); err != nil {
				return "", err
			}
			n = 0
			for _, d := range long {
				n = n<<8 | uint64(d)
			}
		}
		mask := make([]byte, 4)
		if _, err := io.ReadFull(v.in, mask); err != nil {
			return "", err
		}
		part := make([]byte, n)
		if _, err := io.ReadFull(v.in, part); err != nil {
			return "", err
		}
		for i := range part {
			part[i] ^= mask[i&3]
		}
		switch head[0] & 15 {
		case 8:
			v.frame(8, part)
			return "", errors.New("closed")
		case 9:
			v.frame(10, part)
			return "", nil
		case 10:
			continue
		}
		if message = append(message, part...); head[0]&0x80 != 0 {
			return string(message), nil
		}
	}
}

// frameHead is the header of a whole WebSocket message of n bytes.
func frameHead(op byte, n int) []byte {
	switch {
	case n < 126:
		return []byte{0x80 | op, byte(n)}
	case n < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{0x80 | op, 126}, uint16(n))
	}
	return binary.BigEndian.AppendUint64([]byte{0x80 | op, 127}, uint64(n))
}

func (v *visitor) frame(op byte, content []byte) error {
	v.writing.Lock()
	defer v.writing.Unlock()
	v.conn.SetWriteDeadline(time.Now().Add(20 * time.Second))
	_, err := v.conn.Write(append(frameHead(op, len(content)), content...))
	return err
}

// send writes one element.
func (v *visitor) send(text string) error {
	if v.ws {
		return v.frame(1, []byte(text))
	}
	v.writing.Lock()
	defer v.writing.Unlock()
	v.conn.SetWriteDeadline(time.Now().Add(20 * time.Second))
	_, err := io.WriteString(v.conn, text)
	return err
}

func attributeOf(name, frame string) string {
	if m := regexp.MustCompile(`\s` + name + `=["']([^"']*)["']`).FindStringSubmatch(frame); m != nil {
		return m[1]
	}
	return ""
}

// take answers one element; false: the connection ends.
func (v *visitor) take(frame string) bool {
	b := v.b
	switch {
	case strings.HasPrefix(frame, "<open"):
		v.streams++
		if b.onStream != nil && !b.onStream(v) {
			return false
		}
		v.answerStream()
	case strings.HasPrefix(frame, "<auth"):
		_, text, _ := strings.Cut(frame, ">")
		text, _, _ = strings.Cut(text, "<")
		plain, _ := base64.StdEncoding.DecodeString(text)
		part := strings.Split(string(plain)+"\x00\x00", "\x00")
		b.mu.Lock()
		b.auths = append(b.auths, part[1]+" "+part[2])
		b.mu.Unlock()
		if b.sasl != nil {
			if condition := b.sasl(part[1], part[2]); condition != "" {
				v.send(`<failure ` + nsOfSASL + `><` + condition + `/></failure>`)
				return true
			}
		}
		b.mu.Lock()
		v.user = part[1]
		b.mu.Unlock()
		v.send(`<success ` + nsOfSASL + `/>`)
	case strings.HasPrefix(frame, "<close"):
		v.send(`<close ` + nsOfFraming + `/>`)
		return false
	case strings.Contains(frame, "ns:xmpp-bind"):
		if b.onBind != nil && b.onBind(v, attributeOf("id", frame)) {
			return true
		}
		v.send(`<iq ` + nsOfClient + ` type="result" id="` + attributeOf("id", frame) + `"><bind ` + nsOfBind +
			`><jid>` + v.bare() + `/Web-1</jid></bind></iq>`)
	case strings.HasPrefix(frame, "<presence") && !strings.Contains(frame, "unavailable"):
		if !v.present && b.onUp != nil {
			go b.onUp(v)
		}
		v.present = true
	case strings.HasPrefix(frame, "<iq") &&
		(attributeOf("type", frame) == "get" || attributeOf("type", frame) == "set"):
		id, to := attributeOf("id", frame), attributeOf("to", frame)
		if b.onIQ == nil || !b.onIQ(v, id, to, frame) {
			v.result(id, to, "")
		}
	}
	return true
}

func (v *visitor) bare() string {
	if v.b.bareJID != nil {
		return v.b.bareJID(v.user)
	}
	return v.user + "@" + chatDomain
}

// answerStream is the stream header and the features.
func (v *visitor) answerStream() {
	v.header()
	v.features()
}

func (v *visitor) header() {
	head := `<open ` + nsOfFraming + ` from="` + chatDomain + `" id="s` + fmt.Sprint(v.streams) + `x" version="1.0"/>`
	if !v.ws {
		head = `<?xml version="1.0"?><stream:stream ` + nsOfClient + ` ` + nsOfStream + ` from="` + chatDomain +
			`" id="s` + fmt.Sprint(v.streams) + `x" version="1.0">`
	}
	v.send(head)
}

func (v *visitor) features() {
	features := `<mechanisms ` + nsOfSASL + `><mechanism>PLAIN</mechanism></mechanisms>`
	if v.user != "" {
		features = `<bind ` + nsOfBind + `/>`
	}
	if v.b.offered != nil {
		features += v.b.offered(v)
	}
	v.send(`<stream:features ` + nsOfStream + `>` + features + `</stream:features>`)
}

// result answers a request in the name of from; "": of nobody.
func (v *visitor) result(id, from, content string) {
	v.send(`<iq ` + nsOfClient + ` type="result" id="` + id + `"` + fromAttribute(from) + `>` + content + `</iq>`)
}

func fromAttribute(from string) string {
	if from == "" {
		return ""
	}
	return ` from="` + from + `"`
}

// cardField is a field of a vCard as it went over the wire (protocol.md 5.2).
func cardField(frame, name string) string {
	_, after, _ := strings.Cut(frame, "<"+name+">")
	value, _, _ := strings.Cut(after, "</"+name+">")
	return value
}

func isCard(frame string) bool { return strings.Contains(frame, "vcard-temp") }
