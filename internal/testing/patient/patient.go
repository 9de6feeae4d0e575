// Package patient has tests wait for what happens, and fail when it does not: a test that waits for
// ever is noticed late, and hides why what it waits for does not come.
package patient

import (
	"testing"
	"time"
)

// limit is far more than anything takes that happens at all, on a busy machine too.
const limit = 2 * time.Minute

// Receive returns what comes from a channel: the zero value when that is closed. The test fails
// when nothing comes.
func Receive[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	select {
	case v := <-from:
		return v
	case <-timeout.C:
		t.Fatalf("nothing comes in %v", limit)
		panic("not reached")
	}
}

// Hold waits until a channel is closed, or until the test is over: for what a test holds up in
// another goroutine, and for which its clean-up would wait if it failed before it let that go on.
func Hold(t testing.TB, until <-chan struct{}) {
	select {
	case <-until:
	case <-t.Context().Done():
	}
}
