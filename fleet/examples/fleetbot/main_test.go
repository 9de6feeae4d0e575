package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// programVariable makes a process of the test binary the program.
const programVariable = "FLEETBOT_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(programVariable) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
			_, _ = io.WriteString(os.Stderr, err.Error()+"\n")
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// process is a member that runs by itself.
type process struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	nats string // that it has printed
	log  *tail
	read chan struct{} // closed when all lines are read

	mu sync.Mutex
	up map[string]uint64 // epochs of the accounts that it says are up
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (l *tail) Write(p []byte) (int, error) {
	const most = 256 << 10 // of an account that goes down there is a line
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	l.text = l.text[max(0, len(l.text)-most):]
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// start starts a member, and returns when it has printed its first line.
func start(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, log: &tail{}, read: make(chan struct{}), up: make(map[string]uint64)}
	p.cmd = exec.Command(os.Args[0], append([]string{"-name", name}, args...)...)
	p.cmd.Env = append(append(os.Environ(), env...), programVariable+"=1")
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has ended in most cases
		<-p.read
		_ = p.cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", name, p.log)
		}
	})
	lines := bufio.NewScanner(out)
	var first struct{ NATS string }
	ok := lines.Scan() && json.Unmarshal(lines.Bytes(), &first) == nil
	p.nats = first.NATS
	go p.follow(lines) // ends with the process
	require.True(t, ok, "%s printed no first line:\n%s", name, p.log)
	return p
}

func (p *process) follow(lines *bufio.Scanner) {
	defer close(p.read)
	for lines.Scan() {
		var l line
		if json.Unmarshal(lines.Bytes(), &l) != nil || l.Member != p.name {
			p.t.Errorf("%s printed %q", p.name, lines.Text())
			continue
		}
		p.mu.Lock()
		if l.Event == "up" {
			p.up[l.Account] = l.Epoch
		} else {
			delete(p.up, l.Account)
			_, _ = p.log.Write(append(lines.Bytes(), '\n'))
		}
		p.mu.Unlock()
	}
}

// accounts are those that it says are up.
func (p *process) accounts() map[string]uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	up := make(map[string]uint64, len(p.up))
	for account, epoch := range p.up {
		up[account] = epoch
	}
	return up
}

// untilUp waits until it says that so many accounts are up.
func (p *process) untilUp(n int) {
	p.t.Helper()
	require.Eventually(p.t, func() bool { return len(p.accounts()) == n }, limit, pause, "%s has %d of %d accounts",
		p.name, len(p.accounts()), n)
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(s))
}

// end tells it to end, and waits for that.
func (p *process) end() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	<-p.read
	require.NoError(p.t, p.cmd.Wait(), "%s", p.log)
}

func TestWrongArguments(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		text string
	}{
		"no accounts":  {nil, "-accounts is missing"},
		"more":         {[]string{"-accounts", "x", "y"}, `unexpected argument "y"`},
		"unknown flag": {[]string{"-nonsense"}, "nonsense"},
		"no duration":  {[]string{"-ttl", "x"}, "-ttl"},
		"not a number": {[]string{"-max", "many"}, "-max"},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr strings.Builder
			_, err := parse(c.args, &stderr)
			require.ErrorIs(t, err, errUsage)
			require.Contains(t, stderr.String(), c.text)
		})
	}
}

// What is wrong is told before anything is started.
func TestWrongSettings(t *testing.T) {
	t.Setenv("MIRRORFLY_API_BASE_URL", "https://api.example.com/api/v1")
	t.Setenv("MIRRORFLY_LICENSE_KEY", "key")
	err := run(t.Context(), []string{"-accounts", "accounts.json", "-dir", t.TempDir()}, io.Discard, io.Discard)
	require.ErrorContains(t, err, "MIRRORFLY_TRIAL")
	t.Setenv("MIRRORFLY_TRIAL", "true")
	missing := t.TempDir() + "/accounts.json"
	err = run(t.Context(), []string{"-accounts", missing, "-dir", t.TempDir()}, io.Discard, io.Discard)
	require.True(t, errors.Is(err, os.ErrNotExist), "%v", err)
}

func TestWithoutUser(t *testing.T) {
	for urls, want := range map[string]string{
		"nats://127.0.0.1:4222":                   "nats://127.0.0.1:4222",
		"nats://me:p@ss@host:4222, tls://tok@b:1": "nats://host:4222,tls://b:1",
		"me:secret@host":                          "nats://host",
		"host":                                    "nats://host",
	} {
		require.Equal(t, want, withoutUser(urls))
	}
}

const (
	pause = 20 * time.Millisecond
	// limit is for what takes a few seconds on a quiet machine.
	limit = 2 * time.Minute
)
