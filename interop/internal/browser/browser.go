// Package browser drives headless Chromium for tests, through drive.mjs.
package browser

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Patience bounds every wait: far more than a busy machine needs.
const Patience = 2 * time.Minute

// here is this package's folder as tests see it, which run in interop/NAME.
const here = "../internal/browser"

// Need ends the test when a program is not installed: as a failure where
// MIRRORFLY_INTEROP=required, elsewhere it is skipped, so that the tests run on any machine.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, name := range programs {
		_, err := exec.LookPath(name)
		need(t, name, err)
	}
}

// NeedPackage is Need for an npm package of the folder dir.
func NeedPackage(t testing.TB, dir, name string) {
	t.Helper()
	_, err := os.Stat(filepath.Join(dir, "node_modules", name))
	need(t, "npm package "+name, err)
}

func need(t testing.TB, what string, err error) {
	t.Helper()
	switch {
	case err == nil:
	case os.Getenv("MIRRORFLY_INTEROP") == "required":
		t.Fatalf("%s is not installed (interop/install.sh does it), and MIRRORFLY_INTEROP=required", what)
	default:
		t.Skipf("%s is not installed; `make test` installs it and runs this", what)
	}
}

// Options say how the browser is started.
type Options struct {
	// Driver is the script, relative to the test; default: one without further commands.
	Driver string
	// Flags are those of Chromium.
	Flags []string
	// Told is called with what pages tell by themselves, one at a time. It may be nil.
	Told func(page, event string, payload any)
}

// Browser is Chromium under the test's control. All methods may be called from any goroutine.
type Browser struct {
	told func(page, event string, payload any)
	// done is closed when the driver's output has ended.
	done chan struct{}

	mu       sync.Mutex
	in       *json.Encoder
	id       int
	answers  map[int]chan answer
	problems []string
}

// Params are the parameters of a command.
type Params = map[string]any

type answer struct {
	OK    json.RawMessage `json:"ok"`
	Error string          `json:"error"`
}

// Start starts Chromium, which ends with the test. It calls Need for all programs.
func Start(t testing.TB, o Options) *Browser {
	t.Helper()
	Need(t, "chromium", "node")
	NeedPackage(t, here, "playwright-core")
	program, err := exec.LookPath("chromium")
	require.NoError(t, err)
	if o.Driver == "" {
		o.Driver = here + "/driver.mjs"
	}
	cmd := exec.Command("node", append([]string{o.Driver, program}, o.Flags...)...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	b := &Browser{told: o.Told, done: make(chan struct{}), in: json.NewEncoder(in), answers: map[int]chan answer{}}
	// The test owns it. It ends with the driver.
	go b.read(bufio.NewReader(out))
	t.Cleanup(func() {
		// The driver ends with its input. If it does not, it is killed.
		kill := time.AfterFunc(Patience, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		_ = in.Close()
		<-b.done
		require.NoError(t, cmd.Wait())
	})
	return b
}

// Run runs f as a subtest that has the browser to itself: at its end all pages are closed, and
// what they have asked for and complained about is forgotten.
func (b *Browser) Run(t *testing.T, name string, f func(*testing.T)) {
	t.Run(name, func(t *testing.T) {
		t.Cleanup(func() {
			b.Do(t, "forget", nil, nil)
			b.mu.Lock()
			defer b.mu.Unlock()
			b.problems = nil
		})
		f(t)
	})
}

func (b *Browser) read(out *bufio.Reader) {
	defer close(b.done)
	defer func() { _, _ = io.Copy(io.Discard, out) }()
	for {
		line, err := out.ReadBytes('\n')
		if err != nil {
			return
		}
		var said struct {
			ID int `json:"id"`
			answer
			Page    string `json:"page"`
			Event   string `json:"event"`
			Payload any    `json:"payload"`
			Problem string `json:"problem"`
		}
		if err := json.Unmarshal(line, &said); err != nil {
			said.Problem = "driver: " + string(line)
		}
		b.mu.Lock()
		waiter := b.answers[said.ID]
		delete(b.answers, said.ID)
		if said.Problem != "" {
			b.problems = append(b.problems, said.Page+": "+said.Problem)
		}
		b.mu.Unlock()
		switch {
		case said.Event != "" && b.told != nil:
			b.told(said.Page, said.Event, said.Payload)
		case waiter != nil:
			// The channel has capacity 1, and this is the only answer.
			waiter <- said.answer
		}
	}
}

// Do sends one command of the driver and puts its answer into result, unless that is nil.
func (b *Browser) Do(t testing.TB, command string, p Params, result any) {
	t.Helper()
	got := make(chan answer, 1)
	line := Params{"do": command}
	for name, value := range p {
		line[name] = value
	}
	b.mu.Lock()
	b.id++
	line["id"] = b.id
	b.answers[b.id] = got
	err := b.in.Encode(line)
	b.mu.Unlock()
	require.NoError(t, err)
	select {
	case a := <-got:
		require.Empty(t, a.Error, "%s %v", command, p)
		if result != nil {
			require.NoError(t, json.Unmarshal(a.OK, result))
		}
	case <-b.done:
		require.FailNow(t, "the driver has ended")
	case <-time.After(Patience):
		require.FailNow(t, "no answer", "%s %v", command, p)
	}
}

// RequireClean checks that no page has complained, except with a text that contains one of allowed.
func (b *Browser) RequireClean(t testing.TB, allowed ...string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	var left []string
	for _, problem := range b.problems {
		fine := false
		for _, text := range allowed {
			fine = fine || strings.Contains(problem, text)
		}
		if !fine {
			left = append(left, problem)
		}
	}
	require.Empty(t, left, "%d problems", len(b.problems))
}

// RequireOwn checks that pages have made requests, all of them to base.
func (b *Browser) RequireOwn(t testing.TB, base string) {
	t.Helper()
	var requests []string
	b.Do(t, "requests", nil, &requests)
	require.NotEmpty(t, requests)
	for _, address := range requests {
		require.True(t, strings.HasPrefix(address, base+"/"), address)
	}
}
