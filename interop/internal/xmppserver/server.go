// Package xmppserver starts real XMPP servers for tests: each on loopback, from
// nothing, in a folder and on ports of its own, by the scripts in interop/servers.
//
// A server ends with its test, and also when the test process is killed: the
// scripts' guard.sh holds a pipe from this process and kills the server when
// that closes.
package xmppserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// requiredEnv set to "required" makes a server that is not installed a failure.
// Elsewhere it is a reason to skip, so that the tests run on any machine.
const requiredEnv = "MIRRORFLY_INTEROP"

const (
	// startTimeout is far more than a busy machine needs.
	startTimeout = 5 * time.Minute
	stopTimeout  = time.Minute
)

// Options say how a server differs from what its package installs. The zero
// value is a stock server that requires TLS.
type Options struct {
	// MirrorFly loads the optional module, which answers the service's own stanzas.
	MirrorFly bool
	// Passwords is how they are stored: "scram" (default) or "plain", which logs in faster.
	Passwords string
	// Domain is xmpp.mirrorfly.test by default.
	Domain string
	// Env has further variables of the start script, which lists them at its top.
	Env map[string]string
}

// Server is a running server, and what a client needs to reach it.
type Server struct {
	// Domain is that of the JIDs.
	Domain string
	// C2S is host:port of TCP with STARTTLS.
	C2S string
	// C2STLS is host:port of TCP with direct TLS.
	C2STLS string
	// HTTP is host:port of /websocket, /bosh and, on ejabberd, /api.
	HTTP string
	// HTTPS is host:port of the same with TLS.
	HTTPS string
	// APIURL is the URL of ejabberd's HTTP API, without a command. It needs no credentials. Prosody
	// has none.
	APIURL string
	// CAFile is the PEM file of the certificate to trust.
	CAFile string
	// Dir has all files of the server. Its log is in log/.
	Dir string

	t testing.TB
	// name is "ejabberd" or "prosody".
	name string
	// start is the command that starts it. It returns when the server answers.
	start []string
	env   []string
	// guard is the read end of the pipe that guard.sh watches.
	guard *os.File
}

// Ejabberd starts a private ejabberd node, ready when this returns, that lives
// as long as the test. Without ejabberd on the machine the test is skipped, or
// fails where MIRRORFLY_INTEROP=required.
func Ejabberd(t testing.TB, o Options) *Server {
	t.Helper()
	return single(t, "ejabberd", o)
}

// Prosody is [Ejabberd] with Prosody.
func Prosody(t testing.TB, o Options) *Server {
	t.Helper()
	return single(t, "prosody", o)
}

// ProsodyWithAPI is [Prosody] with the commands of ejabberd's HTTP API that sdktest and the tests
// need, at APIURL: interop/prosody/modules has them. All else is as Debian ships it.
func ProsodyWithAPI(t testing.TB, o Options) *Server {
	t.Helper()
	scripts, err := scriptDir()
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"PLUGINS": filepath.Join(scripts, "prosody", "modules") + ";" +
			filepath.Join(filepath.Dir(scripts), "prosody", "modules"),
		"EXTRA_MODULES": "ejabberd_api",
	}
	if o.MirrorFly {
		env["EXTRA_MODULES"] += " mirrorfly"
	}
	maps.Copy(env, o.Env)
	o.Env = env
	s := Prosody(t, o)
	s.APIURL = "http://" + s.HTTP + "/api"
	return s
}

func single(t testing.TB, name string, o Options) *Server {
	t.Helper()
	need(t, name)
	h := newHost(t, o)
	s := h.server(name, filepath.Join(h.dir, name), "127.0.0.1")
	s.start = []string{"start-" + name + ".sh", s.Dir}
	h.launch(s.start)
	return s
}

// need ends the test when the server is not installed.
func need(t testing.TB, name string) {
	t.Helper()
	if Installed(name) {
		return
	}
	if os.Getenv(requiredEnv) == "required" {
		t.Fatalf("%s is not installed (interop/install.sh does it), and %s=required", name, requiredEnv)
	}
	t.Skipf("%s is not installed; `make test` installs it and runs this", name)
}

// Installed reports whether the server "ejabberd" or "prosody" is on this machine.
func Installed(name string) bool {
	program := map[string]string{"ejabberd": "ejabberdctl", "prosody": "prosody"}[name]
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin") {
		if info, err := os.Stat(filepath.Join(dir, program)); err == nil && !info.IsDir() {
			return true
		}
	}
	return false
}

// host is what the servers of one test have in common.
type host struct {
	t     testing.TB
	o     Options
	dir   string
	base  int
	guard *os.File
	env   []string
}

func newHost(t testing.TB, o Options) *host {
	t.Helper()
	if o.Domain == "" {
		o.Domain = "xmpp.mirrorfly.test"
	}
	h := &host{t: t, o: o, dir: t.TempDir()}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatalf("guard pipe: %v", err)
	}
	h.guard = read
	ports := reservePorts(t)
	h.base = ports.base
	h.env = append(os.Environ(), "XMPP_GUARD_FD=3", "XMPP_HOST="+o.Domain, "PORT_BASE="+strconv.Itoa(h.base))
	h.env = append(h.env, o.environ()...)
	// Closing the write end kills whatever of this host still runs.
	t.Cleanup(func() { _ = errors.Join(write.Close(), read.Close(), ports.Close()) })
	return h
}

