package xmltext

import (
	"iter"
	"strings"
	"unicode/utf8"
)

// nsXML is the namespace that the prefix xml stands for.
const nsXML = "http://www.w3.org/XML/1998/namespace"

// Element is an element that was received: a view of a text that [Check] has found to be
// well-formed. What is inside it is read only when a method needs it. The zero Element has no name
// and nothing inside.
//
// encoding/xml reads the same from the same text (FuzzElement compares the two). It is not used
// here because it costs most of what a request costs (docs/performance.md).
type Element struct {
	// Space is the namespace, Local the name without its prefix.
	Space, Local string

	// The start tag after the name, and the text between the tags.
	tag, inner string
	// The namespaces that its children inherit.
	scope scope
}

// scope is the namespaces that are in scope at an element: of names without a prefix, and of
// prefixes.
type scope struct {
	unprefixed string
	innermost  *prefix
}

// prefix is the declaration of one, with those around it.
type prefix struct {
	name, uri string
	outer     *prefix
}

// Parse checks a text and returns a view of its element. Names without a prefix are in namespace
// unless the text itself declares another.
func Parse(text, namespace string) (Element, error) {
	if err := Check(text); err != nil {
		return Element{}, err
	}
	return newElement(strings.TrimSpace(text), scope{unprefixed: namespace}), nil
}

// declare adds what a start tag declares.
func (s scope) declare(tag string) scope {
	for name, value := range attributes(tag) {
		if name == "xmlns" {
			s.unprefixed = unescape(value)
		} else if name, ok := strings.CutPrefix(name, "xmlns:"); ok && name != "" {
			s.innermost = &prefix{name, unescape(value), s.innermost}
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
	for p := s.innermost; p != nil; p = p.outer {
		if p.name == before {
			return p.uri, after
		}
	}
	return before, after
}

// newElement returns the element that a checked text consists of.
func newElement(text string, outer scope) Element {
	name := nameEnd(text, 1)
	end, empty := tagEnd(text, name)
	e := Element{tag: text[name:end]}
	if !empty {
		e.inner = text[end:strings.LastIndexByte(text, '<')]
	}
	e.scope = outer.declare(e.tag)
	e.Space, e.Local = e.scope.resolve(text[1:name])
	return e
}

// Is reports whether the element has this name.
func (e Element) Is(space, local string) bool { return e.Local == local && e.Space == space }

// Attributes returns the attributes in their order. A name keeps its prefix.
func (e Element) Attributes() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for name, value := range attributes(e.tag) {
			if !yield(name, unescape(value)) {
				return
			}
		}
	}
}

// Attr returns the attribute of that name, without a prefix, or "".
func (e Element) Attr(name string) string {
	for n, value := range attributes(e.tag) {
		if n == name {
			return unescape(value)
		}
	}
	return ""
}

// Children returns the elements directly inside, in their order.
func (e Element) Children() iter.Seq[Element] {
	return func(yield func(Element) bool) {
		for i := 0; ; {
			start, end := nextChild(e.inner, i)
			if start < 0 || !yield(newElement(e.inner[start:end], e.scope)) {
				return
			}
			i = end
		}
	}
}

// Child returns the first element directly inside that has this name. An empty space matches every
// namespace.
func (e Element) Child(space, local string) (_ Element, ok bool) {
	for c := range e.Children() {
		if c.Local == local && (space == "" || c.Space == space) {
			return c, true
		}
	}
	return Element{}, false
}

// Text returns the character data directly inside.
func (e Element) Text() string {
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

// nextChild finds the next element in s, which has been checked, from i on. start is negative when
// there is none.
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

// tagEnd returns where the start tag ends that s[i] is in, and whether it is an empty-element tag.
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
	isLetter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= utf8.RuneSelf
	return isLetter || c >= '0' && c <= '9' || c == ':' || c == '_' || c == '-' || c == '.'
}

// attributes returns the names, with their prefixes, and the values, still escaped, of a start tag
// that has been checked. tag begins after the name of the element.
func attributes(tag string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for i := 0; ; {
			i = skipSpace(tag, i)
			end := nameEnd(tag, i)
			if i == end {
				// The end of the tag.
				return
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
