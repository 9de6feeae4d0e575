package xmpp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const pong = `<iq id="%s" type="result" xmlns="jabber:client"/>`

func (p *peer) answer(requests int) {
	for range requests {
		p.send(replyTo(pong, p.recv()))
	}
}

// reader says who reads.
func (c *client) reader() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reading == nil {
		return "the read loop"
	}
	return [...]string{readLoop: "the read loop", nobody: "nobody", whoAsks: "who asks"}[c.reading.who]
}

// ask returns what comes of a ping.
func (c *client) ask(ctx context.Context) <-chan error {
	done := make(chan error, 1)
	go func() { done <- c.Ping(ctx) }() // ends with the request
	return done
}

// askTwice makes the read loop stand back, at the latest when nothing else runs. The server has to answer.
func (c *client) askTwice() {
	c.t.Helper()
	for range 2 {
		require.NoError(c.t, c.Ping(c.t.Context()))
	}
}

// rest is askTwice inside a bubble.
func (c *client) rest() {
	c.t.Helper()
	c.askTwice()
	synctest.Wait()
	require.Equal(c.t, "nobody", c.reader())
}

func TestWhoReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		proceed := make(chan struct{})
		c := dial(t, pipeServer(t, func(p *peer) {
			p.login()
			p.answer(2)
			for range 5 {
				request := p.recv()
				<-proceed
				p.send(replyTo(pong, request))
			}
			p.drain()
		}))
		reads := func(who string) {
			t.Helper()
			synctest.Wait()
			require.Equal(t, who, c.reader())
		}
		reads("the read loop")
		require.NoError(t, c.Ping(t.Context()))
		reads("the read loop") // nothing says that another request follows
		require.NoError(t, c.Ping(t.Context()))
		reads("nobody")
		for range 2 {
			done := c.ask(t.Context())
			reads("who asks")
			<-time.After(10 * maxRest)
			reads("who asks")
			proceed <- struct{}{}
			require.NoError(t, <-done)
			reads("nobody")
		}
		<-time.After(maxRest - 1)
		reads("nobody")
		<-time.After(1)
		reads("the read loop")

		one, other := c.ask(t.Context()), c.ask(t.Context())
		reads("the read loop")
		proceed <- struct{}{}
		proceed <- struct{}{}
		require.NoError(t, <-one)
		require.NoError(t, <-other)
		reads("the read loop") // two at a time
		<-time.After(maxRest)
		done := c.ask(t.Context())
		proceed <- struct{}{}
		require.NoError(t, <-done)
		reads("the read loop") // one at a time, but not soon
		require.Zero(t, c.Ignored())
	})
}

// Whatever comes while who asks reads is handled as the read loop would, at once.
func TestWhatComesInstead(t *testing.T) {
	const forged = `<iq id="%s" type="result" from="mallory@xmpp.example.com" xmlns="jabber:client"/>`
	for name, test := range map[string]struct {
		before  string // the reply; %s is the request's id
		events  int
		ignored int
		ends    string // with what the session does; empty: it goes on
	}{
		"a push":                    {before: online, events: 1},
		"many pushes":               {before: strings.Repeat(online, 100), events: 100},
		"a push and a reply":        {before: online + `<iq id="x" type="result" xmlns="jabber:client"/>`, events: 1, ignored: 1},
		"a reply to nothing":        {before: `<iq id="x" type="result" xmlns="jabber:client"/>`, ignored: 1},
		"a forged reply":            {before: forged, ignored: 1},
		"a request of the same id":  {before: `<iq id="%s" type="get" from="xmpp.example.com" xmlns="jabber:client"><ping xmlns="urn:xmpp:ping"/></iq>`},
		"a presence of the same id": {before: strings.Replace(online, "<presence", `<presence id="%s" type="unavailable"`, 1), events: 1},
		"a message of the same id":  {before: `<message id="%s" type="result" from="xmpp.example.com"/>`},
		"a request":                 {before: `<iq id="x" type="get" from="xmpp.example.com" xmlns="jabber:client"><ping xmlns="urn:xmpp:ping"/></iq>`},
		"white space":               {before: " \n "},
		"what is no XML":            {before: `<iq <`, ends: "malformed"},
		"what is too large":         {before: `<message><body>` + strings.Repeat("x", maxFrame), ends: errTooLarge.Error()},
		"a stream error":            {before: `<stream:error><conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error>`, ends: "conflict"},
		"the end of the stream":     {before: `</stream:stream>`, ends: errServerClosed.Error()},
		"management out of turn":    {before: `<a h="7" xmlns="urn:xmpp:sm:3"/>`, ignored: 1},
		"a message about nothing":   {before: `<message from="bob@xmpp.example.com"/>`},
		"the end of the connection": {ends: "connection lost"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				proceed := make(chan struct{})
				c := dial(t, pipeServer(t, func(p *peer) {
					p.login()
					p.answer(2)
					request := p.recv()
					<-proceed
					if strings.Contains(test.before, "%s") {
						test.before = replyTo(test.before, request)
					}
					p.send(test.before)
					if test.before != "" && test.ends == "" {
						p.send(replyTo(pong, request))
						p.drain()
					}
				}))
				c.rest()
				done := c.ask(t.Context())
				synctest.Wait()
				require.Equal(t, "who asks", c.reader())
				start := time.Now()
				close(proceed)
				err := <-done
				for range test.events {
					require.Equal(t, "bob", c.event().(Presence).From.Local)
				}
				require.Less(t, time.Since(start), maxRest)
				if test.ends != "" {
					require.ErrorIs(t, err, ErrNotConnected)
					require.ErrorContains(t, <-c.served, test.ends)
				} else {
					require.NoError(t, err)
					require.NoError(t, c.Err())
				}
				<-time.After(2 * maxRest) // all has been read
				require.Equal(t, test.ignored, c.Ignored())
				require.Zero(t, c.pending())
			})
		})
	}
}

