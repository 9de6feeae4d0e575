package xmpp

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"mellium.im/sasl"
)

const (
	pipelining  = `<pipelining xmlns="urn:xmpp:features:pipelining"/>`
	openRequest = `<open to="` + testDomain + `" version="1.0" xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`
	bindStanza  = `<iq id="_bind_auth_2" type="set" xmlns="jabber:client"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><resource>` + testResource + `</resource></bind></iq>`
)

var aheadFeatures = strings.Replace(plainFeatures, "</stream:features>", pipelining+"</stream:features>", 1)

// inOneGo takes the client through all that follows the first features. It answers only when everything has come.
func (p *peer) inOneGo(features, request, answer string) {
	p.t.Helper()
	p.expect(plainAuth)
	p.expect(openRequest)
	p.expect(request)
	p.send(saslSuccess)
	p.send(serverOpen)
	p.send(features)
	p.send(answer)
}

const ejabberdCaps = `<c xmlns="http://jabber.org/protocol/caps" hash="sha-1" node="http://www.process-one.net/en/ejabberd/" ver="x"/>`

// likeEjabberd gives a stream header the id, and the features after the login the capabilities, of an ejabberd.
func likeEjabberd(header, features string) (numbered, capable string) {
	return strings.Replace(header, `id="s1"`, `id="16370482391812345678"`, 1),
		strings.Replace(features, "</stream:features>", ejabberdCaps+"</stream:features>", 1)
}

// One round trip for the mechanisms, one for the rest; and one altogether from the second time on, also to take a stream up.
func TestWriteAhead(t *testing.T) {
	numbered, capable := likeEjabberd(serverOpen, smFeatures)
	for name, says := range map[string]struct{ open, first, second string }{
		"XEP-0305": {serverOpen, aheadFeatures, smFeatures},
		"ejabberd": {numbered, plainFeatures, capable},
	} {
		t.Run(name, func(t *testing.T) {
			asked := func(p *peer, request string) {
				p.expect(plainAuth)
				p.expect(openRequest)
				p.expect(request)
			}
			answered := func(p *peer, answer string) {
				p.send(saslSuccess)
				p.send(says.open)
				p.send(says.second)
				p.send(answer)
			}
			foreseen := func(p *peer, request, answer string) {
				p.expect(openRequest)
				asked(p, request)
				p.send(says.open)
				p.send(says.first)
				answered(p, answer)
			}
			cfg := webSocketServer(t, inTurn(
				func(p *peer) {
					p.expect(openRequest)
					p.send(says.open)
					p.send(says.first)
					asked(p, bindStanza)
					answered(p, bindResult)
					p.drain()
				},
				func(p *peer) {
					foreseen(p, bindStanza, bindResult)
					p.expect(enable)
					p.expect(hello)
					p.expect(carbons)
					p.send(enabled)
					p.expect(request)
				},
				func(p *peer) {
					foreseen(p, `<resume h="0" previd="one" xmlns="urn:xmpp:sm:3"/>`, `<resumed h="0" previd="one" xmlns="urn:xmpp:sm:3"/>`)
					p.drain()
				},
				func(p *peer) {
					foreseen(p, `<resume h="0" previd="one" xmlns="urn:xmpp:sm:3"/>`, `<failed xmlns="urn:xmpp:sm:3"/>`)
					p.expect(bindStanza)
					p.send(bindResult)
					p.drain()
				},
			))
			cfg.Memory = new(Memory)
			dial(t, cfg)
			cfg.Resume = lose(t, cfg)
			require.True(t, dial(t, cfg).Resumed())
			require.False(t, dial(t, cfg).Resumed())
		})
	}
}

