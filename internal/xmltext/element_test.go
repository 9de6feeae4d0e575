package xmltext

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/xmltree"
)

// asNode reads all of an element, in the form in which encoding/xml's reading of it is kept.
func asNode(e Element) xmltree.Node {
	n := xmltree.Node{Name: xml.Name{Space: e.Space, Local: e.Local}}
	for name, value := range attributes(e.tag) {
		a := xml.Attr{Name: xml.Name{Local: name}, Value: unescape(value)}
		if prefix, local, ok := strings.Cut(name, ":"); ok && prefix != "" && local != "" {
			a.Name = xml.Name{Space: prefix, Local: local}
			if prefix != "xmlns" {
				a.Name.Space, _ = e.scope.resolve(name)
			}
		}
		n.Attrs = append(n.Attrs, a)
	}
	if text := e.Text(); text != "" {
		n.Inner = append(n.Inner, text)
	}
	for child := range e.Children() {
		n.Inner = append(n.Inner, asNode(child))
	}
	return n
}

// forbidden reports whether a text that encoding/xml accepts is refused here: too deep, or with
// what XMPP forbids.
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
			if depth++; depth > MaxDepth {
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
	`<a><![CDATA[]]><![CDATA[]]]]>></a>`, `<a>]]></a>`, `<a b=']]>'/>`, "<a>\r\n\r&#13;</a>", "<a b='\r\n\t&#xD;'/>",
	`<a>&#xD800;&#0;</a>`,
	`<a>&#xd800;&#x10FFFF;&#1114112;</a>`, `<a>&#;</a>`, `<a>&#x;</a>`, `<a>&#+1;</a>`, `<a>&amp</a>`, `<a>&nbsp;</a>`,
	`<a>&#99999999999999999999;</a>`,
	`<a b="1"c="2"/>`, `<a b = "1" / >`, `<a b="1"b="2"/>`, `<a b/>`, `<a b=1/>`, `<a><b></a></b>`, `<a></a >`, `</a>`,
	`< a/>`, `<a/><a/>`, `<a/>x`,
	`<:a/>`, `<a:/>`, `<a:b:c/>`, `<1a/>`, `<-a/>`, `<a -b=""/>`, `<a xmlns=""><b xmlns:p="" ><p:c/></b></a>`,
	`<p:a><p:b xmlns:p="u"/></p:a>`,
	`<xml:a xmlns:xml="u"/>`, `<xmlns:a/>`, `<xmlns/>`, `&#10;<a></a>`, `<![CDATA[ ]]><a/>`, `<a xmlns:="u" :b=""/>`,
	"<a>\x01</a>", "<a>\uFFFE</a>", "<a>\uFEFF\uFFFD</a>", "\uFEFF<a/>", "<a>\xff</a>", "<é/>",
	`<!-- --><a/>`, `<a><!-- --></a>`, `<a><?x?></a>`, `<!DOCTYPE a><a/>`, `<a><!x></a>`, `<a b="<"/>`, `<a b=">"/>`,
	`<a/ b="">`, `<a`, `<a b="`, `<a><![CDATA[`, ``, ` `, `<`, `</`, `<a></`, `<a></a`, ` <a/> `,
}

// Every frame is to us what it is to encoding/xml: the same Element, or none.
func FuzzElement(f *testing.F) {
	for _, s := range elementSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		const namespace = "urn:default"
		want, oracle := xmltree.ParseIn(string(frame), namespace)
		got, err := Parse(string(frame), namespace)
		switch {
		case err != nil:
			require.ErrorIs(t, err, ErrMalformed)
			require.True(t, oracle != nil || forbidden(frame), "%q: %v", frame, err)
		case oracle != nil:
			// Letters beyond ASCII are all good for a name to us.
			require.False(t, isASCII(frame), "%q is taken: %v", frame, oracle)
		default:
			require.Equal(t, want.String(), asNode(got).String())
		}
	})
}

func isASCII(frame []byte) bool {
	return !bytes.ContainsFunc(frame, func(r rune) bool { return r > '~' })
}
