package main

import (
	"sync"
	"time"

	"github.com/mirrorfly-go/sdk/sdktest"
)

const lockOutTime = 10 * time.Second

// lockOuts ends the faults at the steps at which the page's own connections fail, too: the page
// could not end them.
type lockOuts struct {
	srv *sdktest.Server

	mu     sync.Mutex
	timers map[sdktest.Step]*time.Timer
	closed bool
}

func (l *lockOuts) set(step sdktest.Step) {
	l.lift(step)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if l.timers == nil {
		l.timers = map[sdktest.Step]*time.Timer{}
	}
	l.timers[step] = time.AfterFunc(lockOutTime, func() { l.srv.SetFault(step, sdktest.FaultNone) })
}

// lift stops the timer of a fault that has ended or is set again.
func (l *lockOuts) lift(step sdktest.Step) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.timers[step]; t != nil {
		t.Stop()
		delete(l.timers, step)
	}
}

func (l *lockOuts) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, t := range l.timers {
		t.Stop()
	}
}
