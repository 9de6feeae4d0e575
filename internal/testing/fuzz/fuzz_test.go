package fuzz

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// recorder is a test that goes on after it has failed, to see that it does.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) { r.failure = fmt.Sprintf(format, args...) }

var sink []byte

// What costs more than its share is found, also when nothing of it is kept.
func TestBounded(t *testing.T) {
	const most = 1 << 20
	for _, tc := range []struct {
		name         string
		size, memory int
		fails        bool
	}{
		{"nothing", 0, 0, false},
		{"little, within the slack", 0, 1 << 20, false},
		{"much", most / 10, 20 << 20, false},
		{"too much", most / 10, 35 << 20, true},
		{"too much, by a small one", most / 100, 10 << 20, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &recorder{TB: t}
			Bounded(r, tc.size, most, func() {
				for range tc.memory >> 16 {
					sink = make([]byte, 1<<16)
				}
				runtime.GC()
			})
			require.Equal(t, tc.fails, r.failure != "", r.failure)
		})
	}
	require.EqualValues(t, maxMemory, Budget(most, most))
}
