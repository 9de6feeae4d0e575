package xmpp

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Over TCP the end of a stanza is where its tags say. Where they contradict each other it may never come: the stream is not
// well-formed (RFC 6120 11.3), which is noticed there, not when a megabyte has come or the keepalive finds nobody.
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
			for step := range 3 {
				c := dial(t, pipeServer(t, func(p *peer) {
					p.login()
					p.impatient = true
					for rest := text; rest != ""; { // at once, by single bytes, and by some
						n := len(rest)
						if step > 0 {
							n = min(n, 1+(step-1)*100)
						}
						p.send(rest[:n])
						rest = rest[n:]
					}
					p.drain()
				}))
				require.ErrorIs(t, c.ended(), errMalformed)
			}
		})
	}
}

// What is well-formed stays so, whatever its names look like, and however deep and often they are open.
func TestEndTagsThatMatch(t *testing.T) {
	long := strings.Repeat("n", 2*streamBurst)
	stanzas := []string{
		`<message><a></a ></message>`,
		"<message><a\n></a\t\n></message\r\n>",
		`<message><x:a xmlns:x="u"><x:a/><x:a></x:a></x:a></message>`,
		`<message a="/"><b c='/'/><d e="&gt;>"></d></message>`,
		`<message><` + long + `></` + long + `></message>`,
		`<message>` + strings.Repeat("<a>", 30) + strings.Repeat("<b>", 30) + strings.Repeat("</b>", 30) + strings.Repeat("</a>", 30) + `</message>`,
		`<message><body>&lt;/b> ]] <![CDATA[</x><y>]]></body></message>`,
	}
	var in strings.Builder
	for _, s := range stanzas {
		in.WriteString(s + online)
	}
	c := dial(t, pipeServer(t, func(p *peer) {
		p.login()
		p.send(in.String())
		p.drain()
	}))
	for range stanzas {
		require.IsType(t, Presence{}, c.event())
	}
	require.NoError(t, c.Err())
}
