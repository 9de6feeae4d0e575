// Package qrlogin_test looks at QR codes with eyes that are not ours: it runs examples/qrlogin in Chromium, and reads
// every rendering with zbarimg.
package qrlogin_test

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
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// need ends the test when a program is not installed: as a failure where MIRRORFLY_INTEROP=required, elsewhere it is
// skipped, so that the tests run on any machine.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		_, err := exec.LookPath(name)
		if err == nil {
			continue
		}
		if os.Getenv("MIRRORFLY_INTEROP") == "required" {
			t.Fatalf("%s is not installed (interop/install.sh does it), and MIRRORFLY_INTEROP=required", name)
		}
		t.Skipf("%s is not installed; `make test` installs it and runs this", name)
	}
}

// chromium is a browser under the test's control, see browser.js.
type chromium struct {
	t   *testing.T
	mu  sync.Mutex
	in  *json.Encoder
	out *bufio.Reader
}

type params map[string]any

// startChromium needs the packages that "npm ci" puts into this folder.
func startChromium(t *testing.T) *chromium {
	t.Helper()
	need(t, "chromium", "node")
	if _, err := os.Stat("node_modules/playwright-core"); err != nil {
		need(t, "npm")
		raw, err := exec.Command("npm", "ci", "--silent", "--no-audit", "--no-fund").CombinedOutput()
		require.NoError(t, err, string(raw))
	}
	program, err := exec.LookPath("chromium")
	require.NoError(t, err)
	cmd := exec.Command("node", "browser.js", program)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		// It ends with its input. Should it not, it is killed.
		kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		_ = in.Close()
		_, _ = io.Copy(io.Discard, out)
		require.NoError(t, cmd.Wait())
	})
	return &chromium{t: t, in: json.NewEncoder(in), out: bufio.NewReader(out)}
}

// do sends one command, waits for its answer and puts it into result, unless that is nil.
func (c *chromium) do(name string, p params, result any) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	command := params{"do": name}
	for key, value := range p {
		command[key] = value
	}
	require.NoError(c.t, c.in.Encode(command))
	line, err := c.out.ReadBytes('\n')
	require.NoError(c.t, err, "browser.js has ended")
	var answer struct {
		OK    json.RawMessage
		Error string
	}
	require.NoError(c.t, json.Unmarshal(line, &answer), "%s", line)
	require.Empty(c.t, answer.Error, "%s %v", name, p)
	if result != nil {
		require.NoError(c.t, json.Unmarshal(answer.OK, result))
	}
}

// tab is a page in a window of its own.
type tab struct {
	*chromium
	name string
}

func (c *chromium) open(name, url string, width, height int, dark bool) *tab {
	c.t.Helper()
	c.do("open", params{"page": name, "url": url, "width": width, "height": height, "dark": dark}, nil)
	return &tab{c, name}
}

func (p *tab) awaitText(selector, text string) {
	p.t.Helper()
	p.do("awaitText", params{"page": p.name, "selector": selector, "text": text}, nil)
}

func (p *tab) click(selector string) {
	p.t.Helper()
	p.do("click", params{"page": p.name, "selector": selector}, nil)
}

// awaitCode waits for another code than before, and returns its address.
func (p *tab) awaitCode(before string) (address string) {
	p.t.Helper()
	p.do("awaitCode", params{"page": p.name, "before": before}, &address)
	return address
}

// screenshot keeps a picture in $SCREENSHOT_DIR, or for as long as the test lasts.
func (p *tab) screenshot(name, selector string) (file string) {
	p.t.Helper()
	dir := os.Getenv("SCREENSHOT_DIR")
	if dir == "" {
		dir = p.t.TempDir()
	}
	file = filepath.Join(dir, p.name+"-"+name+".png")
	p.do("screenshot", params{"page": p.name, "selector": selector, "file": file}, nil)
	return file
}

// read is what a camera would make of a screenshot of the whole page.
func (p *tab) read(name string) string {
	p.t.Helper()
	return zbar(p.t, p.screenshot(name, ""))
}

type node struct {
	Role, Name, Text, Live string
	Focused                bool
}

// accessible is the first node of a role in the accessibility tree.
func (p *tab) accessible(role string) node {
	p.t.Helper()
	var nodes []node
	p.do("accessibility", params{"page": p.name}, &nodes)
	for _, n := range nodes {
		if n.Role == role {
			return n
		}
	}
	require.FailNow(p.t, "not in the accessibility tree", "%s, only %+v", role, nodes)
	return node{}
}

// zbar reads the one QR code in a picture.
func zbar(t *testing.T, file string) string {
	t.Helper()
	cmd := exec.Command("zbarimg", "--nodbus", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", file)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	raw, err := cmd.Output()
	require.NoError(t, err, "zbarimg %s: %s", file, &stderr)
	return strings.TrimSuffix(string(raw), "\n")
}
