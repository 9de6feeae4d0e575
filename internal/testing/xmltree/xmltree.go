// Package xmltree reads XML with encoding/xml into trees that can be compared. It is for tests.
package xmltree

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// Node is an element that prints canonically: namespaces resolved, attributes sorted, random ids as
// ID.
type Node struct {
	Name  xml.Name
	Attrs []xml.Attr
	// Inner are what is inside: a Node or a string each.
	Inner []any
}

// UUID matches the ids that clients make.
var UUID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// Attr returns the attribute of that name that has no namespace, or "".
func (n Node) Attr(name string) string {
	for _, a := range n.Attrs {
		if a.Name.Space == "" && a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// Text returns the character data directly inside.
func (n Node) Text() string {
	var b strings.Builder
	for _, c := range n.Inner {
		if s, ok := c.(string); ok {
			b.WriteString(s)
		}
	}
	return b.String()
}

// All returns the descendants of that name.
func (n Node) All(name string) []Node {
	var found []Node
	for _, c := range n.Inner {
		if child, ok := c.(Node); ok {
			if child.Name.Local == name {
				found = append(found, child)
			}
			found = append(found, child.All(name)...)
		}
	}
	return found
}

// TextFirst returns the same element with the text between its children joined, before them.
func (n Node) TextFirst() Node {
	all := Node{Name: n.Name, Attrs: n.Attrs}
	if text := n.Text(); text != "" {
		all.Inner = append(all.Inner, text)
	}
	for _, c := range n.Inner {
		if child, ok := c.(Node); ok {
			all.Inner = append(all.Inner, child.TextFirst())
		}
	}
	return all
}

// String returns the canonical form.
func (n Node) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "<{%s}%s", n.Name.Space, n.Name.Local)
	var attrs []string
	for _, a := range n.Attrs {
		if a.Name.Space == "xmlns" || a.Name.Local == "xmlns" {
			continue
		}
		if a.Name.Local == "id" && UUID.MatchString(a.Value) {
			a.Value = "ID"
		}
		attrs = append(attrs, fmt.Sprintf(" {%s}%s=%q", a.Name.Space, a.Name.Local, a.Value))
	}
	slices.Sort(attrs)
	b.WriteString(strings.Join(attrs, "") + ">")
	for _, c := range n.Inner {
		fmt.Fprintf(&b, "%v", c)
	}
	b.WriteString("</>")
	return b.String()
}

// Read reads the rest of the element that start begins.
func Read(dec *xml.Decoder, start xml.StartElement) (Node, error) {
	n := Node{Name: start.Name, Attrs: start.Attr}
	for {
		tok, err := dec.Token()
		if err != nil {
			return n, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			child, err := Read(dec, tok)
			if err != nil {
				return n, err
			}
			n.Inner = append(n.Inner, child)
		case xml.CharData:
			n.Inner = append(n.Inner, string(tok))
		case xml.EndElement:
			return n, nil
		}
	}
}

// Parse reads a text that is one element and nothing else.
func Parse(s string) (Node, error) {
	dec := xml.NewDecoder(strings.NewReader(s))
	tok, err := dec.Token()
	if err != nil {
		return Node{}, err
	}
	start, ok := tok.(xml.StartElement)
	if !ok {
		return Node{}, fmt.Errorf("no element: %q", s)
	}
	n, err := Read(dec, start)
	if err != nil {
		return Node{}, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Node{}, fmt.Errorf("more than one element: %q", s)
	}
	return n, nil
}

// ParseIn is Parse for a text that may have white space around its element, whose names without a
// prefix are in namespace. In the tree text comes first: see [Node.TextFirst].
func ParseIn(text, namespace string) (Node, error) {
	dec := xml.NewDecoder(strings.NewReader(text))
	dec.DefaultSpace = namespace
	root, roots := Node{}, 0
	for {
		begin := dec.InputOffset()
		tok, err := dec.Token()
		if err == io.EOF && roots == 1 {
			return root.TextFirst(), nil
		}
		if err != nil {
			return Node{}, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if root, err = Read(dec, tok); err != nil {
				return Node{}, err
			}
			roots++
		case xml.CharData:
			// The decoder takes &#10; for white space there, which XML does not.
			if strings.TrimSpace(text[begin:dec.InputOffset()]) != "" {
				return Node{}, fmt.Errorf("text %q", tok)
			}
		default:
			return Node{}, fmt.Errorf("unexpected %T", tok)
		}
	}
}

// Canonical returns the canonical form of a text that is one element.
func Canonical(s string) (string, error) {
	n, err := Parse(s)
	return n.String(), err
}
