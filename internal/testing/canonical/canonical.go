// Package canonical gives stanzas a form in which they can be compared.
package canonical

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Stanza writes a stanza with its attributes sorted and every name in its namespace.
func Stanza(stanza string) (string, error) {
	var out strings.Builder
	d := xml.NewDecoder(strings.NewReader(stanza))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out.String(), nil
		}
		if err != nil {
			return "", fmt.Errorf("stanza %q: %w", stanza, err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			var attributes []string
			for _, a := range x.Attr {
				if a.Name.Local != "xmlns" && a.Name.Space != "xmlns" {
					attributes = append(attributes, fmt.Sprintf(" %s=%q", a.Name.Local, a.Value))
				}
			}
			slices.Sort(attributes)
			fmt.Fprintf(&out, "<%s xmlns=%q%s>", x.Name.Local, x.Name.Space, strings.Join(attributes, ""))
		case xml.EndElement:
			fmt.Fprintf(&out, "</%s>", x.Name.Local)
		case xml.CharData:
			if err := xml.EscapeText(&out, x); err != nil {
				return "", err
			}
		}
	}
}
