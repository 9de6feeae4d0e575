package xmpp

import (
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/prompt"

	"github.com/mirrorfly-go/sdk/internal/uuid"
)

func TestParseJID(t *testing.T) {
	long := strings.Repeat("x", maxJIDPart)
	for in, want := range map[string]JID{
		"example.com":                  {Domain: "example.com"},
		"Bob@Example.COM":              {"bob", "example.com", ""},
		"bob@example.com./R es/@":      {"bob", "example.com", "R es/@"},
		"example.com/x":                {"", "example.com", "x"},
		"b@[::1]/x":                    {"b", "[::1]", "x"},
		"ÉLAN@x":                       {"élan", "x", ""},
		long + "@" + long + "/" + long: {long, long, long},
	} {
		got, err := ParseJID(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got)
		require.Equal(t, JID{Local: want.Local, Domain: want.Domain}, got.Bare())
	}
	for _, in := range []string{
		"", "@", "/", "@x", "x@", "x/", "x@/y", "a@b@c", "a b@c", "a@b c", "a\x00@b", "a@b/\n", "a@b/\x7f", "\xff@b", "a@\xff",
		"a@b/\xff", `a"@b`, "a<@b", "a:b@c", "a&@c", "a'@c", "a@c>", long + "x@y", "x@" + long + "y", "x@y/" + long + "z", "a@.",
	} {
		_, err := ParseJID(in)
		require.Error(t, err, "%q", in)
	}
}

func TestParseAddresses(t *testing.T) {
	for _, tc := range []struct {
		in   string
		tcp  bool
		want []Address
	}{
		{"wss://chat.example.com", false, []Address{{"wss", "chat.example.com:443", "/websocket", ""}}},
		{"ws://h:5280/ws/x?k=v", true, []Address{{"ws", "h:5280", "/ws/x", "k=v"}}},
		{"WSS://h/", false, []Address{{"wss", "h:443", "/", ""}}},
		{"ws://h", false, []Address{{"ws", "h:80", "/websocket", ""}}},
		{"xmpp://h, xmpps://h", false, []Address{{"xmpp", "h:5222", "", ""}, {"xmpps", "h:5223", "", ""}}},
		{"xmpp://h:1/", false, []Address{{"xmpp", "h:1", "", ""}}},
		{"h:5222 ,h2", true, []Address{{"xmpp", "h:5222", "", ""}, {"xmpp", "h2:5222", "", ""}}},
		{"h:5443,h2", false, []Address{{"wss", "h:5443", "/websocket", ""}, {"wss", "h2:443", "/websocket", ""}}},
		{"[::1]:5222,xmpps://[::1]", true, []Address{{"xmpp", "[::1]:5222", "", ""}, {"xmpps", "[::1]:5223", "", ""}}},
	} {
		got, err := ParseAddresses(tc.in, tc.tcp)
		require.NoError(t, err, tc.in)
		require.Equal(t, tc.want, got)
	}
	require.Equal(t, "wss://h:443/p", Address{"wss", "h:443", "/p", "secret"}.String())
	for in, text := range map[string]string{
		"":                      "address 1 of 1: is empty",
		"a:1,":                  "address 2 of 2: is empty",
		"a:1,http://b":          `address 2 of 2: "http://b": unknown scheme "http"`,
		"xmpp://h:0":            `bad port "0"`,
		"h:65536":               `bad port "65536"`,
		"h:x":                   "is not an address",
		"wss://":                "no host",
		":5222":                 "no host",
		"xmpp://h/path":         "host and port only",
		"xmpps://h?x=secret":    "host and port only",
		"wss://u:secret@h/":     "must not carry a user",
		"wss://h/#x":            "must not carry a fragment",
		"wss://h:1:2/":          "is not an address",
		"wss://h\x00/?a=secret": "is not an address",
		"://h":                  "is not an address",
	} {
		_, err := ParseAddresses(in, true)
		require.ErrorContains(t, err, text, in)
		require.NotContains(t, err.Error(), "secret")
	}
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
	f := newTCPFramer(streamConn{Reader: r})
	f.scan.declaration = true
	for {
		frame, err := f.ReadFrame(context.Background())
		if err != nil {
			return frames, err
		}
		frames = append(frames, frame)
		if frame == closeFrame {
			return frames, nil
		}
	}
}

