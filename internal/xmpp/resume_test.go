package xmpp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/unsent"
)

var smFeatures = strings.Replace(bindFeatures, "</stream:features>", `<sm xmlns="urn:xmpp:sm:3"/></stream:features>`, 1)

const (
	enable  = `<enable resume="true" xmlns="urn:xmpp:sm:3"/>`
	enabled = `<enabled id="one" resume="true" xmlns="urn:xmpp:sm:3"/>`
	hello   = `<presence xmlns="jabber:client"><priority>1</priority></presence>`
	carbons = `<iq id="ID" type="set" xmlns="jabber:client"><enable xmlns="urn:xmpp:carbons:2"/></iq>`
	request = `<r xmlns="urn:xmpp:sm:3"/>`
	online  = `<presence from="bob@xmpp.example.com/x" xmlns="jabber:client"/>`
)

// inTurn runs a script for each connection, in order.
func inTurn(scripts ...script) script {
	var n atomic.Int32
	return func(p *peer) { scripts[n.Add(1)-1](p) }
}

// authenticated takes the client to the features behind SASL.
func (p *peer) authenticated(features string) {
	p.t.Helper()
	p.open(plainFeatures)
	p.expect(plainAuth)
	p.send(saslSuccess)
	p.open(features)
}

// managed takes a client that has called Start to a stream that counts. What it asks for, carbons, is not answered yet.
func (p *peer) managed() (asked node) {
	p.t.Helper()
	p.authenticated(smFeatures)
	p.recv() // bind
	p.send(bindResult)
	p.expect(enable)
	p.expect(hello)
	asked = p.expect(carbons)
	p.send(enabled)
	p.expect(request)
	return asked
}

// resumed takes the client back to the stream of managed, of which nothing has arrived on either side.
func (p *peer) resumed() {
	p.t.Helper()
	p.authenticated(smFeatures)
	p.expect(`<resume h="0" previd="one" xmlns="urn:xmpp:sm:3"/>`)
	p.send(`<resumed h="0" previd="one" xmlns="urn:xmpp:sm:3"/>`)
}

// announced reads what the client sends when nothing of it has arrived before.
func (p *peer) announced() {
	p.t.Helper()
	p.expect(hello)
	p.expect(carbons)
	p.expect(request)
}

// lose starts a session on the first script of serve and returns what resumes it when that script has hung up.
func lose(t *testing.T, cfg Config) *Resumption {
	t.Helper()
	c := dial(t, cfg)
	require.False(t, c.Resumed())
	require.NoError(t, c.Start(t.Context()))
	require.Error(t, c.ended())
	return c.Resumption()
}

func TestResume(t *testing.T) {
	for transport, serve := range transports { // in no bubble: the server is told a little later what has come
		t.Run(transport, func(t *testing.T) { resumes(t, serve) })
	}
}

func resumes(t *testing.T, serve func(testing.TB, script) Config) {
	cfg := serve(t, inTurn(
		func(p *peer) {
			p.managed()
			p.send(online)
			p.send(`<message from="x@y/z" xmlns="jabber:client"><body>not understood, but counted</body></message>`)
			p.send(request)
			p.expect(`<a h="2" xmlns="urn:xmpp:sm:3"/>`)
			p.send(`<a h="1" xmlns="urn:xmpp:sm:3"/>`) // it has the presence
			p.send(online)
		},
		func(p *peer) {
			p.authenticated(smFeatures)
			p.expect(`<resume h="3" previd="one" xmlns="urn:xmpp:sm:3"/>`)
			p.send(`<resumed h="1" previd="one" xmlns="urn:xmpp:sm:3"/>`)
			p.send(online)
			p.expect(carbons)
			p.expect(request)
			p.send(`<a h="2" xmlns="urn:xmpp:sm:3"/>`)
			p.send(request)
			p.expect(`<a h="4" xmlns="urn:xmpp:sm:3"/>`)
			p.send(online)
			p.expect(`<presence type="unavailable" xmlns="jabber:client"/>`)
			p.expect(`<a h="5" xmlns="urn:xmpp:sm:3"/>`)
			p.expectEnd()
			p.sendEnd()
			p.drain()
		},
	))
	var presences atomic.Int32
	came := make(chan struct{}, 16)
	cfg.Handle = func(e Event) {
		if _, ok := e.(Presence); ok {
			presences.Add(1)
			came <- struct{}{}
		}
	}
	lost := lose(t, cfg)
	require.NotNil(t, lost)
	require.EqualValues(t, 2, presences.Load())

	cfg.Resume = lost
	again := dial(t, cfg)
	require.True(t, again.Resumed())
	require.Equal(t, testFull, again.JID().String())
	require.NoError(t, again.Start(t.Context()))
	for range 4 {
		<-came
	}
	require.NoError(t, again.Close(soon(t)))
	require.ErrorIs(t, again.ended(), ErrClosed)
	require.Nil(t, again.Resumption(), "it was ended, not lost")
}

