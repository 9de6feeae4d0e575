package devserver_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/interop/internal/browser"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startBrowser starts a browser that takes the emulator's certificate, as somebody does who has
// told it to go on.
func startBrowser(t *testing.T) *browser.Browser {
	t.Helper()
	return browser.Start(t, browser.Options{Flags: []string{"--ignore-certificate-errors"}})
}

// build compiles examples/devserver.
func build(t *testing.T) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "devserver")
	cmd := exec.Command("go", "build", "-o", program, "./examples/devserver")
	cmd.Dir = "../.."
	raw, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", raw)
	return program
}

// emulator is the program as it runs.
type emulator struct {
	said map[string]string // the first line
	help func() string     // waits for what is said to people
	http *http.Client      // for order
	stop func()            // ends it as Ctrl+C does, and checks that it ends cleanly
}

func start(t *testing.T, program string, args ...string) *emulator {
	t.Helper()
	cmd := exec.Command(program, args...)
	stderr := &listener{all: make(chan struct{})}
	cmd.Stderr = stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	e := &emulator{help: stderr.await}
	e.stop = sync.OnceFunc(func() {
		kill := time.AfterFunc(browser.Patience, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
		_, _ = io.Copy(io.Discard, out)
		require.NoError(t, cmd.Wait(), "a clean end")
		require.NotContains(t, stderr.String(), "level=", "nothing went wrong")
	})
	t.Cleanup(e.stop)
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(line, &e.said))
	return e
}

// listener takes what the program says to people.
type listener struct {
	mu  sync.Mutex
	b   bytes.Buffer
	all chan struct{} // closed when it is said
}

func (l *listener) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bytes.Contains(p, []byte("initializeSDK")) {
		close(l.all)
	}
	return l.b.Write(p)
}

func (l *listener) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *listener) await() string {
	<-l.all
	return l.String()
}

func (e *emulator) page() string { return e.said["signalUrl"] + "/" }

func (e *emulator) config(t *testing.T) sdk.Config {
	t.Helper()
	raw, err := os.ReadFile(e.said["caFile"])
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(raw))
	return sdk.Config{
		LicenseKey: e.said["licenseKey"], APIBaseURL: e.said["apiBaseUrl"], XMPPAddress: e.said["xmppUrl"],
		TrialLicense: true,
		TLSConfig:    &tls.Config{RootCAs: roots},
	}
}