// Frames are cut where elements end, and say what their namespaces are.
func TestCutStream(t *testing.T) {
	stream := "\ufeff"[3:] + serverStream + " \n\t " +
		`<stream:features><a/></stream:features>` + "\r\n" +
		`<iq id='1' x='>' y="'/>"><q xmlns='u'>a<![CDATA[</iq>]]]]><b/></q></iq>` +
		`<x/><x xmlns='own'/><stream:error xmlns:stream="http://etherx.jabber.org/streams"/>  </stream:stream>`
	want := []string{
		serverOpen,
		`<features xmlns="http://etherx.jabber.org/streams"><a xmlns="jabber:client"/></features>`,
		`<iq xmlns="jabber:client" id='1' x='>' y="'/>"><q xmlns='u'>a<![CDATA[</iq>]]]]><b/></q></iq>`,
		`<x xmlns="jabber:client"/>`,
		`<x xmlns="own"/>`,
		`<error xmlns="http://etherx.jabber.org/streams"/>`,
		closeFrame,
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
				continue // without xml:lang
			}
			require.Equal(t, canon(t, want[i]), asSession(t, f))
		}
		n, err := parseNode(frames[0])
		require.NoError(t, err)
		require.Equal(t, "s1", n.attr("id"))
		require.Equal(t, testDomain, n.attr("from"))
	}

	// Any prefix will do, also one that only the header declares.
	frames, err := cut(strings.NewReader(`<s:stream xmlns:s="http://etherx.jabber.org/streams" xmlns:c="jabber:client" xmlns:b="urn:xmpp:blocking" version="1.0" xmlns="a&amp;b">` +
		`<c:iq><b:block c:x="1"/></c:iq><y/></s:stream>`))
	require.NoError(t, err)
	require.Equal(t, canon(t, `<iq xmlns="jabber:client"><block xmlns="urn:xmpp:blocking" c:x="1" xmlns:c="jabber:client"/></iq>`), asSession(t, frames[1]))
	require.Equal(t, canon(t, `<y xmlns="a&amp;b"/>`), asSession(t, frames[2]))
}

// asSession is what a session reads in a frame.
func asSession(t *testing.T, frame string) string {
	t.Helper()
	n, err := wholeElement(frame)
	require.NoError(t, err, frame)
	return n.String()
}

func TestCutStreamErrors(t *testing.T) {
	deep := strings.Repeat("<a>", maxDepth) + strings.Repeat("</a>", maxDepth)
	frames, err := cut(strings.NewReader(serverStream + deep + "</stream:stream>"))
	require.NoError(t, err)
	require.Len(t, frames, 3)
	many := strings.Builder{}
	for i := range 100 {
		many.WriteString(" xmlns:a" + strconv.Itoa(i) + "='u'")
	}
	for in, want := range map[string]error{
		strings.Replace(serverStream, " id=", many.String()+" id=", 1): errMalformed,
		serverStream + "<a>" + deep + "</a>":                           errMalformed,
		serverStream + "<a":                                            io.ErrUnexpectedEOF,
		serverStream:                                                   io.EOF,
		"":                                                             io.EOF,
		serverStream + "<a>" + strings.Repeat(" ", maxFrame):        errTooLarge,
		"<stream:stream a='" + strings.Repeat(" ", maxFrame) + "'>": errTooLarge,
		serverStream + strings.Repeat(" ", 2*maxFrame):              io.EOF, // keepalives are not kept
		serverStream + "<![CDATA[x]]>":                              errMalformed,
	} {
		_, err := cut(strings.NewReader(in))
		require.ErrorIs(t, err, want, "%.60q", in)
	}
}

// nowhere is a transport that swallows everything.
type nowhere struct{}

func (nowhere) Header(string) []byte                         { return nil }
func (nowhere) ReadFrame(context.Context) (string, error)    { return "", io.EOF }
func (nowhere) WriteFrames(context.Context, ...[]byte) error { return nil }
func (nowhere) Heard() time.Duration                         { return 0 }
func (nowhere) Wrote() time.Duration                         { return 0 }
func (nowhere) Prompt() *prompt.Conn                         { return nil }
func (nowhere) End(context.Context) error                    { return nil }
func (nowhere) Close(context.Context) error                  { return nil }
func (nowhere) Cut()                                         {}

func TestNewID(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := uuid.New()
		require.Regexp(t, uuid4, id)
		require.False(t, seen[id])
		seen[id] = true
	}
}

// What we send survives every character, and cannot break out of its element.
func TestEncodeEscapes(t *testing.T) {
	for _, s := range []string{`'"<>&]]>`, "\n\t\r", "é😀", "<!-- -->", "\x00\x01", "\xff"} {
		frame := (&iq{id: s, kind: kindSet, payload: markup{space: s, name: "a", children: []markup{{name: "b", text: s}, {name: "b"}}}}).frame()
		require.NoError(t, check(string(frame)))
		n, err := parseNode(string(frame))
		require.NoError(t, err)
		require.Len(t, n.inner[0].(node).inner, 2)
		want := strings.Map(func(r rune) rune { // what XML cannot carry is told to be missing
			if !isCharacter(r) {
				return unicode.ReplacementChar
			}
			return r
		}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
		require.Equal(t, want, n.attr("id"))
		require.Equal(t, want, n.inner[0].(node).inner[0].(node).text())
	}
}

func TestClip(t *testing.T) {
	require.Equal(t, "x", clip("x"))
	require.Equal(t, strings.Repeat("é", 128)+"...", clip(strings.Repeat("é", 129)))
	require.Equal(t, "a"+strings.Repeat("é", 127)+"...", clip("a"+strings.Repeat("é", 200)))
}
