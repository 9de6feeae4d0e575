package sdktest

import (
	"encoding/json"
	"errors"
	"fmt"
)

// StateStore keeps what a server remembers, for [Options.StateStore]: accounts with their profiles
// and blocks, messages, feedback, reports, deletions, which files were uploaded, and the
// certificates of the server with their keys. All of it is entries, which have a kind and a key.
type StateStore interface {
	// Load calls each for all entries of a kind, in the order of their keys' bytes. It returns the
	// first error of each. Start calls it once for every kind that there is, before any Save.
	Load(kind string, each func(key string, value []byte) error) error
	// Save stores all changes or none of them, and returns when they are safe. There is one call
	// at a time. After an error the server saves the same changes again, with those that were made
	// meanwhile.
	Save(changes []StateChange) error
}

// StateChange is an entry that is new, has changed, or is gone.
type StateChange struct {
	// Kind is a short word, such as "accounts".
	Kind string
	// Key is unique among the entries of a kind. It may contain any byte.
	Key string
	// Value is JSON. nil: the entry is gone.
	Value []byte
}

// stateFormat is what the entry "format" says, by which a server knows its own entries.
const stateFormat = "sdktest 1"

// The kinds of entries.
const (
	kindMeta     = "meta"     // format, iv, ivProfile; a certificate authority and a certificate
	kindAccounts = "accounts" // by user id
	kindMedia    = "media"    // by token
	kindFeedback = "feedback" // by number
	kindReports  = "reports"  // by number
	kindDeleted  = "deleted"  // by number
	kindMessages = "messages" // by both users and number
	kindWaiting  = "waiting"  // by user and number
)

// The keys of what kindMeta may lack. Each is a certificate with its key, as PEM.
const (
	metaAuthority   = "authority"
	metaCertificate = "certificate"
)

// entry is the name of an entry.
type entry struct{ kind, key string }

// keepLocked notes that v is now the value of an entry. commit saves it. st.mu must be held.
func (st *store) keepLocked(kind, key string, v any) {
	st.changes.tell()
	if st.saved == nil {
		return
	}
	raw, err := json.Marshal(v)
	if err != nil { // strings, numbers, times, and what was decoded from JSON cannot fail
		panic(err)
	}
	st.pending[entry{kind, key}] = raw
}

// forgetLocked notes that an entry is gone. commit saves that. st.mu must be held.
func (st *store) forgetLocked(kind, key string) {
	st.changes.tell()
	if st.saved != nil {
		st.pending[entry{kind, key}] = nil
	}
}

// commit saves what has changed, and logs a failure.
func (s *Server) commit() error {
	err := s.store.commit()
	if err != nil {
		s.opts.Logger.Error("changes were not saved", "op", "commit", "err", err)
	}
	return err
}

// commit returns when everything that was changed before the call is saved. It comes before every
// answer that acknowledges a change. A caller that waits for the commit of another one usually
// finds that the next commit has saved its change too.
func (st *store) commit() error {
	if st.saved == nil {
		return nil
	}
	// It is held during I/O, for which all wait that come here. No caller holds another lock.
	st.saving.Lock()
	defer st.saving.Unlock()
	st.mu.Lock()
	batch := st.pending
	st.pending = map[entry][]byte{}
	st.mu.Unlock()
	if len(batch) == 0 {
		return nil
	}
	changes := make([]StateChange, 0, len(batch))
	for at, raw := range batch {
		changes = append(changes, StateChange{Kind: at.kind, Key: at.key, Value: raw})
	}
	err := st.saved.Save(changes)
	if err == nil {
		return nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	for at, raw := range batch { // for the next commit
		if _, newer := st.pending[at]; !newer {
			st.pending[at] = raw
		}
	}
	return fmt.Errorf("save: %w", err)
}

// load reads all entries, or writes the first ones when there are none. It runs before anything
// else uses the store.
func (st *store) load() error {
	meta := map[string]string{}
	entries := 0
	for _, kind := range []func() (int, error){
		func() (int, error) {
			return loadKind(st.saved, kindMeta, func(key string, v *string) error { return st.loadMeta(meta, key, *v) })
		},
		func() (int, error) { return loadKind(st.saved, kindAccounts, st.loadAccount) },
		func() (int, error) { return loadKind(st.saved, kindMedia, st.loadMedium) },
		func() (int, error) { return loadKind(st.saved, kindFeedback, st.state.Feedback.load) },
		func() (int, error) { return loadKind(st.saved, kindReports, st.state.Reports.load) },
		func() (int, error) { return loadKind(st.saved, kindDeleted, st.state.Deleted.load) },
		func() (int, error) { return loadKind(st.saved, kindMessages, st.loadMessage) },
		func() (int, error) { return loadKind(st.saved, kindWaiting, st.loadWaiting) },
	} {
		n, err := kind()
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		entries += n
	}
	if entries == 0 {
		st.keepLocked(kindMeta, "format", stateFormat)
		st.keepLocked(kindMeta, "iv", st.state.IV)
		st.keepLocked(kindMeta, "ivProfile", st.state.IVProfile)
		return st.commit()
	}
	if st.state.IV, st.state.IVProfile = meta["iv"], meta["ivProfile"]; meta["format"] == "" ||
		st.state.IV == "" || st.state.IVProfile == "" {
		return errors.New("load: there is no format, iv or ivProfile")
	}
	return nil
}

func (st *store) loadMeta(meta map[string]string, key, v string) (err error) {
	switch {
	case v == "":
		return errors.New("it is empty")
	case key == "format" && v != stateFormat:
		return fmt.Errorf("it is %q and not %q", v, stateFormat)
	case key == metaAuthority || key == metaCertificate:
		st.kept[key], err = readPair(v)
		return err
	}
	meta[key] = v
	return nil
}

func (st *store) loadAccount(id string, a *account) error {
	st.state.Accounts[id] = a
	return nil
}

func (st *store) loadMedium(token string, m *medium) error {
	if !fileName.MatchString(m.File) { // it must not lead out of the media directory
		return errors.New("the file's name is not one of this server")
	}
	st.state.Media[token] = *m
	return nil
}

// loadKind reads the entries of a kind and returns how many there are.
func loadKind[T any](from StateStore, kind string, f func(key string, v *T) error) (n int, err error) {
	err = from.Load(kind, func(key string, value []byte) error {
		n++
		var v *T
		err := json.Unmarshal(value, &v)
		if err == nil && v == nil {
			err = errors.New("it is empty")
		}
		if err == nil {
			err = f(key, v)
		}
		if err != nil {
			return fmt.Errorf("%s %q: %w", kind, key, err)
		}
		return nil
	})
	return n, err
}