// What a request needs to be told: nobody has seen it, or somebody may have.
func TestUnsentRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := pipeServer(t, func(p *peer) {
			p.login()
			p.recv() // the first request: written, and never answered
		})
		c := dial(t, cfg)
		err := c.Ping(soon(t))
		require.ErrorIs(t, err, ErrNotConnected)
		require.False(t, unsent.Is(err), "the server has it")

		err = c.Ping(soon(t))
		require.ErrorIs(t, err, ErrNotConnected)
		require.True(t, unsent.Is(err))

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.True(t, unsent.Is(c.Ping(ctx)))
		_, _, err = c.LastActivity(t.Context(), "no jid@")
		require.True(t, unsent.Is(err))
	})
}

// A request that its caller has given up before it was written never is.
func TestGivenUpRequestsAreNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked, got := make(chan struct{}), make(chan string, 4)
		unblock := sync.OnceFunc(func() { close(blocked) })
		c := dial(t, pipeServer(t, func(p *peer) {
			p.login()
			<-blocked // and nothing is read
			for range 2 {
				got <- p.recv().String()
			}
		}))
		t.Cleanup(unblock)
		require.NoError(t, c.LogOutQR(t.Context(), "fills the pipe"))
		synctest.Wait() // all that is queued is being written: what comes now is not part of that
		err := c.Block(within(t, time.Second), "bob@xmpp.example.com")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.True(t, unsent.Is(err))
		require.NoError(t, c.LogOutQR(t.Context(), "comes next"))
		unblock()
		require.Contains(t, <-got, "fills the pipe")
		require.Contains(t, <-got, "comes next")
	})
}

func TestWhatCannotBeResumed(t *testing.T) {
	for name, end := range map[string]script{
		"not offered": func(p *peer) { p.login(); p.expect(hello); p.expect(carbons) },
		"refused":     func(p *peer) { p.enabling(`<failed xmlns="urn:xmpp:sm:3"/>`) },
		"an enormous id": func(p *peer) {
			p.enabling(`<enabled id="` + strings.Repeat("x", maxResumeID+1) + `" resume="true" xmlns="urn:xmpp:sm:3"/>`)
			p.expect(request)
		},
		"not for resumption":  func(p *peer) { p.enabling(`<enabled xmlns="urn:xmpp:sm:3"/>`); p.expect(request) },
		"no answer":           func(p *peer) { p.enabling("") },
		"ended by the server": func(p *peer) { p.managed(); p.sendEnd() },
		"stream error": func(p *peer) {
			p.managed()
			p.send(`<stream:error xmlns:stream="` + nsStream + `"><conflict xmlns="` + nsStreams + `"/></stream:error>`)
		},
		"malformed": func(p *peer) {
			p.managed()
			p.send(`<presence xmlns="jabber:client"><a></b></presence>`)
			p.expectEnd()
		},
		"too much acknowledged": func(p *peer) {
			p.managed()
			p.send(`<a h="3" xmlns="urn:xmpp:sm:3"/>`)
			p.expectEnd()
		},
		"taken back": func(p *peer) {
			p.managed()
			p.send(`<a h="2" xmlns="urn:xmpp:sm:3"/>`)
			p.send(`<a h="1" xmlns="urn:xmpp:sm:3"/>`)
			p.expectEnd()
		},
		"no count": func(p *peer) { p.managed(); p.send(`<a h="-1" xmlns="urn:xmpp:sm:3"/>`); p.expectEnd() },
	} {
		t.Run(name, func(t *testing.T) {
			require.Nil(t, lose(t, directTLSServer(t, func(p *peer) { p.impatient = true; end(p) })))
		})
	}
}

