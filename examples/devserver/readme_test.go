package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

// command is a curl command of README.md.
type command struct{ path, body string }

var (
	curl = regexp.MustCompile(`^curl --cacert ca\.pem '?https://127\.0\.0\.1:8443(/[^' ]*)'?(?: --json '(.*)')?$`)
	// orderName finds the name of the order in a path.
	orderName = regexp.MustCompile(`^/_dev/do/(\w+)$`)
)

// documented are the commands of README.md. Every line that has a curl command is one.
func documented(t *testing.T) (all []command) {
	t.Helper()
	raw, err := os.ReadFile("README.md")
	require.NoError(t, err)
	for _, line := range strings.Split(string(raw), "\n") {
		if !strings.HasPrefix(strings.TrimSpace(line), "curl ") {
			continue
		}
		m := curl.FindStringSubmatch(line)
		require.NotNil(t, m, line)
		// A quote inside ends what is quoted for the shell, but for the way in which $QR is put in.
		body := strings.ReplaceAll(m[2], `'"$QR"'`, "$QR")
		require.NotContains(t, body, "'", line)
		all = append(all, command{m[1], body})
	}
	return all
}

// Every command of README.md does what it says, and every order is there.
func TestReadmeCommands(t *testing.T) {
	e := launch(t, "-domain", "localhost")
	// A connection that an order has cut is not used again.
	e.http.Transport.(*http.Transport).DisableKeepAlives = true
	login(t, newUser(t, e.at), "bot")
	window := e.open("bot")
	until(window, "chat", func(c conversation) bool { return c.State == "CONNECTED" })
	seen := map[string]bool{}
	for _, c := range documented(t) {
		if c.body == "" {
			status, raw, _ := e.do(http.MethodGet, c.path, "")
			require.Equal(t, http.StatusOK, status, raw)
			require.True(t, json.Valid([]byte(raw)), c.path)
			continue
		}
		name := orderName.FindStringSubmatch(c.path)
		require.NotNil(t, name, c.path)
		seen[name[1]] = true
		e.obey(t, name[1], c.body)
	}
	for name := range orders {
		require.True(t, seen[name], "README.md does not say how to order %s", name)
	}
}

// obey carries out an order of README.md, with a QR code where it needs one.
func (e *emulator) obey(t *testing.T, name, body string) {
	t.Helper()
	if !strings.Contains(body, "$QR") {
		page := e.follow()
		_, failure := e.order(name, body)
		require.Empty(t, failure, "%s %s", name, body)
		if name == "restart" {
			_, _ = io.Copy(io.Discard, page.lines) // until it has stopped
			require.Eventually(t, func() bool {
				resp, err := e.http.Get(e.base + "/_dev/state")
				return err == nil && resp.Body.Close() == nil
			}, patience, minPause)
		}
		require.NoError(t, page.body.Close())
		return
	}
	qr, err := newUser(t, e.at).GenerateQRCode(t.Context(), sdk.QROptions{SignalServerURL: e.at.SignalURL})
	require.NoError(t, err)
	code := patient.Receive(t, qr.Codes()).Content()
	require.NotContains(t, code, `"`) // so that it needs no care in JSON
	_, failure := e.order(name, strings.ReplaceAll(body, "$QR", code))
	require.Empty(t, failure, "%s %s", name, body)
	_, err = qr.Wait(t.Context())
	require.Equal(t, name == "scan", err == nil, err)
	if name != "scan" {
		require.NoError(t, qr.Close())
	}
}
