package xmpp

import (
	"iter"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const nsXML = "http://www.w3.org/XML/1998/namespace" // what the prefix xml stands for

// element is a received element: a view of a frame that [check] has found to be
// well-formed. What it has inside is looked at only when it is asked for. The zero
// element has no name and nothing inside.
//
// encoding/xml reads the same from the same frame (FuzzElement holds it against that).
// It is not used here since it costs most of what a request costs (docs/performance.md).
type element struct {
	space, local string // namespace, and name without its prefix
	tag          string // the start tag after the name
	inner        string // between the tags
	scope        scope  // what its children inherit
}

// scope is the namespaces that are declared somewhere.
type scope struct {
	unprefixed string
	prefixes   *prefix // the innermost declaration
}

type prefix struct {
	name, uri string
	outer     *prefix
}

// declare adds what a start tag declares.
func (s scope) declare(tag string) scope {
	for name, value := range attributes(tag) {
		if name == "xmlns" {
			s.unprefixed = unescape(value)
		} else if name, ok := strings.CutPrefix(name, "xmlns:"); ok && name != "" {
			s.prefixes = &prefix{name, unescape(value), s.prefixes}
		}
	}
	return s
}

// resolve splits the name of an element. A prefix that was not declared stands for itself.
func (s scope) resolve(name string) (space, local string) {
	before, after, ok := strings.Cut(name, ":")
	if name == "xmlns" {
		return "", name
	}
	if !ok || before == "" || after == "" {
		return s.unprefixed, name
	}
	switch before {
	case "xmlns":
		return before, after
	case "xml":
		return nsXML, after
	}
	for p := s.prefixes; p != nil; p = p.outer {
		if p.name == before {
			return p.uri, after
		}
	}
	return before, after
}

// newElement is the element whose start tag begins at frame[0]; frame ends with its end tag.
func newElement(frame string, outer scope) element {
	name := nameEnd(frame, 1)
	end, empty := tagEnd(frame, name)
	e := element{tag: frame[name:end]}
	if !empty {
		e.inner = frame[end:strings.LastIndexByte(frame, '<')]
	}
	e.scope = outer.declare(e.tag)
	e.space, e.local = e.scope.resolve(frame[1:name])
	return e
}

func (e element) is(space, local string) bool { return e.local == local && e.space == space }

// attr returns the attribute of that name, without a prefix, or "".
func (e element) attr(name string) string {
	for n, value := range attributes(e.tag) {
		if n == name {
			return unescape(value)
		}
	}
	return ""
}

// children are the elements directly inside, in their order.
func (e element) children() iter.Seq[element] {
	return func(yield func(element) bool) {
		for i := 0; ; {
			start, end := nextChild(e.inner, i)
			if start < 0 || !yield(newElement(e.inner[start:end], e.scope)) {
				return
			}
			i = end
		}
	}
}

// child returns the first element directly inside that has this name; any namespace will do when space is "".
func (e element) child(space, local string) (_ element, ok bool) {
	for c := range e.children() {
		if c.local == local && (space == "" || c.space == space) {
			return c, true
		}
	}
	return element{}, false
}

// text is the character data directly inside.
func (e element) text() string {
	if strings.IndexByte(e.inner, '<') < 0 {
		return unescape(e.inner)
	}
	var text strings.Builder
	for i := 0; i < len(e.inner); {
		switch rest := e.inner[i:]; {
		case strings.HasPrefix(rest, cdata):
			end := strings.Index(rest, cdataEnd)
			text.WriteString(newlines(rest[len(cdata):end]))
			i += end + len(cdataEnd)
		case rest[0] == '<':
			_, i = nextChild(e.inner, i)
		default:
			end := strings.IndexByte(rest, '<')
			if end < 0 {
				end = len(rest)
			}
			text.WriteString(unescape(rest[:end]))
			i += end
		}
	}
	return text.String()
}

const (
	cdata    = "<![CDATA["
	cdataEnd = "]]>"
)

// nextChild finds the next element of s, which has been checked, from i on; start is negative when there is none.
func nextChild(s string, i int) (start, end int) {
	start = -1
	for depth := 0; ; {
		at := strings.IndexByte(s[i:], '<')
		if at < 0 {
			return -1, len(s)
		}
		i += at
		closes, empty := false, false
		switch {
		case strings.HasPrefix(s[i:], cdata):
			i += strings.Index(s[i:], cdataEnd) + len(cdataEnd)
			continue
		case s[i+1] == '/':
			closes = true
			i += strings.IndexByte(s[i:], '>') + 1
		default:
			if depth == 0 {
				start = i
			}
			i, empty = tagEnd(s, i)
		}
		if closes {
			depth--
		} else if !empty {
			depth++
		}
		if depth == 0 {
			return start, i
		}
	}
}

// tagEnd returns where the start tag ends that s[i] is in, and whether it is an empty element's.
func tagEnd(s string, i int) (end int, empty bool) {
	for {
		switch c := s[i]; c {
		case '"', '\'':
			i += strings.IndexByte(s[i+1:], c) + 1
		case '>':
			return i + 1, s[i-1] == '/'
		}
		i++
	}
}

// nameEnd returns where the name ends that begins at s[i].
func nameEnd(s string, i int) int {
	for i < len(s) && isNameByte(s[i]) {
		i++
	}
	return i
}

func isNameByte(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= utf8.RuneSelf || c >= '0' && c <= '9' || c == ':' || c == '_' || c == '-' || c == '.'
}

// attributes are the names, prefixes included, and the values, still escaped, of a start tag that has been checked.
func attributes(tag string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for i := 0; ; {
			i = skipSpace(tag, i)
			end := nameEnd(tag, i)
			if i == end {
				return // the end of the tag
			}
			open := end + strings.IndexAny(tag[end:], `"'`)
			close := open + 1 + strings.IndexByte(tag[open+1:], tag[open])
			if !yield(tag[i:end], tag[open+1:close]) {
				return
			}
			i = close + 1
		}
	}
}

// newlines brings line ends into one form (XML 1.0 2.11).
func newlines(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

// unescape replaces the references in text or in a value that has been checked.
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

// reference is what the name between & and ; stands for: one of the five that XMPP has (RFC 6120 11.2), or a character's number.
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
		return utf8.RuneError, true // half of a character
	}
	return rune(n), isCharacter(rune(n))
}

// isCharacter reports whether XML may contain r at all (XML 1.0 2.2).
func isCharacter(r rune) bool {
	return r >= ' ' && r != 0xFFFE && r != 0xFFFF || r == '\t' || r == '\n' || r == '\r'
}
