package sdktest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	sdk "github.com/mirrorfly-go/sdk"
)

func TestConfig(t *testing.T) {
	s := New(t)
	cfg := s.Config()
	require.Equal(t, s.LicenseKey(), cfg.LicenseKey)
	require.False(t, cfg.TrialLicense)
	require.Empty(t, cfg.XMPPAddress, "Transport alone decides")
	require.NotEqual(t, sdk.TransportTCP, cfg.Transport)

	// What the service hands out leads to the listeners, by name, for both transports.
	c := register(t, s, "alice")
	for _, at := range [][2]string{{"xmppHost", "xmppPortWeb"}, {"xmppDomain", "xmppPort"}} {
		addr := net.JoinHostPort(c.Config[at[0]].(string), c.Config[at[1]].(string))
		conn, err := cfg.DialContext(t.Context(), "tcp", addr)
		require.NoError(t, err, addr)
		require.Equal(t, c.Config[at[1]], port(conn.RemoteAddr().String()))
		require.NoError(t, conn.Close())
	}
	require.True(t, trial(t).Config().TrialLicense)
}

func TestDialLeavesStrangersAlone(t *testing.T) {
	for domain, names := range map[string]map[string]bool{
		"xmpp.mirrorfly.test": {"xmpp.mirrorfly.test": true, "API.mirrorfly.test": true, "mirrorfly.test": true, "notmirrorfly.test": false, "example.com": false, "test": false},
		"app.com":             {"app.com": true, "example.com": false, "com": false},
	} {
		s := New(t, Options{Domain: domain})
		for name, mine := range names {
			require.Equal(t, mine, s.names(name), name)
		}
	}
}

func TestCertificate(t *testing.T) {
	s := New(t)
	raw, err := os.ReadFile(s.CAFile())
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(raw))
	for _, name := range []string{"xmpp.mirrorfly.test", "api.mirrorfly.test", "localhost", "127.0.0.1", "::1"} {
		c, err := tls.Dial("tcp", s.httpAddr(), &tls.Config{RootCAs: pool, ServerName: name})
		require.NoError(t, err, name)
		require.NoError(t, c.Close())
	}
	_, err = tls.Dial("tcp", s.httpAddr(), &tls.Config{RootCAs: pool, ServerName: "example.com"})
	require.Error(t, err)
	s.Close()
	require.NoFileExists(t, s.CAFile())
}

func TestStartRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for name, o := range map[string]Options{
		"taken":      {Listen: taken.Addr().String()},
		"taken XMPP": {ListenXMPP: taken.Addr().String()},
		"listen":     {Listen: "nonsense"},
		"domain":     {Domain: "Not A Domain"},
		"mix":        {Domain: "mix.example.com"},
		"no dir":     {MediaDir: file},
		"external":   {XMPP: &XMPP{}, Trial: true},
		"licensed":   {XMPP: &XMPP{Domain: "x.test", APIURL: "http://127.0.0.1:1/api", Address: "ws://127.0.0.1:1/ws"}},
	} {
		_, err := Start(o)
		require.ErrorContains(t, err, "sdktest: start: ", name)
	}
}

// fakeTB is a test that fails without ending the goroutine.
type fakeTB struct {
	failed   string
	cleanups []func()
}

func (f *fakeTB) Helper()                        {}
func (f *fakeTB) Cleanup(c func())               { f.cleanups = append(f.cleanups, c) }
func (f *fakeTB) Fatalf(format string, a ...any) { f.failed = fmt.Sprintf(format, a...) }

func TestNewFailsTheTest(t *testing.T) {
	f := &fakeTB{}
	require.Nil(t, New(f, Options{Listen: "nonsense"}))
	require.Contains(t, f.failed, "nonsense")
	f = &fakeTB{}
	s := New(f)
	require.Len(t, f.cleanups, 1)
	f.cleanups[0]()
	require.Error(t, s.Restart(), "closed")
}

func TestRestart(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	x := connect(t, s, c, "Web-1")
	setVCard(t, x, "Alice")
	before := s.addresses()
	require.NoError(t, s.Restart())
	require.Equal(t, before, s.addresses())
	var err error
	for err == nil {
		_, err = x.read(patience)
	}
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	require.Empty(t, s.Resources("alice"))
	require.Equal(t, "Alice", s.Profile("alice").NickName)
	require.Equal(t, 200, rest(t, s, "GET", "/users/config", c.Token, nil).Status)
	connect(t, s, c, "Web-1")
}