// Who has such ids and is no ejabberd might break later: it is not believed.
func TestOnlyLikeEjabberd(t *testing.T) {
	numbered, _ := likeEjabberd(serverOpen, "")
	var connections atomic.Int32
	cfg := webSocketServer(t, func(p *peer) {
		first := connections.Add(1) == 1
		p.impatient = first
		p.expect(openRequest)
		p.send(numbered)
		p.send(plainFeatures)
		p.expect(plainAuth)
		p.send(saslSuccess)
		p.expect(openRequest)
		p.send(numbered)
		p.send(strings.Replace(bindFeatures, "</stream:features>", `<c xmlns="http://jabber.org/protocol/caps" node="http://prosody.im"/></stream:features>`, 1))
		p.expect(bindStanza)
		p.send(bindResult)
		p.drain()
	})
	cfg.Memory = new(Memory)
	dial(t, cfg)
	require.EqualValues(t, 2, connections.Load())
	require.True(t, cfg.Memory.stepwise(testDomain))
	dial(t, cfg)
	require.EqualValues(t, 3, connections.Load())
}

// A server that has not said that it takes it gets nothing ahead, and nobody does over TCP, where the stream begins anew in the
// middle of what is read.
func TestNothingAhead(t *testing.T) {
	patient := func(features string) script {
		return func(p *peer) {
			p.loginAfter(features)
			p.drain()
		}
	}
	for name, tc := range map[string]struct {
		serve    func(testing.TB, script) Config
		features string
	}{
		"not offered": {webSocketServer, plainFeatures},
		"Prosody":     {webSocketServer, strings.Replace(plainFeatures, "</stream:features>", `<c xmlns="http://jabber.org/protocol/caps" node="http://prosody.im"/></stream:features>`, 1)},
		"direct TLS":  {directTLSServer, aheadFeatures},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := tc.serve(t, patient(tc.features))
			cfg.Memory = new(Memory)
			dial(t, cfg)
			dial(t, cfg) // nor the second time
			_, ahead := cfg.Memory.takes(testDomain)
			require.False(t, ahead)
		})
	}
}

// A server that says that it takes it, and does not, is left alone from then on.
func TestFallBackToSteps(t *testing.T) {
	for name, refusal := range map[string]string{
		"hangs up":       "",
		"stream error":   `<stream:error xmlns:stream="` + nsStream + `"><policy-violation xmlns="` + nsStreams + `"/></stream:error>`,
		"aborts":         `<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><aborted/></failure>`,
		"something else": `<message xmlns="jabber:client"/>`,
	} {
		t.Run(name, func(t *testing.T) {
			var connections atomic.Int32
			cfg := webSocketServer(t, func(p *peer) {
				if connections.Add(1) > 1 {
					p.loginAfter(aheadFeatures)
					p.drain()
					return
				}
				p.open(aheadFeatures)
				p.expect(plainAuth)
				if refusal != "" {
					p.send(refusal)
				}
			})
			cfg.Memory = new(Memory)
			dial(t, cfg)
			require.EqualValues(t, 2, connections.Load())
			require.True(t, cfg.Memory.stepwise(testDomain))
			dial(t, cfg)
			require.EqualValues(t, 3, connections.Load())
		})
	}
}

// A server that took it and does not any more, since it has changed or is another node of the same service, is tried step by step
// before anything follows from how it fails, and is asked again the next time.
func TestServerThatTakesNothingAheadAnyMore(t *testing.T) {
	header := func(p *peer) { p.send(serverOpen); p.send(aheadFeatures) }
	accepted := func(p *peer) { header(p); p.send(saslSuccess); p.send(serverOpen); p.send(bindFeatures) }
	for name, refuse := range map[string]script{
		"hangs up":           func(*peer) {},
		"hangs up later":     header,
		"aborts":             func(p *peer) { header(p); p.send(`<failure xmlns="` + nsSASL + `"><aborted/></failure>`) },
		"wants encryption":   func(p *peer) { header(p); p.send(`<failure xmlns="` + nsSASL + `"><encryption-required/></failure>`) },
		"says no more":       func(p *peer) { header(p); p.send(`<failure xmlns="` + nsSASL + `"/>`) },
		"conflict":           func(p *peer) { p.send(streamErrorOf("conflict", "")) },
		"not authorized yet": func(p *peer) { header(p); p.send(streamErrorOf("not-authorized", "")) },
		"policy":             func(p *peer) { header(p); p.send(streamErrorOf("policy-violation", "")) },
		"bad XML":            func(p *peer) { header(p); p.send(`<success xmlns="` + nsSASL + `"></failure>`) },
		"ends the stream":    func(p *peer) { header(p); p.send(closeFrame) },
		"refuses to bind": func(p *peer) {
			accepted(p)
			p.send(`<iq id="_bind_auth_2" type="error" xmlns="jabber:client"><error type="cancel"><not-allowed xmlns="` + nsStanzas + `"/></error></iq>`)
		},
		"hangs up at the resource": accepted,
	} {
		t.Run(name, func(t *testing.T) {
			var connections atomic.Int32
			cfg := webSocketServer(t, func(p *peer) {
				switch connections.Add(1) {
				case 1, 4: // the last is asked, and learned again
					p.open(aheadFeatures)
					p.inOneGo(bindFeatures, bindStanza, bindResult)
				case 2:
					p.impatient = true
					p.expect(openRequest)
					p.expect(plainAuth)
					refuse(p)
					return
				case 3:
					p.loginAfter(aheadFeatures)
				}
				p.drain()
			})
			cfg.Memory = new(Memory)
			for want := range 3 {
				dial(t, cfg)
				_, known := cfg.Memory.takes(testDomain)
				require.Equal(t, want != 1, known)
				require.False(t, cfg.Memory.stepwise(testDomain))
			}
			require.EqualValues(t, 4, connections.Load())
		})
	}
}