// A push that comes when nobody reads waits for a moment, whatever the timer goes off for meanwhile; one that was read with the reply
// does not.
func TestPushWhenNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, pipeServer(t, func(p *peer) {
			p.login()
			p.answer(2)
			p.send(online)
			p.answer(1)
			request := p.recv()
			p.send(replyTo(pong, request) + online)
			p.drain()
		}))
		c.mu.Lock()
		now := clock()
		c.wakeLocked(now, now+maxRest/2)
		c.mu.Unlock()
		c.rest()
		start := time.Now()
		c.event()
		require.Equal(t, maxRest, time.Since(start))

		c.rest()
		start = time.Now()
		c.event()
		require.Zero(t, time.Since(start))
	})
}

// Who reads for himself and gives up leaves at once, wherever the stream is, and nothing of that is lost.
func TestGivenUpWhileReading(t *testing.T) {
	for cut := range 4 {
		t.Run(fmt.Sprint("tcp", cut), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				giveUpWhileReading(t, pipeServer, cut, func(c *client, who string) {
					synctest.Wait()
					require.Equal(t, who, c.reader())
				})
			})
		})
		for name, serve := range map[string]func(testing.TB, script) Config{"tls": directTLSServer, "starttls": startTLSServer} {
			t.Run(fmt.Sprint(name, cut), func(t *testing.T) { giveUpWhileReading(t, serve, cut, func(*client, string) {}) })
		}
	}
}

// giveUpWhileReading gives requests up when that many quarters of the reply have come. reads checks who reads.
func giveUpWhileReading(t *testing.T, serve func(testing.TB, script) Config, quarters int, reads func(c *client, who string)) {
	proceed, asked := make(chan struct{}), make(chan struct{})
	c := dial(t, serve(t, func(p *peer) {
		p.login()
		p.answer(2)
		for range 2 {
			reply := replyTo(pong, p.recv())
			at := len(reply) * quarters / 4
			p.send(reply[:at])
			asked <- struct{}{}
			<-proceed
			p.send(reply[at:] + online)
			p.answer(2)
		}
		p.drain()
	}))
	for range 2 {
		c.askTwice()
		reads(c, "nobody")
		ctx, cancel := context.WithCancel(t.Context())
		done := c.ask(ctx)
		<-asked
		reads(c, "who asks")
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		require.Zero(t, c.pending())
		proceed <- struct{}{}
		require.Equal(t, "bob", c.event().(Presence).From.Local)
	}
	c.askTwice()
	require.Equal(t, 2, c.Ignored(), "answers that came too late")
}

// One of two who gets his reply does not leave the other without a reader.
func TestTwoAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, pipeServer(t, func(p *peer) {
			p.login()
			p.answer(2)
			first, second := p.recv(), p.recv()
			p.send(replyTo(pong, first))
			p.send(replyTo(pong, second))
			p.drain()
		}))
		c.rest()
		start := time.Now()
		one := c.ask(t.Context())
		synctest.Wait()
		other := c.ask(t.Context())
		require.NoError(t, <-one)
		require.NoError(t, <-other)
		require.Zero(t, time.Since(start))
	})
}

