package xmpp

import (
	"errors"
	"slices"
	"sync"
)

// errDowngrade refuses a server that offers less than it did before: that is what
// somebody in the middle would do.
var errDowngrade = errors.New("server offers a weaker login than before")

// Memory is what one account's sessions have learned about the servers of a domain, so that
// a later one is never taken in by less. The zero value is ready; it is safe for
// concurrent use. It lasts as long as the program: whoever really weakens a server restarts its clients.
type Memory struct {
	mu    sync.Mutex
	known []knownDomain // hardly ever more than one
}

type knownDomain struct {
	name     string
	strength int  // index in mechanisms of what a login was made with, from the end; 0: none
	startTLS bool // it has offered STARTTLS
}

// ofLocked returns what is known of a domain, to be changed.
func (m *Memory) ofLocked(domain string) *knownDomain {
	i := slices.IndexFunc(m.known, func(k knownDomain) bool { return k.name == domain })
	if i < 0 {
		i = len(m.known)
		m.known = append(m.known, knownDomain{name: domain})
	}
	return &m.known[i]
}

// weaker reports whether logging in to domain with mechanism i would be less than before.
func (m *Memory) weaker(domain string, i int) bool {
	if m == nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(mechanisms)-i < m.ofLocked(domain).strength
}

// loggedIn notes that mechanism i has worked.
func (m *Memory) loggedIn(domain string, i int) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.ofLocked(domain)
	k.strength = max(k.strength, len(mechanisms)-i)
}

// hasTLS reports whether domain has offered STARTTLS before.
func (m *Memory) hasTLS(domain string) bool {
	if m == nil {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ofLocked(domain).startTLS
}

// sawTLS notes that a TLS handshake after STARTTLS has worked.
func (m *Memory) sawTLS(domain string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ofLocked(domain).startTLS = true
}