// One that is silent instead leaves no time to try another way, but does not get the same again.
func TestServerThatIsSilentToWhatIsAhead(t *testing.T) {
	var connections atomic.Int32
	has := make(chan struct{}, 2) // the server has what was written ahead
	cfg := webSocketServer(t, func(p *peer) {
		p.impatient = true
		switch connections.Add(1) {
		case 1:
			p.expect(openRequest)
			p.expect(plainAuth)
			p.send(serverOpen)
			p.send(aheadFeatures)
			has <- struct{}{}
		case 2:
			p.open(aheadFeatures)
			p.expect(plainAuth)
			p.expect(openRequest)
			has <- struct{}{}
		default:
			p.loginAfter(aheadFeatures)
		}
		p.drain()
	})
	cfg.Memory = new(Memory)
	cfg.Memory.loggedIn(testDomain, 2)
	cfg.Memory.writesAhead(testDomain)
	for attempt := range 2 {
		_, err := Dial(newLate(soon(t), has), cfg)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, known := cfg.Memory.takes(testDomain)
		require.False(t, known)
		require.Equal(t, attempt == 1, cfg.Memory.stepwise(testDomain))
	}
	dial(t, cfg)
}

// late is a context whose time is over when something comes from a channel.
type late struct{ context.Context }

func newLate(ctx context.Context, over <-chan struct{}) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() { // ends with the test
		select {
		case <-over:
			cancel(context.DeadlineExceeded)
		case <-ctx.Done():
		}
	}()
	return late{ctx}
}

func (l late) Err() error {
	if l.Context.Err() != nil {
		return context.DeadlineExceeded
	}
	return nil
}

// What is refused for good is not tried again: the password would be counted as wrong twice.
func TestRefusalIsNotHaste(t *testing.T) {
	for name, refusal := range map[string]string{
		"wrong password": `<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><not-authorized/></failure>`,
		"unknown host":   `<stream:error xmlns:stream="` + nsStream + `"><host-unknown xmlns="` + nsStreams + `"/></stream:error>`,
	} {
		t.Run(name, func(t *testing.T) {
			var connections atomic.Int32
			cfg := webSocketServer(t, func(p *peer) {
				connections.Add(1)
				p.open(aheadFeatures)
				p.expect(plainAuth)
				p.send(refusal)
				p.impatient = true
				p.drain()
			})
			cfg.Memory = new(Memory)
			_, err := Dial(soon(t), cfg)
			require.Error(t, err)
			require.EqualValues(t, 1, connections.Load())
			require.False(t, cfg.Memory.stepwise(testDomain))
		})
	}
}

