package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/examples/internal/testprogram"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestMain(m *testing.M) {
	testprogram.Main(main, func() {
		// So that the tests do not depend on the environment of the machine.
		for _, v := range os.Environ() {
			name, _, _ := strings.Cut(v, "=")
			isProxy := strings.HasSuffix(strings.ToUpper(name), "_PROXY")
			if isProxy || strings.HasPrefix(name, "MIRRORFLY_") {
				_ = os.Unsetenv(name)
			}
		}
		goleak.VerifyTestMain(m)
	})
}

// everyStep is what is printed, in this order.
var everyStep = []string{
	"settings", "proxy", "DNS", "TCP", "TLS", "REST API", "clock", "licence key", "register", "log in", "XMPP",
	"bind", "profile", "clean-up",
}

// report is what the program has printed, by step: the state, and what follows the name.
type report struct {
	all         string
	state, text map[string]string
	why, fix    string // of the first failure
}

func parse(t *testing.T, printed string) report {
	t.Helper()
	r := report{all: printed, state: map[string]string{}, text: map[string]string{}}
	var order []string
	for line := range strings.Lines(printed) {
		line = fmt.Sprintf("%-22s", strings.TrimSuffix(line, "\n"))
		state, name, text := strings.TrimSpace(line[:9]), strings.TrimSpace(line[9:21]), line[22:]
		switch {
		case name == "why" && r.why == "":
			r.why = text
		case name == "what to do" && r.fix == "":
			r.fix = text
		case state != "":
			order = append(order, name)
			r.state[name], r.text[name] = state, text
		}
	}
	requireOrder(t, order, r)
	return r
}

// requireOrder: each step has a line, in order, or one line says how many were not reached and why.
func requireOrder(t *testing.T, order []string, r report) {
	t.Helper()
	last := len(everyStep) - 1
	failed := slices.IndexFunc(everyStep[:last], func(step string) bool { return r.state[step] == "failed" })
	missed := last - 1 - failed
	if failed < 0 || missed == 0 {
		require.Equal(t, everyStep, order)
		return
	}
	line := fmt.Sprintf("%d steps", missed)
	if missed == 1 {
		line = "1 step"
	}
	require.Equal(t, slices.Concat(everyStep[:failed+1], []string{line, everyStep[last]}), order)
	require.Equal(t, "skipped", r.state[line])
	require.Equal(t, fmt.Sprintf("not reached, because %q has failed", everyStep[failed]), r.text[line])
}

// examined runs the program on a service, with the environment that names it.
func examined(t *testing.T, srv *sdktest.Server, env map[string]string, args ...string) (report, error) {
	t.Helper()
	for name, value := range environment(srv) {
		t.Setenv(name, value)
	}
	for name, value := range env {
		t.Setenv(name, value)
	}
	var out bytes.Buffer
	err := run(t.Context(), args, &out, io.Discard)
	requireNoSecret(t, out.String())
	return parse(t, out.String()), err
}

func environment(srv *sdktest.Server) map[string]string {
	return map[string]string{
		"MIRRORFLY_API_BASE_URL": srv.URL(), "MIRRORFLY_LICENSE_KEY": srv.LicenseKey(),
		"MIRRORFLY_TRIAL": "false", "MIRRORFLY_CA_FILE": srv.CAFile(),
	}
}

// The secrets of the tests have this word in them.
const secret = "secret"

func requireNoSecret(t *testing.T, printed string) {
	t.Helper()
	require.NotContains(t, printed, secret)
}

func served(t *testing.T, opts sdktest.Options) *sdktest.Server {
	opts.Domain, opts.LicenseKey = "localhost", "the-secret-key" // a name that resolves
	return sdktest.New(t, opts)
}

