// Package qrlogin_test looks at QR codes with eyes that are not ours: it runs examples/qrlogin in
// Chromium, and reads every rendering with zbarimg.
package qrlogin_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mirrorfly-go/sdk/interop/internal/browser"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = browser.Patience

type params = browser.Params

func startChromium(t *testing.T) *browser.Browser {
	t.Helper()
	return browser.Start(t, browser.Options{Driver: "driver.mjs"})
}

// tab is a page of a test.
type tab struct {
	*browser.Page
	t *testing.T
}

func open(t *testing.T, b *browser.Browser, name, url string, width, height int, dark bool) *tab {
	t.Helper()
	return &tab{b.Open(t, name, url, width, height, dark), t}
}

// awaitCode waits for another code than before, and returns its address.
func (p *tab) awaitCode(before string) (address string) {
	p.t.Helper()
	p.Do("awaitCode", params{"before": before}, &address)
	return address
}

// read is what a camera would make of a screenshot of the whole page.
func (p *tab) read(name string) string {
	p.t.Helper()
	return zbar(p.t, p.Screenshot(name, ""))[0]
}

type node struct {
	Role, Name, Text, Live string
	Focused                bool
}

// accessible is the first node of a role in the accessibility tree.
func (p *tab) accessible(role string) node {
	p.t.Helper()
	var nodes []node
	p.Do("accessibility", nil, &nodes)
	for _, n := range nodes {
		if n.Role == role {
			return n
		}
	}
	require.FailNow(p.t, "not in the accessibility tree", "%s, only %+v", role, nodes)
	return node{}
}

// zbar reads the one QR code in each of the pictures.
func zbar(t *testing.T, files ...string) []string {
	t.Helper()
	args := []string{"--nodbus", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable"}
	// it fails when it finds none in one of them
	cmd := exec.Command("zbarimg", append(args, files...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	raw, err := cmd.Output()
	require.NoError(t, err, "zbarimg: %s", &stderr)
	contents := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
	require.Len(t, contents, len(files), "one code in each of %v", files)
	return contents
}