func TestDropConnections(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	x := connect(t, s, c, "Web-1")
	s.DropConnections()
	_, err := x.read(patience)
	require.Error(t, err)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	connect(t, s, c, "Web-1")
}

func TestCloseWithEverythingOpen(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	for i := range 10 {
		connect(t, s, c, fmt.Sprintf("Web-%d", i))
	}
	for _, addr := range []string{s.httpAddr(), s.XMPPAddress(), s.XMPPSAddress()} {
		dialTCP(t, addr)
	}
	s.SetFault(StepREST, FaultSilent)
	s.SetFault(StepAccept, FaultSilent)
	dialTCP(t, s.XMPPAddress())
	var wg sync.WaitGroup
	wg.Go(func() {
		resp, err := httpClient(t, s).Get(s.URL() + "/users/config")
		if err == nil {
			_ = resp.Body.Close()
		}
	})
	begin := time.Now()
	var closing sync.WaitGroup
	for range 3 {
		closing.Go(s.Close)
	}
	closing.Wait()
	wg.Wait()
	s.Close()
	require.Less(t, time.Since(begin), handshakeTimeout*2/3, "nobody was waited for")
	require.Zero(t, s.Push("alice", "<x/>"))
	s.DropConnections()
}

// ejabberd answers like mod_http_api (POST /api/COMMAND).
type ejabberd struct {
	mu        sync.Mutex
	passwords map[string]string
	cards     map[string]string
	calls     []string
}

func (e *ejabberd) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var args map[string]string
	if json.NewDecoder(req.Body).Decode(&args) != nil || args["host"] != "real.example.test" {
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	command := strings.TrimPrefix(req.URL.Path, "/api/")
	e.calls = append(e.calls, command)
	switch command {
	case "register":
		if e.passwords[args["user"]] != "" {
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"status":"error","code":10090,"message":"User already registered"}`)
			return
		}
		e.passwords[args["user"]] = args["password"]
		_, _ = io.WriteString(w, `"User registered"`)
	case "change_password":
		e.passwords[args["user"]] = args["newpass"]
		_, _ = io.WriteString(w, "0")
	case "unregister":
		delete(e.passwords, args["user"])
		_, _ = io.WriteString(w, `""`)
	case "get_vcard":
		v, found := e.cards[args["user"]+"/"+args["name"]]
		if !found {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"status":"error","code":1,"message":"error_no_value_found_in_vcard"}`)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"content": v})
	default:
		http.NotFound(w, req)
	}
}

func TestExternalXMPP(t *testing.T) {
	e := &ejabberd{passwords: map[string]string{"old": "x"}, cards: map[string]string{"alice/nickName": "Alice", "alice/status": "here"}}
	api := httptest.NewServer(e)
	defer api.Close()
	ca, err := newAuthority("other")
	require.NoError(t, err)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(caFile, ca.pem(), 0o600))
	s := trial(t, func(o *Options) {
		o.XMPP = &XMPP{Domain: "real.example.test", APIURL: api.URL + "/api/", Address: "xmpp://127.0.0.1:5222", CAFile: caFile}
	})
	cfg := s.Config()
	require.Equal(t, sdk.TransportTCP, cfg.Transport)
	require.Equal(t, "xmpp://127.0.0.1:5222", cfg.XMPPAddress)
	require.Equal(t, "real.example.test", cfg.XMPPHost)
	for _, trusted := range []*authority{ca} {
		_, err := trusted.cert.Verify(x509.VerifyOptions{Roots: cfg.TLSConfig.RootCAs})
		require.NoError(t, err)
	}
	a := register(t, s, "alice")
	require.Equal(t, "5222", a.Config["xmppPort"])
	require.Equal(t, e.passwords["alice"], a.Password)
	require.Equal(t, "real.example.test", a.Config["xmppHost"])
	old := register(t, s, "old")
	require.Equal(t, e.passwords["old"], old.Password)
	require.Equal(t, "Alice here", s.Profile("alice").NickName+" "+s.Profile("alice").Status)
	require.Contains(t, string(rest(t, s, "GET", "/contacts/vcard?userId=alice", old.Token, nil).Data), `"nickName":"Alice"`)
	require.Equal(t, 200, rest(t, s, "POST", "/users/deleteMyAccount", a.Token, map[string]any{"reason": "R"}).Status)
	require.Empty(t, e.passwords["alice"])
	resp, err := httpClient(t, s).Get(strings.Replace(s.SignalURL(), "wss", "https", 1) + "/websocket")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 404, resp.StatusCode, "no XMPP of our own")

	api.Close()
	down := registerCall(t, s, "carol", true)
	require.Equal(t, 500, down.Status)
	require.Contains(t, down.Message, "XMPP server: register")
}

