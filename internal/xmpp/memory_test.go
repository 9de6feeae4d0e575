package xmpp

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
)

func TestNeverWeakerThanBefore(t *testing.T) {
	t.Run("mechanism", func(t *testing.T) {
		cfg := directTLSServer(t, func(p *peer) {
			p.Impatient = true
			p.Open(scripted.PlainFeatures)
			if n, err := p.Read(); err == nil && n.Name.Local == "auth" {
				p.T.Error("the password was sent")
			}
		})
		cfg.Memory = new(Memory)
		cfg.Memory.loggedIn(scripted.Domain, 0)
		_, err := Dial(soon(t), cfg)
		require.ErrorIs(t, err, errDowngrade)
		auth := (*AuthError)(nil)
		require.False(t, errors.As(err, &auth), "another address, or another time, may be better")
	})
	t.Run("the same and better pass", func(t *testing.T) {
		m := new(Memory)
		cfg := directTLSServer(t, func(p *peer) { p.Login(); p.Drain() })
		cfg.Memory = m
		dial(t, cfg)
		require.Equal(t, []knownDomain{{name: scripted.Domain, strength: 1}}, m.known)
		dial(t, cfg)
		m.loggedIn(scripted.Domain, 1)
		m.loggedIn(scripted.Domain, 2)
		require.True(t, m.weaker(scripted.Domain, 2))
		require.False(t, m.weaker(scripted.Domain, 1))
		require.False(t, m.weaker(scripted.Domain, 0))
		require.False(t, m.weaker("other.example", 2))
	})
	t.Run("STARTTLS", func(t *testing.T) {
		cfg := startTLSServer(t, func(p *peer) { p.Login(); p.Drain() })
		cfg.Memory, cfg.AllowInsecure = new(Memory), true
		dial(t, cfg)
		bare := pipeServer(t, func(p *peer) {
			p.Impatient = true
			p.Open(scripted.PlainFeatures)
			if n, err := p.Read(); err == nil && n.Name.Local == "auth" {
				p.T.Error("the password was sent")
			}
		})
		bare.Memory = cfg.Memory
		_, err := Dial(soon(t), bare)
		require.ErrorIs(t, err, errDowngrade)
	})
}