func (p *peer) enabling(answer string) {
	p.t.Helper()
	p.authenticated(smFeatures)
	p.recv()
	p.send(bindResult)
	p.expect(enable)
	p.expect(hello)
	p.expect(carbons)
	if answer != "" {
		p.send(answer)
	}
}

// Elements of stream management that were not asked for do nothing.
func TestStreamManagementOutOfTurn(t *testing.T) {
	c := dial(t, directTLSServer(t, func(p *peer) {
		p.login()
		for _, raw := range []string{enabled, request, `<a h="7" xmlns="urn:xmpp:sm:3"/>`, `<resumed h="7" previd="x" xmlns="urn:xmpp:sm:3"/>`, `<who xmlns="urn:xmpp:sm:3"/>`} {
			p.send(raw)
		}
		p.send(replyTo(`<iq id="%s" type="result" xmlns="jabber:client"/>`, p.recv()))
		p.drain()
	}))
	require.NoError(t, c.Block(soon(t), "bob@xmpp.example.com"))
	require.Equal(t, 5, c.Ignored())
}

// Answers to <resume/>: a session that can't be taken up is replaced by a fresh one, one that
// the server gets wrong is an error.
func TestResumeAnswers(t *testing.T) {
	for _, tc := range []struct {
		name, answer string
		fresh        bool
		text         string
	}{
		{name: "gone", answer: `<failed xmlns="urn:xmpp:sm:3"><item-not-found xmlns="` + nsStanzas + `"/></failed>`, fresh: true},
		{name: "another", answer: `<resumed h="1" previd="two" xmlns="urn:xmpp:sm:3"/>`, text: "something else"},
		{name: "never sent", answer: `<resumed h="3" previd="one" xmlns="urn:xmpp:sm:3"/>`, text: "more stanzas than were sent"},
		{name: "no count", answer: `<resumed previd="one" xmlns="urn:xmpp:sm:3"/>`, text: "bad count"},
		{name: "too big", answer: `<resumed h="4294967296" previd="one" xmlns="urn:xmpp:sm:3"/>`, text: "bad count"},
		{name: "a stanza", answer: online, text: "something else"},
		{name: "the end", answer: closeFrame, text: "closed the stream"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := webSocketServer(t, inTurn(
				func(p *peer) { p.managed() },
				func(p *peer) {
					p.impatient = true
					p.authenticated(smFeatures)
					p.recv()
					p.send(tc.answer)
					if tc.fresh {
						p.recv()
						p.send(bindResult)
					}
					p.drain()
				},
			))
			cfg.Resume = lose(t, cfg)
			require.NotNil(t, cfg.Resume)
			if tc.fresh {
				require.False(t, dial(t, cfg).Resumed())
				return
			}
			_, err := Dial(soon(t), cfg)
			require.ErrorContains(t, err, tc.text)
		})
	}
}

func TestCountersWrap(t *testing.T) {
	acknowledgement := func(h uint32) *stanza {
		st, err := parse(fmt.Sprintf(`<a h="%d" xmlns="urn:xmpp:sm:3"/>`, h))
		require.NoError(t, err)
		return st
	}
	m := management{counting: true, sent: math.MaxUint32 - 1, acked: math.MaxUint32 - 1}
	for range 3 {
		m.written(outgoing{stanza: true, again: true})
	}
	require.EqualValues(t, 1, m.sent)
	require.NoError(t, m.acknowledge(acknowledgement(math.MaxUint32)))
	require.Len(t, m.unacked, 2)
	require.NoError(t, m.acknowledge(acknowledgement(0)))
	require.Len(t, m.unacked, 1)
	require.Error(t, m.acknowledge(acknowledgement(2)), "it has not been sent")
	require.Error(t, m.acknowledge(acknowledgement(math.MaxUint32)), "it was more before")
	require.NoError(t, m.acknowledge(acknowledgement(1)))
	require.Empty(t, m.unacked)
}

