package sdktest

import (
	"context"
	"errors"
	"fmt"
)

// maxContacts is how many contacts a user may have.
const maxContacts = 10_000

// MakeContacts makes two users (ids or JIDs) each other's contacts, as if they had exchanged a
// message: with Options.ContactsByMessage each gets the other's presence and profile from then on.
// It registers a user who is not registered.
func (s *Server) MakeContacts(ctx context.Context, user, other string) error {
	if err := s.makeContacts(ctx, localpart(user), localpart(other)); err != nil {
		return fmt.Errorf("sdktest: make contacts: %w", err)
	}
	return nil
}

func (s *Server) makeContacts(ctx context.Context, user, other string) error {
	for _, id := range []string{user, other} {
		if err := s.Phone(id).ensure(ctx); err != nil {
			return err
		}
	}
	if user == other {
		return errors.New("these are not two users")
	}
	s.hub.mu.Lock()
	s.hub.acquaintLocked(user, other)
	s.hub.mu.Unlock()
	return s.store.commit()
}

// acquaintLocked notes that two users have exchanged a message. h.mu must be held.
func (h *hub) acquaintLocked(a, b string) {
	if h.store.acquaint(a, b) && h.srv.opts.ContactsByMessage && h.related(a, b) {
		h.introduceLocked(a, b)
	}
}

// introduceLocked sends two users each other's presence, which they may see from now on. h.mu must
// be held.
func (h *hub) introduceLocked(a, b string) {
	for _, st := range h.onlineLocked(a) {
		h.presentLocked(st, st.available, b)
		h.showToLocked(b, st)
	}
}

// contacts reports whether two users are contacts, whoever has blocked whom.
func (h *hub) contacts(a, b string) bool {
	switch {
	case a == b || h.srv.opts.NoContacts:
		return false
	case h.srv.opts.ContactsByMessage:
		return h.store.acquainted(a, b)
	}
	return true
}

// acquaint makes two users contacts, and reports whether they were not contacts yet.
func (st *store) acquaint(a, b string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	mine, yours := st.state.Accounts[a], st.state.Accounts[b]
	if a == b || mine == nil || yours == nil || mine.Contacts[b] ||
		len(mine.Contacts) >= maxContacts || len(yours.Contacts) >= maxContacts {
		return false
	}
	mine.addContact(b)
	yours.addContact(a)
	st.keepLocked(kindAccounts, a, mine)
	st.keepLocked(kindAccounts, b, yours)
	return true
}

func (a *account) addContact(id string) {
	if a.Contacts == nil {
		a.Contacts = map[string]bool{}
	}
	a.Contacts[id] = true
}

func (st *store) acquainted(a, b string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	mine := st.state.Accounts[a]
	return mine != nil && mine.Contacts[b]
}
