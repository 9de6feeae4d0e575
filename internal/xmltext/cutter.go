package xmltext

import "bytes"

// Piece is what a [Cutter] has found the end of.
type Piece int

// The pieces of a stream.
const (
	// Incomplete: all bytes belong to a piece of which more has to come.
	Incomplete Piece = iota
	// StreamStart is the start tag of the outermost element.
	StreamStart
	// Child is an element directly inside the outermost.
	Child
	// StreamEnd is the end tag of the outermost element.
	StreamEnd
)

// Cutter cuts a stream of bytes, which is one long element, into its start tag, the elements inside
// it, and its end tag. It follows the tags byte by byte, to know where an element ends when that
// has come. It refuses what XMPP forbids (RFC 6120 11.1: comments, processing instructions, DTDs),
// and end tags that end another element than the innermost: the end of such an element might never
// come. [Check] finds the other mistakes. The zero Cutter is at the beginning of a stream.
type Cutter struct {
	// How many elements are open, and how many of them are the stream: 0 or 1.
	depth, outer int
	// Something has come: an XML declaration may not come any more.
	begun bool

	state cutState
	// The quotation mark around the attribute value that the cutter is in.
	quote byte
	// The last byte in the tag was a slash.
	slash bool
	// The next byte in the tag may be one of its name.
	naming bool
	// Of the name of the tag that the cutter is in.
	name digest
	// How many bytes of cdataStart, or closing brackets, have come.
	match int

	// Of the names of the open elements: of the outermost, and of those inside it.
	stream digest
	open   []digest
}

type cutState uint8

const (
	inText cutState = iota
	afterAngle
	inTag
	inValue
	inEndTag
	inDeclaration
	beforeCDATA
	inCDATA
)

const cdataStart = "[CDATA["

// digest stands for a name (FNV-1a): names may be long, and are gone when their end tag comes. Two
// names with the same digest are left for Check to tell apart.
type digest uint32

const noName digest = 2166136261

func (d digest) with(c byte) digest { return (d ^ digest(c)) * 16777619 }

// tag is the kind of tag that a byte has completed.
type tag int

const (
	noTag tag = iota
	startTag
	emptyTag
	endTag
)

// Advance reads p up to the end of the next piece, and returns how many bytes that is. If the piece
// is Incomplete it has read all of p.
func (c *Cutter) Advance(p []byte) (n int, piece Piece, err error) {
	for i := c.skippable(p); i < len(p); i += 1 + c.skippable(p[i+1:]) {
		completed, err := c.next(p[i])
		switch {
		case err != nil:
			return i, Incomplete, err
		case completed == noTag || c.depth > 1:
		case c.outer == 0 && completed != startTag:
			return i, Incomplete, Malformed("stream closed by its header")
		case c.outer == 0:
			c.outer = 1
			return i + 1, StreamStart, nil
		case c.depth == 0:
			return i + 1, StreamEnd, nil
		default:
			return i + 1, Child, nil
		}
	}
	return len(p), Incomplete, nil
}

// skippable is how many bytes of p change nothing: most of a value, or of text.
func (c *Cutter) skippable(p []byte) int {
	switch {
	case c.state == inValue:
		return len(before('<', before(c.quote, p)))
	case c.state == inText && c.depth > c.outer:
		return len(before('<', p))
	}
	return 0
}

// before returns what comes before the first c.
func before(c byte, p []byte) []byte {
	if n := bytes.IndexByte(p, c); n >= 0 {
		return p[:n]
	}
	return p
}

func (c *Cutter) next(b byte) (tag, error) {
	switch c.state {
	case inText:
		if b == '<' {
			c.state = afterAngle
		} else if c.depth <= c.outer && !isSpace(b) {
			return noTag, Malformed("text between stanzas")
		}
	case afterAngle:
		return noTag, c.begin(b)
	case inTag:
		return c.nextInTag(b)
	case inValue:
		switch b {
		case c.quote:
			c.state = inTag
		case '<':
			return noTag, errTagInTag
		}
	case inEndTag:
		return c.nextInEndTag(b)
	case inDeclaration:
		if b == '>' {
			c.state = inText
		}
	case beforeCDATA:
		if b != cdataStart[c.match] {
			return noTag, Malformed("comment or DTD")
		}
		if c.match++; c.match == len(cdataStart) {
			c.state, c.match = inCDATA, 0
		}
	case inCDATA:
		switch {
		case b == ']':
			c.match++
		case b == '>' && c.match >= 2:
			c.state = inText
		default:
			c.match = 0
		}
	}
	return noTag, nil
}

// begin reads the byte after '<'.
func (c *Cutter) begin(b byte) error {
	switch {
	case b == '/':
		if c.depth == 0 {
			return Malformed("end tag without start tag")
		}
		c.state, c.naming, c.name = inEndTag, true, noName
	case b == '!':
		if c.depth <= c.outer {
			return Malformed("comment, DTD or text between stanzas")
		}
		c.state, c.match = beforeCDATA, 0
	case b == '?':
		if c.begun {
			return Malformed("processing instruction")
		}
		c.state, c.begun = inDeclaration, true
	case b == '>' || b == '<' || isSpace(b):
		return Malformed("tag without a name")
	default:
		c.state, c.slash, c.begun = inTag, false, true
		c.naming, c.name = true, noName.with(b)
	}
	return nil
}

// nextInTag reads a byte of a start tag.
func (c *Cutter) nextInTag(b byte) (tag, error) {
	empty := c.slash
	c.slash = b == '/'
	if c.naming = c.naming && b != '/' && b != '>' && !isSpace(b); c.naming {
		c.name = c.name.with(b)
	}
	switch b {
	case '"', '\'':
		c.state, c.quote = inValue, b
	case '<':
		return noTag, errTagInTag
	case '>':
		c.state = inText
		if c.depth-c.outer >= MaxDepth {
			return noTag, Malformed("more than %d elements deep", MaxDepth)
		}
		if empty {
			return emptyTag, nil
		}
		if c.depth == 0 {
			c.stream = c.name
		} else {
			c.open = append(c.open[:c.depth-1], c.name)
		}
		c.depth++
		return startTag, nil
	}
	return noTag, nil
}

// nextInEndTag reads a byte of an end tag.
func (c *Cutter) nextInEndTag(b byte) (tag, error) {
	switch {
	case b == '<':
		return noTag, errTagInTag
	case isSpace(b):
		c.naming = false
	case b != '>' && c.naming:
		c.name = c.name.with(b)
	case b == '>':
		c.state = inText
		c.depth--
		if c.depth == 0 && c.name != c.stream || c.depth > 0 && c.name != c.open[c.depth-1] {
			return noTag, errWrongEnd
		}
		return endTag, nil
	}
	return noTag, nil
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }

// TrimSpace returns p without the white space that it begins with.
func TrimSpace(p []byte) []byte { return bytes.TrimLeft(p, " \t\n\r") }
