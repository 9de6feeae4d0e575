package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience ends a test that would wait for ever. Nothing takes so long on a busy machine.
const patience = 2 * time.Minute

// output is what a program has printed so far.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// await waits until what was printed matches, and returns the groups.
func (o *output) await(t *testing.T, pattern string) []string {
	t.Helper()
	var found []string
	require.Eventually(t, func() bool {
		found = regexp.MustCompile(pattern).FindStringSubmatch(o.String())
		return found != nil
	}, patience, 5*time.Millisecond, "never printed: %s", pattern)
	return found
}

type running struct {
	url  string
	out  *output
	logs *output
	// end ends the program as a signal does.
	end func() error
}

// start runs the program on the test's own server.
func start(t *testing.T, srv *sdktest.Server, s settings) *running {
	t.Helper()
	s.listen = "127.0.0.1:0"
	place := &service{cfg: srv.Config(), signalURL: srv.SignalURL(), phone: srv}
	return launch(t, func(ctx context.Context, out, logs io.Writer) error {
		return offer(ctx, s, place, out, slog.New(slog.NewTextHandler(logs, nil)))
	})
}

func launch(t *testing.T, program func(ctx context.Context, out, logs io.Writer) error) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{out: &output{}, logs: &output{}}
	ended := make(chan error, 1)
	go func() { ended <- program(ctx, r.out, r.logs) }() // ends with end
	r.end = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(patience):
			return errors.New("the program does not end")
		}
	})
	t.Cleanup(func() { require.NoError(t, r.end()) })
	r.url = r.out.await(t, `(http://127\.0\.0\.1:\d+)\s`)[1]
	return r
}

// browser is an HTTP client that leaves nothing open at the end.
func browser(t *testing.T) *http.Client {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// tab is the event stream of an open page.
type tab struct {
	events chan event
	close  func()
}

func openTab(t *testing.T, r *running) *tab {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/events", nil)
	require.NoError(t, err)
	resp, err := browser(t).Do(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	b := &tab{events: make(chan event, 1000)}
	done := make(chan struct{})
	go func() { // ends with close, or with the program
		defer close(done)
		defer close(b.events)
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			var e event
			if data, is := strings.CutPrefix(lines.Text(), "data: "); is && json.Unmarshal([]byte(data), &e) == nil {
				b.events <- e
			}
		}
		_ = resp.Body.Close()
	}()
	b.close = func() { cancel(); <-done }
	t.Cleanup(b.close)
	return b
}

// await returns the next event at a stage.
func (b *tab) await(t *testing.T, want stage) event {
	t.Helper()
	limit := time.After(patience)
	for {
		select {
		case e, open := <-b.events:
			require.True(t, open, "the stream has ended before %s", want)
			if e.Stage == want {
				return e
			}
		case <-limit:
			require.FailNow(t, "no event", "stage %s", want)
		}
	}
}

func get(t *testing.T, address string) (int, http.Header, string) {
	t.Helper()
	resp, err := browser(t).Get(address)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, resp.Header, string(body)
}

func post(t *testing.T, address, user string, header ...string) (int, string) {
	t.Helper()
	form := strings.NewReader(url.Values{"user": {user}}.Encode())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, form)
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := browser(t).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func TestCommandLine(t *testing.T) {
	for _, args := range [][]string{{"-nonsense"}, {"extra"}, {"-scan", "a", "-end", "a"}} {
		var stderr bytes.Buffer
		require.ErrorIs(t, run(t.Context(), args, io.Discard, &stderr), errUsage, args)
		require.NotEmpty(t, stderr.String())
	}
	require.ErrorIs(t, run(t.Context(), []string{"-h"}, io.Discard, io.Discard), flag.ErrHelp)
	for _, at := range []string{"", "127.0.0.1:8080", "https://127.0.0.1", "http://", "://"} {
		err := run(t.Context(), []string{"-scan", "alice", "-at", at}, io.Discard, io.Discard)
		require.ErrorContains(t, err, "is not a URL like", at)
	}
}

func TestTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	srv := sdktest.New(t)
	place := &service{cfg: srv.Config(), signalURL: srv.SignalURL()}
	err = offer(t.Context(), settings{listen: l.Addr().String()}, place, io.Discard, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, l.Addr().String())
	require.ErrorContains(t, err, "-listen 127.0.0.1:0")
}

// A wrong setting ends the program: no attempt would help.
func TestImpossibleSettings(t *testing.T) {
	srv := sdktest.New(t)
	place := &service{cfg: srv.Config(), signalURL: "http://127.0.0.1:1"}
	err := offer(t.Context(), settings{listen: "127.0.0.1:0"}, place, io.Discard, slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, errSettings)
	require.ErrorIs(t, err, sdk.ErrInsecure)
}

// The whole program without settings: the command that it prints logs alice in.
func TestOnTheTestServer(t *testing.T) {
	t.Setenv("MIRRORFLY_API_BASE_URL", "")
	r := launch(t, func(ctx context.Context, out, logs io.Writer) error {
		return run(ctx, []string{"-listen", "127.0.0.1:0"}, out, logs)
	})
	page := openTab(t, r)
	page.await(t, stageCode)
	printed := r.out.await(t, `(?m)^  (.*) -scan alice -at (http://127.0.0.1:\d+)$`)
	require.NotEmpty(t, printed[1])
	var said bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-scan", "alice", "-at", printed[2]}, &said, io.Discard))
	require.Equal(t, "alice has logged in\n", said.String())
	e := page.await(t, stageLoggedIn)
	require.Equal(t, "Alice Example", e.Name)
	require.Equal(t, "AE", e.Initials)
	require.True(t, e.Picture)
	status, header, body := get(t, r.url+"/picture.png")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "image/png", header.Get("Content-Type"))
	want, err := encodePNG(drawAlice())
	require.NoError(t, err)
	require.Equal(t, string(want), body)

	said.Reset()
	require.NoError(t, run(t.Context(), []string{"-end", "alice", "-at", printed[2]}, &said, io.Discard))
	require.Equal(t, "alice has ended the session\n", said.String())
	require.NotEmpty(t, page.await(t, stageCode).Notice)
	err = run(t.Context(), []string{"-end", "alice", "-at", printed[2]}, io.Discard, io.Discard)
	require.ErrorContains(t, err, "no web session")
	require.NoError(t, r.end())
	require.Empty(t, r.logs.String())
}
