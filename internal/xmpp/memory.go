package xmpp

import (
	"errors"
	"sync"
)

// errDowngrade refuses a server that offers less than it did before: that is what
// somebody in the middle would do.
var errDowngrade = errors.New("server offers a weaker login than before")

// Memory is what one account's sessions have learned about the servers of a domain, so that
// a later one is never taken in by less. The zero value is ready; it is safe for
// concurrent use. It lasts as long as the program: whoever really weakens a server restarts its clients.
type Memory struct {
	mu       sync.Mutex
	strength map[string]int  // by domain: index in mechanisms of what a login was made with, from the end
	startTLS map[string]bool // by domain: it has offered STARTTLS
}

// weaker reports whether logging in to domain with mechanism i would be less than before.
func (m *Memory) weaker(domain string, i int) bool {
	if m == nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(mechanisms)-i < m.strength[domain]
}

// loggedIn notes that mechanism i has worked.
func (m *Memory) loggedIn(domain string, i int) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.strength == nil {
		m.strength = make(map[string]int)
	}
	m.strength[domain] = max(m.strength[domain], len(mechanisms)-i)
}

// hasTLS reports whether domain has offered STARTTLS before.
func (m *Memory) hasTLS(domain string) bool {
	if m == nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.startTLS[domain]
}

// sawTLS notes that a TLS handshake after STARTTLS has worked.
func (m *Memory) sawTLS(domain string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.startTLS == nil {
		m.startTLS = make(map[string]bool)
	}
	m.startTLS[domain] = true
}
