package xmpp

import (
	"errors"
	"slices"
	"sync"
)

// errDowngrade refuses a server that offers less than it did before: that is what somebody in the
// middle would do.
var errDowngrade = errors.New("server offers a weaker login than before")

// Memory is what one account's sessions have learned about the servers of a domain, so that a later
// session is never taken in by less, and does not ask what is known. The zero value is ready, nil
// remembers nothing; it is safe for concurrent use. It lasts as long as the program: whoever really
// weakens a server restarts its clients.
type Memory struct {
	mu    sync.Mutex
	known []knownDomain
}

type knownDomain struct {
	name string
	// strength is that of the best mechanism that a login was made with: its index in mechanisms,
	// counted from the end. 0: none.
	strength int
	// startTLS: it has offered STARTTLS.
	startTLS bool

	// announces is how it says that it takes what is written ahead. disappointed: it did not when
	// it was expected to. pipelined: it has taken such, with the mechanism of strength. stepByStep:
	// it says so, and does not.
	announces    announcement
	disappointed bool
	pipelined    bool
	stepByStep   bool
}

// with calls f with what is known about a domain, for f to read or change.
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

// pipelines returns how domain announces that it takes what is written ahead, if it is known to.
func (m *Memory) pipelines(domain string) (how announcement) {
	m.with(domain, func(k *knownDomain) { how = k.announces })
	return how
}

// disappointed reports whether domain did not announce it when it was expected to.
func (m *Memory) disappointed(domain string) (has bool) {
	m.with(domain, func(k *knownDomain) { has = k.disappointed })
	return has
}

// strongest returns the index in mechanisms of the best that a login to domain was made with.
func (m *Memory) strongest(domain string) (i int) {
	m.with(domain, func(k *knownDomain) { i = len(mechanisms) - k.strength })
	return i
}

// learnPipelining notes how domain announces that it takes what is written ahead, and whether it
// has.
func (m *Memory) learnPipelining(domain string, how announcement, has bool) {
	m.with(domain, func(k *knownDomain) { k.announces, k.pipelined = how, k.pipelined || has })
}

// forgetPipelining has the next login write nothing ahead until the server announces it again. It
// reports whether domain has ever taken what was written ahead.
func (m *Memory) forgetPipelining(domain string) (had bool) {
	m.with(domain, func(k *knownDomain) {
		had = k.pipelined
		k.announces, k.pipelined, k.disappointed = notAnnounced, false, true
	})
	return had
}

// refusesPipelining reports whether nothing may be written ahead to domain.
func (m *Memory) refusesPipelining(domain string) (refuses bool) {
	m.with(domain, func(k *knownDomain) { refuses = k.stepByStep })
	return refuses
}

// refusePipelining notes that nothing may.
func (m *Memory) refusePipelining(domain string) {
	m.with(domain, func(k *knownDomain) { k.stepByStep = true })
}
