package xmpp

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"mellium.im/sasl"

	"github.com/mirrorfly-go/sdk/internal/frames"
	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
)

var aheadFeatures = scripted.WithFeature(scripted.PlainFeatures, `<pipelining xmlns="urn:xmpp:features:pipelining"/>`)

const ejabberdCaps = `<c xmlns="http://jabber.org/protocol/caps" hash="sha-1" ` +
	`node="http://www.process-one.net/en/ejabberd/" ver="x"/>`

// A server that is known to announce it after the login gets all that follows the mechanisms in one
// go the first time. One that does not announce it then is asked step by step, the next time too.
func TestExpectedPipelining(t *testing.T) {
	allInOne := func(p *peer) {
		p.Open(scripted.PlainFeatures)
		p.Expect(scripted.PlainAuth)
		p.Expect(scripted.OpenRequest)
		p.Expect(scripted.BindRequest)
		p.Send(scripted.SASLSuccess)
		p.Send(scripted.ServerOpen)
	}
	steps := func(p *peer) {
		p.Open(scripted.PlainFeatures)
		p.Expect(scripted.PlainAuth)
		p.Send(scripted.SASLSuccess)
		p.Expect(scripted.OpenRequest)
		p.Send(scripted.ServerOpen)
		p.Send(scripted.BindFeatures)
		p.Expect(scripted.BindRequest)
		p.Send(scripted.BindResult)
		p.Drain()
	}
	for name, script := range map[string][]script{
		"announced": {func(p *peer) {
			allInOne(p)
			p.Send(scripted.WithFeature(scripted.BindFeatures, ejabberdCaps))
			p.Send(scripted.BindResult)
			p.Drain()
		}},
		"not announced": {func(p *peer) {
			allInOne(p)
			p.Send(scripted.BindFeatures)
			p.Drain()
		}, steps, steps},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := webSocketServer(t, scripted.InTurn(script...))
			cfg.ExpectPipelining, cfg.Memory = true, new(Memory)
			for range max(1, len(script)-1) {
				s, err := Dial(soon(t), cfg)
				require.NoError(t, err)
				require.NoError(t, s.Close(done()))
			}
		})
	}
}

