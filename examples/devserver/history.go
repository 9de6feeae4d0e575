package main

import (
	"crypto/rand"
	"strconv"
	"strings"
	"sync"

	"github.com/mirrorfly-go/sdk/sdktest"
)

const maxHistory = 300

// history is the latest traffic, numbered from 1. Any number of pages read it, as slowly as they
// like.
type history struct {
	// run tells the numbers of this history from those of an emulator before.
	run  string
	mu   sync.Mutex
	list []traffic
	// newest is the number of the last one in list.
	newest int
	// more is closed when something is added.
	more chan struct{}
}

func newHistory() *history { return &history{run: rand.Text(), more: make(chan struct{})} }

// record is for sdktest.Options.OnTraffic.
func (h *history) record(t sdktest.Traffic) { h.add(shown(t)) }

func (h *history) add(t traffic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.list) == maxHistory {
		h.list = h.list[1:] // readers may still have it, and append never overwrites what they have
	}
	h.list = append(h.list, t)
	h.newest++
	close(h.more)
	h.more = make(chan struct{})
}

// after returns the traffic after number n, how many pieces of it were dropped already, the number
// of the newest one, and a channel that is closed when something is added.
func (h *history) after(n int) (list []traffic, gone, newest int, more <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fresh := min(h.newest-n, len(h.list))
	return h.list[len(h.list)-fresh:], h.newest - n - fresh, h.newest, h.more
}

// id names the place behind number n, for from.
func (h *history) id(n int) string { return h.run + "." + strconv.Itoa(n) }

// from is the number of the piece that a page has seen last, by its id. A page that has seen none,
// or those of an emulator before, gets all that is kept.
func (h *history) from(id string) (n int, continued bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	run, number, _ := strings.Cut(id, ".")
	n, err := strconv.Atoi(number)
	if run == h.run && err == nil && n >= 0 && n <= h.newest {
		return n, true
	}
	return max(0, h.newest-maxHistory), false
}