// A server that never answers what it was only told does not change who reads.
func TestWhoReadsBesidesWhatWasTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, pipeServer(t, func(p *peer) { p.managed(); p.answer(2); p.drain() }))
		require.NoError(t, c.Start(t.Context()))
		synctest.Wait()
		require.Equal(t, 1, c.pending())
		c.rest()
	})
}

// An interruption that comes when the reply has been read harms nobody who reads later, and what was read when the request was given up
// is not lost.
func TestGivenUpTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, pipeServer(t, func(p *peer) { p.login(); p.answer(8); p.drain() }))
		c.rest()
		c.lent().Interrupt()
		require.NoError(t, c.Ping(t.Context())) // who asks reads
		c.rest()
		c.lent().Interrupt()
		<-time.After(2 * maxRest) // the read loop reads
		require.NoError(t, c.Ping(t.Context()))

		c.rest()
		c.mu.Lock()
		c.reading.who = whoAsks // for a request that has just been given up
		c.mu.Unlock()
		c.stopReading(incoming{frame: online})
		start := time.Now()
		c.event()
		require.Zero(t, time.Since(start))
	})
}

// Who gives up when the session has just ended does not leave the read loop waiting.
func TestGivenUpAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, pipeServer(t, func(p *peer) { p.login(); p.answer(2); p.drain() }))
		c.rest()
		ctx, cancel := context.WithCancel(t.Context())
		asked := c.ask(ctx)
		synctest.Wait()
		require.Equal(t, "who asks", c.reader())
		c.mark(errNoAnswer)
		cancel()
		synctest.Wait()
		c.cut()
		require.Error(t, <-asked)
		require.ErrorIs(t, <-c.served, errNoAnswer)
	})
}

// The session gives up for who has no deadline.
func TestNoReplyWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := make(chan struct{})
		cfg := pipeServer(t, func(p *peer) {
			p.login()
			p.answer(2)
			request := p.recv()
			<-late
			p.send(replyTo(pong, request))
			p.answer(3)
			p.drain()
		})
		cfg.RequestTimeout = time.Minute
		c := dial(t, cfg)
		c.rest()
		start := time.Now()
		require.ErrorIs(t, c.Ping(t.Context()), ErrNoReply)
		require.Equal(t, time.Minute, time.Since(start))
		close(late)
		<-time.After(maxRest)
		synctest.Wait()
		require.Equal(t, 1, c.Ignored())
		c.rest()
		require.NoError(t, c.Ping(t.Context()))
	})
}

// A session ends whoever reads.
func TestEndWhoeverReads(t *testing.T) {
	ways := map[string]func(c *client) error{ // and what Serve returns
		"closed":  func(c *client) error { _ = c.Close(c.t.Context()); return ErrClosed },
		"dropped": func(c *client) error { _ = c.Close(done()); return ErrClosed },
		"broken":  func(c *client) error { c.end(errNoAnswer); return errNoAnswer },
		"twice": func(c *client) error {
			var closing sync.WaitGroup
			for range 2 {
				closing.Go(func() { _ = c.Close(c.t.Context()) })
			}
			closing.Wait()
			return ErrClosed
		},
	}
	for name, end := range ways {
		for _, asking := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, asking %t", name, asking), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := dial(t, pipeServer(t, func(p *peer) {
						p.login()
						p.answer(2)
						for {
							if _, err := p.read(); err != nil {
								p.sendEnd()
								return
							}
						}
					}))
					c.rest()
					var failed <-chan error
					if asking {
						failed = c.ask(t.Context())
					}
					synctest.Wait()
					require.Equal(t, asking, c.reader() == "who asks")
					start := time.Now()
					want := end(c)
					require.ErrorIs(t, <-c.served, want)
					if asking {
						require.ErrorIs(t, <-failed, ErrNotConnected)
					}
					require.Zero(t, time.Since(start))
				})
			})
		}
	}
}

