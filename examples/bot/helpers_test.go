package main

import (
	"context"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/examples/internal/testprogram"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestMain(m *testing.M) {
	testprogram.Main(main, func() {
		// So that the tests do not depend on the environment of the machine.
		for _, v := range variables {
			_ = os.Unsetenv(v)
		}
		goleak.VerifyTestMain(m)
	})
}

// patience ends a test that would wait for ever. Nothing takes so long on a busy machine.
const patience = 2 * time.Minute

// journal is a log that tests can wait for.
type journal struct {
	mu    sync.Mutex
	lines []string
	// more is closed when there is another line.
	more chan struct{}
	// read is how many lines await has read.
	read int
}

func newJournal() *journal { return &journal{more: make(chan struct{})} }

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, string(line))
	close(j.more)
	j.more = make(chan struct{})
	return len(line), nil
}

// await reads on until a line contains all parts.
func (j *journal) await(t *testing.T, parts ...string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		line, more, found := j.next()
		switch {
		case !found:
			select {
			case <-more:
			case <-timeout:
				require.Fail(t, "not logged", "%q in\n%s", parts, j.text())
			}
		case containsAll(line, parts):
			return
		}
	}
}

func (j *journal) next() (line string, more <-chan struct{}, found bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.read == len(j.lines) {
		return "", j.more, false
	}
	j.read++
	return j.lines[j.read-1], nil, true
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	isFrame := func(line string) bool { return strings.Contains(line, `msg="xmpp frame"`) }
	return strings.Join(slices.DeleteFunc(slices.Clone(j.lines), isFrame), "")
}

func containsAll(line string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(line, part) {
			return false
		}
	}
	return true
}

// program is a fleet that runs.
type program struct {
	*fleet
	*journal
	ctx  context.Context
	stop context.CancelFunc
	// done gets what fleet.run returns.
	done chan error
}

func testSettings() settings {
	return settings{
		starts: 10, interval: time.Hour, grace: patience, email: "bot@example.com",
		pace: pace{settle: time.Millisecond, minRetry: time.Millisecond, maxRetry: 20 * time.Millisecond},
	}
}

// start runs bots for users of srv, which it registers.
func start(t *testing.T, srv *sdktest.Server, s settings, users ...string) *program {
	t.Helper()
	place := &service{cfg: config(srv)}
	for _, user := range users {
		place.accounts = append(place.accounts, credentials(t, srv, user))
	}
	return startAt(t, place, s)
}

func startAt(t *testing.T, place *service, s settings) *program {
	t.Helper()
	p := &program{journal: newJournal(), done: make(chan error, 1)}
	log := slog.New(slog.NewTextHandler(p.journal, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	p.fleet, err = newFleet(place, s, log)
	require.NoError(t, err)
	p.ctx, p.stop = context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { // ends with stop
		defer close(ended)
		p.done <- p.run(p.ctx)
	}()
	t.Cleanup(func() {
		p.stop()
		<-ended
	})
	return p
}

// end tells the program to end, and waits until it has ended.
func (p *program) end(t *testing.T) {
	t.Helper()
	p.stop()
	require.NoError(t, p.result(t))
}

func (p *program) result(t *testing.T) error {
	t.Helper()
	select {
	case err := <-p.done:
		return err
	case <-time.After(patience):
		require.Fail(t, "the program does not end")
		return nil
	}
}

// get sends a request to the health endpoint.
func (p *program) get(path string) (code int, body string) {
	w := httptest.NewRecorder()
	p.health(p.ctx).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

func (p *program) requireReady(t *testing.T) {
	t.Helper()
	code, body := p.get("/readyz")
	require.Equal(t, 200, code, body)
}

func (p *program) requireNotReady(t *testing.T, says string) {
	t.Helper()
	code, body := p.get("/readyz")
	require.Equal(t, 503, code, body)
	require.Contains(t, body, says)
	code, _ = p.get("/healthz")
	require.Equal(t, 200, code)
}

func config(srv *sdktest.Server) sdk.Config {
	cfg := srv.Config()
	cfg.Reconnect = sdk.ReconnectPolicy{MinDelay: time.Millisecond, MaxDelay: 20 * time.Millisecond}
	return cfg
}

// credentials registers a user.
func credentials(t *testing.T, srv *sdktest.Server, user string) account {
	t.Helper()
	client, err := sdk.New(srv.Config())
	require.NoError(t, err)
	defer client.Close()
	res, err := client.Register(t.Context(), user)
	require.NoError(t, err)
	return account{res.Data.Username, res.Data.Password}
}

// user is another user of the service, or another device of a bot's account. It uses TCP, so that
// faults of WebSocket leave it alone.
func user(t *testing.T, srv *sdktest.Server, name string) *sdk.Client {
	t.Helper()
	cfg := srv.Config()
	cfg.Transport = sdk.TransportTCP
	client, err := sdk.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	a := credentials(t, srv, name)
	_, err = client.Connect(t.Context(), a.Username, a.Password)
	require.NoError(t, err)
	return client
}

// writes counts how often a user's profile was written.
func writes(srv *sdktest.Server, name string) int {
	n := 0
	for _, r := range srv.Requests() {
		if r.User == name && strings.Contains(r.Stanza, "vcard-temp") && strings.Contains(r.Stanza, `type="set"`) {
			n++
		}
	}
	return n
}

// startRun runs the program as main does. stop ends it as a signal does, and returns its error.
func startRun(t *testing.T, stderr io.Writer, args ...string) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, args, io.Discard, stderr) }() // ends with stop
	return func() error {
		cancel()
		return patient.Receive(t, ended)
	}
}
