//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// No target is forgotten: the list has those of every package, also of tests that are in a package
// of their own.
func TestTargets(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(&out, time.Second, true, nil))
	for _, want := range []string{
		module + " FuzzUserJID", module + "/internal/xmpp FuzzReceive", module +
			"/internal/rest FuzzEnvelope", module + "/internal/seal FuzzLO",
		module + "/internal/signal FuzzPacket", module + "/internal/media FuzzDecrypt", module + "/sdktest FuzzElement",
	} {
		require.Contains(t, out.String(), want+"\n")
	}
	out.Reset()
	require.NoError(t, run(&out, time.Second, true, []string{"FuzzLO", "FuzzPercent"}))
	require.Equal(t, 2, strings.Count(out.String(), "\n"))
	require.ErrorContains(t, run(&out, time.Second, true, []string{"FuzzNothing"}), "no such target")
}

// What is shown as memory is what a process has held.
func TestResidentMax(t *testing.T) {
	const variable, size = "FUZZ_TEST_HOLD", 64 << 20
	if os.Getenv(variable) != "" {
		held := bytes.Repeat([]byte{1}, size)
		os.Exit(int(held[size-1]) - 1)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestResidentMax$")
	cmd.Env = append(os.Environ(), variable+"=1")
	require.NoError(t, cmd.Run())
	require.Greater(t, residentMax(cmd.ProcessState), int64(size))
	require.Less(t, residentMax(cmd.ProcessState), int64(50*size))
}

// A target that does not pass is told, with what it said.
func TestFailingTarget(t *testing.T) {
	var out bytes.Buffer
	require.False(
		t, fuzzOne(&out, target{pkg: module + "/x", dir: ".", name: "FuzzX"}, "false", t.TempDir(), 1, time.Second),
	)
	require.Contains(t, out.String(), "FuzzX: exit status 1")
	out.Reset()
	require.False(t, fuzzOne(&out, target{pkg: module, dir: ".", name: "FuzzX"}, "true", t.TempDir(), 1, time.Second))
	require.Contains(t, out.String(), "FuzzX: nothing was tried")
}