// A server that announces it with its first features gets all that follows the mechanisms in one
// go, one that does so after the login gets it step by step. From the second time on either gets
// all in one go, also to take a stream up.
func TestWriteAhead(t *testing.T) {
	for name, says := range map[string]struct{ first, second string }{
		"XEP-0305": {aheadFeatures, scripted.ManagedFeatures},
		"ejabberd": {scripted.PlainFeatures, scripted.WithFeature(scripted.ManagedFeatures, ejabberdCaps)},
	} {
		t.Run(name, func(t *testing.T) {
			asked := func(p *peer, request string) {
				p.Expect(scripted.PlainAuth)
				p.Expect(scripted.OpenRequest)
				p.Expect(request)
			}
			answered := func(p *peer, answer string) {
				p.Send(scripted.SASLSuccess)
				p.Send(scripted.ServerOpen)
				p.Send(says.second)
				p.Send(answer)
			}
			foreseen := func(p *peer, request, answer string) {
				p.Expect(scripted.OpenRequest)
				asked(p, request)
				p.Send(scripted.ServerOpen)
				p.Send(says.first)
				answered(p, answer)
			}
			cfg := webSocketServer(t, scripted.InTurn(
				func(p *peer) {
					p.Open(says.first)
					if says.first == aheadFeatures {
						asked(p, scripted.BindRequest)
						answered(p, scripted.BindResult)
					} else {
						p.Expect(scripted.PlainAuth)
						p.Send(scripted.SASLSuccess)
						p.Open(says.second)
						p.Expect(scripted.BindRequest)
						p.Send(scripted.BindResult)
					}
					p.Drain()
				},
				func(p *peer) {
					foreseen(p, scripted.BindRequest, scripted.BindResult)
					p.Expect(scripted.Enable)
					p.Expect(scripted.Hello)
					p.Expect(scripted.Carbons)
					p.Send(scripted.Enabled)
					p.Expect(scripted.Request)
				},
				func(p *peer) {
					foreseen(p, `<resume h="0" previd="one" xmlns="urn:xmpp:sm:3"/>`,
						`<resumed h="0" previd="one" xmlns="urn:xmpp:sm:3"/>`)
					p.Drain()
				},
				func(p *peer) {
					foreseen(p, `<resume h="0" previd="one" xmlns="urn:xmpp:sm:3"/>`, `<failed xmlns="urn:xmpp:sm:3"/>`)
					p.Expect(scripted.BindRequest)
					p.Send(scripted.BindResult)
					p.Drain()
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

// Over WebSocket the bind goes with the header of its stream, which saves a round trip with any
// server. One that hangs up at it is asked step by step from then on.
func TestBindGoesWithItsHeader(t *testing.T) {
	var connections atomic.Int32
	takes := true
	cfg := webSocketServer(t, func(p *peer) {
		number := connections.Add(1)
		p.Open(scripted.PlainFeatures)
		p.Expect(scripted.PlainAuth)
		p.Send(scripted.SASLSuccess)
		p.Expect(scripted.OpenRequest)
		if number < 3 {
			p.Expect(scripted.BindRequest)
			if !takes {
				return
			}
		}
		p.Send(scripted.ServerOpen)
		p.Send(scripted.BindFeatures)
		if number >= 3 {
			p.Expect(scripted.BindRequest)
		}
		p.Send(scripted.BindResult)
		p.Drain()
	})
	cfg.Memory = new(Memory)
	require.NoError(t, dial(t, cfg).Close(done()))
	require.False(t, cfg.Memory.refusesPipelining(scripted.Domain))
	takes = false
	for _, want := range []int32{3, 4} {
		require.NoError(t, dial(t, cfg).Close(done()))
		require.Equal(t, want, connections.Load())
		require.True(t, cfg.Memory.refusesPipelining(scripted.Domain))
	}
}

// A server that took what was written ahead and does not say after the login what it said the last
// time might break later, as Prosody 0.12 does: the session is made again, step by step.
func TestServerThatAnnouncesNothingAnyMore(t *testing.T) {
	bare := scripted.WithFeature(scripted.BindFeatures,
		`<c xmlns="http://jabber.org/protocol/caps" node="http://prosody.im"/>`)
	var connections atomic.Int32
	stepByStep := func(p *peer, features string) {
		p.Open(scripted.PlainFeatures)
		p.Expect(scripted.PlainAuth)
		p.Send(scripted.SASLSuccess)
		p.Open(features)
		p.Expect(scripted.BindRequest)
		p.Send(scripted.BindResult)
		p.Drain()
	}
	cfg := webSocketServer(t, func(p *peer) {
		switch connections.Add(1) {
		case 1:
			stepByStep(p, scripted.WithFeature(scripted.BindFeatures, ejabberdCaps))
		case 2:
			p.Impatient = true
			p.Open(scripted.PlainFeatures)
			p.LoginInOneGo(bare, scripted.BindRequest, scripted.BindResult)
			p.Drain()
		default:
			stepByStep(p, bare)
		}
	})
	cfg.Memory = new(Memory)
	for _, want := range []int32{1, 3, 4} {
		dial(t, cfg)
		require.Equal(t, want, connections.Load())
		require.Equal(t, want == 1, cfg.Memory.pipelines(scripted.Domain) == afterLogin)
	}
	require.False(t, cfg.Memory.refusesPipelining(scripted.Domain))
}

// A server that announces it after the login, and never takes it, is not asked again.
func TestServerThatAnnouncesAfterTheLoginAndTakesNothing(t *testing.T) {
	var connections atomic.Int32
	cfg := webSocketServer(t, func(p *peer) {
		if connections.Add(1) == 2 {
			p.Impatient = true
			p.Expect(scripted.OpenRequest)
			p.Expect(scripted.PlainAuth)
			return
		}
		p.Authenticated(scripted.WithFeature(scripted.BindFeatures, ejabberdCaps))
		p.Expect(scripted.BindRequest)
		p.Send(scripted.BindResult)
		p.Drain()
	})
	cfg.Memory = new(Memory)
	for _, want := range []int32{1, 3, 4} {
		dial(t, cfg)
		require.Equal(t, want, connections.Load())
		require.Equal(t, want > 1, cfg.Memory.refusesPipelining(scripted.Domain))
	}
}

// A server that has not said that it takes it gets nothing ahead, and nobody does over TCP, where
// the stream begins anew in the middle of what is read.
func TestNothingAhead(t *testing.T) {
	patient := func(features string) script {
		return func(p *peer) {
			p.LoginAfter(features)
			p.Drain()
		}
	}
	for name, tc := range map[string]struct {
		serve    serverFunc
		features string
	}{
		"not offered": {webSocketServer, scripted.PlainFeatures},
		"Prosody": {
			webSocketServer,
			strings.Replace(scripted.PlainFeatures, "</stream:features>",
				`<c xmlns="http://jabber.org/protocol/caps" node="http://prosody.im"/></stream:features>`, 1),
		},
		"direct TLS": {directTLSServer, aheadFeatures},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := tc.serve(t, patient(tc.features))
			cfg.Memory = new(Memory)
			dial(t, cfg)
			// Nor the second time.
			dial(t, cfg)
			ahead := cfg.Memory.pipelines(scripted.Domain) != notAnnounced
			require.False(t, ahead)
		})
	}
}

// A server that says that it takes it, and does not, is left alone from then on.
func TestFallBackToSteps(t *testing.T) {
	for name, refusal := range map[string]string{
		"hangs up": "",
		"stream error": `<stream:error xmlns:stream="` + nsStream + `"><policy-violation xmlns="` + nsStreams +
			`"/></stream:error>`,
		"aborts":         `<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><aborted/></failure>`,
		"something else": `<message xmlns="jabber:client"/>`,
	} {
		t.Run(name, func(t *testing.T) {
			var connections atomic.Int32
			cfg := webSocketServer(t, func(p *peer) {
				if connections.Add(1) > 1 {
					p.LoginAfter(aheadFeatures)
					p.Drain()
					return
				}
				p.Open(aheadFeatures)
				p.Expect(scripted.PlainAuth)
				if refusal != "" {
					p.Send(refusal)
				}
			})
			cfg.Memory = new(Memory)
			dial(t, cfg)
			require.EqualValues(t, 2, connections.Load())
			require.True(t, cfg.Memory.refusesPipelining(scripted.Domain))
			dial(t, cfg)
			require.EqualValues(t, 3, connections.Load())
		})
	}
}

// A server that took it and does not any more, since it has changed or is another node of the same
// service, is tried step by step before anything follows from how it fails, and is asked again the
// next time.
func TestServerThatTakesNothingAheadAnyMore(t *testing.T) {
	header := func(p *peer) { p.Send(scripted.ServerOpen); p.Send(aheadFeatures) }
	accepted := func(p *peer) {
		header(p)
		p.Send(scripted.SASLSuccess)
		p.Send(scripted.ServerOpen)
		p.Send(scripted.BindFeatures)
	}
	for name, refuse := range map[string]script{
		"hangs up":       func(*peer) {},
		"hangs up later": header,
		"aborts": func(p *peer) {
			header(p)
			p.Send(`<failure xmlns="` + nsSASL + `"><aborted/></failure>`)
		},
		"wants encryption": func(p *peer) {
			header(p)
			p.Send(`<failure xmlns="` + nsSASL + `"><encryption-required/></failure>`)
		},
		"says no more":       func(p *peer) { header(p); p.Send(`<failure xmlns="` + nsSASL + `"/>`) },
		"conflict":           func(p *peer) { p.Send(scripted.StreamError("conflict", "")) },
		"not authorized yet": func(p *peer) { header(p); p.Send(scripted.StreamError("not-authorized", "")) },
		"policy":             func(p *peer) { header(p); p.Send(scripted.StreamError("policy-violation", "")) },
		"bad XML":            func(p *peer) { header(p); p.Send(`<success xmlns="` + nsSASL + `"></failure>`) },
		"ends the stream":    func(p *peer) { header(p); p.Send(frames.CloseFrame) },
		"refuses to bind": func(p *peer) {
			accepted(p)
			p.Send(`<iq id="_bind_auth_2" type="error" xmlns="jabber:client"><error type="cancel">` +
				`<not-allowed xmlns="` + nsStanzas + `"/></error></iq>`)
		},
		"hangs up at the resource": accepted,
	} {
		t.Run(name, func(t *testing.T) {
			var connections atomic.Int32
			cfg := webSocketServer(t, func(p *peer) {
				switch connections.Add(1) {
				// The last is asked, and learned again.
				case 1, 4:
					p.Open(aheadFeatures)
					p.LoginInOneGo(scripted.BindFeatures, scripted.BindRequest, scripted.BindResult)
				case 2:
					p.Impatient = true
					p.Expect(scripted.OpenRequest)
					p.Expect(scripted.PlainAuth)
					refuse(p)
					return
				case 3:
					p.LoginAfter(aheadFeatures)
				}
				p.Drain()
			})
			cfg.Memory = new(Memory)
			for want := range 3 {
				dial(t, cfg)
				known := cfg.Memory.pipelines(scripted.Domain) != notAnnounced
				require.Equal(t, want != 1, known)
				require.False(t, cfg.Memory.refusesPipelining(scripted.Domain))
			}
			require.EqualValues(t, 4, connections.Load())
		})
	}
}

// One that is silent instead leaves no time to try another way, but does not get the same again.
func TestServerThatIsSilentToWhatIsAhead(t *testing.T) {
	var connections atomic.Int32
	// The server has what was written ahead.
	has := make(chan struct{}, 2)
	cfg := webSocketServer(t, func(p *peer) {
		p.Impatient = true
		switch connections.Add(1) {
		case 1:
			p.Expect(scripted.OpenRequest)
			p.Expect(scripted.PlainAuth)
			p.Send(scripted.ServerOpen)
			p.Send(aheadFeatures)
			has <- struct{}{}
		case 2:
			p.Open(aheadFeatures)
			p.Expect(scripted.PlainAuth)
			p.Expect(scripted.OpenRequest)
			has <- struct{}{}
		default:
			p.LoginAfter(aheadFeatures)
		}
		p.Drain()
	})
	cfg.Memory = new(Memory)
	cfg.Memory.loggedIn(scripted.Domain, 2)
	cfg.Memory.learnPipelining(scripted.Domain, beforeLogin, true)
	for attempt := range 2 {
		_, err := Dial(newLate(soon(t), has), cfg)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		known := cfg.Memory.pipelines(scripted.Domain) != notAnnounced
		require.False(t, known)
		require.Equal(t, attempt == 1, cfg.Memory.refusesPipelining(scripted.Domain))
	}
	dial(t, cfg)
}

// late is a context whose time is over when something comes from a channel.
type late struct{ context.Context }

func newLate(ctx context.Context, over <-chan struct{}) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	// Ends with the test.
	go func() {
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
		"unknown host": `<stream:error xmlns:stream="` + nsStream + `"><host-unknown xmlns="` + nsStreams +
			`"/></stream:error>`,
	} {
		t.Run(name, func(t *testing.T) {
			var connections atomic.Int32
			cfg := webSocketServer(t, func(p *peer) {
				connections.Add(1)
				p.Open(aheadFeatures)
				p.Expect(scripted.PlainAuth)
				p.Send(refusal)
				p.Impatient = true
				p.Drain()
			})
			cfg.Memory = new(Memory)
			_, err := Dial(soon(t), cfg)
			require.Error(t, err)
			require.EqualValues(t, 1, connections.Load())
			require.False(t, cfg.Memory.refusesPipelining(scripted.Domain))
		})
	}
}

// A server that has become another since the last time is asked anew.
func TestSurprise(t *testing.T) {
	for name, features := range map[string]string{
		"takes nothing ahead any more": scripted.PlainFeatures,
		"offers another mechanism": strings.Replace(aheadFeatures, "<mechanism>PLAIN",
			"<mechanism>X-NEW</mechanism><mechanism>PLAIN", 1),
	} {
		t.Run(name, func(t *testing.T) {
			var connections atomic.Int32
			cfg := webSocketServer(t, func(p *peer) {
				p.Impatient = true
				switch connections.Add(1) {
				case 1:
					p.Open(aheadFeatures)
					p.LoginInOneGo(scripted.BindFeatures, scripted.BindRequest, scripted.BindResult)
				case 2:
					p.Open(features)
					// Nothing of it concerns us.
					if features != scripted.PlainFeatures {
						p.LoginInOneGo(scripted.BindFeatures, scripted.BindRequest, scripted.BindResult)
					}
				default:
					p.LoginAfter(features)
				}
				p.Drain()
			})
			cfg.Memory = new(Memory)
			dial(t, cfg)
			dial(t, cfg)
			known := cfg.Memory.pipelines(scripted.Domain) != notAnnounced
			if features == scripted.PlainFeatures {
				require.EqualValues(t, 3, connections.Load())
				require.False(t, known)
			} else {
				require.EqualValues(t, 2, connections.Load())
				require.True(t, known)
			}
			require.False(t, cfg.Memory.refusesPipelining(scripted.Domain))
		})
	}
	t.Run("offers something better", func(t *testing.T) {
		var connections atomic.Int32
		scram := strings.Replace(aheadFeatures, "PLAIN", "SCRAM-SHA-1", 1)
		cfg := webSocketServer(t, func(p *peer) {
			p.Impatient = true
			number := connections.Add(1)
			if number == 1 {
				p.Open(aheadFeatures)
				p.LoginInOneGo(scripted.BindFeatures, scripted.BindRequest, scripted.BindResult)
				p.Drain()
				return
			}
			p.Open(scram)
			n := p.Recv()
			if number == 3 && (n.Name.Local != "auth" || n.Attr("mechanism") != sasl.ScramSha1.Name) {
				p.T.Errorf("got %s", n)
			}
			if number == 3 {
				p.Send(`<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><not-authorized/></failure>`)
			}
			p.Drain()
		})
		cfg.Memory = new(Memory)
		dial(t, cfg)
		_, err := Dial(soon(t), cfg)
		// Our server does not go on with it.
		require.ErrorContains(t, err, "not-authorized")
		require.EqualValues(t, 3, connections.Load())
	})
}

// SCRAM to a server that is known costs one round trip more: its challenge.
func TestSCRAMAhead(t *testing.T) {
	features := strings.Replace(aheadFeatures, "PLAIN", "SCRAM-SHA-1", 1)
	cfg := webSocketServer(t, func(p *peer) {
		p.Impatient = true
		p.Expect(scripted.OpenRequest)
		// Before anything of ours.
		if n := p.Recv(); n.Attr("mechanism") != sasl.ScramSha1.Name {
			p.T.Errorf("got %s", n)
		}
		p.Send(scripted.ServerOpen)
		p.Send(features)
		p.Send(`<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><not-authorized/></failure>`)
		p.Drain()
	})
	cfg.Memory = new(Memory)
	cfg.Memory.loggedIn(scripted.Domain, 1)
	cfg.Memory.learnPipelining(scripted.Domain, beforeLogin, true)
	_, err := Dial(soon(t), cfg)
	auth := (*AuthError)(nil)
	require.ErrorAs(t, err, &auth)
	require.Equal(t, "not-authorized", auth.Condition)
}

// Where the session is optional nobody waits for it, and a refusal of it changes nothing.
func TestOptionalSession(t *testing.T) {
	eachTransport(t, func(t *testing.T, serve serverFunc) {
		answered := make(chan struct{})
		cfg := serve(t, func(p *peer) {
			p.Open(scripted.PlainFeatures)
			p.Recv()
			p.Send(scripted.SASLSuccess)
			p.Open(strings.Replace(scripted.BindFeatures, "</stream:features>",
				`<session xmlns="urn:ietf:params:xml:ns:xmpp-session"><optional/></session></stream:features>`, 1))
			p.Expect(scripted.BindRequest)
			p.Send(scripted.BindResult)
			p.Expect(`<iq id="_session_auth_2" type="set" xmlns="jabber:client">` +
				`<session xmlns="urn:ietf:params:xml:ns:xmpp-session"/></iq>`)
			<-answered
			p.Send(`<iq id="_session_auth_2" type="error" xmlns="jabber:client"><error type="cancel">` +
				`<forbidden xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`)
			p.Send(scripted.Online)
			p.Drain()
		})
		c := dial(t, cfg)
		close(answered)
		require.IsType(t, Presence{}, <-c.events)
		require.Zero(t, c.Ignored())
	})
}

// A refusal counts once, however long the login was held up after the server had answered: what
// bounds the way to a secure stream does not bound what follows. In time that is not real.
func TestRefusalAfterALongWait(t *testing.T) {
	still(t, func(t *testing.T) {
		var logins atomic.Int32
		cfg := pipeServer(t, func(p *peer) {
			p.Open(scripted.PlainFeatures)
			p.Expect(scripted.PlainAuth)
			logins.Add(1)
			p.Send(`<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><not-authorized/></failure>`)
			p.Drain()
		})
		cfg.ExpectPipelining, cfg.Memory = true, new(Memory)
		cfg.DialTimeout = time.Second
		cfg.Authorize = func(ctx context.Context) error {
			timer := time.NewTimer(cfg.DialTimeout * 3 / 2)
			defer timer.Stop()
			select {
			case <-timer.C:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		_, err := Dial(soon(t), cfg)
		var refused *AuthError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, "not-authorized", refused.Condition)
		require.EqualValues(t, 1, logins.Load())
	})
}
