package xmpp

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// asNode reads all of an element, in the form in which encoding/xml's reading of it is kept.
func asNode(e element) node {
	n := node{name: xml.Name{Space: e.space, Local: e.local}}
	for name, value := range attributes(e.tag) {
		a := xml.Attr{Name: xml.Name{Local: name}, Value: unescape(value)}
		if prefix, local, ok := strings.Cut(name, ":"); ok && prefix != "" && local != "" {
			a.Name = xml.Name{Space: prefix, Local: local}
			if prefix != "xmlns" {
				a.Name.Space, _ = e.scope.resolve(name)
			}
		}
		n.attrs = append(n.attrs, a)
	}
	if text := e.text(); text != "" {
		n.inner = append(n.inner, text)
	}
	for child := range e.children() {
		n.inner = append(n.inner, asNode(child))
	}
	return n
}

// textFirst joins the text that stands between children, which an element of ours does not tell apart.
func (n node) textFirst() node {
	all := node{name: n.name, attrs: n.attrs}
	if text := n.text(); text != "" {
		all.inner = append(all.inner, text)
	}
	for _, c := range n.inner {
		if child, ok := c.(node); ok {
			all.inner = append(all.inner, child.textFirst())
		}
	}
	return all
}

// decodeFrame is what encoding/xml makes of a frame, of which it must be all.
func decodeFrame(frame []byte) (node, error) {
	dec := xml.NewDecoder(bytes.NewReader(frame))
	dec.DefaultSpace = nsClient
	root, roots := node{}, 0
	for {
		begin := dec.InputOffset()
		tok, err := dec.Token()
		if err == io.EOF && roots == 1 {
			return root.textFirst(), nil
		}
		if err != nil {
			return node{}, err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if root, err = readNode(dec, tok); err != nil {
				return node{}, err
			}
			roots++
		case xml.CharData:
			if len(bytes.TrimSpace(frame[begin:dec.InputOffset()])) > 0 { // it takes &#10; there, which XML does not
				return node{}, fmt.Errorf("text %q", tok)
			}
		default:
			return node{}, fmt.Errorf("unexpected %T", tok)
		}
	}
}

// forbidden reports whether a frame that encoding/xml takes is none of ours: too deep, or with what XMPP forbids.
func forbidden(frame []byte) bool {
	dec := xml.NewDecoder(bytes.NewReader(frame))
	depth := 0
	for {
		tok, err := dec.RawToken()
		if err != nil {
			return false
		}
		switch tok.(type) {
		case xml.StartElement:
			if depth++; depth > maxDepth {
				return true
			}
		case xml.EndElement:
			depth--
		case xml.Comment, xml.ProcInst, xml.Directive:
			return true
		}
	}
}

var elementSeeds = []string{
	`<iq xmlns="jabber:client" id="1" type='result'><query xmlns="jabber:iq:last" seconds="5">x</query></iq>`,
	`<a xml:lang="en" b='"&lt;'><![CDATA[<x>]]>&#10;</a>`, `<a:b xmlns:a="urn:a" xmlns:c="urn:c" c:d="e"><f/></a:b>`,
	`<a><![CDATA[]]><![CDATA[]]]]>></a>`, `<a>]]></a>`, `<a b=']]>'/>`, "<a>\r\n\r&#13;</a>", "<a b='\r\n\t&#xD;'/>", `<a>&#xD800;&#0;</a>`,
	`<a>&#xd800;&#x10FFFF;&#1114112;</a>`, `<a>&#;</a>`, `<a>&#x;</a>`, `<a>&#+1;</a>`, `<a>&amp</a>`, `<a>&nbsp;</a>`, `<a>&#99999999999999999999;</a>`,
	`<a b="1"c="2"/>`, `<a b = "1" / >`, `<a b="1"b="2"/>`, `<a b/>`, `<a b=1/>`, `<a><b></a></b>`, `<a></a >`, `</a>`, `< a/>`, `<a/><a/>`, `<a/>x`,
	`<:a/>`, `<a:/>`, `<a:b:c/>`, `<1a/>`, `<-a/>`, `<a -b=""/>`, `<a xmlns=""><b xmlns:p="" ><p:c/></b></a>`, `<p:a><p:b xmlns:p="u"/></p:a>`,
	`<xml:a xmlns:xml="u"/>`, `<xmlns:a/>`, `<xmlns/>`, `&#10;<a></a>`, `<![CDATA[ ]]><a/>`, `<a xmlns:="u" :b=""/>`, "<a>\x01</a>", "<a>\uFFFE</a>", "<a>\uFEFF\uFFFD</a>", "\uFEFF<a/>", "<a>\xff</a>", "<é/>",
	`<!-- --><a/>`, `<a><!-- --></a>`, `<a><?x?></a>`, `<!DOCTYPE a><a/>`, `<a><!x></a>`, `<a b="<"/>`, `<a b=">"/>`, `<a/ b="">`, `<a`, `<a b="`, `<a><![CDATA[`, ``, ` `, `<`, `</`, `<a></`, `<a></a`, ` <a/> `,
}

// Every frame is to us what it is to encoding/xml: the same element, or none.
func FuzzElement(f *testing.F) {
	for _, s := range elementSeeds {
		f.Add([]byte(s))
	}
	for _, s := range loadVectors(f).Events {
		f.Add([]byte(s.Inbound))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		want, oracle := decodeFrame(frame)
		got, err := wholeElement(string(frame))
		switch {
		case err != nil:
			require.ErrorIs(t, err, errMalformed)
			require.True(t, oracle != nil || forbidden(frame), "%q: %v", frame, err)
		case oracle != nil:
			require.False(t, isASCII(frame), "%q is taken: %v", frame, oracle) // letters beyond ASCII are all good for a name to us
		default:
			require.Equal(t, want.String(), got.String())
		}
	})
}

func isASCII(frame []byte) bool {
	return !bytes.ContainsFunc(frame, func(r rune) bool { return r > '~' })
}
