package xmpp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/unsent"
)

// Replies that are none: wrong id, sender or kind. Each is dropped and counted,
// then the right one still arrives.
func TestReplyMatching(t *testing.T) {
	last := func(attrs string) string {
		return `<iq ` + attrs + ` xmlns="jabber:client"><query seconds="666" xmlns="jabber:iq:last"/></iq>`
	}
	right := `<iq from="bob@xmpp.example.com" id="%s" type="result" xmlns="jabber:client"><query seconds="7" xmlns="jabber:iq:last"/></iq>`
	for name, forged := range map[string]string{
		"wrong id":              last(`from="bob@xmpp.example.com" id="x%s" type="result"`),
		"no id":                 last(`from="bob@xmpp.example.com" type="result" to="%s"`),
		"stranger":              last(`from="mallory@xmpp.example.com" id="%s" type="result"`),
		"bob's device":          last(`from="bob@xmpp.example.com/x" id="%s" type="result"`),
		"bob elsewhere":         last(`from="bob@elsewhere.example" id="%s" type="result"`),
		"sender that is no JID": last(`from="@/" id="%s" type="result"`),
		"error of a stranger":   last(`from="mallory@xmpp.example.com" id="%s" type="error"`),
		"get":                   last(`from="bob@xmpp.example.com" id="%s" type="get"`),
		"set":                   last(`from="bob@xmpp.example.com" id="%s" type="set"`),
		"no type":               last(`from="bob@xmpp.example.com" id="%s"`),
		"message":               `<message from="bob@xmpp.example.com" id="%s" type="result" xmlns="jabber:client"><user_deleted user="x"/></message>`,
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, pipeServer(t, func(p *peer) {
				p.login()
				q := p.recv()
				go p.drain() // answers to gets and sets; ends with the connection
				p.send(replyTo(forged, q))
				p.send(replyTo(right, q))
				p.send(replyTo(right, q)) // and a duplicate
				p.send(`<presence from="end@xmpp.example.com" xmlns="jabber:client"/>`)
			}))
			_, seconds, err := c.LastActivity(soon(t), "BOB@xmpp.example.com")
			require.NoError(t, err)
			require.EqualValues(t, 7, seconds)
			c.event()
			require.Equal(t, 2, c.Ignored(), "the forged and the duplicate")
			require.Zero(t, c.pending())
		})
	}
}

// Our own account and our own server may answer for whom we asked, with a refusal or a result: no other user can send a stanza
// without a sender, or from there (RFC 6120 8.1.2.1). Who is told to have been active is whom we asked.
func TestReplyForAnother(t *testing.T) {
	for name, from := range map[string]string{
		"nobody":        "",
		"our account":   `from="` + testBare + `"`,
		"ourselves":     `from="` + testFull + `"`,
		"our server":    `from="` + testDomain + `"`,
		"whom we asked": `from="bob@xmpp.example.com"`,
	} {
		t.Run(name, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, serve func(testing.TB, script) Config) {
				c := dial(t, serve(t, func(p *peer) {
					p.login()
					p.send(replyTo(`<iq `+from+` id="%s" type="error" xmlns="jabber:client"><error type="auth">`+
						`<forbidden xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`, p.recv()))
					p.send(replyTo(`<iq `+from+` id="%s" type="result" xmlns="jabber:client"><query seconds="7" xmlns="jabber:iq:last"/></iq>`, p.recv()))
					p.drain()
				}))
				const asked = "bob@xmpp.example.com"
				_, _, err := c.LastActivity(soon(t), asked)
				refused := (*StanzaError)(nil)
				require.ErrorAs(t, err, &refused)
				require.Equal(t, StanzaError{Type: "auth", Condition: "forbidden"}, *refused)
				who, seconds, err := c.LastActivity(soon(t), asked)
				require.NoError(t, err)
				require.Equal(t, asked, who)
				require.EqualValues(t, 7, seconds)
				require.Zero(t, c.Ignored())
			})
		})
	}
}

