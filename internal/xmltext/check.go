package xmltext

import (
	"strings"
	"unicode/utf8"
)

// MaxDepth is how many elements may be inside each other, the outermost of the text included.
const MaxDepth = 64

// Check makes sure that a text is UTF-8 and one single well-formed element, of bounded depth and
// without anything that XMPP forbids (RFC 6120 11.1: comments, processing instructions, DTDs). What
// reads the element afterwards looks for no mistakes.
func Check(text string) error {
	if err := checkCharacters(text); err != nil {
		return err
	}
	// The names of the elements that are open.
	var open [MaxDepth]string
	depth, roots := 0, 0
	for i := 0; i < len(text); {
		rest := text[i:]
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
				return errCutShort
			}
			i += n + len(cdataEnd)
		default:
			name, n, empty, err := checkStartTag(rest)
			switch {
			case err != nil:
				return err
			case depth == MaxDepth:
				return Malformed("more than %d elements deep", MaxDepth)
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
		return errCutShort
	case roots != 1:
		return Malformed("%d elements in one frame", roots)
	}
	return nil
}

func checkCharacters(text string) error {
	if !utf8.ValidString(text) {
		return Malformed("not UTF-8")
	}
	for i := range len(text) {
		c := text[i]
		if c >= ' ' && c < 0xEF {
			continue // nearly all are such
		}
		isControl := c < ' ' && !isSpace(c)
		isNoCharacter := c == 0xEF && (strings.HasPrefix(text[i:], "\uFFFE") || strings.HasPrefix(text[i:], "\uFFFF"))
		if isControl || isNoCharacter {
			return Malformed("character that XML does not have")
		}
	}
	return nil
}

// checkText checks what is between two tags.
func checkText(text string, depth int) error {
	if depth == 0 {
		if skipSpace(text, 0) != len(text) {
			return Malformed("text between stanzas")
		}
		return nil
	}
	if strings.Contains(text, cdataEnd) {
		return Malformed("end of a CDATA section that has not begun")
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
			return Malformed("unknown entity")
		}
		s = rest
	}
}

// checkStartTag checks the start tag that s begins with. It has n bytes; empty: it is an
// empty-element tag.
func checkStartTag(s string) (name string, n int, empty bool, err error) {
	i := nameEnd(s, 1)
	name = s[1:i]
	if !isName(name) {
		return "", 0, false, Malformed("neither a start tag nor an end tag")
	}
	for {
		if i = skipSpace(s, i); i == len(s) {
			return "", 0, false, errCutShort
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

// checkAttribute checks the attribute that begins at s[i], and returns where it ends.
func checkAttribute(s string, i int) (end int, err error) {
	begin := i
	i = nameEnd(s, i)
	if !isName(s[begin:i]) {
		return 0, Malformed("bad attribute name")
	}
	if i = skipSpace(s, i); i == len(s) || s[i] != '=' {
		return 0, Malformed("attribute without a value")
	}
	if i = skipSpace(s, i+1); i == len(s) || s[i] != '"' && s[i] != '\'' {
		return 0, Malformed("attribute without quotes")
	}
	n := strings.IndexByte(s[i+1:], s[i])
	if n < 0 {
		return 0, errCutShort
	}
	value := s[i+1 : i+1+n]
	if strings.IndexByte(value, '<') >= 0 {
		return 0, errTagInTag
	}
	return i + n + 2, checkReferences(value)
}

// isName reports whether the bytes that nameEnd has found are a name: at most one prefix, and a
// first character that may be the first. All letters beyond ASCII are accepted.
func isName(name string) bool {
	if name == "" || strings.Count(name, ":") > 1 {
		return false
	}
	c := name[0]
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= utf8.RuneSelf || c == '_' || c == ':'
}

// skipSpace returns where the white space ends that begins at s[i].
func skipSpace(s string, i int) int {
	for i < len(s) && isSpace(s[i]) {
		i++
	}
	return i
}
