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
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come: for one that would hang. Nothing takes so long, however busy the machine.
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
	end  func() error // ends the program as a signal would
}

// start runs the program on a server of the test.
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

// browser is a client without anything left open at the end.
func browser(t *testing.T) *http.Client {
	t.Helper()
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// tab is an open page, as far as its event stream goes.
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
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(url.Values{"user": {user}}.Encode()))
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
		require.ErrorContains(t, run(t.Context(), []string{"-scan", "alice", "-at", at}, io.Discard, io.Discard), "is not a URL like", at)
	}
}

func TestScanCommandWithoutProgram(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	err = run(t.Context(), []string{"-scan", "alice", "-at", "http://" + l.Addr().String()}, io.Discard, io.Discard)
	require.ErrorContains(t, err, "nothing runs at")

	for answer, want := range map[int]string{http.StatusNotFound: "no built-in phone", http.StatusTeapot: "beep?[31m"} {
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "beep\x1b[31m", answer) }))
		require.ErrorContains(t, run(t.Context(), []string{"-scan", "alice", "-at", other.URL}, io.Discard, io.Discard), want)
		other.Close()
	}
}

func TestTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	srv := sdktest.New(t)
	err = offer(t.Context(), settings{listen: l.Addr().String()}, &service{cfg: srv.Config(), signalURL: srv.SignalURL()}, io.Discard, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, l.Addr().String())
	require.ErrorContains(t, err, "-listen 127.0.0.1:0")
}

func TestEnvironment(t *testing.T) {
	full := map[string]string{
		"MIRRORFLY_API_BASE_URL": "https://127.0.0.1:1/api", "MIRRORFLY_LICENSE_KEY": "secret-key",
		"MIRRORFLY_TRIAL": "true", "MIRRORFLY_SIGNAL_URL": "https://127.0.0.1:1",
	}
	for name, value := range full {
		t.Setenv(name, value)
	}
	place, err := findService(t.Context())
	require.NoError(t, err)
	require.Equal(t, "Service at https://127.0.0.1:1/api", place.name)
	require.Equal(t, "https://127.0.0.1:1", place.signalURL)
	require.True(t, place.cfg.TrialLicense)
	require.Nil(t, place.phone)
	for name, want := range map[string]string{
		"MIRRORFLY_LICENSE_KEY": "MIRRORFLY_LICENSE_KEY is not", "MIRRORFLY_TRIAL": "true or false", "MIRRORFLY_SIGNAL_URL": "MIRRORFLY_SIGNAL_URL is not",
	} {
		t.Setenv(name, "")
		_, err := findService(t.Context())
		require.ErrorContains(t, err, want)
		t.Setenv(name, full[name])
	}
	t.Setenv("MIRRORFLY_API_BASE_URL", "http://127.0.0.1:1/api")
	_, err = findService(t.Context())
	require.ErrorIs(t, err, sdk.ErrInsecure)
}

// What a wrong setting makes impossible ends the program; it is not tried for ever.
func TestImpossibleSettings(t *testing.T) {
	srv := sdktest.New(t)
	err := offer(t.Context(), settings{listen: "127.0.0.1:0"}, &service{cfg: srv.Config(), signalURL: "http://127.0.0.1:1"}, io.Discard, slog.New(slog.DiscardHandler))
	require.ErrorIs(t, err, errSettings)
	require.ErrorIs(t, err, sdk.ErrInsecure)
}

// The whole program as started without settings: the command that it prints logs alice in.
func TestServerInTheBox(t *testing.T) {
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
	require.ErrorContains(t, run(t.Context(), []string{"-end", "alice", "-at", printed[2]}, io.Discard, io.Discard), "no web session")
	require.NoError(t, r.end())
	require.Empty(t, r.logs.String())
}

func TestTerminal(t *testing.T) {
	srv := sdktest.New(t)
	r := start(t, srv, settings{terminal: true})
	v := currentCode(t, r)
	columns := utf8.RuneCountInString(regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(strings.SplitN(v, "\n", 2)[0], ""))
	require.Less(t, columns, 80, "a terminal's width")
	srv.ExpireQR()
	require.Eventually(t, func() bool { return strings.Count(r.out.String(), "Scan this code") == 2 }, patience, 5*time.Millisecond)
	require.NotContains(t, r.out.String(), "in a browser")
	require.Equal(t, 1, strings.Count(r.out.String(), v), "the second code is another one")
	status, text := post(t, r.url+scanPath, "bob")
	require.Equal(t, http.StatusOK, status, text)
	r.out.await(t, `(?m)^Logged in as bob$`)
	status, text = post(t, r.url+endPath, "bob")
	require.Equal(t, http.StatusOK, status, text)
	r.out.await(t, `session was ended(?s:.*)Scan this code`)
}

// currentCode is the first code in the terminal.
func currentCode(t *testing.T, r *running) string {
	t.Helper()
	return r.out.await(t, `(?s)\n\n(\x1b\[.*?\n)\nScan this code`)[1]
}

func TestPrintable(t *testing.T) {
	require.Equal(t, "Zoë 李?[2J??", printable("Zoë 李\x1b[2J\n\u202e"))
}
