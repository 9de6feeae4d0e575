package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/examples/internal/testprogram"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

func TestMain(m *testing.M) { testprogram.Main(main, func() { goleak.VerifyTestMain(m) }) }

// emulator is the program, run in this process.
type emulator struct {
	t  *testing.T
	at endpoints
	// of the page, without a slash at the end
	base   string
	stderr *buffer
	http   *http.Client
	// ends it and checks that it ended cleanly
	stop func()
}

// buffer is written by the program and read by the test.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
	// closed when all is said about how to reach it
	told chan struct{}
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if bytes.Contains(p, []byte("initializeSDK")) {
		close(b.told)
	}
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func launch(t *testing.T, args ...string) *emulator {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	e := &emulator{t: t, stderr: &buffer{told: make(chan struct{})}}
	done := make(chan error, 1)
	go func() { // ends with stop
		err := run(ctx, args, in, e.stderr)
		_ = in.CloseWithError(io.ErrUnexpectedEOF)
		done <- err
	}()
	e.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, patient.Receive(t, done))
	})
	t.Cleanup(e.stop)
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(t, err, e.stderr)
	require.NoError(t, json.Unmarshal(line, &e.at))
	patient.Receive(t, e.stderr.told)
	e.base = e.at.SignalURL
	e.http = client(t, e.at.CAFile)
	return e
}

func roots(t *testing.T, caFile string) *x509.CertPool {
	t.Helper()
	raw, err := os.ReadFile(caFile)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(raw))
	return pool
}

func client(t *testing.T, caFile string) *http.Client {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots(t, caFile)}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// newUser is a client that knows of the emulator what it has printed.
func newUser(t *testing.T, at endpoints) *sdk.Client {
	t.Helper()
	c, err := sdk.New(sdk.Config{
		LicenseKey: at.LicenseKey, APIBaseURL: at.APIBaseURL, XMPPAddress: at.XMPPURL, TrialLicense: true,
		TLSConfig: &tls.Config{RootCAs: roots(t, at.CAFile)},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func login(t *testing.T, c *sdk.Client, id string) sdk.Credentials {
	t.Helper()
	me, err := c.Register(t.Context(), id)
	require.NoError(t, err)
	_, err = c.Connect(t.Context(), me.Data.Username, me.Data.Password)
	require.NoError(t, err)
	return me.Data
}

// do asks something of the page, as the page itself does, with other headers on top.
func (e *emulator) do(method, path, body string, headers ...string) (status int, answer string, header http.Header) {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), method, e.base+path, strings.NewReader(body))
	require.NoError(e.t, err)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	resp, err := e.http.Do(req)
	require.NoError(e.t, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(e.t, err)
	return resp.StatusCode, string(raw), resp.Header
}

// order sends an order and returns what was said, or the error.
func (e *emulator) order(name, body string) (said, failure string) {
	e.t.Helper()
	status, raw, _ := e.do(http.MethodPost, "/_dev/do/"+name, body)
	var a answer
	require.NoError(e.t, json.Unmarshal([]byte(raw), &a), raw)
	require.Equal(e.t, status == http.StatusOK, a.Error == "", raw)
	require.NotEqual(e.t, a.Said == "", a.Error == "", raw)
	return a.Said, a.Error
}

// follower is a page that is open.
type follower struct {
	t     *testing.T
	body  io.Closer
	lines *bufio.Reader
	// id is that of the last event that had one.
	id string
}

func (e *emulator) follow() *follower {
	e.t.Helper()
	return e.followAt("/_dev/events")
}

func (e *emulator) followAt(path string, headers ...string) *follower {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), http.MethodGet, e.base+path, nil)
	require.NoError(e.t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := e.http.Do(req)
	require.NoError(e.t, err)
	e.t.Cleanup(func() { _ = resp.Body.Close() })
	require.Equal(e.t, http.StatusOK, resp.StatusCode)
	require.Equal(e.t, "text/event-stream", resp.Header.Get("Content-Type"))
	return &follower{t: e.t, body: resp.Body, lines: bufio.NewReader(resp.Body)}
}

// next is the next event; its name is "" when the stream has ended.
func (f *follower) next() (name string, data []byte) {
	for {
		line, err := f.lines.ReadString('\n')
		if err != nil {
			return "", nil
		}
		line = strings.TrimSuffix(line, "\n")
		if text, found := strings.CutPrefix(line, "id: "); found {
			f.id = text
		}
		if text, found := strings.CutPrefix(line, "event: "); found {
			name = text
		}
		if text, found := strings.CutPrefix(line, "data: "); found {
			return name, []byte(text)
		}
	}
}

// until reads events of that name until one is right. The client's timeout bounds the waiting.
func until[T any](f *follower, name string, right func(T) bool) T {
	f.t.Helper()
	for {
		got, data := f.next()
		require.NotEmpty(f.t, got, "the stream has ended, or what was waited for never came")
		if got != name {
			continue
		}
		var v T
		require.NoError(f.t, json.Unmarshal(data, &v))
		if right(v) {
			return v
		}
	}
}
