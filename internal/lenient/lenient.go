// Package lenient reads fields of JSON that others have written. A field of the wrong type counts
// as absent, so that one odd value does not spoil the others.
package lenient

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// Text is a string; a number stands for its digits.
type Text string

// UnmarshalJSON never fails.
func (t *Text) UnmarshalJSON(b []byte) error {
	*t = ""
	if b[0] == '"' {
		// This is nearly always so.
		if inner := b[1 : len(b)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
			*t = Text(inner)
			return nil
		}
		return json.Unmarshal(b, (*string)(t))
	}
	if b[0] == '-' || '0' <= b[0] && b[0] <= '9' {
		*t = Text(b)
	}
	return nil
}

// Flag is true for true, 1, "1" and "true", and false for everything else (protocol.md 13).
type Flag bool

// UnmarshalJSON never fails.
func (f *Flag) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `true`, `1`, `"1"`, `"true"`:
		*f = true
	default:
		*f = false
	}
	return nil
}

// Number is a number without its fraction, or the same as a string; everything else is 0.
type Number int64

// UnmarshalJSON never fails.
func (n *Number) UnmarshalJSON(b []byte) error {
	digits := string(bytes.Trim(b, `"`))
	if whole, err := strconv.ParseInt(digits, 10, 64); err == nil {
		*n = Number(whole)
		return nil
	}
	*n = 0
	// A float64 holds every whole number up to here.
	const exact = 1 << 53
	if f, err := strconv.ParseFloat(digits, 64); err == nil && -exact < f && f < exact {
		*n = Number(f)
	}
	return nil
}

// Texts is a list of strings. What is no text in it is left out, and an empty list is nil.
type Texts []string

// UnmarshalJSON never fails.
func (t *Texts) UnmarshalJSON(b []byte) error {
	*t = nil
	if b[0] != '[' || len(b) == len("[]") {
		return nil
	}
	var all []Text
	if err := json.Unmarshal(b, &all); err != nil {
		return nil
	}
	for _, text := range all {
		if text != "" {
			*t = append(*t, string(text))
		}
	}
	return nil
}