// A connection that knows no deadlines is read by the read loop alone: who asks could not stop.
func TestReadsWithoutDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := pipeServer(t, func(p *peer) { p.login(); p.answer(2); p.drain() })
		pipe := cfg.DialContext
		cfg.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := pipe(ctx, network, addr)
			return timeless{conn}, err
		}
		c := dial(t, cfg)
		c.askTwice()
		synctest.Wait()
		require.Equal(t, "the read loop", c.reader())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, c.Ping(ctx), context.DeadlineExceeded)
	})
}

type timeless struct{ net.Conn }

func (timeless) SetReadDeadline(time.Time) error { return errors.ErrUnsupported }

// A deadline that is not ours, such as that of a connection that allows so much silence, is the end of the connection.
func TestDeadlineOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := pipeServer(t, func(p *peer) { p.login(); p.answer(2); p.drain() })
		pipe := cfg.DialContext
		var conn net.Conn
		cfg.DialContext = func(ctx context.Context, network, addr string) (_ net.Conn, err error) {
			conn, err = pipe(ctx, network, addr)
			return conn, err
		}
		c := dial(t, cfg)
		c.rest()
		start := time.Now()
		require.NoError(t, conn.SetReadDeadline(start.Add(time.Second)))
		require.ErrorContains(t, <-c.served, "connection lost")
		require.Equal(t, time.Second, time.Since(start))
	})
}

// A Logger that panics in the goroutine of who asks takes nothing from the session.
func TestLoggerThatPanicsWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &panicking{Handler: slog.DiscardHandler}
		cfg := pipeServer(t, func(p *peer) {
			p.login()
			p.answer(2)
			request := p.recv()
			log.now.Store(true)
			p.send(replyTo(pong, request) + online)
			p.answer(2)
			p.drain()
		})
		cfg.Logger = slog.New(log)
		c := dial(t, cfg)
		c.rest()
		require.Panics(t, func() { _ = c.Ping(t.Context()) })
		c.event()
		c.rest()
		require.Zero(t, c.pending())
		require.Zero(t, c.Ignored())
	})
}

// Callers who come, wait, and give up at random, with pushes in between: every stanza is handled, and counts, once.
func TestReadingStorm(t *testing.T) {
	for name, serve := range map[string]func(testing.TB, script) Config{"tcp": pipeServer, "tls": directTLSServer} {
		for _, callers := range []int{1, 2, 8} {
			t.Run(fmt.Sprint(name, callers), func(t *testing.T) {
				const last = "last@xmpp.example.com"
				var sent, pushes atomic.Int64
				c := dial(t, serve(t, func(p *peer) {
					request := p.managed()
					sent.Add(2)
					p.send(replyTo(pong, request) + online)
					for {
						n, err := p.read()
						switch {
						case err != nil:
							return
						case n.name.Local != "iq":
							continue
						case n.attr("to") == last:
							sent.Add(1)
							p.send(replyTo(`<iq from="`+last+`" id="%s" type="result" xmlns="jabber:client"><query xmlns="jabber:iq:last"/></iq>`, n))
							continue
						}
						text := replyTo(pong, n)
						sent.Add(1)
						if rand.N(8) == 0 {
							text = [...]string{text + online, online + text}[rand.N(2)]
							sent.Add(1)
							pushes.Add(1)
						}
						cut := rand.N(len(text))
						p.send(text[:cut])
						p.send(text[cut:])
					}
				}))
				require.NoError(t, c.Start(t.Context()))
				c.event() // the stream counts
				var rests atomic.Int64
				var asking sync.WaitGroup
				for range callers {
					asking.Go(func() {
						for n := 0; n < 300 || callers == 1 && rests.Load() == 0 && n < 5000; n++ { // less than maxRest between two is for luck
							ctx, cancel := context.WithCancel(context.Background())
							if rand.N(4) == 0 {
								time.AfterFunc(rand.N(200*time.Microsecond), cancel)
							}
							if err := c.Ping(ctx); err != nil && !errors.Is(err, context.Canceled) {
								t.Errorf("ping: %v", err)
							}
							cancel()
							if c.reader() == "nobody" {
								rests.Add(1)
							}
						}
					})
				}
				asking.Wait()
				if callers == 1 {
					require.NotZero(t, rests.Load(), "who asks has not read")
				}
				_, _, err := c.LastActivity(soon(t), last)
				require.NoError(t, err)
				c.mu.Lock()
				received := c.counts.received
				c.mu.Unlock()
				require.EqualValues(t, sent.Load(), received)
				require.EqualValues(t, pushes.Load(), len(c.events))
			})
		}
	}
}