// environ is the options as variables of both start scripts.
func (o Options) environ() []string {
	var env []string
	if o.MirrorFly {
		env = append(env, "MIRRORFLY=1", "EXTRA_MODULES=mirrorfly")
	}
	if o.Passwords == "plain" {
		env = append(env, "PASSWORDS=plain", "AUTH=internal_plain")
	}
	for k, v := range o.Env {
		env = append(env, k+"="+v)
	}
	return env
}

// server describes the one whose files are in dir and that listens on ip; the
// ports are the start scripts' defaults above PORT_BASE.
func (h *host) server(name, dir, ip string) *Server {
	at := func(offset int) string { return net.JoinHostPort(ip, strconv.Itoa(h.base+offset)) }
	s := &Server{
		Domain: h.o.Domain, Dir: dir, CAFile: filepath.Join(dir, "tls", "cert.pem"),
		C2S: at(portC2S), C2STLS: at(portC2STLS), HTTP: at(portHTTP), HTTPS: at(portHTTPS),
		t: h.t, name: name, env: h.env, guard: h.guard,
	}
	if name == "ejabberd" {
		s.APIURL = "http://" + s.HTTP + "/api"
	}
	h.t.Cleanup(func() {
		s.Kill()
		if h.t.Failed() {
			// The cause may be long before the end.
			h.t.Logf("end of the log of %s:\n%s", name, s.logTail(64<<10))
		}
	})
	return s
}

func (h *host) launch(command []string) {
	h.t.Helper()
	if _, err := run(startTimeout, h.env, h.guard, command...); err != nil {
		h.t.Fatalf("start %s: %v", command[0], err)
	}
}

// Stop ends the server in order, as an administrator would, and returns when it
// has gone. What it stored is kept for [Server.Start].
func (s *Server) Stop() {
	s.t.Helper()
	s.stop()
}

// Kill ends the server with SIGKILL and returns when it has gone.
func (s *Server) Kill() {
	s.t.Helper()
	s.stop("0")
}

func (s *Server) stop(seconds ...string) {
	s.t.Helper()
	command := append([]string{"stop-" + s.name + ".sh", s.Dir}, seconds...)
	if _, err := run(stopTimeout, s.env, nil, command...); err != nil {
		s.t.Errorf("%s: %v", command[0], err)
	}
}

// Start starts the server again after [Server.Stop] or [Server.Kill], on the
// same ports and with the same data, and returns when it answers.
func (s *Server) Start() {
	s.t.Helper()
	if _, err := run(startTimeout, s.env, s.guard, s.start...); err != nil {
		s.t.Fatalf("%s: %v", s.start[0], err)
	}
}

// Ctl runs an ejabberdctl command, "eval" with an Erlang expression included,
// and returns what it printed. It takes about 0.3 s; [Server.API] is quicker.
func (s *Server) Ctl(command ...string) string {
	s.t.Helper()
	out, err := run(stopTimeout, s.env, nil, append([]string{"ejabberdctl.sh", s.Dir}, command...)...)
	if err != nil {
		s.t.Fatalf("ejabberdctl %s: %v", command[0], err)
	}
	return strings.TrimSpace(out)
}

// API runs a command of ejabberd's HTTP API and returns the JSON that it
// answers. args is the JSON object of the arguments; nil for none.
func (s *Server) API(command string, args map[string]any) string {
	s.t.Helper()
	if args == nil {
		args = map[string]any{}
	}
	body, err := json.Marshal(args)
	if err != nil {
		s.t.Fatalf("api %s: %v", command, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	out, err := post(ctx, s.APIURL+"/"+command, body)
	if err != nil {
		s.t.Fatalf("api %s: %v", command, err)
	}
	return out
}

func post(ctx context.Context, url string, body []byte) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	// No connection may stay open after the test.
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, out)
	}
	return string(out), err
}

// ResumptionsTimedOut is how often the log says that a stream of jid could not be resumed because
// its old process was stuck: with ejabberd one in some hundred over WebSocket is, for 15 s
// (servers/README.md).
func (s *Server) ResumptionsTimedOut(jid string) int {
	return strings.Count(s.logTail(math.MaxInt), "Cannot resume session for "+jid+": Session state copying timed out")
}

func (s *Server) logTail(limit int) string {
	data, err := os.ReadFile(filepath.Join(s.Dir, "log", s.name+".log"))
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-limit):])
}

// run executes one of the scripts of interop/servers. With guard, the servers
// that it starts live as long as that pipe.
func run(limit time.Duration, env []string, guard *os.File, command ...string) (string, error) {
	dir, err := scriptDir()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(dir, command[0]), command[1:]...)
	cmd.Env = env
	if guard != nil {
		// It becomes descriptor 3.
		cmd.ExtraFiles = []*os.File{guard}
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s%s", err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.String(), nil
}

// scriptDir finds interop/servers above the folder of the package under test,
// which is where go test runs it.
func scriptDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		scripts := filepath.Join(dir, "servers")
		if _, err := os.Stat(filepath.Join(scripts, "guard.sh")); err == nil {
			return scripts, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("interop/servers not found above the working directory")
		}
		dir = parent
	}
}
