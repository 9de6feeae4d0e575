package sdktest

import (
	"encoding/binary"
	"errors"
	"slices"
)

// series is what only grows, as far as it is remembered. Its items are numbered.
type series[T any] struct {
	list  []T
	first uint64 // number of list[0]
}

// add appends an item; the oldest goes when they are too many. st.mu is held.
func (s *series[T]) add(st *store, bucket string, v T) {
	if len(s.list) >= maxEntries {
		st.forget(bucket, number(s.first))
		s.list = slices.Delete(s.list, 0, 1)
		s.first++
	}
	st.keep(bucket, number(s.first+uint64(len(s.list))), v)
	s.list = append(s.list, v)
}

// load takes the items in their order.
func (s *series[T]) load(key string, v *T) error {
	if len(key) != 8 {
		return errors.New("not a number")
	}
	n := binary.BigEndian.Uint64([]byte(key))
	if len(s.list) == 0 {
		s.first = n
	}
	if n != s.first+uint64(len(s.list)) {
		return errors.New("the one before it is missing")
	}
	s.list = append(s.list, *v)
	return nil
}

// number is n as a key; the order of keys is that of the numbers.
func number(n uint64) string { return string(binary.BigEndian.AppendUint64(nil, n)) }
