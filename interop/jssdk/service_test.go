package jssdk_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/interop/internal/xmppserver"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// The names that the service has for browsers: without a port, which is all that the JavaScript SDK
// accepts.
const (
	baseURL   = "https://api.mirrorfly.test/api/v1"
	signalURL = "https://signal.mirrorfly.test"
	host      = "xmpp.mirrorfly.test"
	license   = "sdktest-license-key"
)

// service is the server under test, in this process or as examples/devserver, which is the same
// code.
type service struct {
	address string // host:port of its one HTTPS port
	trial   bool
	srv     *sdktest.Server // nil: devserver
	// node is the stock server that XMPP is left to, and api the first label of the service's name.
	node *xmppserver.Server
	api  string

	scan   func(t *testing.T, user, text string)
	cut    func(t *testing.T)                  // ends all connections
	expire func(t *testing.T)                  // makes all tokens stale
	settle func(t *testing.T, users ...string) // waits until each has one connection
}

// hostRules maps the services' names to them, and lets no other name through (localhost is the
// app's own page).
func hostRules(services []*service) string {
	var rules []string
	for _, s := range services {
		if s.node != nil { // which is told by its port
			rules = append(rules, "MAP "+s.api+".mirrorfly.test:443 "+s.address, "MAP "+host+" 127.0.0.1")
			continue
		}
		rules = append(rules, "MAP *.mirrorfly.test:443 "+s.address, "MAP api-config.mirrorfly.com:443 "+s.address)
	}
	return strings.Join(append(rules, "EXCLUDE localhost", "MAP * ~NOTFOUND"), ", ")
}

// dial reaches the service by the names that browsers use.
func (s *service) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	if _, port, _ := net.SplitHostPort(address); s.node == nil || port == "443" {
		address = s.address
	}
	return d.DialContext(ctx, network, address)
}

// twins are two services of package sdktest in this process, with the same initialization vectors:
// what is sealed for one reads the same on the other.
func twins(t *testing.T, trial bool) (one, other *service) {
	t.Helper()
	first := state{}
	srv, err := sdktest.Start(sdktest.Options{StateStore: first})
	require.NoError(t, err)
	srv.Close()
	second := maps.Clone(first)
	return inProcess(t, sdktest.Options{Trial: trial, StateStore: first}),
		inProcess(t, sdktest.Options{Trial: trial, StateStore: second})
}

// state is an sdktest.StateStore in memory, by kind and key. It is for servers that start with the
// vectors alone, so that the order of the keys does not matter.
type state map[[2]string][]byte

func (s state) Load(kind string, each func(key string, value []byte) error) error {
	for at, value := range s {
		if at[0] != kind {
			continue
		}
		if err := each(at[1], value); err != nil {
			return err
		}
	}
	return nil
}

func (s state) Save(changes []sdktest.StateChange) error {
	for _, c := range changes {
		if at := [2]string{c.Kind, c.Key}; c.Value == nil {
			delete(s, at)
		} else {
			s[at] = c.Value
		}
	}
	return nil
}

// inProcess is the service of package sdktest.
func inProcess(t *testing.T, o sdktest.Options) *service {
	t.Helper()
	o.Domain, o.LicenseKey = host, license
	srv := sdktest.New(t, o)
	address, err := url.Parse(srv.URL())
	require.NoError(t, err)
	return &service{
		address: address.Host, trial: o.Trial, srv: srv,
		scan: func(t *testing.T, user, text string) {
			t.Helper()
			require.NoError(t, srv.Phone(user).Scan(t.Context(), text))
		},
		cut:    func(*testing.T) { srv.DropConnections() },
		expire: func(*testing.T) { srv.ExpireTokens() },
		settle: func(t *testing.T, users ...string) {
			t.Helper()
			for _, user := range users {
				require.NoError(t, srv.Wait(t.Context(), user+" has one session", func() bool {
					return len(srv.Resources(user)) == 1
				}))
			}
		},
	}
}

// devserver is examples/devserver. It has no switches: a restart cuts all connections, and it keeps
// no tokens.
func devserver(t *testing.T, trial bool) *service {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "devserver")
	build := exec.Command("go", "build", "-o", program, "./examples/devserver")
	build.Dir = "../.."
	raw, err := build.CombinedOutput()
	require.NoError(t, err, string(raw))

	caFile := filepath.Join(dir, "ca.pem")
	arguments := []string{
		"-domain", host, "-license", license, fmt.Sprintf("-trial=%t", trial),
		"-ca-out", caFile, "-data", filepath.Join(dir, "data"), "-listen",
	}
	said, stop := run(t, program, append(arguments, "127.0.0.1:0")...)
	address, err := url.Parse(said["apiBaseUrl"])
	require.NoError(t, err)
	require.Equal(t, host, said["domain"])
	require.Equal(t, license, said["licenseKey"])
	s := &service{address: address.Host, trial: trial}
	s.scan = func(t *testing.T, user, text string) { t.Helper(); scanByHTTP(t, caFile, s.address, user, text) }
	s.cut = func(t *testing.T) {
		t.Helper()
		stop()
		_, stop = run(t, program, append(arguments, s.address)...)
	}
	s.expire = func(*testing.T) {}            // the cut before has done it
	s.settle = func(*testing.T, ...string) {} // it started from nothing
	t.Cleanup(func() { stop() })
	return s
}

// run starts a program that ends when stop is called, and when this process ends in any way: the
// shell waits for its input to end. It returns the program's first line, a JSON object of strings.
func run(t *testing.T, program string, args ...string) (said map[string]string, stop func()) {
	t.Helper()
	const guarded = `trap "" INT; "$@" & cat >/dev/null; kill $!; wait $!`
	cmd := exec.Command("sh", append([]string{"-c", guarded, "sh", program}, args...)...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	stop = sync.OnceFunc(func() {
		_ = in.Close()
		_, _ = io.Copy(io.Discard, out)
		require.NoError(t, cmd.Wait())
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &said)
	}
	if err != nil {
		stop()
		require.NoError(t, err)
	}
	return said, stop
}

// scanByHTTP is the phone for tools in other languages.
func scanByHTTP(t *testing.T, caFile, address, user, text string) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"userIdentifier": user, "text": text})
	require.NoError(t, err)
	pem, err := os.ReadFile(caFile)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(pem))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	resp, err := client.Post("https://"+address+"/_test/qr/scan", "application/json", bytes.NewReader(body))
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, string(answer))
	require.JSONEq(t, `{"status":200,"message":"Success"}`, string(answer))
}
