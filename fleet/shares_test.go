package fleet

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestShares(t *testing.T) {
	for name, c := range map[string]struct {
		total  int
		limits []int
		want   []int
	}{
		"nobody":                       {10, nil, []int{}},
		"nothing":                      {0, []int{0, 5}, []int{0, 0}},
		"one":                          {10, []int{0}, []int{10}},
		"equal":                        {300, []int{0, 0, 0}, []int{100, 100, 100}},
		"rounded up":                   {10, []int{0, 0, 0}, []int{4, 4, 4}},
		"in proportion":                {30, []int{20, 40}, []int{10, 20}},
		"too many":                     {100, []int{20, 40}, []int{20, 40}},
		"what others have no room for": {100, []int{20, 0}, []int{20, 80}},
		"largest of the others":        {60, []int{20, 40, 0}, []int{12, 24, 24}},
		"huge":                         {1000, []int{1 << 62, 1 << 62}, []int{500, 500}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, shares(c.total, c.limits)) })
	}
}

// Whatever the limits are, shares are enough for all accounts or all members are full.
func FuzzShares(f *testing.F) {
	f.Add(uint16(300), uint16(0), uint16(100), uint16(7))
	f.Fuzz(func(t *testing.T, total, a, b, c uint16) {
		limits := []int{int(a), int(b), int(c)}
		sum, full := 0, true
		for i, share := range shares(int(total), limits) {
			require.GreaterOrEqual(t, share, 0)
			sum += share
			if limits[i] > 0 {
				require.LessOrEqual(t, share, limits[i])
			}
			full = full && limits[i] > 0 && share == limits[i]
		}
		require.True(t, sum >= int(total) || full, "%d of %d", sum, total)
	})
}
