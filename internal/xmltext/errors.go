package xmltext

import (
	"errors"
	"fmt"
)

// ErrMalformed is what every error of this package matches: the text is not XML, or not such as
// XMPP permits.
var ErrMalformed = errors.New("malformed stream")

// Malformed returns an error that matches [ErrMalformed] and says what is wrong.
func Malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}

var (
	errTagInTag = Malformed("tag inside a tag")
	errWrongEnd = Malformed("end tag that ends nothing")
	errCutShort = Malformed("stanza cut short")
)
