package frames

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/fuzz"
	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
	"github.com/mirrorfly-go/sdk/internal/testing/xmltree"
	"github.com/mirrorfly-go/sdk/internal/xmltext"
)

// over returns the same bytes for ever.
type over struct {
	text []byte
	at   int
}

func (o *over) Read(p []byte) (int, error) {
	n := copy(p, o.text[o.at:])
	o.at = (o.at + n) % len(o.text)
	return n, nil
}

// One stanza cut from a TCP stream.
func BenchmarkCutFrame(b *testing.B) {
	reply := `<iq xml:lang='en' to='` + scripted.Full +
		`' from='bob@xmpp.example.com' type='result' id='00000000-0000-4000-8000-000000000000'>` +
		`<query seconds='903' xmlns='jabber:iq:last'/></iq>`
	again := &over{text: []byte(reply)}
	t := newTCPConn(streamConn{Reader: io.MultiReader(strings.NewReader(scripted.ServerStream), again)}, new(Options))
	_, err := t.ReadFrame(context.Background())
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if frame, err := t.ReadFrame(context.Background()); err != nil || frame != reply {
			b.Fatal(frame, err)
		}
	}
}

// Whatever comes over TCP, in whatever pieces: bounded frames, each one element to the checks of
// the session too, and each what a plain XML decoder reads from the whole stream at that place.
func FuzzCutStream(f *testing.F) {
	for _, s := range []string{
		`<presence/><iq id="1"><a/></iq></stream:stream>`, `<a b='>'/>  <c>&lt;<![CDATA[]]]]></c>`, `<a><!-- --></a>`,
		`<a`, `</b>`, `<stream:error/>`, `<a xmlns = 'x'/>`, "<a\x00/>", `<?x?>`, `<a / >`, `<a/ b="1"></a>`,
		`<a xmlns='u'><b/></a><x y="xmlns=''"/>`, `<stream:a><stream:b xmlns:stream="u"/></stream:a>`, `<a>]]></a>`,
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(scripted.ServerStream+s), false)
	}
	f.Add([]byte(`<s:stream xmlns:s="http://etherx.jabber.org/streams" xmlns:c="jabber:client" version="1.0" `+
		`xmlns="a&amp;b"><c:iq c:x=""/></s:stream>`), false)
	f.Fuzz(func(t *testing.T, in []byte, inStream bool) {
		if inStream {
			in = append([]byte(scripted.ServerStream), in...)
		}
		var frames []string
		var err error
		fuzz.Bounded(t, len(in), MaxFrame, func() { frames, err = cut(bytes.NewReader(in)) })
		if err == nil && (len(frames) == 0 || frames[len(frames)-1] != CloseFrame) {
			t.Fatal("neither error nor end")
		}
		pieces, err2 := cut(iotest.OneByteReader(bytes.NewReader(in)))
		require.Equal(t, frames, pieces)
		require.Equal(t, err == nil, err2 == nil)
		for _, frame := range frames {
			require.LessOrEqual(t, len(frame), MaxFrame+len(in), "what the header declares is added")
		}
		requireSameElements(t, in, frames)
	})
}

// requireSameElements holds each frame against the child of the stream that a plain decoder reads.
// Where the decoder finds an error, the frame there must be one to us too.
func requireSameElements(t *testing.T, stream []byte, frames []string) {
	if len(frames) == 0 {
		return
	}
	dec := xml.NewDecoder(bytes.NewReader(stream))
	// As we have it where the header names none.
	dec.DefaultSpace = NSClient
	if _, err := nextElement(dec); err != nil {
		if bytes.HasPrefix(stream, []byte("<?")) {
			// It reads declarations in a way of its own.
			return
		}
		t.Fatalf("a stream header that is none: %v", err)
	}
	for _, frame := range frames[1:] {
		if frame == CloseFrame {
			return
		}
		got, broken := xmltree.ParseIn(frame, NSClient)
		if broken == nil {
			broken = xmltext.Check(frame)
		}
		start, err := nextElement(dec)
		var want xmltree.Node
		if err == nil {
			want, err = xmltree.Read(dec, start)
		}
		if err != nil {
			if broken == nil && strings.ContainsFunc(frame, func(r rune) bool { return r > '~' }) {
				// Letters beyond ASCII are all good for a name to us.
				return
			}
			require.Error(t, broken, "%q is accepted, and the stream has %v", frame, err)
			return
		}
		if broken == nil {
			require.Equal(t, want.TextFirst().String(), got.String())
		}
	}
}

func nextElement(dec *xml.Decoder) (xml.StartElement, error) {
	tok, err := dec.Token()
	for ; err == nil; tok, err = dec.Token() {
		switch tok := tok.(type) {
		case xml.StartElement:
			return tok, nil
		case xml.EndElement:
			return xml.StartElement{}, io.EOF
		}
	}
	return xml.StartElement{}, err
}

