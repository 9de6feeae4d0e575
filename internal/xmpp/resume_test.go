package xmpp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/frames"
	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
)

// lose starts a session on the first script of serve and returns what resumes it when that script
// has hung up.
func lose(t *testing.T, cfg Config) *Resumption {
	t.Helper()
	c := dial(t, cfg)
	require.False(t, c.Resumed())
	require.NoError(t, c.Start(t.Context()))
	require.Error(t, c.ended())
	return c.Resumption()
}

func TestResume(t *testing.T) {
	// In no bubble: the server is told a little later what has come.
	for transport, serve := range transports {
		t.Run(transport, func(t *testing.T) { resumes(t, serve) })
	}
}

func resumes(t *testing.T, serve serverFunc) {
	cfg := serve(t, scripted.InTurn(
		func(p *peer) {
			p.Managed()
			p.Send(scripted.Online)
			p.Send(`<message from="x@y/z" xmlns="jabber:client"><x>not understood, but counted</x></message>`)
			p.Send(scripted.Request)
			p.Expect(`<a h="2" xmlns="urn:xmpp:sm:3"/>`)
			// It has the presence.
			p.Send(`<a h="1" xmlns="urn:xmpp:sm:3"/>`)
			p.Send(scripted.Online)
		},
		func(p *peer) {
			p.Authenticated(scripted.ManagedFeatures)
			p.Expect(`<resume h="3" previd="one" xmlns="urn:xmpp:sm:3"/>`)
			p.Send(`<resumed h="1" previd="one" xmlns="urn:xmpp:sm:3"/>`)
			p.Send(scripted.Online)
			p.Expect(scripted.Carbons)
			p.Expect(scripted.Request)
			p.Send(`<a h="2" xmlns="urn:xmpp:sm:3"/>`)
			p.Send(scripted.Request)
			p.Expect(`<a h="4" xmlns="urn:xmpp:sm:3"/>`)
			p.Send(scripted.Online)
			p.Expect(`<presence type="unavailable" xmlns="jabber:client"/>`)
			p.Expect(`<a h="5" xmlns="urn:xmpp:sm:3"/>`)
			p.ExpectEnd()
			p.SendEnd()
			p.Drain()
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
	require.Equal(t, scripted.Full, again.JID().String())
	require.NoError(t, again.Start(t.Context()))
	for range 4 {
		<-came
	}
	require.NoError(t, again.Close(soon(t)))
	require.ErrorIs(t, again.ended(), ErrClosed)
	require.Nil(t, again.Resumption(), "it was ended, not lost")
}

func TestWhatCannotBeResumed(t *testing.T) {
	for name, end := range map[string]script{
		"not offered": func(p *peer) { p.Login(); p.Expect(scripted.Hello); p.Expect(scripted.Carbons) },
		"refused":     func(p *peer) { p.Enabling(`<failed xmlns="urn:xmpp:sm:3"/>`) },
		"an enormous id": func(p *peer) {
			p.Enabling(`<enabled id="` + strings.Repeat("x", maxResumeID+1) + `" resume="true" xmlns="urn:xmpp:sm:3"/>`)
			p.Expect(scripted.Request)
		},
		"not for resumption": func(p *peer) {
			p.Enabling(`<enabled xmlns="urn:xmpp:sm:3"/>`)
			p.Expect(scripted.Request)
		},
		"no answer":           func(p *peer) { p.Enabling("") },
		"ended by the server": func(p *peer) { p.Managed(); p.SendEnd() },
		"stream error": func(p *peer) {
			p.Managed()
			p.Send(`<stream:error xmlns:stream="` + nsStream + `"><conflict xmlns="` + nsStreams + `"/></stream:error>`)
		},
		"malformed": func(p *peer) {
			p.Managed()
			p.Send(`<presence xmlns="jabber:client"><a></b></presence>`)
			p.ExpectEnd()
		},
		"too much acknowledged": func(p *peer) {
			p.Managed()
			p.Send(`<a h="3" xmlns="urn:xmpp:sm:3"/>`)
			p.ExpectEnd()
		},
		"taken back": func(p *peer) {
			p.Managed()
			p.Send(`<a h="2" xmlns="urn:xmpp:sm:3"/>`)
			p.Send(`<a h="1" xmlns="urn:xmpp:sm:3"/>`)
			p.ExpectEnd()
		},
		"no count": func(p *peer) { p.Managed(); p.Send(`<a h="-1" xmlns="urn:xmpp:sm:3"/>`); p.ExpectEnd() },
	} {
		t.Run(name, func(t *testing.T) {
			require.Nil(t, lose(t, directTLSServer(t, func(p *peer) { p.Impatient = true; end(p) })))
		})
	}
}

// Elements of stream management that were not asked for do nothing.
func TestStreamManagementOutOfTurn(t *testing.T) {
	c := dial(t, directTLSServer(t, func(p *peer) {
		p.Login()
		for _, raw := range []string{
			scripted.Enabled, scripted.Request, `<a h="7" xmlns="urn:xmpp:sm:3"/>`,
			`<resumed h="7" previd="x" xmlns="urn:xmpp:sm:3"/>`, `<who xmlns="urn:xmpp:sm:3"/>`,
		} {
			p.Send(raw)
		}
		p.Send(scripted.ReplyTo(`<iq id="%s" type="result" xmlns="jabber:client"/>`, p.Recv()))
		p.Drain()
	}))
	require.NoError(t, c.Block(soon(t), "bob@xmpp.example.com"))
	require.Equal(t, 5, c.Ignored())
}

// Answers to <resume/>: a session that cannot be taken up is replaced by a fresh one, one that
// the server gets wrong is an error.
func TestResumeAnswers(t *testing.T) {
	for _, tc := range []struct {
		name, answer string
		fresh        bool
		text         string
	}{
		{name: "gone", answer: `<failed xmlns="urn:xmpp:sm:3"><item-not-found xmlns="` + nsStanzas +
			`"/></failed>`, fresh: true},
		{name: "another", answer: `<resumed h="1" previd="two" xmlns="urn:xmpp:sm:3"/>`, text: "something else"},
		{
			name: "never sent", answer: `<resumed h="3" previd="one" xmlns="urn:xmpp:sm:3"/>`,
			text: "more stanzas than were sent",
		},
		{name: "no count", answer: `<resumed previd="one" xmlns="urn:xmpp:sm:3"/>`, text: "bad count"},
		{name: "too big", answer: `<resumed h="4294967296" previd="one" xmlns="urn:xmpp:sm:3"/>`, text: "bad count"},
		{name: "a stanza", answer: scripted.Online, text: "something else"},
		{name: "the end", answer: frames.CloseFrame, text: "closed the stream"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := webSocketServer(t, scripted.InTurn(
				func(p *peer) { p.Managed() },
				func(p *peer) {
					p.Impatient = true
					p.Authenticated(scripted.ManagedFeatures)
					p.Recv()
					p.Send(tc.answer)
					if tc.fresh {
						p.Recv()
						p.Send(scripted.BindResult)
					}
					p.Drain()
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
		m.written(outgoing{stanza: true, again: true}, nil)
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

// Answers count as what they are, and nothing counts that is no stanza.
func TestWhatCounts(t *testing.T) {
	c := dial(t, directTLSServer(t, func(p *peer) {
		p.Managed()
		p.Send(`<iq from="xmpp.example.com" id="p1" type="get" xmlns="jabber:client">` +
			`<ping xmlns="urn:xmpp:ping"/></iq>`)
		p.Recv()
		// Presence, carbons, the answer.
		p.Send(`<a h="3" xmlns="urn:xmpp:sm:3"/>`)
		p.Send(`<message xmlns="urn:else"/>`)
		p.Send(scripted.Request)
		p.Expect(`<a h="1" xmlns="urn:xmpp:sm:3"/>`)
		p.Send(scripted.Online)
		p.Drain()
	}))
	require.NoError(t, c.Start(t.Context()))
	require.IsType(t, Presence{}, c.event(), "the session goes on")
}

// What arrived after the first resumption is not written again after the second.
func TestResumedTwice(t *testing.T) {
	seen := make(chan struct{})
	resume := `<resume h="0" previd="one" xmlns="urn:xmpp:sm:3"/>`
	cfg := webSocketServer(t, scripted.InTurn(
		func(p *peer) { p.Managed() },
		func(p *peer) {
			p.Resumed()
			p.Announced()
			p.Send(`<a h="2" xmlns="urn:xmpp:sm:3"/>`)
		},
		func(p *peer) {
			p.Authenticated(scripted.ManagedFeatures)
			p.Expect(resume)
			p.Send(`<resumed h="2" previd="one" xmlns="urn:xmpp:sm:3"/>`)
			p.Expect(scripted.Request)
			close(seen)
			p.Drain()
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
			p.Impatient = true
			p.Managed()
			// 37 bytes of answer to each of a hundred: more than maxQueued.
			for range 1500 {
				if _, err := io.WriteString(p.Conn, strings.Repeat(scripted.Request, 100)); err != nil {
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
		cfg := pipeServer(t, scripted.InTurn(
			func(p *peer) {
				p.Authenticated(scripted.ManagedFeatures)
				p.Recv()
				p.Send(scripted.BindResult)
				p.Expect(scripted.Enable)
				p.Send(scripted.Enabled)
				// And hangs up: it has taken neither the presence nor the carbons.
				<-started
			},
			func(p *peer) {
				p.Resumed()
				p.Announced()
				p.Drain()
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
		cfg := pipeServer(t, scripted.InTurn(
			func(p *peer) { p.Managed() },
			(*peer).Resumed,
			func(p *peer) {
				p.Resumed()
				p.Announced()
				p.Drain()
			},
		))
		cfg.Resume = lose(t, cfg)
		require.NotNil(t, cfg.Resume)
		cfg.Resume = func() *Resumption {
			c := dial(t, cfg)
			require.True(t, c.Resumed())
			// It may be lost already.
			_ = c.Start(t.Context())
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
	cfg := webSocketServer(t, scripted.InTurn(
		func(p *peer) { p.Managed() },
		func(p *peer) {
			p.Impatient = true
			p.Authenticated(scripted.ManagedFeatures)
			p.Recv()
			p.Send(`<resumed h="0" previd="one" xmlns="urn:xmpp:sm:3"/>`)
			p.Drain()
		},
	))
	cfg.Resume = lose(t, cfg)
	s, err := Dial(soon(t), cfg)
	require.NoError(t, err)
	// What the keepalive timer does.
	s.end(errNoAnswer)
	require.NotPanics(t, func() { err = s.Start(t.Context()) })
	require.Error(t, err)
}

// A server that asks is told a little later, and at once when much has come, each time once; asked
// once more, the wait begins anew.
func TestTellingLater(t *testing.T) {
	// The timer goes off for something else, too.
	for _, keepAlive := range []time.Duration{0, 20 * ackDelay} {
		synctest.Test(t, func(t *testing.T) {
			cfg := pipeServer(t, func(p *peer) {
				p.Managed()
				told := 0
				tell := func(wait time.Duration, more int) {
					start := time.Now()
					for range more {
						p.Send(scripted.Online)
					}
					told += more
					p.Expect(fmt.Sprintf(`<a h="%d" xmlns="urn:xmpp:sm:3"/>`, told))
					if took := time.Since(start); took != wait {
						p.Fail("told after %s, not %s", took, wait)
					}
				}
				p.Send(scripted.Request)
				tell(ackDelay, 1)
				p.Send(scripted.Request)
				p.Send(scripted.Request)
				tell(0, ackEvery)
				// In the time of the bubble: what was due for the last time is not.
				<-time.After(ackDelay / 2)
				p.Send(scripted.Request)
				tell(ackDelay, ackEvery-1)
				for range ackEvery + 1 {
					p.Send(scripted.Online)
				}
				told += ackEvery + 1
				// Not asked, so not told.
				<-time.After(10 * ackDelay)
				p.Send(scripted.Request)
				tell(0, 1)
				p.Send(scripted.Request)
				tell(ackDelay, 1)
				if keepAlive > 0 {
					// And not once more the same.
					p.Expect(`<iq id="ID" to="xmpp.example.com" type="get" xmlns="jabber:client">` +
						`<ping xmlns="urn:xmpp:ping"/></iq>`)
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
			p.Authenticated(scripted.ManagedFeatures)
			p.Expect(fmt.Sprintf(`<resume h="%d" previd="one" xmlns="urn:xmpp:sm:3"/>`, ackEvery))
			p.Send(`<resumed h="0" previd="one" xmlns="urn:xmpp:sm:3"/>`)
			p.Expect(scripted.Request)
			start := time.Now()
			p.Send(scripted.Request)
			p.Send(scripted.Online)
			p.Expect(fmt.Sprintf(`<a h="%d" xmlns="urn:xmpp:sm:3"/>`, ackEvery+1))
			if took := time.Since(start); took != ackDelay {
				p.Fail("told after %s, not %s", took, ackDelay)
			}
		})
		lost := management{counting: true, enabled: true, id: "one", in: new(ledger)}
		for range ackEvery {
			lost.in.receive(false)
		}
		cfg.Resume, cfg.Handle = &Resumption{m: lost, jid: JID{"alice", scripted.Domain, "x"}}, func(Event) {}
		c := dial(t, cfg)
		require.NoError(t, c.Start(t.Context()))
		require.ErrorContains(t, <-c.served, "EOF")
	})
}

// What was handled while the resumption was under way is told unasked.
func TestHandledDuringTheResumption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := new(ledger)
		open, _ := in.receive(true)
		cfg := pipeServer(t, func(p *peer) {
			p.Authenticated(scripted.ManagedFeatures)
			p.Expect(`<resume h="0" previd="one" xmlns="urn:xmpp:sm:3"/>`)
			open.done()
			p.Send(`<resumed h="0" previd="one" xmlns="urn:xmpp:sm:3"/>`)
			p.Expect(scripted.Request)
			p.Expect(`<a h="1" xmlns="urn:xmpp:sm:3"/>`)
			// Which is not told again.
			p.Expect(`<presence type="unavailable" xmlns="jabber:client"/>`)
			p.Drain()
		})
		cfg.Resume = &Resumption{
			m:   management{counting: true, enabled: true, id: "one", in: in},
			jid: JID{"alice", scripted.Domain, "x"},
		}
		c := dial(t, cfg)
		require.NoError(t, c.Start(t.Context()))
		time.Sleep(time.Minute)
		_ = c.Close(soon(t))
	})
}

// What nobody waits for, such as receipts, is forgotten, too: the server is asked for it now and
// then.
func TestReceiptsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, pipeServer(t, func(p *peer) {
			p.Managed()
			for h := 2; ; {
				switch n, err := p.Read(); {
				case err != nil:
					return
				case n.Name.Local == "r":
					p.Send(fmt.Sprintf(`<a h="%d" xmlns="urn:xmpp:sm:3"/>`, h))
				default:
					h++
				}
			}
		}))
		require.NoError(t, c.Start(t.Context()))
		synctest.Wait()
		for range 50 * askEvery {
			require.NoError(t, c.Tell(Receipt("delivered", bobJID, "m"), true))
			synctest.Wait()
		}
		c.mu.Lock()
		kept := len(c.sm.unacked)
		c.mu.Unlock()
		require.Less(t, kept, askEvery)
	})
}

// A server that agrees to count, and never says what it has: what is kept for it is bounded, and
// the stream is not resumed.
func TestServerThatNeverCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		cfg := pipeServer(t, func(p *peer) {
			p.Managed()
			p.Drain()
		})
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		c := dial(t, cfg)
		require.NoError(t, c.Start(t.Context()))
		synctest.Wait()
		receipt := Receipt("delivered", bobJID, strings.Repeat("m", 1<<10))
		for sent := 0; sent < 2*maxKept; sent += len(receipt.frame) {
			require.NoError(t, c.Tell(receipt, true))
			c.mu.Lock()
			kept, id := c.sm.kept, c.sm.id
			c.mu.Unlock()
			require.LessOrEqual(t, kept, maxKept)
			if sent < maxKept/2 {
				require.NotEmpty(t, id)
			}
			synctest.Wait()
		}
		synctest.Wait()
		require.NoError(t, c.Err())
		c.mu.Lock()
		require.Empty(t, c.sm.unacked)
		c.mu.Unlock()
		c.end(io.ErrUnexpectedEOF)
		require.Nil(t, c.Resumption())
		require.Contains(t, log.String(), "the stream is not resumed")
	})
}

// A server that counts, and never says what it has, does not keep messages from being sent: the
// service confirms each, and what is confirmed is not kept.
func TestMessagesToAServerThatNeverCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, pipeServer(t, func(p *peer) {
			p.Managed()
			for {
				n, err := p.Read()
				if err != nil {
					return
				}
				if n.Name.Local == "message" {
					p.Send(messageFrom(scripted.Domain, `id="s"`, acknowledgeOf(n.Attr("id"))))
				}
			}
		}))
		require.NoError(t, c.Start(t.Context()))
		synctest.Wait()
		for i := range 3 * maxKept / (200 << 10) {
			m := Content{ID: fmt.Sprint("m", i), To: bobJID, Body: strings.Repeat("x", 200<<10)}
			_, err := c.Send(t.Context(), m.Outgoing())
			require.NoError(t, err, i)
		}
		c.mu.Lock()
		require.LessOrEqual(t, c.sm.kept, maxKept)
		require.NotEmpty(t, c.sm.id, "it can be resumed")
		c.mu.Unlock()
		c.end(io.ErrUnexpectedEOF)
		require.NotNil(t, c.Resumption())
	})
}

// A server that counts too little is asked once for what was written, and not for ever.
func TestServerThatCountsTooLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		c := dial(t, pipeServer(t, func(p *peer) {
			p.Managed()
			for {
				n, err := p.Read()
				if err != nil {
					return
				}
				if n.Name.Local == "r" {
					asked.Add(1)
					p.Send(`<a h="2" xmlns="urn:xmpp:sm:3"/>`)
				}
			}
		}))
		require.NoError(t, c.Start(t.Context()))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := c.Send(ctx, Content{ID: "m", To: bobJID, Body: "x"}.Outgoing())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.LessOrEqual(t, asked.Load(), int32(2))
	})
}

// The server learns what has arrived before the stream ends (XEP-0198 7).
func TestAckBeforeClose(t *testing.T) {
	still(t, func(t *testing.T) {
		c := dial(t, directTLSServer(t, func(p *peer) {
			p.Managed()
			p.Send(scripted.Online)
			p.Expect(`<presence type="unavailable" xmlns="jabber:client"/>`)
			p.Expect(`<a h="1" xmlns="urn:xmpp:sm:3"/>`)
			p.ExpectEnd()
			p.SendEnd()
			p.Drain()
		}))
		require.NoError(t, c.Start(t.Context()))
		c.event()
		_ = c.Close(soon(t))
	})
}
