package fleet

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// State is how an account is, at the member that holds it.
type State string

// The states of an account.
const (
	// StateUp: it has a session.
	StateUp State = "up"
	// StateDown: it has none now. It is about to log in, it reconnects, or it was given up.
	StateDown State = "down"
	// StateParked: it was refused for good, and is not tried again by this member until its
	// password is another one. A member that gets it later tries once.
	StateParked State = "parked"
)

// AccountStatus is how an account is.
type AccountStatus struct {
	// Username is that of the account.
	Username string
	// Epoch is that of Setup.
	Epoch uint64
	// State is since Since.
	State State
	// Since is when State or Reason changed.
	Since time.Time
	// Reason is why it is not up; nil: it has not been up yet.
	Reason error
}

// book has the status of each account of a member.
type book struct {
	onChange func(AccountStatus)

	mu sync.Mutex
	// of is by user id in lower case. A runner that has been followed by another one is not in it.
	of map[string]*runner
}

func newBook(onChange func(AccountStatus)) *book {
	return &book{onChange: onChange, of: make(map[string]*runner)}
}

// enter makes r the runner of its account, and returns the one before it that may still be running,
// or nil.
func (b *book) enter(r *runner) *runner {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := strings.ToLower(r.account.Username)
	before := b.of[id]
	b.of[id] = r
	return before
}

// leave removes r, unless another one has followed.
func (b *book) leave(r *runner) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if id := strings.ToLower(r.account.Username); b.of[id] == r {
		delete(b.of, id)
	}
}

// set notes how the account of r is, and tells it. It is called by the goroutine of r.
func (b *book) set(r *runner, state State, reason error) {
	b.mu.Lock()
	r.status.State, r.status.Since, r.status.Reason = state, time.Now(), reason
	status := r.status
	b.mu.Unlock()
	if b.onChange != nil {
		b.onChange(status)
	}
}

// state is how the account of r is.
func (b *book) state(r *runner) State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return r.status.State
}

// list lists all, sorted by name.
func (b *book) list() []AccountStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]AccountStatus, 0, len(b.of))
	for _, id := range slices.Sorted(maps.Keys(b.of)) {
		all = append(all, b.of[id].status)
	}
	return all
}
