package jssdk_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// browser is Chromium with one page for each user, see driver.mjs.
type browser struct {
	svc  *service
	in   *json.Encoder
	done chan struct{} // closed when the driver's output has ended

	mu       sync.Mutex
	id       int
	answers  map[int]chan answer
	pages    map[string]*page
	problems []string // what pages have complained about
}

type answer struct {
	OK    json.RawMessage `json:"ok"`
	Error string          `json:"error"`
}

// programs are what startBrowser needs.
var programs = []string{"chromium", "node", "zbarimg"}

// startBrowser needs the packages that "npm ci" puts into this folder.
func startBrowser(t *testing.T, svc *service) *browser {
	t.Helper()
	need(t, programs...)
	if _, err := os.Stat("node_modules/mirrorfly-sdk"); err != nil {
		need(t, "npm")
		raw, err := exec.Command("npm", "ci", "--silent", "--no-audit", "--no-fund").CombinedOutput()
		require.NoError(t, err, string(raw))
	}
	program, err := exec.LookPath("chromium")
	require.NoError(t, err)
	cmd := exec.Command("node", "driver.mjs", program, svc.hostRules())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	b := &browser{svc: svc, in: json.NewEncoder(in), done: make(chan struct{}), answers: map[int]chan answer{}, pages: map[string]*page{}}
	go b.read(bufio.NewReader(out)) // owner: the test; ends with the driver
	t.Cleanup(func() {
		// The driver ends with its input. Should it not, it is killed.
		kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		_ = in.Close()
		<-b.done
		require.NoError(t, cmd.Wait())
	})
	return b
}

func (b *browser) read(out *bufio.Reader) {
	defer close(b.done)
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
		waiter, p := b.answers[said.ID], b.pages[said.Page]
		if said.Problem != "" {
			b.problems = append(b.problems, said.Page+": "+said.Problem)
		}
		b.mu.Unlock()
		switch {
		case said.Event != "" && p != nil:
			p.events.add(said.Event, said.Payload)
		case waiter != nil:
			waiter <- said.answer // capacity 1, and this is the only one
		}
	}
}

// do sends one command and puts its answer into result, unless that is nil.
func (b *browser) do(t *testing.T, command object, result any) {
	t.Helper()
	got := make(chan answer, 1)
	b.mu.Lock()
	b.id++
	command["id"] = b.id
	b.answers[b.id] = got
	err := b.in.Encode(command)
	b.mu.Unlock()
	require.NoError(t, err)
	select {
	case a := <-got:
		require.Empty(t, a.Error, "%v", command)
		if result != nil {
			require.NoError(t, json.Unmarshal(a.OK, result))
		}
	case <-b.done:
		require.FailNow(t, "driver.mjs has ended")
	case <-time.After(patience):
		require.FailNow(t, "no answer", "%v", command)
	}
}

// page is a party: the JavaScript SDK in a window of its own.
type page struct {
	b      *browser
	name   string
	events *events
}

func (b *browser) open(t *testing.T, name, timezone string) *page {
	t.Helper()
	p := &page{b: b, name: name, events: newEvents()}
	b.mu.Lock()
	b.pages[name] = p
	b.mu.Unlock()
	b.do(t, object{"do": "open", "page": name, "timezone": timezone}, nil)
	return p
}

func (p *page) told() *events { return p.events }

func (p *page) call(t *testing.T, method string, args ...any) object {
	t.Helper()
	for i, arg := range args {
		if f, isFile := arg.(file); isFile {
			args[i] = object{"$file": object{"name": f.name, "type": f.kind, "base64": base64.StdEncoding.EncodeToString(f.content)}}
		}
	}
	var got struct {
		Result any
		Threw  string
		Never  bool
	}
	p.b.do(t, object{"do": "call", "page": p.name, "method": method, "args": args}, &got)
	require.Empty(t, got.Threw, method)
	require.False(t, got.Never, "%s never ends", method)
	result, _ := got.Result.(object)
	return result
}

// redLogo is the picture in the middle of the codes: only what has src is looked at.
const redLogo = "data:image/svg+xml," +
	"%3Csvg xmlns='http://www.w3.org/2000/svg' width='50' height='50'%3E%3Crect width='50' height='50' fill='red'/%3E%3C/svg%3E"

// drawnCode is the canvas as a PNG four times its size, once the logo is on it.
const drawnCode = `(() => {
	const code = document.getElementById("qr");
	if (code.width !== 240 || String(code.getContext("2d").getImageData(120, 120, 1, 1).data) !== "255,0,0,255") return "";
	const big = document.createElement("canvas");
	big.width = big.height = 1000;
	const pen = big.getContext("2d");
	pen.imageSmoothingEnabled = false;
	pen.fillStyle = "white";
	pen.fillRect(0, 0, 1000, 1000);
	pen.drawImage(code, 20, 20, 960, 960);
	return big.toDataURL();
})()`

func (p *page) showQR(t *testing.T, signalURL, old string) string {
	t.Helper()
	if old == "" {
		require.Nil(t, p.call(t, "generateQrCode", object{"$canvas": "qr"}, object{"src": redLogo}, signalURL, object{"$listener": "qrCallback"}))
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if text := p.readQR(t); text != "" && text != old {
			return text
		}
	}
	require.FailNow(t, "no code")
	return ""
}

// readQR is what zbarimg reads off the canvas; empty when it is not drawn yet.
func (p *page) readQR(t *testing.T) string {
	t.Helper()
	var url string
	p.b.do(t, object{"do": "evaluate", "page": p.name, "code": drawnCode}, &url)
	_, encoded, drawn := strings.Cut(url, ",")
	if !drawn {
		return ""
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "qr.png")
	require.NoError(t, os.WriteFile(name, raw, 0o600))
	// It fails where it sees no code: while the canvas is being drawn.
	out, _ := exec.Command("zbarimg", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", name).Output()
	return strings.TrimSpace(string(out))
}

func (p *page) picture(t *testing.T, token string) []byte {
	t.Helper()
	const code = `window.MirrorFly.getMediaURL(%q).then(async ({ data }) => [...new Uint8Array(await data.blob.arrayBuffer())])`
	var content []int
	p.b.do(t, object{"do": "evaluate", "page": p.name, "code": fmt.Sprintf(code, token)}, &content)
	raw := make([]byte, len(content))
	for i, b := range content {
		raw[i] = byte(b)
	}
	return raw
}

// requireClean: no page has complained but about what is named.
func (b *browser) requireClean(t *testing.T, allowed ...string) {
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
	require.Empty(t, left, fmt.Sprintf("%d problems", len(b.problems)))
}
