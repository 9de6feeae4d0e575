package fleet

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
)

// memory is a Store. Package fleettest has the one for programs, which imports this package.
type memory struct {
	mu       sync.Mutex
	isAway   bool
	revision uint64
	records  map[string]Entry
	changed  chan struct{}
	writes   int
	age      int // how often it was made anew
}

func newMemory() *memory {
	return &memory{records: make(map[string]Entry), changed: make(chan struct{})}
}

func (m *memory) changeLocked() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *memory) setAway(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.isAway = away
	m.changeLocked()
}

func (m *memory) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revision, m.records = 0, make(map[string]Entry)
	m.age++
	m.changeLocked()
}

// snapshot returns what puts the records back as they are now.
func (m *memory) snapshot() (restore func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	revision, records := m.revision, maps.Clone(m.records)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.revision, m.records = revision, maps.Clone(records)
		m.age++
		m.changeLocked()
	}
}

// shards are the records of shards.
func (m *memory) shards() map[string]Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := maps.Clone(m.records)
	maps.DeleteFunc(found, func(key string, _ Entry) bool { return !strings.HasPrefix(key, prefixShard) })
	return found
}

func (m *memory) written() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.writes
}

var errAway = errors.New("the store is away")

func (m *memory) Get(_ context.Context, key string) (Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.records[key]
	switch {
	case m.isAway:
		return e, errAway
	case len(e.Value) == 0:
		return e, ErrNotFound
	}
	return e, nil
}

func (m *memory) Create(_ context.Context, key string, value []byte) (uint64, error) {
	return m.write(key, value, func(known Entry) bool { return len(known.Value) == 0 })
}

func (m *memory) Update(_ context.Context, key string, value []byte, last uint64) (uint64, error) {
	return m.write(key, value, func(known Entry) bool { return known.Revision == last })
}

func (m *memory) Delete(_ context.Context, key string, last uint64) error {
	_, err := m.write(key, nil, func(known Entry) bool { return known.Revision == last })
	return err
}

func (m *memory) write(key string, value []byte, may func(Entry) bool) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.isAway {
		return 0, errAway
	}
	if !may(m.records[key]) {
		return 0, ErrConflict
	}
	m.revision++
	m.writes++
	m.records[key] = Entry{key, value, m.revision}
	m.changeLocked()
	return m.revision, nil
}

func (m *memory) Watch(ctx context.Context) (<-chan Entry, error) {
	out := make(chan Entry)
	m.mu.Lock()
	age := m.age
	m.mu.Unlock()
	go func() { // ends with ctx
		defer close(out)
		var told uint64
		for first := true; ; first = false {
			m.mu.Lock()
			changed, away, news := m.changed, m.isAway, m.sinceLocked(told)
			ended := m.age != age
			m.mu.Unlock()
			if ended {
				return
			}
			if first {
				news = append(news, Entry{})
			}
			if away && !first {
				news = nil
			}
			for _, e := range news {
				select {
				case out <- e:
					told = max(told, e.Revision)
				case <-ctx.Done():
					return
				}
			}
			if len(news) > 0 {
				continue
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

func (m *memory) sinceLocked(revision uint64) []Entry {
	news := slices.Collect(maps.Values(m.records))
	news = slices.DeleteFunc(news, func(e Entry) bool { return e.Revision <= revision })
	slices.SortFunc(news, func(a, b Entry) int { return cmp.Compare(a.Revision, b.Revision) })
	return news
}
