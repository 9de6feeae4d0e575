// Package plain makes the texts of others safe to print in one line of a log, an error or a
// terminal: they cannot begin another line, move the cursor, change colours or turn the direction
// of the text behind them.
package plain

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns s with an escape sequence of Go, such as \n, \x1b or \u202e, for everything that
// cannot be printed in one line. It keeps letters, marks, numbers, punctuation, symbols and the
// ASCII space, and escapes bytes that are not UTF-8.
func Text(s string) string {
	if utf8.ValidString(s) && !strings.ContainsFunc(s, unfit) {
		return s
	}
	var b strings.Builder
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		if char := s[:size]; unfit(r) || r == utf8.RuneError && size == 1 {
			quoted := strconv.Quote(char)
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteString(char)
		}
		s = s[size:]
	}
	return b.String()
}

func unfit(r rune) bool { return !unicode.IsPrint(r) }

// Clip is Text of the first most bytes of s, or fewer where that would cut a character. "..." shows
// that there was more.
func Clip(s string, most int) string {
	if len(s) <= most {
		return Text(s)
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return Text(s[:most]) + "..."
}

// Error returns err, or an error that wraps it and reads as Text when err does not.
// nil stays nil.
func Error(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if fit := Text(text); fit != text {
		return &plainError{text: fit, err: err}
	}
	return err
}

type plainError struct {
	text string
	err  error
}

func (e *plainError) Error() string { return e.text }
func (e *plainError) Unwrap() error { return e.err }