// Who may answer when we asked our own account, or its server.
func TestReplySenders(t *testing.T) {
	for from, accepted := range map[string]bool{
		``:                                true,
		`from="` + testBare + `"`:         true,
		`from="` + testFull + `"`:         true,
		`from="ALICE_1@XMPP.example.com"`: true,
		`from="` + testDomain + `"`:       true,
		`from="` + testBare + `/other"`:   false,
		`from="bob@xmpp.example.com"`:     false,
		`from="elsewhere.example"`:        false,
		`from="` + testDomain + `/x"`:     false,
	} {
		synctest.Test(t, func(t *testing.T) {
			c := dial(t, pipeServer(t, func(p *peer) {
				p.login()
				for range 2 {
					p.send(replyTo(`<iq `+from+` id="%s" type="result" xmlns="jabber:client"/>`, p.recv()))
				}
				p.drain()
			}))
			for i, ask := range []func(context.Context) error{
				func(ctx context.Context) error { return c.Block(ctx, "bob@xmpp.example.com") },
				func(ctx context.Context) error {
					_, _, err := c.LastActivity(ctx, testBare)
					if err != nil && strings.Contains(err.Error(), "without a query") {
						return nil
					}
					return err
				},
			} {
				if accepted {
					require.NoError(t, ask(soon(t)), from)
				} else {
					require.ErrorIs(t, ask(soon(t)), context.DeadlineExceeded, from)
					require.Equal(t, i+1, c.Ignored())
				}
			}
		})
	}
}

// The recorded refusals come from the user who was to be blocked. He was not
// asked, so he is not heard.
func TestRefusalFromStranger(t *testing.T) {
	for _, v := range loadVectors(t).Methods {
		if strings.Contains(v.Outgoing, " to=") || !strings.Contains(v.Inbound, `type="error"`) {
			continue
		}
		require.Contains(t, v.Inbound, `from="bob@xmpp.example.com"`)
		synctest.Test(t, func(t *testing.T) {
			c := dial(t, pipeServer(t, func(p *peer) {
				p.login()
				p.send(strings.Replace(v.Inbound, `id="ID"`, `id="`+p.recv().attr("id")+`"`, 1))
				p.drain()
			}))
			require.ErrorIs(t, c.Block(soon(t), "bob@xmpp.example.com"), context.DeadlineExceeded)
			require.Equal(t, 1, c.Ignored())
		})
	}
}

// A refusal because the list is so already is none; any other is, also one with a part of such a
// text.
func TestBlockThatIsSoAlready(t *testing.T) {
	block, unblock := (*Session).Block, (*Session).Unblock
	for name, tc := range map[string]struct {
		change func(*Session, context.Context, string) error
		text   string
		done   bool
	}{
		"blocked already":     {block, "User is already in blocked list", true},
		"in other words":      {block, "already BLOCKED", true},
		"not blocked":         {unblock, "User is not in blocked list", true},
		"of the other call":   {block, "User is not in blocked list", false},
		"of the other call 2": {unblock, "User is already in blocked list", false},
		"oneself":             {block, "Blocking/Unblocking of self account is not allowed", false},
		"unknown":             {block, "Invalid user id.", false},
		"something else":      {block, "request already running", false},
		"without a text":      {unblock, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, pipeServer(t, func(p *peer) {
				p.login()
				p.send(replyTo(`<iq id="%s" type="error" xmlns="jabber:client"><error type="cancel">`+
					`<not-allowed xmlns="`+nsStanzas+`"/><text xmlns="`+nsStanzas+`">`+tc.text+`</text></error></iq>`, p.recv()))
				p.drain()
			}))
			err := tc.change(c.Session, t.Context(), "bob@xmpp.example.com")
			if tc.done {
				require.NoError(t, err)
				return
			}
			var refused *StanzaError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, tc.text, refused.Text)
		})
	}
}

