package xmpp

import (
	"strings"
	"unicode/utf8"
)

// check makes sure that a frame is UTF-8 and one single well-formed element, of
// bounded depth and without anything that XMPP forbids (RFC 6120 11.1: comments,
// processing instructions, DTDs). Nothing else looks for mistakes afterwards.
func check(frame string) error {
	if err := checkCharacters(frame); err != nil {
		return err
	}
	var open [maxDepth]string // the names of the elements that we are in
	depth, roots := 0, 0
	for i := 0; i < len(frame); {
		rest := frame[i:]
		switch {
		case rest[0] != '<':
			n := strings.IndexByte(rest, '<')
			if n < 0 {
				n = len(rest)
			}
			if err := checkText(rest[:n], depth); err != nil {
				return err
			}
			i += n
		case strings.HasPrefix(rest, "</"):
			n := nameEnd(rest, 2)
			end := skipSpace(rest, n)
			if depth == 0 || rest[2:n] != open[depth-1] || end == len(rest) || rest[end] != '>' {
				return errWrongEnd
			}
			depth--
			i += end + 1
		case depth > 0 && strings.HasPrefix(rest, cdata):
			n := strings.Index(rest, cdataEnd)
			if n < 0 {
				return malformed("stanza cut short")
			}
			i += n + len(cdataEnd)
		default:
			name, n, empty, err := checkStartTag(rest)
			switch {
			case err != nil:
				return err
			case depth == maxDepth:
				return malformed("more than %d elements deep", maxDepth)
			case depth == 0:
				roots++
			}
			if !empty {
				open[depth] = name
				depth++
			}
			i += n
		}
	}
	switch {
	case depth != 0:
		return malformed("stanza cut short")
	case roots != 1:
		return malformed("%d elements in one frame", roots)
	}
	return nil
}

func checkCharacters(frame string) error {
	if !utf8.ValidString(frame) {
		return malformed("not UTF-8")
	}
	for i := range len(frame) {
		c := frame[i]
		if c < ' ' && !isSpace(c) || c == 0xEF && (strings.HasPrefix(frame[i:], "\uFFFE") || strings.HasPrefix(frame[i:], "\uFFFF")) {
			return malformed("character that XML does not have")
		}
	}
	return nil
}

// checkText takes what is between two tags.
func checkText(text string, depth int) error {
	if depth == 0 {
		if skipSpace(text, 0) != len(text) {
			return malformed("text between stanzas")
		}
		return nil
	}
	if strings.Contains(text, cdataEnd) {
		return malformed("end of a CDATA section that has not begun")
	}
	return checkReferences(text)
}

func checkReferences(s string) error {
	for {
		_, after, some := strings.Cut(s, "&")
		if !some {
			return nil
		}
		name, rest, ends := strings.Cut(after, ";")
		if _, ok := reference(name); !ok || !ends {
			return malformed("unknown entity")
		}
		s = rest
	}
}

// checkStartTag takes the start tag, of n bytes, that s begins with.
func checkStartTag(s string) (name string, n int, empty bool, err error) {
	i := nameEnd(s, 1)
	name = s[1:i]
	if !isName(name) {
		return "", 0, false, malformed("neither a start tag nor an end tag")
	}
	for {
		if i = skipSpace(s, i); i == len(s) {
			return "", 0, false, malformed("stanza cut short")
		}
		switch {
		case s[i] == '>':
			return name, i + 1, false, nil
		case strings.HasPrefix(s[i:], "/>"):
			return name, i + 2, true, nil
		}
		if i, err = checkAttribute(s, i); err != nil {
			return "", 0, false, err
		}
	}
}

// checkAttribute takes the attribute that begins at s[i], and returns where it ends.
func checkAttribute(s string, i int) (end int, err error) {
	begin := i
	i = nameEnd(s, i)
	if !isName(s[begin:i]) {
		return 0, malformed("bad attribute name")
	}
	if i = skipSpace(s, i); i == len(s) || s[i] != '=' {
		return 0, malformed("attribute without a value")
	}
	if i = skipSpace(s, i+1); i == len(s) || s[i] != '"' && s[i] != '\'' {
		return 0, malformed("attribute without quotes")
	}
	n := strings.IndexByte(s[i+1:], s[i])
	if n < 0 {
		return 0, malformed("stanza cut short")
	}
	value := s[i+1 : i+1+n]
	if strings.IndexByte(value, '<') >= 0 {
		return 0, errTagInTag
	}
	return i + n + 2, checkReferences(value)
}

// isName reports whether what nameEnd has found may be a name: at most one prefix, and nothing before it that only a later character may be.
// Of letters beyond ASCII all are taken.
func isName(name string) bool {
	if name == "" || strings.Count(name, ":") > 1 {
		return false
	}
	c := name[0]
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= utf8.RuneSelf || c == '_' || c == ':'
}

func skipSpace(s string, i int) int {
	for i < len(s) && isSpace(s[i]) {
		i++
	}
	return i
}
