package fleet

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// unsureStore is a store of which one does not always learn what became of a write.
type unsureStore struct {
	*memory
	mu     sync.Mutex
	random *rand.Rand
	on     bool
}

var errUnsure = errors.New("nobody knows what became of it")

func (u *unsureStore) set(on bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.on = on
}

// lot says what becomes of a write: it may be done or not, late or not, and be told or not.
func (u *unsureStore) lot() (done, told bool, late time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.on {
		return true, true, 0
	}
	return u.random.IntN(4) > 0, u.random.IntN(3) > 0, time.Duration(u.random.IntN(3000)) * time.Millisecond
}

func (u *unsureStore) write(ctx context.Context, write func() (uint64, error)) (uint64, error) {
	done, told, late := u.lot()
	select {
	case <-time.After(late):
	case <-ctx.Done():
		// It comes to the store although nobody waits for it any more.
		if done {
			time.AfterFunc(late/2, func() { _, _ = write() })
		}
		return 0, ctx.Err()
	}
	if !done {
		return 0, errUnsure
	}
	revision, err := write()
	if !told {
		return 0, errUnsure
	}
	return revision, err
}

func (u *unsureStore) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	return u.write(ctx, func() (uint64, error) { return u.memory.Create(ctx, key, value) })
}

func (u *unsureStore) Update(ctx context.Context, key string, value []byte, last uint64) (uint64, error) {
	return u.write(ctx, func() (uint64, error) { return u.memory.Update(ctx, key, value, last) })
}

var seeds = flag.Uint64("seeds", 4, "how many series of faults")

// Whatever happens, nobody writes for an account after a member with a higher epoch has, and when
// it is over, everything is up.
func TestFaultsAtRandom(t *testing.T) {
	for seed := range uint64(*seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testFaults(t, rand.New(rand.NewPCG(seed, 24))) })
		})
	}
}

func testFaults(t *testing.T, random *rand.Rand) {
	const accounts, steps = 40, 60
	store := &unsureStore{memory: newMemory(), random: random}
	w := newWorld(t, store)
	var members []*testMember
	join := func(name string) {
		members = append(members, w.join(name, accounts, nil))
	}
	for i := range 3 {
		join(fmt.Sprint("first", i))
	}
	random2 := rand.New(rand.NewPCG(random.Uint64(), 1)) // the store's is under its lock
	for i := range steps {
		one := random2.IntN(len(members))
		switch random2.IntN(7) {
		case 0:
			members[one].link.set(true)
		case 1, 2:
			members[one].link.set(false)
		case 3:
			store.set(random2.IntN(2) == 0)
		case 4:
			store.setAway(random2.IntN(4) == 0)
		case 5:
			if len(members) > 2 && !members[one].isKilled() {
				members[one].cancel()
			}
		case 6:
			if len(members) < 7 {
				join(fmt.Sprint("member", i))
			}
		}
		time.Sleep(time.Duration(random2.IntN(5000)) * time.Millisecond)
	}
	store.set(false)
	store.setAway(false)
	for _, m := range members {
		m.link.set(false)
	}
	join("last")
	settle()
	settle()
	require.Equal(t, accounts, w.total())
	for _, m := range members {
		m.leave(t)
	}
	require.Zero(t, w.total())
}