// The literal answers of real servers.
func TestRealReplies(t *testing.T) {
	for name, tc := range map[string]struct {
		reply string
		want  StanzaError
	}{
		"ejabberd, not subscribed": {
			`<iq xmlns='jabber:client' xml:lang='en' to='a/ra' from='bob@xmpp.example.com' type='error' id='%s'><query xmlns='jabber:iq:last'/><error type='auth'><subscription-required xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xml:lang='en' xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>Not subscribed</text></error></iq>`,
			StanzaError{"auth", "subscription-required", "Not subscribed"},
		},
		"ejabberd over TCP, without a namespace": {
			`<iq xml:lang='en' from='bob@xmpp.example.com' type='error' id='%s'><query xmlns='jabber:iq:last'/><error type='modify'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xml:lang='en' xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>Your active privacy list has denied the routing of this stanza.</text></error></iq>`,
			StanzaError{"modify", "not-acceptable", "Your active privacy list has denied the routing of this stanza."},
		},
		"Prosody, blocked": {
			`<iq from='bob@xmpp.example.com' type='error' id='%s'><error type='cancel'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><blocked xmlns='urn:xmpp:blocking:errors'/></error></iq>`,
			StanzaError{"cancel", "not-acceptable", ""},
		},
		"application condition first": {
			`<iq from='bob@xmpp.example.com' type='error' id='%s'><error type='cancel'><blocked xmlns='urn:x'/><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:x</gone></error></iq>`,
			StanzaError{"cancel", "gone", ""},
		},
		"prefixes": {
			`<c:iq xmlns:c='jabber:client' from='bob@xmpp.example.com' type='error' id='%s'><c:error type='wait'><s:remote-server-timeout xmlns:s='urn:ietf:params:xml:ns:xmpp-stanzas'/></c:error></c:iq>`,
			StanzaError{"wait", "remote-server-timeout", ""},
		},
		"no error element": {`<iq from='bob@xmpp.example.com' type='error' id='%s'/>`, StanzaError{"", "undefined-condition", ""}},
	} {
		eachTransport(t, func(t *testing.T, serve func(testing.TB, script) Config) {
			c := dial(t, serve(t, func(p *peer) {
				p.login()
				p.send(replyTo(tc.reply, p.recv()))
				p.drain()
			}))
			_, _, err := c.LastActivity(soon(t), "bob@xmpp.example.com")
			refused := (*StanzaError)(nil)
			require.ErrorAs(t, err, &refused, name)
			require.Equal(t, tc.want, *refused, name)
		})
	}
}

func TestLastActivityValues(t *testing.T) {
	for reply, want := range map[string]int64{
		`<query xmlns="jabber:iq:last" seconds="0"/>`:                       0,
		`<query xmlns="jabber:iq:last" seconds="-5"/>`:                      0,
		`<query xmlns="jabber:iq:last" seconds="many"/>`:                    0,
		`<query xmlns="jabber:iq:last" seconds="99999999999999999999"/>`:    0,
		`<query xmlns="jabber:iq:last" seconds="2">reason</query>`:          2,
		`<x/><query xmlns="jabber:iq:last" seconds="9223372036854775807"/>`: 9223372036854775807,
		`<last xmlns="jabber:iq:last" seconds="2"/>`:                        -1,
		``: -1,
	} {
		c := dial(t, pipeServer(t, func(p *peer) {
			p.login()
			p.send(replyTo(`<iq id="%s" type="result" xmlns="jabber:client">`+reply+`</iq>`, p.recv()))
			p.drain()
		}))
		from, seconds, err := c.LastActivity(soon(t), testBare)
		if want < 0 {
			require.ErrorContains(t, err, "without a query")
			continue
		}
		require.NoError(t, err, reply)
		require.Equal(t, want, seconds, reply)
		require.Equal(t, testBare, from)
	}
	c := dial(t, pipeServer(t, func(p *peer) { p.login(); p.drain() }))
	_, _, err := c.LastActivity(t.Context(), "not a jid")
	require.Error(t, err)
	require.Zero(t, c.pending())
}

