package rest

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// The types here read a field of an answer, and never fail: a field of the wrong type counts as
// absent, so that one odd value does not spoil the others.

// byteOrderMark is the beginning of every text of some servers.
var byteOrderMark = []byte("\uFEFF")

// isEmptyList reports whether data is []. Servers in PHP write that for an object without fields.
func isEmptyList(data []byte) bool {
	inner, isList := bytes.CutPrefix(data, []byte("["))
	return isList && string(bytes.TrimSpace(inner)) == "]"
}

// words is a text that may be absent.
type words struct {
	present bool
	text    text
}

func (w *words) UnmarshalJSON(b []byte) error {
	w.present = b[0] == '"'
	return w.text.UnmarshalJSON(b)
}

// text is a string; a number stands for its digits.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	*t = ""
	if b[0] == '"' {
		// This is nearly always so.
		if inner := b[1 : len(b)-1]; bytes.IndexByte(inner, '\\') < 0 && utf8.Valid(inner) {
			*t = text(inner)
			return nil
		}
		return json.Unmarshal(b, (*string)(t))
	}
	if b[0] == '-' || '0' <= b[0] && b[0] <= '9' {
		*t = text(b)
	}
	return nil
}

// flag is true for true, 1, "1" and "true", and false for everything else (protocol.md 13).
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `true`, `1`, `"1"`, `"true"`:
		*f = true
	default:
		*f = false
	}
	return nil
}

// number is a count, or its digits as a string; everything else is 0.
type number int

func (n *number) UnmarshalJSON(b []byte) error {
	count, err := strconv.Atoi(string(bytes.Trim(b, `"`)))
	if err != nil {
		count = 0
	}
	*n = number(count)
	return nil
}

// status is the code of an envelope: a number, or its digits as a string. A number that is no HTTP
// status counts as 500, so that it is never taken for success.
type status struct {
	present bool
	code    int
}

func (s *status) UnmarshalJSON(b []byte) error {
	*s = status{}
	n, err := strconv.ParseFloat(string(bytes.Trim(b, `"`)), 64)
	if err != nil {
		return nil
	}
	*s = status{present: true, code: 500}
	if n >= 100 && n <= 999 && n == float64(int(n)) {
		s.code = int(n)
	}
	return nil
}

// object decodes into its value when the field holds an object, and otherwise leaves it as it is.
type object[T any] struct{ value T }

func (o *object[T]) UnmarshalJSON(b []byte) error {
	if b[0] != '{' {
		return nil
	}
	return json.Unmarshal(b, &o.value)
}
