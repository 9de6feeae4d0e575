package xmppserver

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEjabberd(t *testing.T) {
	t.Parallel()
	s := Ejabberd(t, Options{Domain: "chat.example.test"})
	require.Contains(t, s.API("status", nil), "is running")
	require.Contains(t, s.Ctl("status"), "is started")
	requireOptions(t, s, false, "scram")
	requireServing(t, s)

	s.API("register", map[string]any{"user": "anna", "host": s.Domain, "password": "pw"})
	s.Stop()
	requireGone(t, s)
	s.Start()
	requireServing(t, s)
	require.JSONEq(t,
		"0", s.API("check_account", map[string]any{"user": "anna", "host": s.Domain}), "account lost by a restart",
	)
	require.JSONEq(t, "1", s.API("check_account", map[string]any{"user": "ben", "host": s.Domain}))
	s.Kill()
	requireGone(t, s)
}

func TestProsody(t *testing.T) {
	t.Parallel()
	s := Prosody(t, Options{})
	require.Empty(t, s.APIURL)
	requireServing(t, s)
	s.Stop()
	requireGone(t, s)
	s.Start()
	requireServing(t, s)
	s.Kill()
	requireGone(t, s)
}

func TestCluster(t *testing.T) {
	t.Parallel()
	a, b := Cluster(t, Options{MirrorFly: true, Passwords: "plain"})
	require.Equal(t, 2, strings.Count(b.API("list_cluster", nil), "ejabberd@"))
	requireOptions(t, b, true, "plain")
	requireServing(t, a)
	requireServing(t, b)

	b.Kill()
	requireGone(t, b)
	requireServing(t, a)
	a.API("register", map[string]any{"user": "anna", "host": a.Domain, "password": "pw"})
	b.Start()
	require.JSONEq(t,
		"0", b.API("check_account", map[string]any{"user": "anna", "host": b.Domain}), "written while b was down",
	)
}

func requireOptions(t *testing.T, s *Server, module bool, passwords string) {
	t.Helper()
	require.Equal(t, fmt.Sprintf("{%v,%s}", module, passwords), s.Ctl("eval",
		fmt.Sprintf(
			"{gen_mod:is_loaded(<<%[1]q>>, mod_mirrorfly), ejabberd_auth:password_format(<<%[1]q>>)}.", s.Domain,
		)))
}

// holdEnv makes TestKilledProcess the process that gets killed.
const holdEnv = "XMPPSERVER_TEST_HOLD"

func TestKilledProcess(t *testing.T) {
	if os.Getenv(holdEnv) != "" {
		e, p := Ejabberd(t, Options{}), Prosody(t, Options{})
		fmt.Println("\nholding", e.C2S, e.Dir, p.C2S, p.Dir)
		_, _ = io.Copy(io.Discard, os.Stdin) // until killed, or the parent has gone
		return
	}
	t.Parallel()
	need(t, "ejabberd")
	need(t, "prosody")
	child := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
	child.Env = append(os.Environ(), holdEnv+"=1", "TMPDIR="+t.TempDir())
	_, err := child.StdinPipe() // open as long as this process lives
	require.NoError(t, err)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	t.Cleanup(func() { _ = child.Process.Kill() })
	var ejabberd, ejabberdDir, prosody, prosodyDir string
	for lines := bufio.NewScanner(out); ejabberd == "" && lines.Scan(); {
		_, _ = fmt.Sscanf(lines.Text(), "holding %s %s %s %s", &ejabberd, &ejabberdDir, &prosody, &prosodyDir)
	}
	require.NotEmpty(t, prosodyDir, "the child did not start its servers")
	groups := []string{readPid(t, ejabberdDir, "ejabberd"), readPid(t, prosodyDir, "prosody")}
	for _, g := range groups {
		require.NotEmpty(t, membersOf(t, g), "no process in the server's group")
	}
	requireOpen(t, ejabberd, true)
	requireOpen(t, prosody, true)

	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())
	requireOpen(t, ejabberd, false)
	requireOpen(t, prosody, false)
	for _, g := range groups {
		require.Eventually(t, func() bool { return len(membersOf(t, g)) == 0 }, time.Minute, 20*time.Millisecond)
	}
}