func TestWhoBlockedMeShapes(t *testing.T) {
	for reply, want := range map[string][]string{
		``:             {},
		`<blocklist/>`: {},
		`<blocklist xmlns="u"><members> bob </members><other>x</other><members/><members>a&amp;b</members></blocklist>`:          {"bob", "a&b"},
		`<query><a><b><blocklist><members>bob</members></blocklist></b></a></query><blocklist><members>no</members></blocklist>`: {"bob"},
		`<members>bob</members>`: {},
	} {
		c := dial(t, pipeServer(t, func(p *peer) {
			p.login()
			p.send(replyTo(`<iq id="%s" type="result" xmlns="jabber:client">`+reply+`</iq>`, p.recv()))
			p.drain()
		}))
		got, err := c.WhoBlockedMe(soon(t))
		require.NoError(t, err)
		require.Equal(t, want, got, reply)
	}
}

// Every way out of a request removes its waiter.
func TestWaitersAreRemoved(t *testing.T) {
	asked := make(chan struct{}, 1)
	c := dial(t, pipeServer(t, func(p *peer) {
		p.login()
		for range 2 {
			p.recv()
			asked <- struct{}{}
		}
		p.recv()
	}))
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error, 1)
	go func() { failed <- c.Ping(ctx) }() // ends with ctx
	<-asked
	require.Equal(t, 1, c.pending())
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	require.Zero(t, c.pending())

	require.ErrorIs(t, c.Ping(ctx), context.Canceled, "a context that is done sends nothing")
	require.Zero(t, c.pending())

	require.ErrorIs(t, c.SetVCard(t.Context(), VCard{Status: strings.Repeat("x", maxFrame)}), ErrRequestSize)
	require.Zero(t, c.pending())
	require.NoError(t, c.Err(), "that was the request's fault")

	go func() { failed <- c.Ping(context.Background()) }() // ends with the session
	<-asked
	require.NoError(t, c.LogOutQR(t.Context(), "x")) // the server hangs up after this one
	err := <-failed
	require.ErrorIs(t, err, ErrNotConnected)
	require.ErrorIs(t, err, c.Err())
	require.ErrorContains(t, c.ended(), "connection lost")
	require.Zero(t, c.pending())
}

// Many at once, answered out of order.
func TestConcurrentRequests(t *testing.T) {
	const n = 200
	eachTransport(t, func(t *testing.T, serve func(testing.TB, script) Config) {
		c := dial(t, serve(t, func(p *peer) {
			p.login()
			queries := make(chan node, n)
			go func() { // answers the latest first; ends with the reads
				var held []node
				for q := range queries {
					if held = append(held, q); len(held) == n/10 {
						for i := len(held) - 1; i >= 0; i-- {
							user, _, _ := strings.Cut(held[i].attr("to"), "@")
							p.send(fmt.Sprintf(`<iq from="%s" id="%s" type="result" xmlns="jabber:client"><query seconds="%s" xmlns="jabber:iq:last"/></iq>`,
								held[i].attr("to"), held[i].attr("id"), strings.TrimPrefix(user, "u")))
						}
						held = held[:0]
					}
				}
			}()
			for range n {
				queries <- p.recv()
			}
			close(queries)
			p.drain()
		}))
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				_, seconds, err := c.LastActivity(soon(t), fmt.Sprintf("u%d@xmpp.example.com", i))
				if err != nil || seconds != int64(i) {
					t.Errorf("request %d: %d, %v", i, seconds, err)
				}
			})
		}
		wg.Wait()
		require.Zero(t, c.pending())
		require.Zero(t, c.Ignored())
	})
}

// A server that reads nothing: requests end with their contexts, the session
// after writeTimeout.
func TestServerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		c := dial(t, pipeServer(t, func(p *peer) { p.login(); <-stop }))
		start := time.Now()
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			require.ErrorIs(t, c.Ping(ctx), context.DeadlineExceeded)
			cancel()
		}
		require.Equal(t, 3*time.Second, time.Since(start))
		err := c.Ping(t.Context())
		require.ErrorIs(t, err, ErrNotConnected)
		require.ErrorIs(t, err, errWriteStuck)
		require.Equal(t, writeTimeout, time.Since(start))
		require.ErrorIs(t, <-c.served, errWriteStuck)
		close(stop)
	})
}