// Without settings it examines the test server.
func TestOnTheTestServer(t *testing.T) {
	for _, transport := range []string{"websocket", "tcp"} {
		var out bytes.Buffer
		require.NoError(t, run(t.Context(), []string{"-transport", transport}, &out, io.Discard))
		r := parse(t, out.String())
		for _, step := range everyStep {
			require.Contains(t, []string{"ok", "skipped"}, r.state[step], r.all)
		}
		require.Equal(t, "over "+transport, r.text["XMPP"])
	}
}

func TestHealthy(t *testing.T) {
	for _, trial := range []bool{false, true} {
		srv := served(t, sdktest.Options{Trial: trial})
		env := map[string]string{
			"MIRRORFLY_TRIAL":        fmt.Sprint(trial),
			"MIRRORFLY_API_BASE_URL": strings.Replace(srv.URL(), "127.0.0.1", "localhost", 1),
		}
		r, err := examined(t, srv, env)
		require.NoError(t, err, r.all)
		for _, step := range everyStep {
			require.Equal(t, "ok", r.state[step], r.all)
		}
		require.Contains(t, r.text["TLS"], "CN=sdktest CA")
		require.Empty(t, srv.Users(), "the account is deleted")
	}
}

// A slash at the end of the base URL does no harm, as in package sdk.
func TestSlashAtTheEnd(t *testing.T) {
	srv := served(t, sdktest.Options{})
	r, err := examined(t, srv, map[string]string{"MIRRORFLY_API_BASE_URL": srv.URL() + "/"})
	require.NoError(t, err, r.all)
}

// With an account that exists nothing is registered, and nothing is deleted.
func TestExistingAccount(t *testing.T) {
	srv := served(t, sdktest.Options{})
	client, err := sdk.New(srv.Config())
	require.NoError(t, err)
	defer client.Close()
	me, err := client.Register(t.Context(), "alice")
	require.NoError(t, err)
	env := map[string]string{"MIRRORFLY_USERNAME": "alice", "MIRRORFLY_PASSWORD": me.Data.Password}
	r, err := examined(t, srv, env)
	require.NoError(t, err, r.all)
	require.NotContains(t, r.all, me.Data.Password)
	require.Equal(t, "skipped", r.state["register"])
	require.Equal(t, "skipped", r.state["clean-up"])
	require.Equal(t, []string{"alice"}, srv.Users())

	env["MIRRORFLY_PASSWORD"] = "a-secret"
	r, err = examined(t, srv, env)
	require.ErrorIs(t, err, errSick)
	require.Equal(t, "failed", r.state["log in"], r.all)
	require.Contains(t, r.fix, "MIRRORFLY_PASSWORD")
	require.Equal(t, []string{"alice"}, srv.Users())
}

