package xmpp

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func streamErrorOf(condition, content string) string {
	return `<stream:error xmlns:stream="` + nsStream + `"><` + condition + ` xmlns="` + nsStreams + `">` + content + `</` + condition + `></stream:error>`
}

// Before TLS anybody on the way may have said it, and RFC 6120 5.4.3.3 has it discarded: neither does a redirect lead anywhere, nor
// does an error mean what it would mean from the server. Where TLS is not demanded the server may speak so.
func TestBeforeTLSNothingIsBelieved(t *testing.T) {
	var visited atomic.Int32
	inside := listen(t, func(net.Conn) { visited.Add(1) })
	for name, text := range map[string]string{
		"conflict":        streamErrorOf("conflict", ""),
		"not-authorized":  streamErrorOf("not-authorized", ""),
		"any other":       streamErrorOf("policy-violation", ""),
		"see-other-host":  streamErrorOf("see-other-host", inside),
		"see-other-uri":   `<close xmlns="` + nsFraming + `" see-other-uri="xmpp://` + inside + `"/>`,
		"an ending":       "</stream:stream>",
		"a refusal":       `<failure xmlns="` + nsTLS + `"/>`,
		"wrong password":  `<failure xmlns="` + nsSASL + `"><not-authorized/></failure>`,
		"a bind error":    `<iq id="_bind_auth_2" type="error" xmlns="jabber:client"><error type="cancel"><conflict xmlns="` + nsStanzas + `"/></error></iq>`,
		"not well-formed": `<a></b>`,
	} {
		for moment, before := range map[string]string{"for the header": "", "for the features": serverStream, "for STARTTLS": serverStream + tlsFeatures} {
			t.Run(name+" "+moment, func(t *testing.T) {
				addr := listen(t, func(c net.Conn) {
					p := &peer{t: t, conn: c, impatient: true}
					p.restart()
					p.recv()
					p.send(before)
					if before == serverStream+tlsFeatures {
						p.recv()
					}
					p.send(text)
					p.drain()
				})
				remembered := new(Memory)
				remembered.sawTLS(testDomain)
				for _, change := range []func(*Config){func(*Config) {}, func(c *Config) { c.AllowInsecure, c.Memory = true, remembered }} {
					cfg := testConfig("xmpp://" + addr)
					change(&cfg)
					visited.Store(0)
					_, err := Dial(soon(t), cfg)
					require.Error(t, err)
					stream, auth := (*StreamError)(nil), (*AuthError)(nil)
					require.False(t, errors.As(err, &stream), err)
					require.False(t, errors.As(err, &auth), err)
					require.NotErrorIs(t, err, ErrInsecure)
					require.Zero(t, visited.Load())
				}
			})
		}
	}
	t.Run("TLS is not demanded", func(t *testing.T) {
		cfg := pipeServer(t, func(p *peer) {
			p.impatient = true
			p.restart()
			p.recv()
			p.send(serverStream + streamErrorOf("conflict", ""))
			p.drain()
		})
		_, err := Dial(soon(t), cfg)
		stream := (*StreamError)(nil)
		require.ErrorAs(t, err, &stream)
		require.True(t, stream.Final())
	})
}