// A server that pings and pings and does not read: bounded, without a deadlock.
func TestPingFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, pipeServer(t, func(p *peer) {
			p.login()
			ping := `<iq id="` + strings.Repeat("x", maxEcho) + `" type="get" xmlns="jabber:client"><ping xmlns="urn:xmpp:ping"/></iq>`
			for range 2 * maxQueued / maxEcho {
				p.send(ping)
			}
		}))
		require.ErrorIs(t, <-c.served, errWriteStuck)
		require.LessOrEqual(t, c.queued, maxQueued)
	})
}

// Why the server hung up wins over the write that failed for it.
func TestReasonBeatsFailedWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := pipeServer(t, func(p *peer) {
			p.login()
			p.recv()
			<-time.After(lastWords / 2) // of the bubble
			p.send(`<stream:error><conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error></stream:stream>`)
		})
		c := dialThrough(t, cfg, func(f framer) framer { return &failingWriter{framer: f} })
		require.NoError(t, c.LogOutQR(t.Context(), "gets through"))
		synctest.Wait()
		require.NoError(t, c.LogOutQR(t.Context(), "does not"))
		stream := (*StreamError)(nil)
		require.ErrorAs(t, <-c.served, &stream)
		require.Equal(t, "conflict", stream.Condition)

		cfg = pipeServer(t, func(p *peer) { p.login(); p.drain() })
		c = dialThrough(t, cfg, func(f framer) framer { return &failingWriter{framer: f, after: 1} })
		start := time.Now()
		err := c.Ping(t.Context())
		require.ErrorIs(t, err, errBroken)
		require.Equal(t, lastWords, time.Since(start))
		require.ErrorIs(t, <-c.served, errBroken)
	})
}

var errBroken = errors.New("broken pipe")

// failingWriter is a transport whose second write fails.
type failingWriter struct {
	framer
	after int // writes so far
}

func (f *failingWriter) WriteFrames(ctx context.Context, frames ...[]byte) error {
	if f.after++; f.after > 1 {
		return errBroken
	}
	return f.framer.WriteFrames(ctx, frames...)
}

// Few requests at a time need no map, and what many have made of it does not stay.
func TestWaiters(t *testing.T) {
	var all waiters
	for _, id := range []string{"1", "2", "3", "4"} {
		all.add(id, &waiter{reply: make(chan reply, 1)})
	}
	for _, id := range []string{"1", "2", "3", "4"} {
		require.Equal(t, id, all.get(id).id)
	}
	require.Nil(t, all.get("5"))
	require.Len(t, slices.Collect(all.all()), 4)
	all.shrink()
	require.NotNil(t, all.get("4"), "still waits")
	for _, id := range []string{"4", "1", "3", "2"} {
		require.False(t, all.none())
		all.remove(id)
		require.Nil(t, all.get(id))
	}
	all.remove("5")
	require.True(t, all.none())
	all.add("6", new(waiter))
	require.True(t, all.none(), "was only told")
	all.remove("6")
	all.shrink()
	require.Nil(t, all.more)
}

