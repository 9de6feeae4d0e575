package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"
)

// usage is what this process has used since its start, at one moment.
type usage struct {
	at time.Time
	// cpu is user and system time.
	cpu    time.Duration
	allocs uint64
	bytes  uint64
}

func used() usage {
	var r syscall.Rusage
	// It cannot fail, since the argument is a constant.
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{time.Now(), time.Duration(r.Utime.Nano() + r.Stime.Nano()), m.Mallocs, m.TotalAlloc}
}

// memory is the memory of this process.
type memory struct {
	// inUse is heap and stacks.
	inUse uint64
	// resident is what the system counts.
	resident   uint64
	goroutines int
}

// held measures the memory after all garbage has been collected and returned to the system.
func held() (memory, error) {
	// A pool is emptied by the second collection, and each one shrinks a stack.
	for range 3 {
		runtime.GC()
		time.Sleep(20 * time.Millisecond)
	}
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	resident, err := residentBytes()
	return memory{m.HeapInuse + m.StackInuse, resident, runtime.NumGoroutine()}, err
}

func residentBytes() (uint64, error) {
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(raw)
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/self/statm: %q", raw)
	}
	pages, err := strconv.ParseUint(string(fields[1]), 10, 64)
	return pages * uint64(os.Getpagesize()), err
}

// allowFiles raises the number of open files to what the system permits, for this process and those
// that it starts.
func allowFiles() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}