// Whatever the caller's TLSConfig says for HTTP, a stream never waits for a renegotiation.
func TestStreamTLS(t *testing.T) {
	own := &tls.Config{
		Renegotiation: tls.RenegotiateFreelyAsClient, NextProtos: []string{"h2"},
		MinVersion: tls.VersionTLS10,
	}
	conf := streamTLS(own, "example.com")
	require.Equal(t, tls.RenegotiateNever, conf.Renegotiation)
	require.Empty(t, conf.NextProtos)
	require.EqualValues(t, tls.VersionTLS12, conf.MinVersion)
	require.Equal(t, "example.com", conf.ServerName)
	require.Equal(t, tls.RenegotiateFreelyAsClient, own.Renegotiation, "theirs")
}

// streamConn is a connection that only reads.
type streamConn struct {
	net.Conn
	io.Reader
}

func (c streamConn) Read(p []byte) (int, error) { return c.Reader.Read(p) }

func (c streamConn) Close() error { return nil }

// cut reads the frames of a stream until its end or an error.
func cut(r io.Reader) (frames []string, err error) {
	f := newTCPConn(streamConn{Reader: r}, new(Options))
	for {
		frame, err := f.ReadFrame(context.Background())
		if err != nil {
			return frames, err
		}
		frames = append(frames, frame)
		if frame == CloseFrame {
			return frames, nil
		}
	}
}

// Frames are cut where elements end, and say what their namespaces are.
func TestCutStream(t *testing.T) {
	stream := "\ufeff"[3:] + scripted.ServerStream + " \n\t " +
		`<stream:features><a/></stream:features>` + "\r\n" +
		`<iq id='1' x='>' y="'/>"><q xmlns='u'>a<![CDATA[</iq>]]]]><b/></q></iq>` +
		`<x/><x xmlns='own'/><stream:error xmlns:stream="http://etherx.jabber.org/streams"/>  </stream:stream>`
	want := []string{
		scripted.ServerOpen,
		`<features xmlns="http://etherx.jabber.org/streams"><a xmlns="jabber:client"/></features>`,
		`<iq xmlns="jabber:client" id='1' x='>' y="'/>"><q xmlns='u'>a<![CDATA[</iq>]]]]><b/></q></iq>`,
		`<x xmlns="jabber:client"/>`,
		`<x xmlns="own"/>`,
		`<error xmlns="http://etherx.jabber.org/streams"/>`,
		CloseFrame,
	}
	for name, r := range map[string]io.Reader{
		"whole":        strings.NewReader(stream),
		"byte by byte": iotest.OneByteReader(strings.NewReader(stream)),
	} {
		frames, err := cut(r)
		require.NoError(t, err, name)
		require.Len(t, frames, len(want))
		for i, f := range frames {
			if i == 0 {
				// Without xml:lang.
				continue
			}
			require.Equal(t, canon(t, want[i]), asSession(t, f))
		}
		n, err := xmltree.Parse(frames[0])
		require.NoError(t, err)
		require.Equal(t, "s1", n.Attr("id"))
		require.Equal(t, scripted.Domain, n.Attr("from"))
	}

	// Any prefix will do, also one that only the header declares.
	frames, err := cut(strings.NewReader(`<s:stream xmlns:s="http://etherx.jabber.org/streams" ` +
		`xmlns:c="jabber:client" xmlns:b="urn:xmpp:blocking" version="1.0" xmlns="a&amp;b">` +
		`<c:iq><b:block c:x="1"/></c:iq><y/></s:stream>`))
	require.NoError(t, err)
	require.Equal(t, canon(t, `<iq xmlns="jabber:client">`+
		`<block xmlns="urn:xmpp:blocking" c:x="1" xmlns:c="jabber:client"/></iq>`), asSession(t, frames[1]))
	require.Equal(t, canon(t, `<y xmlns="a&amp;b"/>`), asSession(t, frames[2]))
}

// asSession is what a session reads in a frame.
func asSession(t *testing.T, frame string) string {
	t.Helper()
	require.NoError(t, xmltext.Check(frame))
	n, err := xmltree.ParseIn(frame, NSClient)
	require.NoError(t, err, frame)
	return n.String()
}

func canon(t *testing.T, s string) string {
	t.Helper()
	form, err := xmltree.Canonical(s)
	require.NoError(t, err, s)
	return form
}