// A request whose context has no deadline is given up by the session, each in its time; it and the session go on.
func TestRequestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 30 * time.Second
		var requests []node
		late := make(chan struct{})
		cfg := pipeServer(t, func(p *peer) {
			p.login()
			for range 5 {
				requests = append(requests, p.recv())
			}
			<-late
			p.send(replyTo(`<iq id="%s" type="result" xmlns="jabber:client"/>`, requests[0]))
			p.send(replyTo(`<iq id="%s" type="result" xmlns="jabber:client"/>`, p.recv()))
			p.drain()
		})
		cfg.RequestTimeout = timeout
		c := dial(t, cfg)
		start := time.Now()
		var asking sync.WaitGroup
		for i := range 4 { // two more than need no map
			asking.Go(func() {
				after := time.Duration(i) * time.Second
				<-time.After(after) // of the bubble
				err := c.Ping(t.Context())
				if !errors.Is(err, ErrNoReply) || !errors.Is(err, context.DeadlineExceeded) || unsent.Is(err) {
					t.Errorf("%d: %v", i, err)
				}
				if took := time.Since(start); took != after+timeout {
					t.Errorf("%d: took %v", i, took)
				}
			})
		}
		asking.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 2*timeout)
			defer cancel()
			if err := c.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrNoReply) {
				t.Errorf("with a deadline of its own: %v", err)
			}
			if took := time.Since(start); took != 2*timeout {
				t.Errorf("with a deadline of its own: took %v", took)
			}
		})
		asking.Wait()
		require.Zero(t, c.pending())
		require.NoError(t, c.Err())
		close(late)
		require.NoError(t, c.Ping(t.Context()))
		require.Equal(t, 1, c.Ignored(), "an answer that came too late")
	})
}

// What was not even written when it is given up never will be, and its error says so.
func TestRequestTimeoutOfWhatWasNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		cfg := pipeServer(t, func(p *peer) { p.login(); <-stop })
		cfg.RequestTimeout = writeTimeout / 4
		c := dial(t, cfg)
		require.ErrorIs(t, c.Ping(t.Context()), ErrNoReply)
		err := c.Ping(t.Context())
		require.ErrorIs(t, err, ErrNoReply)
		require.True(t, unsent.Is(err))
		close(stop)
	})
}

const pong = `<iq id="%s" type="result" xmlns="jabber:client"/>`

// answer answers so many requests.
func (p *peer) answer(requests int) {
	for range requests {
		p.send(replyTo(pong, p.recv()))
	}
}

// A request that is given up while its reply is coming returns at once, however much of that has come, and nothing
// that comes after it is lost.
func TestGivenUpWhileTheReplyComes(t *testing.T) {
	for quarters := range 4 {
		for name, serve := range map[string]func(testing.TB, script) Config{
			"tcp": pipeServer, "tls": directTLSServer, "starttls": startTLSServer,
		} {
			t.Run(fmt.Sprint(name, quarters), func(t *testing.T) {
				proceed, half := make(chan struct{}), make(chan struct{})
				c := dial(t, serve(t, func(p *peer) {
					p.login()
					for range 2 {
						reply := replyTo(pong, p.recv())
						at := len(reply) * quarters / 4
						p.send(reply[:at])
						half <- struct{}{}
						<-proceed
						p.send(reply[at:] + online)
					}
					p.answer(1)
					p.drain()
				}))
				for range 2 {
					ctx, cancel := context.WithCancel(t.Context())
					failed := make(chan error, 1)
					go func() { failed <- c.Ping(ctx) }() // ends with ctx
					<-half
					cancel()
					require.ErrorIs(t, <-failed, context.Canceled)
					require.Zero(t, c.pending())
					proceed <- struct{}{}
					require.Equal(t, "bob", c.event().(Presence).From.Local)
				}
				require.NoError(t, c.Ping(t.Context()))
				require.Equal(t, 2, c.Ignored(), "answers that came too late")
			})
		}
	}
}

// Callers who come, wait, and give up at random, with pushes in between: every stanza is handled, and counts, once.
func TestRequestStorm(t *testing.T) {
	const last = "last@xmpp.example.com"
	for name, serve := range map[string]func(testing.TB, script) Config{"tcp": pipeServer, "tls": directTLSServer} {
		for _, callers := range []int{1, 2, 8} {
			t.Run(fmt.Sprint(name, callers), func(t *testing.T) {
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
				var asking sync.WaitGroup
				for range callers {
					asking.Go(func() {
						for range 300 {
							ctx, cancel := context.WithCancel(context.Background())
							if rand.N(4) == 0 {
								time.AfterFunc(rand.N(200*time.Microsecond), cancel)
							}
							if err := c.Ping(ctx); err != nil && !errors.Is(err, context.Canceled) {
								t.Errorf("ping: %v", err)
							}
							cancel()
						}
					})
				}
				asking.Wait()
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
