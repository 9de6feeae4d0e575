package fleet

// noLimit stands for a Max of 0 where Max is limited.
const noLimit = 1 << 30

// shares says how many of total accounts each member should have, given the Max of each: a part in
// proportion to Max, rounded up and never above it. Who has no limit counts as the largest of the
// others, and takes what they have no room for.
func shares(total int, limits []int) []int {
	top := 1
	for _, limit := range limits {
		top = max(top, min(limit, noLimit))
	}
	weight := func(i int) int64 {
		if limits[i] <= 0 {
			return int64(top)
		}
		return int64(min(limits[i], noLimit))
	}
	out := make([]int, len(limits))
	full := make([]bool, len(limits))
	for {
		var weights int64
		rest := int64(total)
		for i := range limits {
			if full[i] {
				rest -= int64(out[i])
			} else {
				weights += weight(i)
			}
		}
		filled := false
		for i := range limits {
			if full[i] {
				continue
			}
			part := (max(rest, 0)*weight(i) + weights - 1) / weights
			if limits[i] > 0 && part > int64(limits[i]) {
				part, full[i], filled = int64(limits[i]), true, true
			}
			out[i] = int(part)
		}
		if !filled {
			return out
		}
	}
}
