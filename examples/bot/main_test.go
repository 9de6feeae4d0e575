package main

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The program in a process of its own, as an orchestrator runs it.
func TestSignals(t *testing.T) {
	program := os.Args[0]
	require.ErrorContains(t, exec.Command(program, "-nonsense").Run(), "exit status 2")
	require.ErrorContains(t, exec.Command(program, "-register", "weather").Run(), "exit status 1")
	require.NoError(t, exec.Command(program, "-help").Run())
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if runtime.GOOS == "windows" {
		signals = nil // Process.Signal cannot deliver them there
	}
	for _, sig := range signals {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		cmd := exec.CommandContext(ctx, program, "-listen", "127.0.0.1:0")
		log := newJournal()
		cmd.Stderr = log
		require.NoError(t, cmd.Start())
		log.await(t, "profile updated", "user=news")
		require.NoError(t, cmd.Process.Signal(sig))
		require.NoError(t, cmd.Wait(), "exit status 0")
		require.Contains(t, log.text(), offDuty)
		cancel()
	}
}
