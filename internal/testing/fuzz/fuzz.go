// Package fuzz has the bounds of time and memory within which any input from outside must be
// decoded. All fuzz targets of this module use them. The command in internal/testing/fuzz/run runs
// all targets.
package fuzz

import (
	"fmt"
	"runtime/metrics"
	"testing"
	"time"
)

const (
	// maxMemory is how many bytes the largest permitted input may cost.
	maxMemory = 256 << 20
	// slack is how many bytes any input may cost: for buffers, and for what the runtime has not
	// counted yet.
	slack = 2 << 20
	// maxTime is for any input, on a slow and busy machine.
	maxTime = time.Minute
)

// Bounded runs decode for an input of size bytes, where most are permitted. The test fails when
// decode allocates more than its share of 256 MiB. All allocations count, also those that are
// garbage at once, so an input of most bytes cannot take more. When decode does not end, Bounded
// ends the process: that is how the fuzzing engine learns of it, and it keeps the input.
func Bounded(t testing.TB, size, most int, decode func()) {
	t.Helper()
	hang := time.AfterFunc(
		maxTime, func() { panic(fmt.Sprintf("an input of %d bytes takes more than %v", size, maxTime)) },
	)
	before := allocated()
	decode()
	used := allocated() - before
	hang.Stop()
	if budget := Budget(size, most); used > budget {
		t.Fatalf("%d bytes of input cost %d bytes of memory, more than %d", size, used, budget)
	}
}

// Budget is how many bytes of memory an input of size bytes may cost, where most are permitted.
func Budget(size, most int) uint64 { return slack + uint64(maxMemory-slack)*uint64(size)/uint64(most) }

// allocated is how many bytes this process has ever allocated.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