// A place to resume at is used only when it is no less secure than the old one.
func TestResumeLocation(t *testing.T) {
	for _, tc := range []struct {
		here, location, want string
	}{
		{"wss://a.example/ws", "b.example", "wss://b.example:443/websocket"},
		{"wss://a.example/ws", "ws://b.example/ws", ""},
		{"wss://a.example/ws", "wss://b.example/" + strings.Repeat("x", maxResumeID), ""},
		{"xmpp://a.example", "b.example:5333", "xmpp://b.example:5333"},
		{"xmpps://a.example", "[2001:db8::1]:5223", "xmpps://[2001:db8::1]:5223"},
		{"xmpps://a.example", "xmpp://b.example", ""},
		{"xmpp://a.example", "b c:x", ""},
		{"xmpp://a.example", strings.Repeat("b", 70_000) + ":99999", ""},
	} {
		t.Run(clip(tc.here+" "+tc.location), func(t *testing.T) {
			here, err := ParseAddresses(tc.here, true)
			require.NoError(t, err)
			st, err := parse(fmt.Sprintf(`<enabled id="x" resume="1" location=%q xmlns="urn:xmpp:sm:3"/>`, tc.location))
			require.NoError(t, err)
			var m management
			m.start(st, here[0])
			cfg := Config{Resume: &Resumption{m: m}, Addresses: here}
			if tc.want == "" {
				require.Equal(t, here, cfg.order())
				return
			}
			require.Equal(t, tc.want, cfg.order()[0].String())
			require.Equal(t, here, cfg.order()[1:])
		})
	}
}

func TestNeverWeakerThanBefore(t *testing.T) {
	t.Run("mechanism", func(t *testing.T) {
		cfg := directTLSServer(t, func(p *peer) {
			p.impatient = true
			p.open(plainFeatures)
			if n, err := p.read(); err == nil && n.name.Local == "auth" {
				p.t.Error("the password was sent")
			}
		})
		cfg.Memory = new(Memory)
		cfg.Memory.loggedIn(testDomain, 0)
		_, err := Dial(soon(t), cfg)
		require.ErrorIs(t, err, errDowngrade)
		auth := (*AuthError)(nil)
		require.False(t, errors.As(err, &auth), "another address, or another time, may be better")
	})
	t.Run("the same and better pass", func(t *testing.T) {
		m := new(Memory)
		cfg := directTLSServer(t, func(p *peer) { p.login(); p.drain() })
		cfg.Memory = m
		dial(t, cfg)
		require.Equal(t, []knownDomain{{name: testDomain, strength: 1}}, m.known)
		dial(t, cfg)
		m.loggedIn(testDomain, 1)
		m.loggedIn(testDomain, 2)
		require.True(t, m.weaker(testDomain, 2))
		require.False(t, m.weaker(testDomain, 1))
		require.False(t, m.weaker(testDomain, 0))
		require.False(t, m.weaker("other.example", 2))
	})
	t.Run("STARTTLS", func(t *testing.T) {
		cfg := startTLSServer(t, func(p *peer) { p.login(); p.drain() })
		cfg.Memory, cfg.AllowInsecure = new(Memory), true
		dial(t, cfg)
		bare := pipeServer(t, func(p *peer) {
			p.impatient = true
			p.open(plainFeatures)
			if n, err := p.read(); err == nil && n.name.Local == "auth" {
				p.t.Error("the password was sent")
			}
		})
		bare.Memory = cfg.Memory
		_, err := Dial(soon(t), bare)
		require.ErrorIs(t, err, errDowngrade)
	})
}

// Answers count as what they are, and nothing counts that is no stanza.
func TestWhatCounts(t *testing.T) {
	c := dial(t, directTLSServer(t, func(p *peer) {
		p.managed()
		p.send(`<iq from="xmpp.example.com" id="p1" type="get" xmlns="jabber:client"><ping xmlns="urn:xmpp:ping"/></iq>`)
		p.recv()
		p.send(`<a h="3" xmlns="urn:xmpp:sm:3"/>`) // presence, carbons, the answer
		p.send(`<message xmlns="urn:else"/>`)
		p.send(request)
		p.expect(`<a h="1" xmlns="urn:xmpp:sm:3"/>`)
		p.send(online)
		p.drain()
	}))
	require.NoError(t, c.Start(t.Context()))
	require.IsType(t, Presence{}, c.event(), "the session goes on")
}

