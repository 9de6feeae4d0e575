package httpguard

import (
	"errors"
	"net/url"
	"strings"

	"github.com/mirrorfly-go/sdk/internal/plain"
)

// MaxText is how many bytes of a server's text an error repeats.
const MaxText = 1 << 10

// Cause returns what net/http or net/url wrap with a URL, and any other error as it is. The text of
// the wrapper has the URL with its query, in which there may be a licence or the id of a session.
func Cause(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		return u.Err
	}
	return err
}

// WithoutURL is [Cause] as one printable line: what is in the cause may come from anybody on the
// way, such as the names in a certificate. nil stays nil.
func WithoutURL(err error) error { return plain.Error(Cause(err)) }

// WithoutQueries returns err with a text of one printable line of at most [MaxText] bytes, in which
// "?..." stands for each query of a URL. When that changes the text, what err wraps can be matched
// by errors.Is, and cannot be unwrapped, as its own text shows the query.
func WithoutQueries(err error) error {
	text := err.Error()
	if clean := plain.Clip(withoutQueries(text), MaxText); clean != text {
		return Opaque(clean, err)
	}
	return err
}

// Opaque returns an error with this text that errors.Is matches as it matches err.
func Opaque(text string, err error) error { return &opaqueError{text: text, err: err} }

type opaqueError struct {
	text string
	err  error
}

func (e *opaqueError) Error() string        { return e.text }
func (e *opaqueError) Is(target error) bool { return errors.Is(e.err, target) }

func withoutQueries(text string) string {
	var out strings.Builder
	for {
		before, query, found := strings.Cut(text, "?")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		out.WriteString("?...")
		text = strings.TrimLeftFunc(query, inQuery)
	}
}

func inQuery(r rune) bool { return !strings.ContainsRune(" \t\r\n\f\"'", r) }
