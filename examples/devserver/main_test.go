package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/sdktest"
)

// patience ends a test that would wait for ever. Nothing takes so long on a busy machine.
const patience = 2 * time.Minute

// start runs the program and reads its first line.
func start(t *testing.T, args ...string) (*exec.Cmd, map[string]any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(t, err)
	var first map[string]any
	require.NoError(t, json.Unmarshal(line, &first))
	return cmd, first
}

// startAt is start that returns the first line as what it is.
func startAt(t *testing.T, args ...string) (*exec.Cmd, endpoints) {
	t.Helper()
	cmd, first := start(t, args...)
	raw, err := json.Marshal(first)
	require.NoError(t, err)
	var at endpoints
	require.NoError(t, json.Unmarshal(raw, &at))
	return cmd, at
}

func TestBinary(t *testing.T) {
	dir := t.TempDir()
	ca, data := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "data")
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if runtime.GOOS == "windows" {
		signals = nil // Process.Signal cannot deliver them there
	}
	for _, sig := range signals {
		cmd, first := start(t,
			"-domain", "chat.example.test", "-license", "KEY", "-trial=true", "-ca-out", ca, "-data", data)
		for _, key := range []string{
			"apiBaseUrl", "apiConfigUrl", "signalUrl", "xmppUrl", "xmppAddress", "domain", "licenseKey", "caFile",
		} {
			require.IsType(t, "", first[key], key)
			require.NotEmpty(t, first[key], key)
		}
		require.Len(t, first, 8)
		require.Equal(t, "chat.example.test", first["domain"])
		require.Equal(t, "KEY", first["licenseKey"])
		require.Equal(t, ca, first["caFile"])
		body := strings.NewReader(`{"deviceType":"web","deviceId":"1","mobileNumber":"alice","licenseKey":"KEY",` +
			`"userIdentifier":"alice","forceRegister":true,"metaData":{}}`)
		address := first["apiBaseUrl"].(string) + "/sandbox/register"
		resp, err := client(t, ca).Post(address, "application/json", body)
		require.NoError(t, err)
		raw, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Contains(t, string(raw), `"status":200`)
		require.NoError(t, cmd.Process.Signal(sig))
		require.NoError(t, cmd.Wait(), "exit status 0")
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{
		{"-nonsense"}, {"-trial=maybe"}, {"-page=everybody"}, {"-contacts=some"}, {"-resume=-5s"}, {"extra"},
	} {
		var stderr bytes.Buffer
		require.ErrorIs(t, run(t.Context(), args, io.Discard, &stderr), errUsage, args)
		require.NotEmpty(t, stderr.String())
	}
	for _, args := range [][]string{
		{"-listen", "nonsense"}, {"-domain", "No Domain"}, {"-ca-out", "/no/such/dir/ca.pem"},
	} {
		err := run(t.Context(), args, io.Discard, io.Discard)
		require.Error(t, err, args)
		require.NotErrorIs(t, err, errUsage)
	}
	require.Error(t, exec.Command(os.Args[0], "-nonsense").Run())
	require.Error(t, exec.Command(os.Args[0], "-listen", "nonsense").Run())
	require.NoError(t, exec.Command(os.Args[0], "-h").Run())
}

func TestContactsFlag(t *testing.T) {
	for who, want := range map[string]sdktest.Options{
		"all": {}, "messages": {ContactsByMessage: true}, "none": {NoContacts: true},
	} {
		s, err := parse([]string{"-contacts", who}, io.Discard)
		require.NoError(t, err)
		require.Equal(t, want.ContactsByMessage, s.options.ContactsByMessage, who)
		require.Equal(t, want.NoContacts, s.options.NoContacts, who)
	}
}

// A server that takes its time to close must not hold up somebody who presses Ctrl+C again.
func TestSecondInterruptEndsAtOnce(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // Process.Signal cannot deliver interrupts there
	}
	t.Setenv("TMPDIR", t.TempDir()) // a killed program cannot clean up
	data := t.TempDir()
	var status *exec.ExitError
	for attempt := 0; !errors.As(interruptTwice(t, data), &status); attempt++ {
		require.Less(t, attempt, 20, "the second signal was never heard")
	}
	require.Equal(t, -1, status.ExitCode(), "ended by the signal")
	cmd, _ := start(t, "-data", data)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.NoError(t, cmd.Wait(), "the directory is not locked for ever")
}

// interruptTwice interrupts the program again while it ends, and returns how it ended: on a machine
// that is busy it may have done so before the second signal came.
func interruptTwice(t *testing.T, data string) error {
	t.Helper()
	cmd, first := start(t, "-data", data)
	// For half a second after such a request the server waits for the client to read the answer.
	addr := strings.TrimSuffix(strings.TrimPrefix(first["apiBaseUrl"].(string), "https://"), "/api/v1")
	conn, err := tls.Dial("tcp", addr, client(t, first["caFile"].(string)).Transport.(*http.Transport).TLSClientConfig)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 80<<10)+"\r\n\r\n")
	require.NoError(t, err)
	_, err = conn.Read(make([]byte, 1))
	require.NoError(t, err)
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }() // ends with the program
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case err := <-exited:
			return err
		case <-again.C:
			// Not an interrupt: what a shell has started in the background ignores the second.
			_ = cmd.Process.Signal(syscall.SIGTERM)
		}
	}
}
