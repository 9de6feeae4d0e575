//go:build unix

package versus

import (
	"syscall"
	"testing"
	"time"
)

// Used is the CPU time that this process has taken, in user and in kernel mode.
func Used(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