// What fails, where that shows, and what to do about it.
func TestFaults(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, closed.Close())
	fault := func(step sdktest.Step, kind sdktest.FaultKind) func(*sdktest.Server) {
		return func(srv *sdktest.Server) { srv.SetFault(step, kind) }
	}
	certificate := func(kind sdktest.Certificate) func(*sdktest.Server) {
		return func(srv *sdktest.Server) { srv.SetCertificate(kind) }
	}
	for name, tc := range map[string]struct {
		sick      func(*sdktest.Server)
		env       map[string]string
		transport sdk.Transport
		step      string
		why, fix  string
	}{
		"no licence key": {
			env: map[string]string{"MIRRORFLY_LICENSE_KEY": ""}, step: "settings",
			why: "MIRRORFLY_LICENSE_KEY", fix: "correct the environment",
		},
		"no trial": {env: map[string]string{"MIRRORFLY_TRIAL": ""}, step: "settings", why: "MIRRORFLY_TRIAL"},
		"half an account": {
			env: map[string]string{"MIRRORFLY_USERNAME": "alice"}, step: "settings", why: "MIRRORFLY_PASSWORD",
		},
		"no CA file": {
			env: map[string]string{"MIRRORFLY_CA_FILE": "main.go"}, step: "settings", why: "no certificate in main.go",
		},
		"key with a line end": {
			env:  map[string]string{"MIRRORFLY_LICENSE_KEY": "secret\n"},
			step: "settings", why: "LicenseKey has a line end",
			fix: "correct the setting",
		},
		"http": {
			env: map[string]string{"MIRRORFLY_API_BASE_URL": "http://127.0.0.1/api/v1"}, step: "settings",
			fix: "must begin with https://",
		},
		"URL with a password": {
			env: map[string]string{"MIRRORFLY_API_BASE_URL": "https://user:secret@127.0.0.1/api/v1"}, step: "settings",
			why: "Invalid api base url", fix: "correct the setting",
		},
		"another transport": {transport: "pigeon", step: "settings", why: "pigeon"},
		"nothing listens": {
			env:  map[string]string{"MIRRORFLY_API_BASE_URL": "https://" + closed.Addr().String() + "/api/v1"},
			step: "TCP", fix: "nothing listens there: check host and port in MIRRORFLY_API_BASE_URL",
		},
		"unknown authority": {
			env: map[string]string{"MIRRORFLY_CA_FILE": ""}, step: "TLS", why: "unknown authority",
			fix: "MIRRORFLY_CA_FILE",
		},
		"TLS intercepted": {
			sick: fault(sdktest.StepHTTPTLS, sdktest.FaultWrongSender), step: "TLS", why: "unknown authority",
			fix: `signed by "CN=stranger CA,O=sdktest", which is not in the file of MIRRORFLY_CA_FILE`,
		},
		"expired": {
			sick: certificate(sdktest.CertificateExpired), step: "TLS", why: "is after", fix: "clock of this",
		},
		"not yet valid": {
			sick: certificate(sdktest.CertificateNotYetValid), step: "TLS", why: "is before", fix: "clock of this",
		},
		"other name": {
			sick: certificate(sdktest.CertificateOtherName),
			step: "TLS", fix: "check the host in MIRRORFLY_API_BASE_URL",
		},
		"no TLS": {
			sick: fault(sdktest.StepHTTPTLS, sdktest.FaultMalformed), step: "TLS", fix: "does not speak TLS",
		},
		"silent": {sick: fault(sdktest.StepREST, sdktest.FaultSilent), step: "TLS", fix: "nothing answers in time"},
		"login page": {
			sick: fault(sdktest.StepREST, sdktest.FaultMalformed), step: "REST API", why: "it has no JSON",
			fix: "on a guest network",
		},
		"service down": {sick: fault(sdktest.StepREST, sdktest.FaultError), step: "REST API", fix: "try again later"},
		"clock": {
			sick: func(srv *sdktest.Server) { srv.SetClock(10*time.Minute + 30*time.Second) },
			step: "clock", why: "off by -10m",
			fix: "set the clock",
		},
		"wrong key": {
			env: map[string]string{"MIRRORFLY_LICENSE_KEY": "another-secret"}, step: "licence key",
			why: "Invalid License key", fix: "compare MIRRORFLY_LICENSE_KEY with the console",
		},
		"trial": {
			env: map[string]string{"MIRRORFLY_TRIAL": "true"}, step: "licence key", why: "not a trial license key",
			fix: "MIRRORFLY_TRIAL must be true for a trial licence key, and false for any other",
		},
		"register": {
			sick: func(srv *sdktest.Server) { srv.FailNext("register", 400, "Registration is closed") },
			step: "register",
			why:  "Registration is closed",
		},
		"log in": {
			sick: func(srv *sdktest.Server) { srv.FailNext("login", 400, "Not today") },
			step: "log in", why: "Not today",
		},
		"XMPP upgrade": {sick: fault(sdktest.StepUpgrade, sdktest.FaultError), step: "XMPP", why: "503"},
		"XMPP TLS": {
			sick: fault(sdktest.StepTLS, sdktest.FaultWrongSender), transport: sdk.TransportTCP, step: "XMPP",
			fix: "MIRRORFLY_CA_FILE",
		},
		"XMPP login": {sick: fault(sdktest.StepAuth, sdktest.FaultError), step: "XMPP", why: "sasl refused"},
		"XMPP silent": {
			sick: fault(sdktest.StepStream, sdktest.FaultSilent), step: "XMPP", fix: "nothing answers in time",
		},
		"bind": {sick: fault(sdktest.StepBind, sdktest.FaultError), step: "bind", why: "bind refused"},
		"profile": {
			sick: func(srv *sdktest.Server) { srv.FailNext("contacts/vcard", 400, "No profiles today") },
			step: "profile",
			why:  "No profiles today",
		},
		"clean-up": {
			sick: func(srv *sdktest.Server) { srv.FailNext("users/deleteMyAccount", 400, "Not now") }, step: "clean-up",
			why: "Not now", fix: "delete doctor-",
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := served(t, sdktest.Options{})
			if tc.sick != nil {
				tc.sick(srv)
			}
			patience := "20s"
			if strings.Contains(name, "silent") {
				patience = "500ms"
			}
			transport := tc.transport
			if transport == "" {
				transport = sdk.TransportWebSocket
			}
			r, err := examined(t, srv, tc.env, "-transport", string(transport), "-timeout", patience)
			require.ErrorIs(t, err, errSick, r.all)
			requireFirstFailure(t, r, tc.step)
			require.Contains(t, r.why, tc.why, r.all)
			require.Contains(t, r.fix, tc.fix, r.all)
			require.NotEmpty(t, r.fix)
			switch tc.step {
			case "clean-up":
			case "log in":
				require.Contains(t, r.all, "an account that cannot log in cannot delete itself")
			default:
				require.Empty(t, srv.Users(), "the account is deleted")
			}
		})
	}
}

