package xmpp

import (
	"bytes"
	"fmt"
	"sync"
)

const (
	maxFrame = 1 << 20 // bytes of one stanza
	maxDepth = 64      // elements inside each other, the stanza itself included
)

// edge is what a byte completed.
type edge int

const (
	edgeNone  edge = iota
	edgeOpen       // a start tag
	edgeEmpty      // an empty-element tag
	edgeClose      // an end tag
)

type scanState uint8

const (
	inText scanState = iota
	afterAngle
	inTag
	inValue
	inEndTag
	inDeclaration
	beforeCDATA
	inCDATA
)

const cdataStart = "[CDATA["

// scanner follows the tags of a stream, byte by byte, to know where a stanza
// begins and ends before it has been read whole. It refuses what XMPP forbids (RFC 6120
// 11.1: comments, processing instructions, DTDs), and end tags that end another element than the
// innermost: the end of such a stanza might never come. Whether the rest is well-formed is the business of check.
type scanner struct {
	depth       int  // elements open now
	floor       int  // elements open between two stanzas: 0, or 1 inside a TCP stream
	declaration bool // an XML declaration may come (the first thing in a TCP stream)

	state  scanState
	quote  byte   // of the attribute value we are in
	slash  bool   // the last byte in the tag was a slash
	naming bool   // the next byte in the tag may be one of its name
	name   digest // of the name of the tag we are in
	stream digest // of the name of the outermost element
	match  int    // bytes of cdataStart, or closing brackets, seen so far

	open *[maxDepth]digest // of the names of the elements inside the outermost that are open; nil: there are none
}

// digest stands for a name (FNV-1a): names may be long, and are gone when their end tag comes. That two different ones are
// taken for the same is left to check to find.
type digest uint32

const noName digest = 2166136261

func (d digest) with(c byte) digest { return (d ^ digest(c)) * 16777619 }

// digests are used again by all streams: one needs them only while a stanza is on its way.
var digests = sync.Pool{New: func() any { return new([maxDepth]digest) }}

// advance takes p up to the edge that ends a stanza, or the header or the end of the stream. n is how much that is; edgeNone: all of
// it, and more has to come.
func (s *scanner) advance(p []byte) (n int, e edge, err error) {
	for i := s.dull(p); i < len(p); i += 1 + s.dull(p[i+1:]) {
		e, err := s.next(p[i])
		if err != nil {
			return i, edgeNone, err
		}
		if e != edgeNone && (s.floor == 0 || s.depth <= s.floor) {
			if s.open != nil {
				digests.Put(s.open)
				s.open = nil
			}
			return i + 1, e, nil
		}
	}
	return len(p), edgeNone, nil
}

// dull is how many bytes of p make no difference: most of a value, or of text.
func (s *scanner) dull(p []byte) int {
	switch {
	case s.state == inValue:
		return len(before('<', before(s.quote, p)))
	case s.state == inText && s.depth > s.floor:
		return len(before('<', p))
	}
	return 0
}

// before is what comes before the first c.
func before(c byte, p []byte) []byte {
	if n := bytes.IndexByte(p, c); n >= 0 {
		return p[:n]
	}
	return p
}

func (s *scanner) next(c byte) (edge, error) {
	switch s.state {
	case inText:
		if c == '<' {
			s.state = afterAngle
		} else if s.depth <= s.floor && !isSpace(c) {
			return edgeNone, malformed("text between stanzas")
		}
	case afterAngle:
		return edgeNone, s.begin(c)
	case inTag:
		return s.tag(c)
	case inValue:
		switch c {
		case s.quote:
			s.state = inTag
		case '<':
			return edgeNone, errTagInTag
		}
	case inEndTag:
		return s.endTag(c)
	case inDeclaration:
		if c == '>' {
			s.state = inText
		}
	case beforeCDATA:
		if c != cdataStart[s.match] {
			return edgeNone, malformed("comment or DTD")
		}
		if s.match++; s.match == len(cdataStart) {
			s.state, s.match = inCDATA, 0
		}
	case inCDATA:
		switch {
		case c == ']':
			s.match++
		case c == '>' && s.match >= 2:
			s.state = inText
		default:
			s.match = 0
		}
	}
	return edgeNone, nil
}

// begin takes the byte after '<'.
func (s *scanner) begin(c byte) error {
	switch {
	case c == '/':
		if s.depth == 0 {
			return malformed("end tag without start tag")
		}
		s.state, s.naming, s.name = inEndTag, true, noName
	case c == '!':
		if s.depth <= s.floor {
			return malformed("comment, DTD or text between stanzas")
		}
		s.state, s.match = beforeCDATA, 0
	case c == '?':
		if !s.declaration {
			return malformed("processing instruction")
		}
		s.state, s.declaration = inDeclaration, false
	case c == '>' || c == '<' || isSpace(c):
		return malformed("tag without a name")
	default:
		s.state, s.slash, s.declaration = inTag, false, false
		s.naming, s.name = true, noName.with(c)
	}
	return nil
}

// tag takes a byte of a start tag.
func (s *scanner) tag(c byte) (edge, error) {
	empty := s.slash
	s.slash = c == '/'
	if s.naming = s.naming && c != '/' && c != '>' && !isSpace(c); s.naming {
		s.name = s.name.with(c)
	}
	switch c {
	case '"', '\'':
		s.state, s.quote = inValue, c
	case '<':
		return edgeNone, errTagInTag
	case '>':
		s.state = inText
		if s.depth-s.floor >= maxDepth {
			return edgeNone, malformed("more than %d elements deep", maxDepth)
		}
		if empty {
			return edgeEmpty, nil
		}
		*s.named(s.depth) = s.name
		s.depth++
		return edgeOpen, nil
	}
	return edgeNone, nil
}

// endTag takes a byte of an end tag.
func (s *scanner) endTag(c byte) (edge, error) {
	switch {
	case c == '<':
		return edgeNone, errTagInTag
	case isSpace(c):
		s.naming = false
	case c != '>' && s.naming:
		s.name = s.name.with(c)
	case c == '>':
		s.state = inText
		s.depth--
		if s.name != *s.named(s.depth) {
			return edgeNone, errWrongEnd
		}
		return edgeClose, nil
	}
	return edgeNone, nil
}

// named is where the name of the open element stands that has depth others around it.
func (s *scanner) named(depth int) *digest {
	if depth == 0 {
		return &s.stream
	}
	if s.open == nil {
		s.open = digests.Get().(*[maxDepth]digest)
	}
	return &s.open[depth-1]
}

var (
	errTagInTag = malformed("tag inside a tag")
	errWrongEnd = malformed("end tag that ends nothing")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errMalformed}, args...)...)
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// trimSpace takes white space off the beginning.
func trimSpace(p []byte) []byte { return bytes.TrimLeft(p, " \t\n\r") }
