// Package backend is a service for tests that sdktest cannot be: one whose every step a test can
// replace. It knows PLAIN, no TLS, and no client but one that does what is right.
package backend

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mirrorfly-go/sdk"
)

// Domain is that of all JIDs.
const Domain = "chat.test"

// Server is a service on loopback, without TLS: REST and XMPP over WebSocket at one port, XMPP over
// TCP at another. It does what protocol.md says unless told otherwise. Its fields are set before
// the first client comes.
type Server struct {
	// BareJID is what is bound for a user; nil: user@chat.test.
	BareJID func(user string) string
	// SASL returns the condition of a refusal, "" for none; nil: every password is good.
	SASL func(user, password string) string
	// OnStream is called when a stream header has come; false: hang up.
	OnStream func(v *Visitor) bool
	// OnBind answers a bind request; false: it is left to the Server.
	OnBind func(v *Visitor, id string) bool
	// OnIQ answers a request of a session; false: it is left to the Server.
	OnIQ func(v *Visitor, id, to, frame string) bool
	// OnLogin answers POST /login, nth counts from 1; false: it is left to the Server.
	OnLogin func(w http.ResponseWriter, nth int) bool

	t    testing.TB
	http *httptest.Server
	tcp  net.Listener

	mu       sync.Mutex
	password string                      // of every account
	rest     map[string]http.HandlerFunc // "METHOD /path"
	requests []Request
	tokens   map[string]string // token: user
	visitors map[*Visitor]bool
	auths    []string // "user password", in their order
	serial   int
}

// Request is a REST request that has come. Call is "METHOD /path".
type Request struct{ Call, Token, Body string }

// New starts a Server, which ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	b := &Server{
		t: t, password: "pw", rest: map[string]http.HandlerFunc{}, tokens: map[string]string{},
		visitors: map[*Visitor]bool{},
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
		b.Cut()
		b.http.Close()
	})
	return b
}

// Password is that of every account: "pw" until SetPassword.
func (b *Server) Password() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.password
}

// SetPassword gives every account another password.
func (b *Server) SetPassword(password string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.password = password
}

// TCPAddress is where XMPP over TCP is served.
func (b *Server) TCPAddress() string { return b.tcp.Addr().String() }

// Config reaches the server.
func (b *Server) Config(transport sdk.Transport) sdk.Config {
	cfg := sdk.Config{
		LicenseKey: "license-key", APIBaseURL: b.http.URL + "/api/v1", TrialLicense: true, AllowInsecure: true,
		Transport:   transport,
		XMPPAddress: "ws" + strings.TrimPrefix(b.http.URL, "http") + "/websocket",
		Reconnect:   sdk.ReconnectPolicy{MinDelay: 10 * time.Millisecond, MaxDelay: 100 * time.Millisecond},
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

// Connected is a client of user with a session.
func (b *Server) Connected(cfg sdk.Config, user string) *sdk.Client {
	b.t.Helper()
	c := clientOf(b.t, cfg)
	if _, err := c.Connect(b.t.Context(), user, b.Password()); err != nil {
		b.t.Fatal("Connect:", err)
	}
	return c
}

// On answers a REST call, such as "POST /login", with h.
func (b *Server) On(call string, h http.HandlerFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rest[call] = h
}

// Calls are the REST requests so far.
func (b *Server) Calls(call string) (found []Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.requests {
		if r.Call == call {
			found = append(found, r)
		}
	}
	return found
}

// ExpireTokens makes all tokens stale.
func (b *Server) ExpireTokens() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.tokens)
}

// Cut ends every XMPP connection, as a broken network would.
func (b *Server) Cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for v := range b.visitors {
		v.Conn.Close()
	}
}

// Connections is how many XMPP connections there were.
func (b *Server) Connections() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.serial
}

// Logins are the credentials that SASL PLAIN has brought, as "user password".
func (b *Server) Logins() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.auths)
}

// AnswerJSON answers a REST call with text.
func AnswerJSON(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, text)
}

// Done is the answer to a call that worked and has nothing to tell.
const Done = `{"status":200,"message":"ok"}`

func (b *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/websocket" {
		b.serveWebSocket(w, r)
		return
	}
	call := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/v1")
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	b.mu.Lock()
	token := r.Header.Get("Authorization")
	b.requests = append(b.requests, Request{call, token, string(body)})
	h, known := b.rest[call], b.tokens[token] != ""
	nth := 0
	for _, r := range b.requests {
		if r.Call == call {
			nth++
		}
	}
	b.mu.Unlock()
	config := `{"xmppHost":"` + Domain + `","xmppPortWeb":"1"}`
	switch {
	case h != nil:
		h(w, r)
	case call == "POST /login":
		if b.OnLogin == nil || !b.OnLogin(w, nth) {
			user := jsonField(body, "username")
			b.mu.Lock()
			token := fmt.Sprintf("token-of-%s-%d", user, nth)
			b.tokens[token] = user
			b.mu.Unlock()
			AnswerJSON(w, `{"status":200,"message":"ok","data":{"token":"`+token+`"}}`)
		}
	case call == "POST /sandbox/register":
		AnswerJSON(w, `{"status":200,"message":"ok","data":{"username":"`+jsonField(body, "userIdentifier")+
			`","password":"`+b.Password()+`","isProfileUpdated":0,"config":`+config+`}}`)
	case !known:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(401)
		io.WriteString(w, `{"status":401,"message":"Token Expired"}`)
	case call == "GET /users/config":
		AnswerJSON(w, `{"status":200,"message":"ok","data":`+config+`}`)
	case call == "GET /contacts/vcard":
		AnswerJSON(w, `{"status":200,"message":"ok","data":{"userId":"`+r.URL.Query().Get("userId")+
			`","nickName":"somebody"}}`)
	case call == "POST /media/":
		AnswerJSON(w, `{"status":200,"message":"ok","data":{"fileToken":"media-1","fileTokenThumb":"media-1-thumb"}}`)
	case strings.HasPrefix(call, "POST /moderation/"), call == "POST /users/deleteMyAccount", call == "GET /logout":
		AnswerJSON(w, Done)
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
