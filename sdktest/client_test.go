package sdktest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// patience ends a test that would wait for ever. Nothing takes so long on a busy machine.
const patience = 2 * time.Minute

// trial starts a trial server.
func trial(t *testing.T, change ...func(*Options)) *Server {
	t.Helper()
	o := Options{Trial: true}
	for _, f := range change {
		f(&o)
	}
	return New(t, o)
}

// httpClient trusts the server and keeps nothing open.
func httpClient(t *testing.T, s *Server) *http.Client {
	t.Helper()
	cfg := s.Config()
	tr := &http.Transport{TLSClientConfig: cfg.TLSConfig, DialContext: cfg.DialContext}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// envelope is a REST answer as a client sees it.
type envelope struct {
	HTTP    int             `json:"-"`
	Status  int             `json:"status"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data"`
}

func rest(t *testing.T, s *Server, method, path, token string, body any) envelope {
	t.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		r = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		require.NoError(t, err)
		r = bytes.NewReader(raw)
	}
	url := path
	if !strings.HasPrefix(path, "https://") {
		url = s.URL() + path
	}
	req, err := http.NewRequest(method, url, r)
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	resp, err := httpClient(t, s).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	e := envelope{HTTP: resp.StatusCode}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&e))
	return e
}

// credentials is what a registration returns.
type credentials struct {
	Username         string         `json:"username"`
	Password         string         `json:"password"`
	Token            string         `json:"token"`
	IsProfileUpdated bool           `json:"isProfileUpdated"`
	IsExisting       bool           `json:"isExisting"`
	Config           map[string]any `json:"config"`
}

// registerCall registers in the way of protocol.md 3 for the server's mode, trial or licensed.
func registerCall(t *testing.T, s *Server, id string, force bool) envelope {
	t.Helper()
	if s.opts.Trial {
		return rest(t, s, "POST", "/sandbox/register", "", map[string]any{
			"deviceType": "web", "deviceId": "5", "mobileNumber": id, "licenseKey": s.LicenseKey(),
			"userIdentifier": id, "forceRegister": force, "metaData": map[string]any{},
		})
	}
	plain := fmt.Sprintf(`{"deviceType":"web","deviceId":"5","userIdentifier":%q,"licenseKey":%q,"forceRegister":%t,`+
		`"metaData":{}}`, id, s.LicenseKey(), force)
	return rest(t, s, "POST", "/register", "",
		map[string]any{"registerData": seal.Seal(plain, seal.Triple(s.LicenseKey()), seal.ConstIV)})
}

func register(t *testing.T, s *Server, id string) credentials {
	t.Helper()
	e := registerCall(t, s, id, true)
	require.Equal(t, 200, e.Status, e.Message)
	var text string
	require.NoError(t, json.Unmarshal(e.Data, &text))
	var c credentials
	require.NoError(t, json.Unmarshal([]byte(seal.Open(text, seal.Triple(s.LicenseKey()), seal.ConstIV)), &c))
	return c
}

// wirePassword is the password in the form of protocol.md 4.2.
func wirePassword(s *Server, password string, at time.Time) string {
	if s.opts.Trial {
		return password
	}
	return seal.Seal(fmt.Sprintf(`{"password":%q,"currentTimestamp":%d}`, password, at.UnixMilli()),
		seal.Triple(s.LicenseKey()), seal.ConstIV)
}

// xmppClient is a raw XMPP client over WebSocket.
type xmppClient struct {
	t    *testing.T
	c    *websocket.Conn
	jid  string
	seen []string
}

func dialWS(t *testing.T, s *Server) *xmppClient {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, resp, err := websocket.Dial(ctx, s.XMPPURL(), &websocket.DialOptions{
		HTTPClient: httpClient(t, s), Subprotocols: []string{"xmpp"},
		HTTPHeader: http.Header{"Origin": {"https://page.example"}},
	})
	require.NoError(t, err)
	require.Equal(t, "xmpp", c.Subprotocol())
	_ = resp
	c.SetReadLimit(64 << 20)
	t.Cleanup(func() { _ = c.CloseNow() })
	return &xmppClient{t: t, c: c}
}

func (x *xmppClient) send(format string, args ...any) {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(x.t, x.c.Write(ctx, websocket.MessageText, []byte(fmt.Sprintf(format, args...))))
}

// next is the next frame.
func (x *xmppClient) next() string {
	x.t.Helper()
	raw, err := x.read(patience)
	require.NoError(x.t, err)
	return raw
}

func (x *xmppClient) read(d time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	_, raw, err := x.c.Read(ctx)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err() // the library closes the connection then, and may report that instead
	}
	return string(raw), err
}

// until reads frames up to one that contains all of want; the ones before are kept in seen.
func (x *xmppClient) until(want ...string) string {
	x.t.Helper()
	for range 100_000 {
		raw := x.next()
		if containsAll(raw, want) {
			return raw
		}
		x.seen = append(x.seen, raw)
	}
	require.Fail(x.t, "frame never came", "%v", want)
	return ""
}

func containsAll(s string, parts []string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}

// ask sends an IQ and returns its answer.
func (x *xmppClient) ask(kind, to, payload string) string {
	x.t.Helper()
	id := randomHex(6)
	if to != "" {
		to = ` to="` + to + `"`
	}
	x.send(`<iq id="%s"%s type="%s" xmlns="jabber:client">%s</iq>`, id, to, kind, payload)
	return x.until(`id="` + id + `"`)
}

// settle returns what came in before the server answered a ping, and forgets it.
func (x *xmppClient) settle() []string {
	x.t.Helper()
	x.seen = nil
	require.Contains(x.t, x.ask("get", "", `<ping xmlns="urn:xmpp:ping"/>`), `type="result"`)
	out := x.seen
	x.seen = nil
	return out
}

const openFrame = `<open to="%s" version="1.0" xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`

func (x *xmppClient) open(domain string) string {
	x.t.Helper()
	x.send(openFrame, domain)
	require.Contains(x.t, x.next(), "<open ")
	return x.next()
}

func plain(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
}

// connect does the handshake of protocol.md 4.3 and 4.4.
func connect(t *testing.T, s *Server, c credentials, resource string) *xmppClient {
	t.Helper()
	x := dialWS(t, s)
	x.open(s.Domain())
	x.send(`<auth mechanism="PLAIN" xmlns="urn:ietf:params:xml:ns:xmpp-sasl">%s</auth>`,
		plain(c.Username, wirePassword(s, c.Password, time.Now())))
	require.Contains(t, x.next(), "<success ")
	x.open(s.Domain())
	x.jid = c.Username + "@" + s.Domain() + "/" + resource
	x.send(`<iq id="_bind_auth_2" type="set" xmlns="jabber:client"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind">`+
		`<resource>%s</resource></bind></iq>`, resource)
	require.Contains(t, x.next(), "<jid>"+x.jid+"</jid>")
	x.send(`<iq id="_session_auth_2" type="set" xmlns="jabber:client">` +
		`<session xmlns="urn:ietf:params:xml:ns:xmpp-session"/></iq>`)
	x.until(`id="_session_auth_2"`)
	x.send(`<presence xmlns="jabber:client"><priority>1</priority></presence>`)
	require.Contains(t, x.until("<presence", `from="`+x.jid), "<priority>1</priority>")
	return x
}