func TestManyUsersAtOnce(t *testing.T) {
	s := trial(t)
	const n = 12
	creds := make([]credentials, n)
	for i := range creds {
		creds[i] = register(t, s, fmt.Sprintf("user%d", i))
	}
	clients := make([]*xmppClient, n)
	for i, c := range creds {
		clients[i] = connect(t, s, c, "Web-1")
	}
	var wg sync.WaitGroup
	for i, x := range clients {
		wg.Go(func() {
			for j := range 20 {
				x.send(`<iq id="v%d" type="set" xmlns="jabber:client"><vCard xmlns="vcard-temp"><nickName>n%d</nickName></vCard></iq>`, j, j)
				x.send(`<iq id="b%d" type="set" xmlns="jabber:client"><block xmlns="urn:xmpp:blocking"><item jid="user%d@%s"/></block></iq>`, j, (i+1)%n, s.Domain())
				x.send(`<iq id="u%d" type="set" xmlns="jabber:client"><unblock xmlns="urn:xmpp:blocking"/></iq>`, j)
			}
		})
	}
	wg.Wait()
	for i, x := range clients {
		x.until(`id="u19"`, `type="result"`)
		require.Equal(t, "n19", s.Profile(fmt.Sprint("user", i)).NickName)
		require.Empty(t, s.Blocked(fmt.Sprint("user", i)))
	}
}

func TestHostileHTTP(t *testing.T) {
	s := trial(t)
	c := register(t, s, "alice")
	for _, raw := range []string{
		"\x16\x03\x01garbage", "GET / HTTP/1.1\r\n", strings.Repeat("A", 200<<10), "GET /websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
	} {
		conn := dialTCP(t, s.httpAddr()).tls(s)
		_, _ = io.Copy(conn, bytes.NewReader([]byte(raw)))
		require.NoError(t, conn.Conn.(*tls.Conn).CloseWrite())
		conn.rest()
	}
	require.Equal(t, 200, rest(t, s, "GET", "/users/config", c.Token, nil).Status)
}

// net/http keeps a connection open for half a second after it has refused a
// body or a header that is too large.
func TestCloseWaitsForRefusedRequests(t *testing.T) {
	for _, request := range []string{
		"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n" + strings.Repeat("x", maxBody+1),
		"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 80<<10) + "\r\n\r\n",
	} {
		s := trial(t)
		conn := dialTCP(t, s.httpAddr()).tls(s)
		_, err := io.WriteString(conn, request)
		require.NoError(t, err)
		_, err = conn.Read(make([]byte, 1))
		require.NoError(t, err)
		s.Close()
		require.NotContains(t, stacks(), "closeWriteAndWait")
	}
}

func stacks() string {
	b := make([]byte, 4<<20)
	return string(b[:runtime.Stack(b, true)])
}

func TestExternalAPIOverTLS(t *testing.T) {
	api := httptest.NewTLSServer(&ejabberd{passwords: map[string]string{}, cards: map[string]string{}})
	defer api.Close()
	dir := t.TempDir()
	trusted, empty := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "empty.pem")
	require.NoError(t, os.WriteFile(trusted, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw}), 0o600))
	require.NoError(t, os.WriteFile(empty, []byte("nothing"), 0o600))
	with := func(caFile string) Options {
		return Options{Trial: true, XMPP: &XMPP{Domain: "real.example.test", APIURL: api.URL + "/api", Address: "xmpp://127.0.0.1:5222", CAFile: caFile}}
	}
	register(t, New(t, with(trusted)), "alice")
	require.Equal(t, 500, registerCall(t, New(t, with("")), "alice", true).Status)
	_, err := Start(with(empty))
	require.ErrorContains(t, err, "no certificate")
}