func TestCutStreamErrors(t *testing.T) {
	deep := strings.Repeat("<a>", xmltext.MaxDepth) + strings.Repeat("</a>", xmltext.MaxDepth)
	frames, err := cut(strings.NewReader(scripted.ServerStream + deep + "</stream:stream>"))
	require.NoError(t, err)
	require.Len(t, frames, 3)
	many := strings.Builder{}
	for i := range 100 {
		many.WriteString(" xmlns:a" + strconv.Itoa(i) + "='u'")
	}
	for in, want := range map[string]error{
		strings.Replace(scripted.ServerStream, " id=", many.String()+" id=", 1): xmltext.ErrMalformed,
		scripted.ServerStream + "<a>" + deep + "</a>":                           xmltext.ErrMalformed,
		scripted.ServerStream + "<a":                                            io.ErrUnexpectedEOF,
		scripted.ServerStream:                                                   io.EOF,
		"":                                                                      io.EOF,
		scripted.ServerStream + "<a>" + strings.Repeat(" ", MaxFrame): ErrTooLarge,
		"<stream:stream a='" + strings.Repeat(" ", MaxFrame) + "'>":   ErrTooLarge,
		// Keepalives are not kept.
		scripted.ServerStream + strings.Repeat(" ", 2*MaxFrame): io.EOF,
		scripted.ServerStream + "<![CDATA[x]]>":                 xmltext.ErrMalformed,
	} {
		_, err := cut(strings.NewReader(in))
		require.ErrorIs(t, err, want, "%.60q", in)
	}
}

// Over TCP the end of a stanza is where its tags say. Where they contradict each other it may never
// come: the stream is not well-formed (RFC 6120 11.3), which is noticed there, not when a megabyte
// has come or the keepalive finds nobody.
func TestStanzaThatWouldNotEnd(t *testing.T) {
	long := strings.Repeat("n", 2*streamBurst)
	for name, text := range map[string]string{
		"inner element left open":   `<iq type="get" id="x" from="xmpp.example.com"><unclosed></iq>`,
		"deeper":                    `<message><a><b><c></c></b></message>`,
		"wrong end inside":          `<message><a></b>`,
		"a longer name":             `<message><a></ab>`,
		"a shorter name":            `<message><ab></a>`,
		"another case":              `<message><body></BODY>`,
		"another prefix":            `<message><x:a></y:a>`,
		"space before the name":     `<message><a></ a>`,
		"long names":                `<message><` + long + `a></` + long + `b>`,
		"end of another stream":     `</stream:other>`,
		"end of the stream, inside": `<message></stream:stream>`,
		"value left open":           `<message from="bob@xmpp.example.com><body/></message>`,
		"end tag left open":         `<message><body></body<x/></message>`,
		"start tag left open":       `<message><body <x/></message>`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// At once, by single bytes, and by some.
			for _, step := range []int{len(text), 1, 101} {
				_, err := cut(&piecemeal{io.MultiReader(strings.NewReader(scripted.ServerStream+text),
					iotest.ErrReader(errWaits)), step})
				require.ErrorIs(t, err, xmltext.ErrMalformed, step)
			}
		})
	}
}

// errWaits stands for a server that says nothing more.
var errWaits = errors.New("waits for more")

// piecemeal reads so many bytes at a time.
type piecemeal struct {
	from io.Reader
	step int
}

func (p *piecemeal) Read(b []byte) (int, error) { return p.from.Read(b[:min(len(b), p.step)]) }

// What is well-formed stays so, whatever its names look like, and however deep and often they are
// open.
func TestEndTagsThatMatch(t *testing.T) {
	long := strings.Repeat("n", 2*streamBurst)
	stanzas := []string{
		`<message><a></a ></message>`,
		"<message><a\n></a\t\n></message\r\n>",
		`<message><x:a xmlns:x="u"><x:a/><x:a></x:a></x:a></message>`,
		`<message a="/"><b c='/'/><d e="&gt;>"></d></message>`,
		`<message><` + long + `></` + long + `></message>`,
		`<message>` + strings.Repeat("<a>", 30) + strings.Repeat("<b>", 30) + strings.Repeat("</b>", 30) +
			strings.Repeat("</a>", 30) + `</message>`,
		`<message><body>&lt;/b> ]] <![CDATA[</x><y>]]></body></message>`,
	}
	var in strings.Builder
	for _, s := range stanzas {
		in.WriteString(s + scripted.Online)
	}
	frames, err := cut(strings.NewReader(scripted.ServerStream + in.String() + "</stream:stream>"))
	require.NoError(t, err)
	require.Len(t, frames, 1+2*len(stanzas)+1)
	for i, stanza := range stanzas {
		require.NoError(t, xmltext.Check(frames[1+2*i]))
		require.Equal(t, canon(t, strings.Replace(stanza, "<message", `<message xmlns="jabber:client"`, 1)),
			asSession(t, frames[1+2*i]))
	}
}
