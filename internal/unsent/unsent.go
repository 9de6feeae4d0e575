// Package unsent marks errors of requests that the other side has not seen and never will. Such a
// request can be made again without doing anything twice.
package unsent

import "errors"

type marked struct{ error }

func (m marked) Unwrap() error { return m.error }

// Mark returns err with the mark. Its text and what it wraps stay the same. nil stays nil.
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
