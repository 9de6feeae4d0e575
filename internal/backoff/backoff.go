// Package backoff says how long to wait before something that has failed is tried again.
package backoff

import (
	"math/rand/v2"
	"time"
)

// Delay returns a random time below a bound ("full jitter"), so that clients that have failed at
// the same moment do not all come back at the same moment. The bound is least before the first
// retry (failures is 0), doubles with every further failure, and stays at most once it has got
// there. least must be positive.
func Delay(least, most time.Duration, failures int) time.Duration {
	bound := least
	for range failures {
		if bound > most/2 {
			bound = most
			break
		}
		bound *= 2
	}
	return rand.N(bound)
}
