package fleet

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// goneStore loses the answer to the first heartbeat. Until its member asks again, others have
// marked the member as gone.
type goneStore struct {
	Store
	mu   sync.Mutex
	lost string // the key
}

func (s *goneStore) key() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

func (s *goneStore) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	revision, err := s.Store.Create(ctx, key, value)
	if !strings.HasPrefix(key, prefixMember) || s.key() != "" {
		return revision, err
	}
	s.mu.Lock()
	s.lost = key
	s.mu.Unlock()
	if _, err := s.Update(ctx, key, marshal(memberRecord{Gone: true}), revision); err != nil {
		return 0, err
	}
	return 0, errAway
}

// Gone is for ever: what it held may be on its way to others. So a member that finds itself gone
// when it joins comes as another one.
func TestJoinIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		w := newWorld(t, store)
		gone := &goneStore{}
		a := w.join("a", 10, func(cfg *Config) {
			gone.Store = cfg.Store
			cfg.Store = gone
		})
		settle()
		require.Equal(t, 10, w.total())
		found, err := store.Get(t.Context(), gone.key())
		require.NoError(t, err)
		var record memberRecord
		require.True(t, unmarshal(found.Value, &record))
		require.True(t, record.Gone)
		a.leave(t)
	})
}
