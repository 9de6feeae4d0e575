package main

import (
	"sync"

	"github.com/mirrorfly-go/sdk"
)

// stage is how far the login has come.
type stage string

const (
	stageStarting stage = "starting" // the service has not answered yet
	stageCode     stage = "code"     // a code waits for a phone
	stageLoggedIn stage = "loggedIn" // somebody is logged in
	stageProblem  stage = "problem"  // there can be no code now; notice says why
)

// view is what every page shows. A view is never changed, only replaced.
type view struct {
	// version is 1 more than that of the view before. The board sets it.
	version int
	stage   stage
	// notice says what went wrong, or what has ended. It may be empty.
	notice string
	// code is set at stageCode.
	code *sdk.QRCode
	// user and logout are set at stageLoggedIn. An element in logout is the wish to log out of this
	// session; its capacity is 1.
	user   *person
	logout chan struct{}
}

// person is who has logged in.
type person struct {
	name string
	// picture is a PNG file. nil: there is none.
	picture []byte
}

// board holds the latest view. One goroutine, login.run, calls show. Any number of goroutines call
// look, as slowly as they like: a slow one misses views, but never the latest.
type board struct {
	mu      sync.Mutex
	current view
	// changed is closed when current is replaced.
	changed chan struct{}
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

// look returns the latest view, and a channel that is closed when there is a newer one.
func (b *board) look() (view, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.current, b.changed
}
