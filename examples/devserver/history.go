package main

import (
	"sync"

	"github.com/mirrorfly-go/sdk/sdktest"
)

const maxHistory = 300

// history is the latest traffic, numbered from 1. One goroutine records; any number of pages read, as slowly as they like.
type history struct {
	mu     sync.Mutex
	list   []sdktest.Traffic
	newest int           // number of the last one in list
	more   chan struct{} // closed when there is more
}

func newHistory() *history { return &history{more: make(chan struct{})} }

// record takes what comes, until traffic is closed.
func (h *history) record(traffic <-chan sdktest.Traffic) {
	for t := range traffic {
		h.add(t)
	}
}

func (h *history) add(t sdktest.Traffic) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.list) == maxHistory {
		h.list = h.list[1:] // readers may still have it; append never writes over what they have
	}
	h.list = append(h.list, t)
	h.newest++
	close(h.more)
	h.more = make(chan struct{})
}

// after returns what has come after number n, how many of it are not there any more, the number of the newest, and what
// is closed when there is more.
func (h *history) after(n int) (list []sdktest.Traffic, gone, newest int, more <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fresh := min(h.newest-n, len(h.list))
	return h.list[len(h.list)-fresh:], h.newest - n - fresh, h.newest, h.more
}