func TestReservePorts(t *testing.T) {
	seen := map[int]bool{}
	for range 20 {
		p := reservePorts(t)
		defer p.Close()
		require.False(t, seen[p.base], "handed out twice")
		seen[p.base] = true
		require.True(t, free(p.base))
	}
	p := reservePorts(t)
	defer p.Close()
	taken, err := listen("127.0.0.2", p.base+portHTTPS)
	require.NoError(t, err)
	defer taken.Close()
	require.False(t, free(p.base))
}

func TestNotInstalled(t *testing.T) {
	require.False(t, Installed("openfire"))
	for value, want := range map[string]string{"": "skip", "required": "fatal"} {
		t.Setenv(requiredEnv, value)
		fake := &recorder{TB: t}
		done := make(chan struct{})
		// Ends with need, which must not return.
		go func() {
			defer close(done)
			need(fake, "openfire")
			fake.ended = "returned"
		}()
		<-done
		require.Equal(t, want, fake.ended)
	}
}

// recorder notes how need ends a test.
type recorder struct {
	testing.TB
	ended string
}

func (r *recorder) Helper() {}

func (r *recorder) Skipf(string, ...any) {
	r.ended = "skip"
	runtime.Goexit()
}

func (r *recorder) Fatalf(string, ...any) {
	r.ended = "fatal"
	runtime.Goexit()
}

// requireServing checks that every port is open and that the certificate is the
// one in CAFile, for the domain.
func requireServing(t *testing.T, s *Server) {
	t.Helper()
	pem, err := os.ReadFile(s.CAFile)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(pem))
	requireOpen(t, s.C2S, true)
	requireOpen(t, s.HTTP, true)
	for _, address := range []string{s.C2STLS, s.HTTPS} {
		conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: s.Domain})
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	}
}

func requireGone(t *testing.T, s *Server) {
	t.Helper()
	for _, address := range []string{s.C2S, s.C2STLS, s.HTTP, s.HTTPS} {
		requireOpen(t, address, false)
	}
	require.NoFileExists(t, filepath.Join(s.Dir, s.name+".pid"))
}

func requireOpen(t *testing.T, address string, want bool) {
	t.Helper()
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return (err == nil) == want
	}, time.Minute, 20*time.Millisecond, "%s open: want %v", address, want)
}

func readPid(t *testing.T, dir, name string) string {
	t.Helper()
	pid, err := os.ReadFile(filepath.Join(dir, name+".pid"))
	require.NoError(t, err)
	return strings.TrimSpace(string(pid))
}

// membersOf lists the processes of a process group, zombies aside.
func membersOf(t *testing.T, group string) []string {
	t.Helper()
	out, err := exec.Command("ps", "-eo", "pgid=,stat=,pid=").Output()
	require.NoError(t, err)
	var pids []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); f[0] == group && !strings.HasPrefix(f[1], "Z") {
			pids = append(pids, f[2])
		}
	}
	return pids
}

// The words are those of ejabberd 23.01.
func TestResumptionsTimedOut(t *testing.T) {
	s := &Server{Dir: t.TempDir(), name: "ejabberd"}
	require.Zero(t, s.ResumptionsTimedOut("anna@example.com"), "no log at all")
	const log = `2026-11-29 12:56:32.268000+00:00 [info] <0.620.0>@mod_stream_mgmt:log_resumption_error/3:808 ` +
		`Cannot resume session for ben@example.com: Previous session not found
2026-11-29 12:56:32.270508+00:00 [info] <0.624.0>@mod_stream_mgmt:log_resumption_error/3:808 ` +
		`Cannot resume session for anna@example.com: Session state copying timed out
`
	require.NoError(t, os.MkdirAll(filepath.Join(s.Dir, "log"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(s.Dir, "log", "ejabberd.log"), []byte(log), 0o600))
	require.Equal(t, 1, s.ResumptionsTimedOut("anna@example.com"))
	require.Zero(t, s.ResumptionsTimedOut("ben@example.com"), "another reason")
}