// requireFirstFailure: all before the step is well, and all behind it was left out.
func requireFirstFailure(t *testing.T, r report, failed string) {
	t.Helper()
	before := true
	for _, step := range everyStep {
		switch {
		case step == failed:
			require.Equal(t, "failed", r.state[step], r.all)
			before = false
		case before:
			require.Contains(t, []string{"ok", "skipped"}, r.state[step], r.all)
		case step != "clean-up":
			require.Empty(t, r.state[step], r.all)
		}
	}
}

// A wrong path, and what answers where no service is.
func TestElsewhere(t *testing.T) {
	srv := served(t, sdktest.Options{})
	r, err := examined(t, srv, map[string]string{"MIRRORFLY_API_BASE_URL": strings.TrimSuffix(srv.URL(), "/v1")})
	require.ErrorIs(t, err, errSick)
	requireFirstFailure(t, r, "REST API")
	require.Contains(t, r.fix, "with a path such as /api/v1")

	portal := served(t, sdktest.Options{Handler: http.RedirectHandler("https://login.example/", http.StatusFound)})
	base := strings.TrimSuffix(portal.URL(), "/api/v1") + "/rest"
	r, err = examined(t, portal, map[string]string{"MIRRORFLY_API_BASE_URL": base})
	require.ErrorIs(t, err, errSick)
	requireFirstFailure(t, r, "REST API")
	require.Contains(t, r.why, "leads elsewhere")
}

// Servers that speak JSON, and are not the service.
func TestAnotherJSON(t *testing.T) {
	for body, tc := range map[string]struct {
		code      int
		step, why string
	}{
		`{"message":"Forbidden"}`:               {403, "REST API", "its JSON has no status and message"},
		`{"status":"ok"}`:                       {200, "REST API", "its JSON has no status and message"},
		`{"status":{},"message":7,"data":null}`: {200, "REST API", "its JSON has no status and message"},
		`{"status":400,"error":"Bad Request"}`:  {400, "REST API", "its JSON has no status and message"},
		``:                                      {401, "register", "Register"},
		`<html>`:                                {401, "REST API", "it has no JSON"},
		`{"message":"Slow down"}`:               {429, "REST API", "fewer requests"},
		`[]`:                                    {401, "REST API", "it has no JSON"},
		`{"error":"unauthorized"}`:              {401, "register", "Register"},
	} {
		other := served(t, sdktest.Options{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(tc.code)
			_, _ = io.WriteString(w, body)
		})})
		base := strings.TrimSuffix(other.URL(), "/api/v1") + "/rest"
		r, err := examined(t, other, map[string]string{"MIRRORFLY_API_BASE_URL": base})
		require.ErrorIs(t, err, errSick)
		requireFirstFailure(t, r, tc.step)
		require.Contains(t, r.why, tc.why, body)
		if tc.code == http.StatusTooManyRequests {
			require.Equal(t, "try again later", r.fix)
			continue
		}
		require.Contains(t, r.fix, "check the host in MIRRORFLY_API_BASE_URL", body)
	}
}

