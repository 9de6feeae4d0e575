package dispatch

// Fate is what became of an event that is tracked.
type Fate int

const (
	// Unheard: nobody listens.
	Unheard Fate = iota
	// Returned: every listener has returned.
	Returned
	// Failed: a listener has panicked, or ended its goroutine.
	Failed
	// Dropped: the queue was full, or closed.
	Dropped
)

// tracked is an event whose fate is told.
type tracked interface {
	deliverer
	tell(Fate)
}

// Dropping is what was dropped and is tracked. nil: nothing.
type Dropping []tracked

// Tell tells the fate of each. It must be called once, under no lock.
func (d Dropping) Tell() {
	for _, t := range d {
		t.tell(Dropped)
	}
}

// EmitTracked is EmitPaced for an event whose fate is told: once, in the goroutine that calls the
// listeners or in that of a caller who emits, and under no lock.
func (l *Listeners[T]) EmitTracked(q *Queue, event T, w Weight, fate func(Fate)) {
	if len(l.all.load()) == 0 {
		fate(Unheard)
		return
	}
	q.awaitRoom(w)
	q.push(call{deliverer: &trackedDelivery[T]{delivery[T]{l, event}, fate}, Weight: w})
	q.tellDrops()
}

type trackedDelivery[T any] struct {
	delivery[T]
	fate func(Fate)
}

func (d *trackedDelivery[T]) tell(f Fate) { d.fate(f) }

func (d *trackedDelivery[T]) deliver(q *Queue) {
	// It stays so when a listener calls runtime.Goexit.
	fate := Failed
	defer func() { d.fate(fate) }()
	heard, failed := q.run(d)
	switch {
	case !heard:
		fate = Unheard
	case !failed:
		fate = Returned
	}
}
