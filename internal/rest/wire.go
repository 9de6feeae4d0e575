package rest

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/mirrorfly-go/sdk/internal/lenient"
)

// The types here read a field of an answer, and never fail: a field of the wrong type counts as
// absent, so that one odd value does not spoil the others.

type (
	text   = lenient.Text
	flag   = lenient.Flag
	number = lenient.Number
)

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
