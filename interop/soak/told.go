package main

import (
	"maps"
	"slices"
	"sync"

	sdk "github.com/mirrorfly-go/sdk"
)

// told is the outcome of a change, as its caller was told.
type told int

const (
	// toldOK: it is done.
	toldOK told = iota
	// toldRefused: it has not taken effect, and will not.
	toldRefused
	// toldNotSent: likewise.
	toldNotSent
	// toldUnknown: it may have taken effect, or may yet.
	toldUnknown
)

func (t told) String() string { return [...]string{"200", "refused", "not sent", "unknown"}[t] }

// void reports that the change must not be at the service.
func (t told) void() bool { return t == toldRefused || t == toldNotSent }

// toldBy is the outcome that an error of the library tells.
func toldBy(e *sdk.Error) told {
	switch e.Outcome {
	case sdk.OutcomeNotSent:
		return toldNotSent
	case sdk.OutcomeRefused:
		return toldRefused
	}
	return toldUnknown
}

// cell is a value at the service, as far as it follows from what callers were told: one that is
// certain, and those that calls of which nobody knows the outcome may have put there, or may yet.
type cell[T comparable] struct {
	mu      sync.Mutex
	certain T
	maybe   map[T]bool
	// pending counts the values of calls that are under way.
	pending map[T]int
}

func newCell[T comparable](v T) *cell[T] {
	return &cell[T]{certain: v, maybe: map[T]bool{}, pending: map[T]int{}}
}

// begin notes that a call is about to set v.
func (c *cell[T]) begin(v T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending[v]++
}

// end notes the outcome of that call.
func (c *cell[T]) end(v T, how told) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending[v]--; c.pending[v] == 0 {
		delete(c.pending, v)
	}
	switch how {
	case toldOK:
		c.certain = v
	case toldUnknown:
		c.maybe[v] = true
	}
}

// allowed are the values that the service may have now, the certain one first.
func (c *cell[T]) allowed() []T {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []T{c.certain}
	for _, v := range slices.Concat(slices.Collect(maps.Keys(c.maybe)), slices.Collect(maps.Keys(c.pending))) {
		if !slices.Contains(all, v) {
			all = append(all, v)
		}
	}
	return all
}

// settle notes the value at the service when no call is under way, at either end.
func (c *cell[T]) settle(v T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.certain = v
	clear(c.maybe)
}

// claims are what callers were told about things that are only ever added, each with a key of its
// own.
type claims struct {
	mu sync.Mutex
	// told are those of this round.
	told map[string]told
	// older are those of earlier rounds, which the service may have dropped.
	older map[string]told
}

func newClaims() *claims { return &claims{told: map[string]told{}, older: map[string]told{}} }

func (c *claims) add(key string, how told) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told[key] = how
}

// compare finds out what is wrong with how often the service holds each key, and calls wrong with
// it. A round is over then.
func (c *claims) compare(held map[string]int, wrong func(key, what, told string, times int)) (compared int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(held)) {
		how, known := c.told[key]
		if !known {
			how, known = c.older[key]
		}
		switch times := held[key]; {
		case !known:
			wrong(key, "nobody has asked for it", "nothing", times)
		case how.void():
			wrong(key, "it has taken effect nevertheless", how.String(), times)
		case times > 1:
			wrong(key, "it was applied twice", how.String(), times)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.told)) {
		if c.told[key] == toldOK && held[key] == 0 {
			wrong(key, "what was acknowledged is lost", toldOK.String(), 0)
		}
	}
	compared = len(c.told)
	maps.Copy(c.older, c.told)
	clear(c.told)
	return compared
}
