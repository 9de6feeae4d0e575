package backoff

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDelay(t *testing.T) {
	const least, most = 500 * time.Millisecond, 30 * time.Second
	for _, c := range []struct {
		least, most time.Duration
		failures    int
		bound       time.Duration
	}{
		{least, most, 0, least},
		{least, most, 1, time.Second},
		{least, most, 5, 16 * time.Second},
		{least, most, 6, most},
		{least, most, 61, most},
		{least, most, math.MaxInt, most},
		{time.Second, time.Second, 3, time.Second},
		{1, math.MaxInt64, 62, 1 << 62},
		{1, math.MaxInt64, 99, math.MaxInt64},
		{math.MaxInt64, math.MaxInt64, 9, math.MaxInt64},
	} {
		t.Run(fmt.Sprint(c.least, c.most, c.failures), func(t *testing.T) {
			low, high := 0, 0
			for range 2000 {
				d := Delay(c.least, c.most, c.failures)
				require.GreaterOrEqual(t, d, time.Duration(0))
				require.Less(t, d, c.bound)
				if d < c.bound/10 {
					low++
				} else if d > c.bound-c.bound/10 {
					high++
				}
			}
			require.Greater(t, low, 50, "delays reach down to nothing")
			require.Greater(t, high, 50, "delays reach up to the bound")
		})
	}
}
