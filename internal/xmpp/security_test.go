package xmpp

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/fuzz"
)

// SECURITY.md: a stanza costs no more than its share of 256 MiB, whatever is in it. These are a sixteenth of the largest.
func TestLargeStanzasStayWithinMemory(t *testing.T) {
	const size = maxFrame / 16
	fill := func(open, unit, end string) string {
		return open + strings.Repeat(unit, (size-len(open)-len(end))/len(unit)) + end
	}
	attributes := func(name string) string {
		var b strings.Builder
		for i := 0; b.Len() < size-200; i++ {
			fmt.Fprintf(&b, ` %s%d=""`, name, i)
		}
		return b.String()
	}
	const server, bob = ` from="` + testDomain + `"`, ` from="bob@` + testDomain + `"`
	jid, err := ParseJID(testFull)
	require.NoError(t, err)
	for name, frame := range map[string]string{
		"elements in a message":     fill(`<message`+server+`>`, `<a/>`, `</message>`),
		"elements in elements":      fill(`<message`+server+`>`, strings.Repeat("<a>", 60)+strings.Repeat("</a>", 60), `</message>`),
		"elements of a profile":     fill(`<iq type="result"`+bob+`><vCard xmlns="vcard-temp">`, `<a/>`, `</vCard></iq>`),
		"elements of an error":      fill(`<iq type="error" id="members"><error>`, `<a/>`, `</error></iq>`),
		"block list":                fill(`<iq type="result" id="list"><blocklist xmlns="urn:xmpp:blocking">`, `<item jid="a"/>`, `</blocklist></iq>`),
		"block list of nobody":      fill(`<iq type="result" id="list"><blocklist xmlns="urn:xmpp:blocking">`, `<item/>`, `</blocklist></iq>`),
		"list of who blocks us":     fill(`<iq type="result" id="members"><blocklist>`, `<members>a</members>`, `</blocklist></iq>`),
		"block push":                fill(`<iq type="set" id="1"><block xmlns="urn:xmpp:blocking">`, `<item/>`, `</block></iq>`),
		"ends of QR sessions":       fill(`<message`+server+`><logout socket_id="`, `a,`, `"/></message>`),
		"attributes":                `<message` + attributes("a") + `/>`,
		"attributes inside":         `<message><a` + attributes("a") + `/></message>`,
		"attributes of a reply":     `<iq type="result" id="members"><blocklist` + attributes("a") + `/></iq>`,
		"namespaces":                `<message><a` + attributes("xmlns:a") + `/></message>`,
		"characters spelt out":      fill(`<message><body>`, `&lt;`, `</body></message>`),
		"stream error of anything":  fill(`<stream:error xmlns:stream="http://etherx.jabber.org/streams">`, `<a/>`, `</stream:error>`),
		"elements of an acceptance": fill(`<success xmlns="urn:ietf:params:xml:ns:xmpp-sasl">`, `<a/>`, `</success>`),
	} {
		t.Run(name, func(t *testing.T) {
			require.LessOrEqual(t, len(frame), size)
			cfg := Config{}
			cfg.setDefaults()
			s := newSession(&cfg, &negotiation{cfg: &cfg, f: nowhere{}, jid: jid})
			defer s.end(ErrClosed)
			var list struct {
				List blocking `xml:"urn:xmpp:blocking blocklist"`
			}
			s.waiters["list"] = &waiter{out: &list, reply: make(chan error, 1)}
			s.waiters["members"] = &waiter{out: new(blockers), reply: make(chan error, 1)}
			var err error
			fuzz.Bounded(t, len(frame), maxFrame, func() { err = s.receive([]byte(frame)) })
			require.NotErrorIs(t, err, errMalformed)
		})
	}
	t.Run("mechanisms", func(t *testing.T) {
		frame := []byte(fill(`<f><mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl">`, `<mechanism/>`, `</mechanisms></f>`))
		fuzz.Bounded(t, len(frame), maxFrame, func() {
			st, err := parse(frame)
			require.NoError(t, err)
			require.NoError(t, st.decode(new(streamFeatures)))
		})
	})
}

// SECURITY.md: TLS 1.2 or later over TCP, also when the TLSConfig permits less.
func TestTLS12(t *testing.T) {
	cert, pool := testCA(t, testDomain)
	for _, version := range []uint16{tls.VersionTLS11, tls.VersionTLS12} {
		old := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: version}
		for scheme, server := range map[string]func(net.Conn){
			schemeXMPPS: func(conn net.Conn) {
				p := &peer{t: t, conn: tls.Server(conn, old), impatient: true}
				p.login()
				p.drain()
			},
			schemeXMPP: func(conn net.Conn) {
				p := &peer{t: t, conn: conn, impatient: true}
				p.open(tlsFeatures)
				p.recv()
				p.send(`<proceed xmlns="urn:ietf:params:xml:ns:xmpp-tls"/>`)
				p.conn = tls.Server(conn, old)
				p.login()
				p.drain()
			},
		} {
			t.Run(scheme+" "+tls.VersionName(version), func(t *testing.T) {
				cfg := testConfig(scheme + "://" + listen(t, server))
				cfg.TLSConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10}
				s, err := Dial(t.Context(), cfg)
				if version < tls.VersionTLS12 {
					require.ErrorContains(t, err, "tls: ")
					require.ErrorContains(t, err, "version")
					return
				}
				require.NoError(t, err)
				require.NoError(t, s.Close(done()))
			})
		}
	}
}
