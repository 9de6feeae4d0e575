package xmltext

import (
	"bytes"
	"encoding/xml"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// AppendAttribute appends an attribute, with a space before it.
func AppendAttribute(b []byte, name, value string) []byte {
	b = append(append(append(b, ' '), name...), `="`...)
	return append(appendEscaped(b, value), '"')
}

// appendEscaped appends text so that it cannot be read as markup. Characters that XML does not have
// become U+FFFD.
func appendEscaped(b []byte, text string) []byte {
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ', c > '~', c == '"', c == '\'', c == '&', c == '<', c == '>':
			buf := bytes.NewBuffer(b)
			// Writing to a buffer does not fail.
			_ = xml.EscapeText(buf, []byte(text))
			return buf.Bytes()
		}
	}
	return append(b, text...)
}

// newlines brings line ends into one form (XML 1.0 2.11).
func newlines(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

// unescape replaces the references in a text or a value that has been checked.
func unescape(s string) string {
	s = newlines(s)
	if strings.IndexByte(s, '&') < 0 {
		return s
	}
	var plain strings.Builder
	plain.Grow(len(s))
	for {
		before, after, some := strings.Cut(s, "&")
		plain.WriteString(before)
		if !some {
			return plain.String()
		}
		name, rest, _ := strings.Cut(after, ";")
		r, _ := reference(name)
		plain.WriteRune(r)
		s = rest
	}
}

// reference returns what the name between & and ; stands for: one of the five entities that XMPP
// has (RFC 6120 11.2), or the number of a character.
func reference(name string) (r rune, ok bool) {
	switch name {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	digits, ok := strings.CutPrefix(name, "#")
	base := 10
	if hex, isHex := strings.CutPrefix(digits, "x"); isHex {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if !ok || err != nil || n > unicode.MaxRune || strings.HasPrefix(digits, "+") {
		return 0, false
	}
	if n >= 0xD800 && n < 0xE000 {
		// Half of a character, as UTF-16 has them.
		return utf8.RuneError, true
	}
	return rune(n), isCharacter(rune(n))
}

// isCharacter reports whether XML may contain r at all (XML 1.0 2.2).
func isCharacter(r rune) bool {
	return r >= ' ' && r != 0xFFFE && r != 0xFFFF || r == '\t' || r == '\n' || r == '\r'
}
