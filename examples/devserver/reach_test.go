package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// block is the indented lines after a line that matches.
func block(t *testing.T, text, after string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^` + after + `.*\n(?:\S.*\n)*\n((?:    .*\n)+)`).FindStringSubmatch(text)
	require.NotNil(t, found, text)
	return regexp.MustCompile(`(?m)^    `).ReplaceAllString(found[1], "")
}

// The Go code that is printed works as the beginning of a program.
func TestPrintedGoWorks(t *testing.T) {
	for _, trial := range []string{"true", "false"} {
		e := launch(t, "-trial="+trial, "-license", `a "quoted" key`)
		program := `package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"os"

	"github.com/mirrorfly-go/sdk"
)

func main() {
` + block(t, e.stderr.String(), "Go:") + `
	me, err := client.Register(context.Background(), "alice")
	if err == nil {
		_, err = client.Connect(context.Background(), me.Data.Username, me.Data.Password)
	}
	fmt.Println(client.State(), err, client.Close())
}
`
		dir := t.TempDir()
		file := filepath.Join(dir, "main.go")
		require.NoError(t, os.WriteFile(file, []byte(program), 0o600))
		here, err := filepath.Abs("pasted")
		require.NoError(t, err)
		overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(here, "main.go"): file}})
		require.NoError(t, err)
		overlayFile := filepath.Join(dir, "overlay.json")
		require.NoError(t, os.WriteFile(overlayFile, overlay, 0o600))
		out, err := exec.Command("go", "run", "-overlay", overlayFile, "./pasted").CombinedOutput()
		require.NoError(t, err, string(out))
		require.Equal(t, "CONNECTED <nil> <nil>\n", string(out))
		e.stop()
	}
}

func TestPrintedText(t *testing.T) {
	dir := t.TempDir()
	e := launch(t, "-domain", "chat.example.test", "-data", dir)
	text := e.stderr.String()
	require.Contains(t, text, "https://127.0.0.1:")
	require.Contains(t, text, " "+e.base+"/\n", "the page")
	require.Contains(t, text, "certificate authority are kept in "+dir)
	js := block(t, text, "JavaScript:")
	rule := "MAP chat.example.test:443 " + strings.TrimPrefix(e.base, "https://")
	require.Contains(t, js, `--host-resolver-rules="`+rule+`"`)
	call := text[strings.Index(text, "await MirrorFly"):]
	require.Contains(t, call, `licenseKey: "sdktest-license-key"`)
	// protocol.md 1.1: what the official SDK takes for an address.
	address := regexp.MustCompile(`apiBaseUrl: "(.*)"`).FindStringSubmatch(call)
	require.NotNil(t, address)
	require.Regexp(t, `^(https?:\/\/)([\w.-]+\.[a-z]{2,})(\/.*)?$`, address[1])

	require.NotContains(t, text, "names with a dot")
	text = launch(t, "-domain", "localhost").stderr.String()
	require.Contains(t, text, "    // The official SDK takes only names with a dot")

	e = launch(t, "-page", "none")
	require.NotContains(t, e.stderr.String(), "buttons")
	require.Contains(t, e.stderr.String(), "Nothing is kept")
	status, _, _ := e.do("GET", "/", "")
	require.Equal(t, 404, status)
}
