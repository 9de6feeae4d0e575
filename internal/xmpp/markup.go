package xmpp

import (
	"bytes"
	"encoding/xml"
)

// markup is an element that we send.
type markup struct {
	space    string   // namespace; empty: that of the element around it
	name     string   // empty: no element at all
	attrs    []string // name, value, name, value...; those without a value are left out
	text     string
	children []markup
}

// frame is m alone, as it goes over the wire.
func (m markup) frame() []byte { return m.appendTo(make([]byte, 0, 256)) }

func (m markup) appendTo(b []byte) []byte {
	if m.name == "" {
		return b
	}
	b = append(append(b, '<'), m.name...)
	if m.space != "" {
		b = appendAttribute(b, "xmlns", m.space)
	}
	for i := 0; i < len(m.attrs); i += 2 {
		if m.attrs[i+1] != "" {
			b = appendAttribute(b, m.attrs[i], m.attrs[i+1])
		}
	}
	b = appendEscaped(append(b, '>'), m.text)
	for _, child := range m.children {
		b = child.appendTo(b)
	}
	return append(append(append(b, "</"...), m.name...), '>')
}

func appendAttribute(b []byte, name, value string) []byte {
	b = append(append(append(b, ' '), name...), `="`...)
	return append(appendEscaped(b, value), '"')
}

// appendEscaped appends text so that it cannot be taken for markup. What XML cannot carry becomes U+FFFD.
func appendEscaped(b []byte, text string) []byte {
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ', c > '~', c == '"', c == '\'', c == '&', c == '<', c == '>':
			buf := bytes.NewBuffer(b)
			_ = xml.EscapeText(buf, []byte(text)) // a buffer takes everything
			return buf.Bytes()
		}
	}
	return append(b, text...)
}
