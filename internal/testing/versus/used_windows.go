package versus

import (
	"syscall"
	"testing"
	"time"
)

// Used is the CPU time that this process has taken, in user and in kernel mode.
func Used(b *testing.B) time.Duration {
	var created, ended, kernel, user syscall.Filetime
	process, err := syscall.GetCurrentProcess()
	if err == nil {
		err = syscall.GetProcessTimes(process, &created, &ended, &kernel, &user)
	}
	if err != nil {
		b.Fatal(err)
	}
	// A tick is 100 ns.
	ticks := func(f syscall.Filetime) int64 { return int64(f.HighDateTime)<<32 + int64(f.LowDateTime) }
	return time.Duration(100 * (ticks(kernel) + ticks(user)))
}
