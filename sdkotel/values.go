package sdkotel

import (
	"strings"
	"sync"
)

// other stands for every value that an attribute cannot have, as in the semantic conventions.
const other = "_OTHER"

const (
	maxValues = 64  // of an attribute
	maxLength = 100 // bytes of a value
)

// values bounds an attribute: those values that come first are permitted. Its zero value has had
// none.
type values struct {
	mu    sync.Mutex
	known map[string]bool
}

// of returns v, or other when v is too long, has characters that are not printable ASCII, or there
// are too many different ones.
func (b *values) of(v string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.known[v]:
		return v
	case len(b.known) == maxValues, len(v) > maxLength, v == "", strings.ContainsFunc(v, unprintable):
		return other
	case b.known == nil:
		b.known = make(map[string]bool)
	}
	// v may be a part of something large.
	b.known[strings.Clone(v)] = true
	return v
}

func unprintable(r rune) bool { return r < ' ' || r > '~' }

// oneOf returns v if it is in permitted, otherwise other.
func oneOf[S ~string](v S, permitted ...S) string {
	for _, p := range permitted {
		if v == p {
			return string(v)
		}
	}
	return other
}
