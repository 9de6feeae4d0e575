package sdktest

import (
	"encoding/binary"
	"errors"
	"slices"
)

// series is a list that only grows, of which the newest maxEntries items are kept. Its items are
// numbered.
type series[T any] struct {
	list []T
	// first is the number of list[0].
	first uint64
}

// addLocked appends an item, and drops the oldest one when there are too many. st.mu must be held.
func (s *series[T]) addLocked(st *store, kind string, v T) {
	if len(s.list) >= maxEntries {
		st.forgetLocked(kind, number(s.first))
		s.list = slices.Delete(s.list, 0, 1)
		s.first++
	}
	st.keepLocked(kind, number(s.first+uint64(len(s.list))), v)
	s.list = append(s.list, v)
}

// load takes the items in their order.
func (s *series[T]) load(key string, v *T) error {
	if len(key) != 8 {
		return errors.New("the key is not a number")
	}
	n := numberOf(key)
	if len(s.list) == 0 {
		s.first = n
	}
	if n != s.first+uint64(len(s.list)) {
		return errors.New("the one before it is missing")
	}
	s.list = append(s.list, *v)
	return nil
}

// number is n as a key. Keys are in the order of their numbers.
func number(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }

// numberOf is what number has made a key of.
func numberOf(key string) uint64 { return binary.BigEndian.Uint64([]byte(key)) }
