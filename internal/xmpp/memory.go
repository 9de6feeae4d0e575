package xmpp

import (
	"errors"
	"slices"
	"sync"
)

// errDowngrade refuses a server that offers less than it did before: that is what
// somebody in the middle would do.
var errDowngrade = errors.New("server offers a weaker login than before")

// Memory is what one account's sessions have learned about the servers of a domain: so that
// a later one is never taken in by less, and does not ask what it knows. The zero value is ready, nil remembers nothing; it is safe for
// concurrent use. It lasts as long as the program: whoever really weakens a server restarts its clients.
type Memory struct {
	mu    sync.Mutex
	known []knownDomain // hardly ever more than one
}

type knownDomain struct {
	name     string
	strength int  // index in mechanisms of the best that a login was made with, from the end; 0: none
	startTLS bool // it has offered STARTTLS
	ahead    bool // it has understood what was written ahead, with the mechanism of strength
	stepwise bool // it does not
}

// with calls f with what is known of a domain, to be read or changed.
func (m *Memory) with(domain string, f func(*knownDomain)) {
	if m == nil {
		f(&knownDomain{})
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.known, func(k knownDomain) bool { return k.name == domain })
	if i < 0 {
		i = len(m.known)
		m.known = append(m.known, knownDomain{name: domain})
	}
	f(&m.known[i])
}

// weaker reports whether logging in to domain with mechanism i would be less than before.
func (m *Memory) weaker(domain string, i int) (weaker bool) {
	m.with(domain, func(k *knownDomain) { weaker = len(mechanisms)-i < k.strength })
	return weaker
}

// loggedIn notes that mechanism i has worked.
func (m *Memory) loggedIn(domain string, i int) {
	m.with(domain, func(k *knownDomain) { k.strength = max(k.strength, len(mechanisms)-i) })
}

// hasTLS reports whether domain has offered STARTTLS before.
func (m *Memory) hasTLS(domain string) (has bool) {
	m.with(domain, func(k *knownDomain) { has = k.startTLS })
	return has
}

// sawTLS notes that a TLS handshake after STARTTLS has worked.
func (m *Memory) sawTLS(domain string) {
	m.with(domain, func(k *knownDomain) { k.startTLS = true })
}

// takes returns the mechanism that domain takes with the first header, if it is known to.
func (m *Memory) takes(domain string) (i int, known bool) {
	m.with(domain, func(k *knownDomain) { i, known = len(mechanisms)-k.strength, k.ahead })
	return i, known
}

// writesAhead notes that domain has understood what was written ahead.
func (m *Memory) writesAhead(domain string) {
	m.with(domain, func(k *knownDomain) { k.ahead = true })
}

// forgetAhead: the next login asks again. It reports whether that is news.
func (m *Memory) forgetAhead(domain string) (known bool) {
	m.with(domain, func(k *knownDomain) { known, k.ahead = k.ahead, false })
	return known
}

// stepwise reports whether nothing may be written ahead to domain.
func (m *Memory) stepwise(domain string) (stepwise bool) {
	m.with(domain, func(k *knownDomain) { stepwise = k.stepwise })
	return stepwise
}

// goStepwise notes that nothing may.
func (m *Memory) goStepwise(domain string) {
	m.with(domain, func(k *knownDomain) { k.stepwise = true })
}