// A server that has become another since the last time is asked anew.
func TestSurprise(t *testing.T) {
	for name, features := range map[string]string{
		"takes nothing ahead any more": plainFeatures,
		"offers another mechanism":     strings.Replace(aheadFeatures, "<mechanism>PLAIN", "<mechanism>X-NEW</mechanism><mechanism>PLAIN", 1),
	} {
		t.Run(name, func(t *testing.T) {
			var connections atomic.Int32
			cfg := webSocketServer(t, func(p *peer) {
				p.impatient = true
				switch connections.Add(1) {
				case 1:
					p.open(aheadFeatures)
					p.inOneGo(bindFeatures, bindStanza, bindResult)
				case 2:
					p.open(features)
					if features != plainFeatures { // nothing of it concerns us
						p.inOneGo(bindFeatures, bindStanza, bindResult)
					}
				default:
					p.loginAfter(features)
				}
				p.drain()
			})
			cfg.Memory = new(Memory)
			dial(t, cfg)
			dial(t, cfg)
			_, known := cfg.Memory.takes(testDomain)
			if features == plainFeatures {
				require.EqualValues(t, 3, connections.Load())
				require.False(t, known)
			} else {
				require.EqualValues(t, 2, connections.Load())
				require.True(t, known)
			}
			require.False(t, cfg.Memory.stepwise(testDomain))
		})
	}
	t.Run("offers something better", func(t *testing.T) {
		var connections atomic.Int32
		scram := strings.Replace(aheadFeatures, "PLAIN", "SCRAM-SHA-1", 1)
		cfg := webSocketServer(t, func(p *peer) {
			p.impatient = true
			number := connections.Add(1)
			if number == 1 {
				p.open(aheadFeatures)
				p.inOneGo(bindFeatures, bindStanza, bindResult)
				p.drain()
				return
			}
			p.open(scram)
			n := p.recv()
			if number == 3 && (n.name.Local != "auth" || n.attr("mechanism") != sasl.ScramSha1.Name) {
				p.t.Errorf("got %s", n)
			}
			if number == 3 {
				p.send(`<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><not-authorized/></failure>`)
			}
			p.drain()
		})
		cfg.Memory = new(Memory)
		dial(t, cfg)
		_, err := Dial(soon(t), cfg)
		require.ErrorContains(t, err, "not-authorized") // our server does not go on with it
		require.EqualValues(t, 3, connections.Load())
	})
}

// SCRAM to a server that is known costs one round trip more: its challenge.
func TestSCRAMAhead(t *testing.T) {
	features := strings.Replace(aheadFeatures, "PLAIN", "SCRAM-SHA-1", 1)
	cfg := webSocketServer(t, func(p *peer) {
		p.impatient = true
		p.expect(openRequest)
		if n := p.recv(); n.attr("mechanism") != sasl.ScramSha1.Name { // before anything of ours
			p.t.Errorf("got %s", n)
		}
		p.send(serverOpen)
		p.send(features)
		p.send(`<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><not-authorized/></failure>`)
		p.drain()
	})
	cfg.Memory = new(Memory)
	cfg.Memory.loggedIn(testDomain, 1)
	cfg.Memory.writesAhead(testDomain)
	_, err := Dial(soon(t), cfg)
	auth := (*AuthError)(nil)
	require.ErrorAs(t, err, &auth)
	require.Equal(t, "not-authorized", auth.Condition)
}

// Where the session is optional nobody waits for it, and a refusal of it changes nothing.
func TestOptionalSession(t *testing.T) {
	eachTransport(t, func(t *testing.T, serve func(testing.TB, script) Config) {
		answered := make(chan struct{})
		cfg := serve(t, func(p *peer) {
			p.open(plainFeatures)
			p.recv()
			p.send(saslSuccess)
			p.open(strings.Replace(bindFeatures, "</stream:features>", `<session xmlns="urn:ietf:params:xml:ns:xmpp-session"><optional/></session></stream:features>`, 1))
			p.expect(bindStanza)
			p.send(bindResult)
			p.expect(`<iq id="_session_auth_2" type="set" xmlns="jabber:client"><session xmlns="urn:ietf:params:xml:ns:xmpp-session"/></iq>`)
			<-answered
			p.send(`<iq id="_session_auth_2" type="error" xmlns="jabber:client"><error type="cancel"><forbidden xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`)
			p.send(online)
			p.drain()
		})
		c := dial(t, cfg)
		close(answered)
		require.IsType(t, Presence{}, <-c.events)
		require.Zero(t, c.Ignored())
	})
}
