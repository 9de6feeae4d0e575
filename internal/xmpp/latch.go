package xmpp

import "sync"

// latch is something that happens once. Only who ends a session waits for one, so it has a channel
// only from then on.
type latch struct {
	mu       sync.Mutex
	happened bool
	told     chan struct{}
}

// happen may be called again.
func (l *latch) happen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.happened && l.told != nil {
		close(l.told)
	}
	l.happened = true
}

// done returns a channel that is closed when it has happened.
func (l *latch) done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.told == nil {
		l.told = make(chan struct{})
		if l.happened {
			close(l.told)
		}
	}
	return l.told
}
