package sdktest

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	sdk "github.com/mirrorfly-go/sdk"
)

// ejabberd answers as mod_http_api does (POST /api/COMMAND).
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
	e := &ejabberd{
		passwords: map[string]string{"old": "x"},
		cards:     map[string]string{"alice/nickName": "Alice", "alice/status": "here"},
	}
	api := httptest.NewServer(e)
	defer api.Close()
	ca, err := newAuthority("other")
	require.NoError(t, err)
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(caFile, certificatePEM(ca.cert.Raw), 0o600))
	s := trial(t, func(o *Options) {
		o.XMPP = &XMPP{
			Domain: "real.example.test", APIURL: api.URL + "/api/", Address: "xmpp://127.0.0.1:5222", CAFile: caFile,
		}
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
	// Who registers again keeps the password: Prosody would end the open sessions.
	require.Equal(t, old.Password, register(t, s, "old").Password)
	require.Equal(t, []string{"register", "register", "change_password", "register"}, e.calls)
	require.Equal(t, "Alice here", s.Profile("alice").NickName+" "+s.Profile("alice").Status)
	require.Contains(t, string(rest(t, s, "GET", "/contacts/vcard?userId=alice", old.Token, nil).Data),
		`"nickName":"Alice"`)
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

func TestExternalAPIOverTLS(t *testing.T) {
	api := httptest.NewTLSServer(&ejabberd{passwords: map[string]string{}, cards: map[string]string{}})
	defer api.Close()
	dir := t.TempDir()
	trusted, empty := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "empty.pem")
	require.NoError(t, os.WriteFile(trusted,
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw}), 0o600))
	require.NoError(t, os.WriteFile(empty, []byte("nothing"), 0o600))
	with := func(caFile string) Options {
		return Options{Trial: true, XMPP: &XMPP{
			Domain: "real.example.test", APIURL: api.URL + "/api", Address: "xmpp://127.0.0.1:5222", CAFile: caFile,
		}}
	}
	register(t, New(t, with(trusted)), "alice")
	require.Equal(t, 500, registerCall(t, New(t, with("")), "alice", true).Status)
	_, err := Start(with(empty))
	require.ErrorContains(t, err, "no certificate")
}
