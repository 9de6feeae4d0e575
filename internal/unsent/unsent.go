// Package unsent marks errors of requests of which the other side has seen nothing, and never will:
// such a request can be made again without doing anything twice.
package unsent

import "errors"

type marked struct{ error }

func (m marked) Unwrap() error { return m.error }

// Mark marks err, which otherwise stays what it is. A nil error stays nil.
func Mark(err error) error {
	if err == nil {
		return nil
	}
	return marked{err}
}

// Marked reports whether err itself is marked.
func Marked(err error) bool {
	_, ok := err.(marked)
	return ok
}

// Is reports whether err, or what it wraps, is marked.
func Is(err error) bool {
	var m marked
	return errors.As(err, &m)
}