// What arrived after the first resumption is not written again after the second.
func TestResumedTwice(t *testing.T) {
	seen := make(chan struct{})
	resume := `<resume h="0" previd="one" xmlns="urn:xmpp:sm:3"/>`
	cfg := webSocketServer(t, inTurn(
		func(p *peer) { p.managed() },
		func(p *peer) {
			p.resumed()
			p.announced()
			p.send(`<a h="2" xmlns="urn:xmpp:sm:3"/>`)
		},
		func(p *peer) {
			p.authenticated(smFeatures)
			p.expect(resume)
			p.send(`<resumed h="2" previd="one" xmlns="urn:xmpp:sm:3"/>`)
			p.expect(request)
			close(seen)
			p.drain()
		},
	))
	for range 2 {
		c := dial(t, cfg)
		require.NoError(t, c.Start(t.Context()))
		require.Error(t, c.ended())
		cfg.Resume = c.Resumption()
		require.NotNil(t, cfg.Resume)
	}
	c := dial(t, cfg)
	require.NoError(t, c.Start(t.Context()))
	<-seen
	_ = c.Close(done())
}

// A flood of <r/> from a server that does not read ends the session like any other flood.
func TestFloodOfAckRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := make(chan struct{})
		stop := make(chan struct{})
		defer close(stop)
		c := dial(t, pipeServer(t, func(p *peer) {
			p.impatient = true
			p.managed()
			for range 1500 { // 37 bytes of answer to each of a hundred: more than maxQueued
				if _, err := io.WriteString(p.conn, strings.Repeat(request, 100)); err != nil {
					break
				}
			}
			close(sent)
			<-stop
		}))
		require.NoError(t, c.Start(t.Context()))
		<-sent
		c.mu.Lock()
		queued := c.queued
		c.mu.Unlock()
		require.LessOrEqual(t, queued, maxQueued)
	})
}

// What is to be told again and was still queued when the connection broke is not lost.
func TestQueuedIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started := make(chan struct{})
		cfg := pipeServer(t, inTurn(
			func(p *peer) {
				p.authenticated(smFeatures)
				p.recv()
				p.send(bindResult)
				p.expect(enable)
				p.send(enabled)
				<-started // and hangs up: it has taken neither the presence nor the carbons
			},
			func(p *peer) {
				p.resumed()
				p.announced()
				p.drain()
			},
		))
		c := dial(t, cfg)
		require.NoError(t, c.Start(t.Context()))
		close(started)
		require.Error(t, c.ended())
		cfg.Resume = c.Resumption()
		require.NotNil(t, cfg.Resume)
		again := dial(t, cfg)
		require.True(t, again.Resumed())
		require.NoError(t, again.Start(t.Context()))
		_ = again.Close(soon(t))
	})
}

// The same over a second loss: resumed, and lost before the first word.
func TestLostTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := pipeServer(t, inTurn(
			func(p *peer) { p.managed() },
			(*peer).resumed,
			func(p *peer) {
				p.resumed()
				p.announced()
				p.drain()
			},
		))
		cfg.Resume = lose(t, cfg)
		require.NotNil(t, cfg.Resume)
		cfg.Resume = func() *Resumption {
			c := dial(t, cfg)
			require.True(t, c.Resumed())
			_ = c.Start(t.Context()) // it may be lost already
			require.Error(t, c.ended())
			return c.Resumption()
		}()
		require.NotNil(t, cfg.Resume)
		again := dial(t, cfg)
		require.True(t, again.Resumed())
		require.NoError(t, again.Start(t.Context()))
		_ = again.Close(soon(t))
	})
}

