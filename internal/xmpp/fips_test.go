package xmpp

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/fipsmode"
)

// In FIPS 140-only mode what needs SHA-1 is an error, not the end of the process, and there are ways without: TCP, and every
// mechanism but SCRAM-SHA-1.
func TestFIPS140Only(t *testing.T) {
	fipsmode.Run(t, func() { inFIPSMode(t) })
}

func inFIPSMode(t *testing.T) {
	_, err := Dial(soon(t), testConfig("wss://127.0.0.1:1"))
	require.ErrorContains(t, err, "SHA-1")

	offering := func(mechanisms string, s script) Config {
		return pipeServer(t, func(p *peer) {
			p.impatient = true
			p.open(strings.Replace(plainFeatures, "<mechanism>PLAIN</mechanism>", mechanisms, 1))
			s(p)
		})
	}
	_, err = Dial(soon(t), offering("<mechanism>SCRAM-SHA-1</mechanism>", (*peer).drain))
	require.ErrorContains(t, err, "no common mechanism")
	require.ErrorContains(t, err, "SHA-1 is not allowed")

	s, err := Dial(soon(t), offering("<mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism>", func(p *peer) {
		p.expect(plainAuth)
		p.send(saslSuccess)
		p.open(bindFeatures)
		p.expect(bindStanza)
		p.send(bindResult)
		p.drain()
	}))
	require.NoError(t, err)
	require.NoError(t, s.Close(done()))

	// HMAC wants keys of 14 bytes there, and a password is one.
	_, err = Dial(soon(t), offering("<mechanism>SCRAM-SHA-256</mechanism>", func(p *peer) {
		first, _ := base64.StdEncoding.DecodeString(p.recv().text())
		_, nonce, _ := strings.Cut(string(first), ",r=")
		challenge := "r=" + nonce + "x,s=c2FsdHNhbHRzYWx0c2FsdA==,i=4096"
		p.send(`<challenge xmlns="` + nsSASL + `">` + base64.StdEncoding.EncodeToString([]byte(challenge)) + `</challenge>`)
		p.drain()
	}))
	require.ErrorContains(t, err, "FIPS 140-only mode")
}
