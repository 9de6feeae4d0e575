package xmltext

// Markup is an element to be written.
type Markup struct {
	// Space is the namespace. Empty: that of the element around it.
	Space string
	// Name may be empty: then nothing is written.
	Name string
	// Attrs are name, value, name, value, and so on. Attributes without a value are left out.
	Attrs []string
	// Empty are attributes that have no value, and are written all the same.
	Empty []string
	// Text comes before Children.
	Text     string
	Children []Markup
}

// Bytes returns the element as it goes over the wire.
func (m Markup) Bytes() []byte { return m.appendTo(make([]byte, 0, m.size())) }

// size is how many bytes it has at most when nothing in it has to be escaped.
func (m Markup) size() int {
	n := len("<></>") + 2*len(m.Name) + len(` xmlns=""`) + len(m.Space) + len(m.Text)
	for i := 0; i < len(m.Attrs); i += 2 {
		n += len(` =""`) + len(m.Attrs[i]) + len(m.Attrs[i+1])
	}
	for _, name := range m.Empty {
		n += len(` =""`) + len(name)
	}
	for _, child := range m.Children {
		n += child.size()
	}
	return n
}

func (m Markup) appendTo(b []byte) []byte {
	if m.Name == "" {
		return b
	}
	b = append(append(b, '<'), m.Name...)
	if m.Space != "" {
		b = AppendAttribute(b, "xmlns", m.Space)
	}
	for i := 0; i < len(m.Attrs); i += 2 {
		if m.Attrs[i+1] != "" {
			b = AppendAttribute(b, m.Attrs[i], m.Attrs[i+1])
		}
	}
	for _, name := range m.Empty {
		b = AppendAttribute(b, name, "")
	}
	b = appendEscaped(append(b, '>'), m.Text)
	for _, child := range m.Children {
		b = child.appendTo(b)
	}
	return append(append(append(b, "</"...), m.Name...), '>')
}
