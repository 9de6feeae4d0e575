package main

import (
	"sync"

	"github.com/mirrorfly-go/sdk"
)

// stage is how far the login is.
type stage string

const (
	stageStarting stage = "starting" // the service has not answered yet
	stageCode     stage = "code"     // a code waits for a phone
	stageLoggedIn stage = "loggedIn" // somebody is logged in
	stageProblem  stage = "problem"  // no code can be had; notice says why
)

// view is what everybody is shown. It is never changed, only replaced.
type view struct {
	version int // counts up; set by the board
	stage   stage
	notice  string        // what went wrong, or what has ended; may be empty
	code    *sdk.QRCode   // at stageCode
	user    *person       // at stageLoggedIn
	logout  chan struct{} // at stageLoggedIn, capacity 1: the wish to log out of this session
}

// person is who has logged in.
type person struct {
	name    string
	picture []byte // PNG; nil: none
}

// board holds the latest view. One goroutine, login.run, shows; any number look, as slowly as they like: who was too slow for
// a view gets the one after.
type board struct {
	mu      sync.Mutex
	current view
	changed chan struct{} // closed when current is replaced
}

func newBoard() *board {
	return &board{current: view{stage: stageStarting}, changed: make(chan struct{})}
}

func (b *board) show(v view) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v.version = b.current.version + 1
	b.current = v
	close(b.changed)
	b.changed = make(chan struct{})
}

// look returns the latest view, and what is closed when there is a newer one.
func (b *board) look() (view, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.current, b.changed
}