func TestDNS(t *testing.T) {
	srv := served(t, sdktest.Options{})
	for name, value := range environment(srv) {
		t.Setenv(name, value)
	}
	t.Setenv("MIRRORFLY_API_BASE_URL", "https://api.example/api/v1")
	for fix, err := range map[string]*net.DNSError{
		"DNS knows no such name: check the host in": {Err: "no such host", Name: "api.example", IsNotFound: true},
		"DNS does not answer":                       {Err: "server misbehaving", Name: "api.example"},
	} {
		c := &checkup{transport: sdk.TransportWebSocket, lookup: func(context.Context, string) ([]string, error) {
			return nil, err
		}}
		var out bytes.Buffer
		require.False(t, examine(t.Context(), &out, time.Minute, c.steps(), step{"clean-up", c.cleanUp}))
		c.close()
		r := parse(t, out.String())
		requireFirstFailure(t, r, "DNS")
		require.Contains(t, r.fix, fix)
	}
}

// Proxies are read once for each process, so these are processes of their own.
func TestProxies(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	defer proxy.Close()
	host := proxy.Listener.Addr().String()
	srv := served(t, sdktest.Options{})
	for name, tc := range map[string]struct{ value, step, proxy, says string }{
		"wants a password": {
			"http://user:secret@" + host, "TLS", "through " + host, "the proxy wants a user and a password",
		},
		"not there": {
			"http://user:secret@127.0.0.1:1", "TCP", "through 127.0.0.1:1", "check HTTPS_PROXY, or",
		},
		"no URL": {
			"http://user:secret@%zz", "DNS", "none: HTTPS_PROXY cannot be read as a URL such as http://HOST:PORT",
			"if a proxy is needed, set HTTPS_PROXY to http://HOST:PORT; else: ",
		},
		"none for this machine": {"http://user:secret@" + host, "", "none: HTTPS_PROXY is set, but", ""},
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "HTTPS_PROXY="+tc.value)
		for name, value := range environment(srv) {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		if tc.step != "" {
			cmd.Env = append(cmd.Env, "MIRRORFLY_API_BASE_URL=https://api.invalid/api/v1")
		}
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); tc.step == "" {
			require.NoError(t, err, name)
		} else {
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, name)
			require.Equal(t, 1, exit.ExitCode())
		}
		require.Empty(t, stderr.String())
		requireNoSecret(t, stdout.String())
		r := parse(t, stdout.String())
		requireFirstFailure(t, r, tc.step)
		require.Contains(t, r.text["proxy"], tc.proxy)
		require.Contains(t, r.fix, tc.says)
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"please"}, {"-timeout", "0s"}, {"-nonsense"}} {
		require.ErrorIs(t, run(t.Context(), args, io.Discard, io.Discard), errUsage)
	}
}

// The words of a server stay in their line.
func TestWordsOfOthers(t *testing.T) {
	var out bytes.Buffer
	s := step{"settings", func(context.Context) (string, error) { return "a\nok  b", errors.New("\x1b[2J\r\nno") }}
	require.False(t, s.examine(t.Context(), &out, time.Minute))
	require.Len(t, strings.Split(strings.TrimSpace(out.String()), "\n"), 3)
	require.NotContains(t, out.String(), "\x1b")
}
