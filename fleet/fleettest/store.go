// Package fleettest has a store in memory, for tests of programs that use package fleet.
package fleettest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/mirrorfly-go/sdk/fleet"
)

// errAway is why a store that is away does not answer.
var errAway = errors.New("fleettest: the store is away")

// Store is a fleet.Store in memory. All members of a test share one.
type Store struct {
	mu       sync.Mutex
	away     bool
	revision uint64
	records  map[string]fleet.Entry
	watchers map[*watcher]bool
	writes   int
}

// NewStore returns one that is empty.
func NewStore() *Store {
	return &Store{records: make(map[string]fleet.Entry), watchers: make(map[*watcher]bool)}
}

// SetAway has every call fail while away is true, and watches tell nothing.
func (s *Store) SetAway(away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
	for w := range s.watchers {
		w.wake()
	}
}

// Reset makes the bucket anew: it is empty, and revisions begin at 1.
func (s *Store) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision, s.records = 0, make(map[string]fleet.Entry)
	for w := range s.watchers {
		w.end()
	}
}

// Writes is how many records were written or deleted.
func (s *Store) Writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes
}

// Records are all records that are not deleted, in the order of their revisions.
func (s *Store) Records() []fleet.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(s.sortedLocked(), func(e fleet.Entry) bool { return len(e.Value) == 0 })
}

func (s *Store) sortedLocked() []fleet.Entry {
	return slices.SortedFunc(maps.Values(s.records), func(a, b fleet.Entry) int {
		return cmp.Compare(a.Revision, b.Revision)
	})
}

// Get is that of fleet.Store.
func (s *Store) Get(ctx context.Context, key string) (fleet.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.readyLocked(ctx); err != nil {
		return fleet.Entry{}, err
	}
	e := s.records[key]
	if len(e.Value) == 0 {
		return fleet.Entry{}, fleet.ErrNotFound
	}
	return e, nil
}

// Create is that of fleet.Store.
func (s *Store) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return s.write(ctx, key, value, func(known fleet.Entry) bool { return len(known.Value) == 0 })
}

// Update is that of fleet.Store.
func (s *Store) Update(ctx context.Context, key string, value []byte, last uint64) (uint64, error) {
	return s.write(ctx, key, value, func(known fleet.Entry) bool { return known.Revision == last })
}

// Delete is that of fleet.Store.
func (s *Store) Delete(ctx context.Context, key string, last uint64) error {
	_, err := s.write(ctx, key, nil, func(known fleet.Entry) bool { return known.Revision == last })
	return err
}

func (s *Store) write(
	ctx context.Context, key string, value []byte, may func(known fleet.Entry) bool,
) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.readyLocked(ctx); err != nil {
		return 0, err
	}
	if !may(s.records[key]) {
		return 0, fleet.ErrConflict
	}
	s.revision++
	s.writes++
	e := fleet.Entry{Key: key, Value: slices.Clone(value), Revision: s.revision}
	s.records[key] = e
	for w := range s.watchers {
		w.add(e)
	}
	return s.revision, nil
}

func (s *Store) readyLocked(ctx context.Context) error {
	if s.away {
		return errAway
	}
	return ctx.Err()
}

// Watch is that of fleet.Store.
func (s *Store) Watch(ctx context.Context) (<-chan fleet.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.readyLocked(ctx); err != nil {
		return nil, err
	}
	w := &watcher{store: s, out: make(chan fleet.Entry), woken: make(chan struct{}, 1)}
	w.waiting = append(s.sortedLocked(), fleet.Entry{})
	s.watchers[w] = true
	go w.run(ctx) // owner: who watches; ends with ctx
	return w.out, nil
}

// watcher is one watch. What waits and ended are under the store's lock.
type watcher struct {
	store   *Store
	out     chan fleet.Entry
	woken   chan struct{}
	waiting []fleet.Entry
	ended   bool
}

func (w *watcher) wake() {
	select {
	case w.woken <- struct{}{}:
	default: // it is awake
	}
}

func (w *watcher) add(e fleet.Entry) {
	w.waiting = append(w.waiting, e)
	w.wake()
}

func (w *watcher) end() {
	w.ended = true
	w.wake()
}

func (w *watcher) run(ctx context.Context) {
	defer close(w.out)
	defer w.leave()
	for {
		e, some, ended := w.next()
		if ended {
			return
		}
		if some {
			select {
			case w.out <- e:
				continue
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-w.woken:
		case <-ctx.Done():
			return
		}
	}
}

func (w *watcher) leave() {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	delete(w.store.watchers, w)
}

func (w *watcher) next() (e fleet.Entry, some, ended bool) {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	if w.ended || w.store.away || len(w.waiting) == 0 {
		return e, false, w.ended
	}
	e, w.waiting = w.waiting[0], w.waiting[1:]
	return e, true, false
}
