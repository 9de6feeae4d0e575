package main

import (
	"sync"

	"github.com/mirrorfly-go/sdk/sdktest"
)

const maxHistory = 300

// history is the latest traffic, numbered from 1. Any number of pages read it, as slowly as they
// like.
type history struct {
	mu   sync.Mutex
	list []traffic
	// newest is the number of the last one in list.
	newest int
	// more is closed when something is added.
	more chan struct{}
}

func newHistory() *history { return &history{more: make(chan struct{})} }

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
