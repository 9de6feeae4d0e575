package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

func TestMain(m *testing.M) {
	// So that the tests do not depend on the environment of the machine.
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "MIRRORFLY_") {
			_ = os.Unsetenv(name)
		}
	}
	goleak.VerifyTestMain(m)
}

var metricsURL = regexp.MustCompile(`metrics=(http://\S+)`)

func scrape(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(text)
}

// span is what the test wants to know of a span on standard output.
type span struct {
	Name        string
	SpanContext struct{ SpanID string }
	Parent      struct{ SpanID string }
}

func TestBot(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var stdout bytes.Buffer
	stderr, written := io.Pipe()
	ended := make(chan error, 1)
	go func() { // ends with ctx
		err := run(ctx, []string{"-listen", "127.0.0.1:0", "-every", "20ms"}, &stdout, written)
		_ = written.Close()
		ended <- err
	}()
	lines := bufio.NewScanner(stderr)
	url := ""
	for url == "" && lines.Scan() {
		if found := metricsURL.FindStringSubmatch(lines.Text()); found != nil {
			url = found[1]
		}
	}
	require.NotEmpty(t, url, "it has ended")
	go func() { _, _ = io.Copy(io.Discard, stderr) }() // ends with run
	page := ""
	require.Eventually(t, func() bool {
		page = scrape(t, url)
		return strings.Contains(page, `mirrorfly_message_stage="handled"`)
	}, time.Minute, 20*time.Millisecond)
	require.Contains(t, page, `service_name="observedbot"`)
	require.Contains(t, page, "mirrorfly_xmpp_session_active")
	stop()
	require.NoError(t, patient.Receive(t, ended))

	require.NotContains(t, stdout.String(), "visitor")
	require.NotContains(t, stdout.String(), "Hello")
	byName, decoder := make(map[string]span), json.NewDecoder(&stdout)
	for {
		var s span
		err := decoder.Decode(&s)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if _, has := byName[s.Name]; !has {
			byName[s.Name] = s
		}
	}
	for child, parent := range map[string]string{
		"xmpp connect": "mirrorfly Connect", "mirrorfly SendTextMessage": "answer",
		"xmpp message": "mirrorfly SendTextMessage",
	} {
		require.Contains(t, byName, child)
		require.Equal(t, byName[parent].SpanContext.SpanID, byName[child].Parent.SpanID, child)
	}
}

func TestRefusals(t *testing.T) {
	require.ErrorIs(t, run(t.Context(), []string{"-help"}, io.Discard, io.Discard), flag.ErrHelp)
	require.ErrorContains(t, run(t.Context(), []string{"-listen", "nowhere:x"}, io.Discard, io.Discard), "-listen")
	require.ErrorContains(t,
		run(t.Context(), []string{"-listen", "127.0.0.1:0", "-user", "NO!"}, io.Discard, io.Discard), "Register")
	t.Setenv("MIRRORFLY_LICENSE_KEY", "k")
	require.ErrorContains(t, run(t.Context(), nil, io.Discard, io.Discard), "MIRRORFLY_API_BASE_URL")
	t.Setenv("MIRRORFLY_API_BASE_URL", "https://127.0.0.1:1")
	require.ErrorContains(t, run(t.Context(), nil, io.Discard, io.Discard), "MIRRORFLY_TRIAL")
	t.Setenv("MIRRORFLY_TRIAL", "true")
	t.Setenv("MIRRORFLY_CA_FILE", "main.go")
	require.ErrorContains(t, run(t.Context(), nil, io.Discard, io.Discard),
		"MIRRORFLY_CA_FILE: no certificate in main.go")
}
