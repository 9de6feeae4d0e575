package faults

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

// The goroutines of a client carry its label, and hand it down to those that they start. So a case
// that runs beside others can tell what its own client has left behind.
const label = "client"

// labelled runs what a client does.
func labelled(client string, f func()) {
	pprof.Do(context.Background(), pprof.Labels(label, client), func(context.Context) { f() })
}

// unlabelled runs code that starts goroutines that are not the client's, although the client calls
// it.
func unlabelled(f func() error) error {
	done := make(chan error, 1)
	go func() { // ends with f
		pprof.SetGoroutineLabels(context.Background())
		done <- f()
	}()
	return <-done
}

// patience bounds every wait for what must happen: far more than a busy machine needs.
const patience = 2 * time.Minute

// requireNothingLeft waits until no goroutine of a client runs: those of net/http end a moment
// after their connection. It gives them that moment before it looks: the stacks of all goroutines
// take much longer to write.
func requireNothingLeft(t testing.TB, client string) {
	t.Helper()
	var left string
	for wait, end := 4*time.Millisecond,
		time.Now().Add(patience); time.Now().Before(end); wait = min(2*wait, 200*time.Millisecond) {
		<-time.After(wait)
		if left = running(client); left == "" {
			return
		}
	}
	require.Empty(t, left, "goroutines of a client that is closed")
}

// running is the stacks of all goroutines with the label.
func running(client string) string {
	var all bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&all, 1) // a buffer takes everything
	var found []string
	for _, stack := range strings.Split(all.String(), "\n\n") {
		if strings.Contains(stack, fmt.Sprintf("%q:%q", label, client)) {
			found = append(found, stack)
		}
	}
	return strings.Join(found, "\n\n")
}

// TestNothingLeftIsSeen: what a labelled goroutine has started is found as long as it runs.
func TestNothingLeftIsSeen(t *testing.T) {
	t.Parallel()
	started, end := make(chan struct{}), make(chan struct{})
	labelled(t.Name(), func() {
		go func() { // ends with end
			close(started)
			<-end
		}()
	})
	patient.Receive(t, started)
	require.Contains(t, running(t.Name()), "TestNothingLeftIsSeen")
	require.Empty(t, running("somebody else"))
	close(end)
	requireNothingLeft(t, t.Name())
}
