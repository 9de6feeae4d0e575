package xmltext

import (
	"strings"
	"unique"
)

// Scope is the namespaces that a stream's start tag declares, and that the elements inside it
// inherit.
type Scope []declaration

// declaration is the declaration of one namespace.
type declaration struct {
	// The name of the attribute: "xmlns" or "xmlns:prefix".
	name string
	// The prefix with its colon, as it stands in a name.
	prefix string
	// The attribute, ready to be inserted into a start tag.
	text string
}

// ScopeOf returns what the start tag of e declares, without the namespace of names without a prefix
// if that is namespace: the reader of the elements knows it anyway. Streams that declare the same
// share the text of it.
func ScopeOf(e Element, namespace string) Scope {
	var s Scope
	for name, value := range e.Attributes() {
		prefix, some := strings.CutPrefix(name, "xmlns:")
		if some && prefix != "" || name == "xmlns" && value != namespace {
			s = append(s, declaration{
				shared(name), shared(prefix + ":"), shared(string(AppendAttribute(nil, name, value))),
			})
		}
	}
	return s
}

// shared is text, held once for all that hold it.
func shared(text string) string { return unique.Make(text).Value() }

// Inherit returns an element that was cut out of the stream, and has not been checked, with the
// namespaces of the scope in its start tag: those that it does not declare itself, and whose prefix
// occurs in it.
func (s Scope) Inherit(element string) string {
	var add strings.Builder
	for _, d := range s {
		if (d.name == "xmlns" || strings.Contains(element, d.prefix)) && !declares(element, d.name) {
			add.WriteString(d.text)
		}
	}
	if add.Len() == 0 {
		return element
	}
	name := nameEnd(element, 1)
	return element[:name] + add.String() + element[name:]
}

// declares reports whether the start tag of an element, which has not been checked, has an
// attribute of that name.
func declares(element, name string) bool {
	at := nameEnd(element, 1)
	for {
		at = skipSpace(element, at)
		end := nameEnd(element, at)
		if element[at:end] == name {
			return true
		}
		var err error
		if at, err = checkAttribute(element, at); err != nil {
			return false
		}
	}
}

// ParseHeader checks the start of a stream, an XML declaration perhaps and a start tag, and returns
// a view of the start tag as if nothing came inside the element.
func ParseHeader(header string) (Element, error) {
	header, err := withoutDeclaration(header)
	if err != nil {
		return Element{}, err
	}
	return Parse(header+"</"+header[1:nameEnd(header, 1)]+">", "")
}

// withoutDeclaration removes the XML declaration. XMPP is XML 1.0 in UTF-8 (RFC 6120 11.6).
func withoutDeclaration(header string) (string, error) {
	after, some := strings.CutPrefix(header, "<?")
	if !some {
		return header, nil
	}
	declaration, rest, ends := strings.Cut(after, "?>")
	rest = strings.TrimSpace(rest)
	// As an element it can be read like any other.
	e, err := Parse("<"+declaration+"/>", "")
	if err != nil || !ends || rest == "" {
		return "", Malformed("bad XML declaration")
	}
	encoding := e.Attr("encoding")
	if e.Local != "xml" || e.Attr("version") != "1.0" || encoding != "" && !strings.EqualFold(encoding, "utf-8") {
		return "", Malformed("bad XML declaration")
	}
	return rest, nil
}
