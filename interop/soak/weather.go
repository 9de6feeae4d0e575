package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/mirrorfly-go/sdk/sdktest"
)

// weather makes the faults of a round, each after a number of steps.
type weather struct {
	st     *stage
	faults []Fault
	// ctx ends when the steps are done.
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	// slow: connections were made slow, and stay so. It belongs to run until that has ended.
	slow bool

	mu    sync.Mutex
	steps int
	// changed has capacity 1. An element means that steps has changed.
	changed chan struct{}
}

func startWeather(st *stage, round Round) *weather {
	w := &weather{st: st, faults: round.Faults, changed: make(chan struct{}, 1)}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	// end owns it. It ends with the last fault, or with end.
	w.wg.Go(w.run)
	return w
}

// step notes that a session has done a step.
func (w *weather) step() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps++
	select {
	case w.changed <- struct{}{}:
	// run has not taken the element of an earlier step yet.
	default:
	}
}

func (w *weather) run() {
	for _, f := range w.faults {
		for w.done() < f.After {
			select {
			case <-w.changed:
			case <-w.ctx.Done():
				return
			}
		}
		if undo := w.begin(f); f.For > 0 {
			// end owns it. It ends when the fault is over, or with end.
			w.wg.Go(func() {
				w.st.pause(w.ctx, f.For)
				undo()
			})
		}
	}
}

func (w *weather) done() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.steps
}

// begin makes a fault, and returns a function that ends it.
func (w *weather) begin(f Fault) (undo func()) {
	srv, who := w.st.srv, w.st.players[f.Who].current().who.user
	w.st.book.faulted(f.name())
	switch f.Kind {
	case faultDrop:
		srv.DropConnections()
	case faultRestart:
		if err := srv.Restart(); err != nil {
			w.st.book.fail(violation{where: f.String(), what: "the service does not come back", held: err.Error()})
		}
	case faultTokens:
		srv.ExpireTokens()
	case faultQR:
		srv.ExpireQR()
	case faultFailNext:
		for range f.Times {
			srv.FailNext(f.Op, f.Status, "fault")
		}
	case faultDelay:
		srv.Delay(f.Delay)
		return func() { srv.Delay(0) }
	case faultMisbehave:
		w.slow = w.slow || f.How == sdktest.FaultSlow
		srv.SetFault(f.Step, f.How)
		return func() { srv.SetFault(f.Step, sdktest.FaultNone) }
	case faultFeature:
		srv.SetFeature(f.Feature, false)
		return func() { srv.SetFeature(f.Feature, true) }
	case faultSessions:
		srv.SetMaxSessions(1)
		return func() { srv.SetMaxSessions(0) }
	case faultAdmin:
		srv.BlockByAdmin(who, true)
		return func() { srv.BlockByAdmin(who, false) }
	default:
		w.pushBad(f)
	}
	return func() {}
}

// Things that a server must never send.
const (
	garbage = `<iq type="result"<<<`
	// oversize is in bytes.
	oversize = 2 << 20
	conflict = `<stream:error xmlns:stream="http://etherx.jabber.org/streams"><conflict ` +
		`xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error>`
)

// pushBad sends it to the first session from f.Who on that is connected.
func (w *weather) pushBad(f Fault) {
	srv := w.st.srv
	texts := []string{garbage}
	switch f.Kind {
	case faultOversized:
		texts = []string{fmt.Sprintf(`<message xmlns="jabber:client"><body>%0*d</body></message>`, oversize, 0)}
	case faultConflict:
		texts = []string{conflict}
	case faultForgery:
		texts = forgeriesFrom(srv.Domain())
	}
	for i := range w.st.players {
		who := w.st.players[(f.Who+i)%len(w.st.players)].current().who.user
		got := 0
		for _, text := range texts {
			got += srv.Push(who, text)
		}
		if got > 0 {
			return
		}
	}
}

// end ends all faults.
func (w *weather) end() {
	w.cancel()
	w.wg.Wait()
	w.st.srv.ClearFaults()
	if w.slow {
		// Connections that were made slow are among them.
		w.st.srv.DropConnections()
	}
}
