package jssdk_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/interop/internal/browser"
)

// chromium is a browser with one page for each user, see driver.mjs.
type chromium struct {
	*browser.Browser

	mu    sync.Mutex
	pages map[string]*page
}

// needAll ends the test when something that startBrowser or the pages need is not installed.
func needAll(t *testing.T) {
	t.Helper()
	browser.Need(t, "zbarimg")
	browser.NeedPackage(t, ".", "mirrorfly-sdk")
}

func startBrowser(t *testing.T, services ...*service) *chromium {
	t.Helper()
	needAll(t)
	c := &chromium{pages: map[string]*page{}}
	c.Browser = browser.Start(t, browser.Options{
		Driver: "driver.mjs", Flags: []string{
			"--ignore-certificate-errors", "--host-resolver-rules=" + hostRules(services),
		},
		Told: func(name, event string, payload any) {
			c.mu.Lock()
			p := c.pages[name]
			c.mu.Unlock()
			if p != nil {
				p.events.add(event, payload)
			}
		},
	})
	return c
}

// page is a party: the JavaScript SDK in a window of its own.
type page struct {
	b      *chromium
	name   string
	events *events
	files  int // how many were sent
}

func (b *chromium) open(t *testing.T, name, timezone string) *page {
	t.Helper()
	p := &page{b: b, name: name, events: newEvents()}
	b.mu.Lock()
	b.pages[name] = p
	b.mu.Unlock()
	b.Do(t, "openApp", object{"page": name, "timezone": timezone}, nil)
	return p
}

func (p *page) told() *events { return p.events }

func (p *page) call(t *testing.T, method string, args ...any) object {
	t.Helper()
	if method == "sendMediaFileMessage" {
		return p.sendFile(t, args[0])
	}
	return p.invoke(t, method, args...)
}

// sendFile waits for what the JavaScript SDK tells callbacks. An error is a text without a status.
func (p *page) sendFile(t *testing.T, message any) object {
	t.Helper()
	p.files++
	sent, failed := fmt.Sprintf("sent %d", p.files), fmt.Sprintf("failed %d", p.files)
	answer := p.invoke(t, "sendMediaFileMessage", message, object{"$listener": "pending"}, object{"$listener": sent},
		object{"$listener": failed})
	if answer != nil { // refused at once
		return answer
	}
	late := time.After(patience)
	for {
		for _, e := range p.events.all() {
			switch e.Listener {
			case sent:
				return object{"message": "Success", "data": e.Payload}
			case failed:
				return object{"message": e.Payload}
			}
		}
		select {
		case <-p.events.more:
		case <-late:
			require.FailNow(t, "the file is neither sent nor refused")
		}
	}
}

func (p *page) invoke(t *testing.T, method string, args ...any) object {
	t.Helper()
	var got struct {
		Result any
		Threw  string
		Never  bool
	}
	p.b.Do(t, "call", object{"page": p.name, "method": method, "args": jsonArgs(args)}, &got)
	require.Empty(t, got.Threw, method)
	require.False(t, got.Never, "%s never ends", method)
	result, _ := got.Result.(object)
	return result
}

// jsonArgs is v with its files as JSON can carry them, see driver.mjs.
func jsonArgs(v any) any {
	switch v := v.(type) {
	case file:
		return object{
			"$file": object{"name": v.name, "type": v.kind, "base64": base64.StdEncoding.EncodeToString(v.content)},
		}
	case object:
		out := object{}
		for name, inner := range v {
			out[name] = jsonArgs(inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = jsonArgs(inner)
		}
		return out
	}
	return v
}

// redLogo is the picture in the middle of the codes: only what has src is looked at.
const redLogo = "data:image/svg+xml," +
	"%3Csvg xmlns='http://www.w3.org/2000/svg' width='50' height='50'%3E%3Crect width='50' height='50' " +
	"fill='red'/%3E%3C/svg%3E"

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
		require.Nil(t,
			p.call(t,
				"generateQrCode", object{"$canvas": "qr"}, object{"src": redLogo}, signalURL,
				object{"$listener": "qrCallback"},
			),
		)
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
	p.b.Do(t, "evaluate", object{"page": p.name, "code": drawnCode}, &url)
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
	const code = `window.MirrorFly.getMediaURL(%q).then(async ({ data }) => [...new Uint8Array(await ` +
		`data.blob.arrayBuffer())])`
	var content []int
	p.b.Do(t, "evaluate", object{"page": p.name, "code": fmt.Sprintf(code, token)}, &content)
	raw := make([]byte, len(content))
	for i, b := range content {
		raw[i] = byte(b)
	}
	return raw
}

// hashed is the SHA-256 of the first %d bytes of a blob: the JavaScript SDK leaves the padding
// of an encrypted file behind it (protocol.md 14.5).
const hashed = `async (blob) => {
	if (blob.size < %[1]d || blob.size > %[1]d + 16) return "a file of " + blob.size + " bytes";
	const sum = await crypto.subtle.digest("SHA-256", await blob.slice(0, %[1]d).arrayBuffer());
	return [...new Uint8Array(sum)].map((b) => b.toString(16).padStart(2, "0")).join("");
}`

// fileHash fetches with downloadMedia, which asks for the message (protocol.md 14.6). Where the
// server does not know that, with getMediaURL.
func (p *page) fileHash(t *testing.T, message object, size int) string {
	t.Helper()
	media := message["msgBody"].(object)["media"].(object)
	var got string
	p.b.Do(t, "evaluate", object{"page": p.name, "code": fmt.Sprintf(
		`(async () => {
			const hash = %s, { file_url: token, file_key: key } = %s;
			return await new Promise((done) => window.MirrorFly.downloadMedia(%q, () => {},
				async ({ blob }) => done(await hash(blob)),
				async (text) => done(text !== "Invalid msgId" ? text :
					await hash((await window.MirrorFly.getMediaURL(token, key)).data.blob))));
		})()`, fmt.Sprintf(hashed, size), marshal(media), message["msgId"],
	)}, &got)
	return got
}