// A resumed session may have ended before it is started.
func TestStartAfterEnd(t *testing.T) {
	cfg := webSocketServer(t, inTurn(
		func(p *peer) { p.managed() },
		func(p *peer) {
			p.impatient = true
			p.authenticated(smFeatures)
			p.recv()
			p.send(`<resumed h="0" previd="one" xmlns="urn:xmpp:sm:3"/>`)
			p.drain()
		},
	))
	cfg.Resume = lose(t, cfg)
	s, err := Dial(soon(t), cfg)
	require.NoError(t, err)
	s.end(errNoAnswer) // what the keepalive timer does
	require.NotPanics(t, func() { err = s.Start(t.Context()) })
	require.Error(t, err)
}

// A server that asks is told a little later, and at once when much has come, each time once; asked once more, the wait begins anew.
func TestTellingLater(t *testing.T) {
	for _, keepAlive := range []time.Duration{0, 20 * tellDelay} { // the timer goes off for something else, too
		synctest.Test(t, func(t *testing.T) {
			cfg := pipeServer(t, func(p *peer) {
				p.managed()
				told := 0
				tell := func(wait time.Duration, more int) {
					start := time.Now()
					for range more {
						p.send(online)
					}
					told += more
					p.expect(fmt.Sprintf(`<a h="%d" xmlns="urn:xmpp:sm:3"/>`, told))
					if took := time.Since(start); took != wait {
						p.fail("told after %s, not %s", took, wait)
					}
				}
				p.send(request)
				tell(tellDelay, 1)
				p.send(request)
				p.send(request)
				tell(0, tellEvery)
				<-time.After(tellDelay / 2) // of the bubble: what was due for the last time is not
				p.send(request)
				tell(tellDelay, tellEvery-1)
				for range tellEvery + 1 {
					p.send(online)
				}
				told += tellEvery + 1
				<-time.After(10 * tellDelay) // not asked, so not told
				p.send(request)
				tell(0, 1)
				p.send(request)
				tell(tellDelay, 1)
				if keepAlive > 0 {
					p.expect(`<iq id="ID" to="xmpp.example.com" type="get" xmlns="jabber:client"><ping xmlns="urn:xmpp:ping"/></iq>`) // and not once more the same
				}
			})
			cfg.KeepAliveInterval, cfg.Handle = keepAlive, func(Event) {}
			c := dial(t, cfg)
			require.NoError(t, c.Start(t.Context()))
			require.ErrorContains(t, <-c.served, "EOF")
		})
	}
}

// What the server was told with the resumption counts as told: the next answer waits like any
// other.
func TestResumptionTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := pipeServer(t, func(p *peer) {
			p.authenticated(smFeatures)
			p.expect(fmt.Sprintf(`<resume h="%d" previd="one" xmlns="urn:xmpp:sm:3"/>`, tellEvery))
			p.send(`<resumed h="0" previd="one" xmlns="urn:xmpp:sm:3"/>`)
			p.expect(request)
			start := time.Now()
			p.send(request)
			p.send(online)
			p.expect(fmt.Sprintf(`<a h="%d" xmlns="urn:xmpp:sm:3"/>`, tellEvery+1))
			if took := time.Since(start); took != tellDelay {
				p.fail("told after %s, not %s", took, tellDelay)
			}
		})
		lost := management{counting: true, enabled: true, id: "one", received: tellEvery}
		cfg.Resume, cfg.Handle = &Resumption{m: lost, jid: JID{"alice", testDomain, "x"}}, func(Event) {}
		c := dial(t, cfg)
		require.NoError(t, c.Start(t.Context()))
		require.ErrorContains(t, <-c.served, "EOF")
	})
}

// The server learns what has arrived before the stream ends (XEP-0198 7).
func TestAckBeforeClose(t *testing.T) {
	still(t, func(t *testing.T) {
		c := dial(t, directTLSServer(t, func(p *peer) {
			p.managed()
			p.send(online)
			p.expect(`<presence type="unavailable" xmlns="jabber:client"/>`)
			p.expect(`<a h="1" xmlns="urn:xmpp:sm:3"/>`)
			p.expectEnd()
			p.sendEnd()
			p.drain()
		}))
		require.NoError(t, c.Start(t.Context()))
		c.event()
		_ = c.Close(soon(t))
	})
}
