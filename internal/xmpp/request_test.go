package xmpp

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/frames"
	"github.com/mirrorfly-go/sdk/internal/testing/fuzz"
	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
	"github.com/mirrorfly-go/sdk/internal/testing/xmltree"
	"github.com/mirrorfly-go/sdk/internal/unsent"
)

// answering is a transport whose other side answers the first request with reply and hangs up.
type answering struct {
	nowhere
	reply  string
	frames chan string
	done   chan struct{}
	once   sync.Once
	over   bool
}

func (a *answering) WriteFrames(frames ...[]byte) (late bool, err error) {
	// There is one request.
	n, err := xmltree.Parse(string(frames[0]))
	if err != nil || n.Attr("type") != kindGet && n.Attr("type") != kindSet {
		return false, err
	}
	select {
	case a.frames <- strings.ReplaceAll(a.reply, "ID", n.Attr("id")):
	case <-a.done:
	}
	return false, nil
}

func (a *answering) ReadFrame(context.Context) (string, error) {
	if a.over {
		return "", io.EOF
	}
	select {
	case frame := <-a.frames:
		a.over = true
		return frame, nil
	case <-a.done:
		return "", io.EOF
	}
}

func (a *answering) Cut() { a.once.Do(func() { close(a.done) }) }

// Whatever a request is answered with: the call ends, and returns nothing that is not in the
// answer.
func FuzzReply(f *testing.F) {
	for op, m := range loadVectors(f).Methods {
		if _, inner, ok := strings.Cut(m.Inbound, ">"); ok {
			f.Add(`type="result"`, strings.TrimSuffix(inner, "</iq>"), byte(op))
		}
	}
	f.Add(`type="result" from="bob@xmpp.example.com"`, `<query xmlns="jabber:iq:last" seconds="-5"/>`, byte(0))
	f.Add(`type="result"`, `<a><blocklist><members> x </members><members><b/>y</members></blocklist></a>`, byte(2))
	f.Add(`type="error"`, `<error type="cancel"><x xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/><text>`+"\n"+
		`</text></error>`, byte(3))
	jid, err := ParseJID(scripted.Full)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, attrs, inner string, op byte) {
		reply := `<iq xmlns="jabber:client" id="ID" ` + attrs + `>` + inner + `</iq>`
		cfg := Config{}
		cfg.setDefaults()
		end := &answering{reply: reply, frames: make(chan string, 1), done: make(chan struct{})}
		s := newSession(&cfg, &handshake{cfg: &cfg, conn: end, jid: jid})
		served := make(chan struct{})
		// Ends with the session.
		go func() {
			defer close(served)
			_ = serveToEnd(s)
		}()
		var returned []string
		var err error
		fuzz.Bounded(t, len(reply), frames.MaxFrame, func() { returned, err = ask(t, s, op) })
		s.end(ErrClosed)
		<-served
		if err != nil {
			require.Less(t, len(err.Error()), 2000)
			return
		}
		root, ok := wholeElement(t, reply)
		if !ok {
			return
		}
		require.Equal(t, kindResult, root.Attr("type"))
		for _, s := range returned {
			require.NotEmpty(t, s)
			require.Contains(t, root.String(), strings.Trim(quoted(s), `"`))
		}
	})
}

// quoted is s as a Node prints it.
func quoted(s string) string {
	n := xmltree.Node{Attrs: []xml.Attr{{Name: xml.Name{Local: "a"}, Value: s}}}
	_, value, _ := strings.Cut(n.String(), "a=")
	return strings.TrimSuffix(value, "></>")
}

// ask makes one of the requests and returns what came back.
func ask(t *testing.T, s *Session, op byte) ([]string, error) {
	ctx := t.Context()
	switch op % 5 {
	case 0:
		_, seconds, err := s.LastActivity(ctx, "bob@xmpp.example.com")
		require.GreaterOrEqual(t, seconds, int64(0))
		return nil, err
	case 1:
		list, err := s.BlockList(ctx)
		require.Equal(t, err == nil, list != nil)
		return list, err
	case 2:
		list, err := s.WhoBlockedMe(ctx)
		require.Equal(t, err == nil, list != nil)
		// Text: pieces of it may stand apart.
		return nil, err
	case 3:
		return nil, s.SetVCard(ctx, VCard{NickName: "x"})
	default:
		return nil, s.Ping(ctx)
	}
}

// Replies that are none: wrong id, sender or kind. Each is dropped and counted,
// then the right one still arrives.
func TestReplyMatching(t *testing.T) {
	last := func(attrs string) string {
		return `<iq ` + attrs + ` xmlns="jabber:client"><query seconds="666" xmlns="jabber:iq:last"/></iq>`
	}
	right := `<iq from="bob@xmpp.example.com" id="%s" type="result" xmlns="jabber:client">` +
		`<query seconds="7" xmlns="jabber:iq:last"/></iq>`
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
		"message": `<message from="bob@xmpp.example.com" id="%s" type="result" ` +
			`xmlns="jabber:client"><user_deleted user="x"/></message>`,
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, pipeServer(t, func(p *peer) {
				p.Login()
				q := p.Recv()
				// Answers to gets and sets; ends with the connection.
				go p.Drain()
				p.Send(scripted.ReplyTo(forged, q))
				p.Send(scripted.ReplyTo(right, q))
				// And a duplicate.
				p.Send(scripted.ReplyTo(right, q))
				p.Send(`<presence from="end@xmpp.example.com" xmlns="jabber:client"/>`)
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

// Our own account and our own server may answer for whom we asked, with a refusal or a result: no
// other user can send a stanza without a sender, or from there (RFC 6120 8.1.2.1). Who is told to
// have been active is whom we asked.
func TestReplyForAnother(t *testing.T) {
	for name, from := range map[string]string{
		"nobody":        "",
		"our account":   `from="` + scripted.Bare + `"`,
		"ourselves":     `from="` + scripted.Full + `"`,
		"our server":    `from="` + scripted.Domain + `"`,
		"whom we asked": `from="bob@xmpp.example.com"`,
	} {
		t.Run(name, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, serve serverFunc) {
				c := dial(t, serve(t, func(p *peer) {
					p.Login()
					p.Send(scripted.ReplyTo(`<iq `+from+
						` id="%s" type="error" xmlns="jabber:client"><error type="auth">`+
						`<forbidden xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`, p.Recv()))
					p.Send(scripted.ReplyTo(`<iq `+from+
						` id="%s" type="result" xmlns="jabber:client"><query seconds="7" xmlns="jabber:iq:last"/></iq>`,
						p.Recv()))
					p.Drain()
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
		``:                                   true,
		`from="` + scripted.Bare + `"`:       true,
		`from="` + scripted.Full + `"`:       true,
		`from="ALICE_1@XMPP.example.com"`:    true,
		`from="` + scripted.Domain + `"`:     true,
		`from="` + scripted.Bare + `/other"`: false,
		`from="bob@xmpp.example.com"`:        false,
		`from="elsewhere.example"`:           false,
		`from="` + scripted.Domain + `/x"`:   false,
	} {
		synctest.Test(t, func(t *testing.T) {
			c := dial(t, pipeServer(t, func(p *peer) {
				p.Login()
				for range 2 {
					p.Send(scripted.ReplyTo(`<iq `+from+` id="%s" type="result" xmlns="jabber:client"/>`, p.Recv()))
				}
				p.Drain()
			}))
			for i, ask := range []func(context.Context) error{
				func(ctx context.Context) error { return c.Block(ctx, "bob@xmpp.example.com") },
				func(ctx context.Context) error {
					_, _, err := c.LastActivity(ctx, scripted.Bare)
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
				p.Login()
				p.Send(strings.Replace(v.Inbound, `id="ID"`, `id="`+p.Recv().Attr("id")+`"`, 1))
				p.Drain()
			}))
			require.ErrorIs(t, c.Block(soon(t), "bob@xmpp.example.com"), context.DeadlineExceeded)
			require.Equal(t, 1, c.Ignored())
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
			`<iq xmlns='jabber:client' xml:lang='en' to='a/ra' from='bob@xmpp.example.com' type='error' id='%s'>` +
				`<query xmlns='jabber:iq:last'/><error type='auth'>` +
				`<subscription-required xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>` +
				`<text xml:lang='en' xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>Not subscribed</text>` +
				`</error></iq>`,
			StanzaError{"auth", "subscription-required", "Not subscribed"},
		},
		"ejabberd over TCP, without a namespace": {
			`<iq xml:lang='en' from='bob@xmpp.example.com' type='error' id='%s'><query xmlns='jabber:iq:last'/>` +
				`<error type='modify'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>` +
				`<text xml:lang='en' xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>Your active privacy list has ` +
				`denied the routing of this stanza.</text></error></iq>`,
			StanzaError{"modify", "not-acceptable", "Your active privacy list has denied the routing of this stanza."},
		},
		"Prosody, blocked": {
			`<iq from='bob@xmpp.example.com' type='error' id='%s'><error type='cancel'>` +
				`<not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>` +
				`<blocked xmlns='urn:xmpp:blocking:errors'/></error></iq>`,
			StanzaError{"cancel", "not-acceptable", ""},
		},
		"application condition first": {
			`<iq from='bob@xmpp.example.com' type='error' id='%s'><error type='cancel'><blocked xmlns='urn:x'/>` +
				`<gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:x</gone></error></iq>`,
			StanzaError{"cancel", "gone", ""},
		},
		"prefixes": {
			`<c:iq xmlns:c='jabber:client' from='bob@xmpp.example.com' type='error' id='%s'><c:error type='wait'>` +
				`<s:remote-server-timeout xmlns:s='urn:ietf:params:xml:ns:xmpp-stanzas'/></c:error></c:iq>`,
			StanzaError{"wait", "remote-server-timeout", ""},
		},
		"no error element": {
			`<iq from='bob@xmpp.example.com' type='error' id='%s'/>`,
			StanzaError{"", "undefined-condition", ""},
		},
	} {
		eachTransport(t, func(t *testing.T, serve serverFunc) {
			c := dial(t, serve(t, func(p *peer) {
				p.Login()
				p.Send(scripted.ReplyTo(tc.reply, p.Recv()))
				p.Drain()
			}))
			_, _, err := c.LastActivity(soon(t), "bob@xmpp.example.com")
			refused := (*StanzaError)(nil)
			require.ErrorAs(t, err, &refused, name)
			require.Equal(t, tc.want, *refused, name)
		})
	}
}

// Every way out of a request removes its waiter.
func TestWaitersAreRemoved(t *testing.T) {
	asked := make(chan struct{}, 1)
	c := dial(t, pipeServer(t, func(p *peer) {
		p.Login()
		for range 2 {
			p.Recv()
			asked <- struct{}{}
		}
		p.Recv()
	}))
	ctx, cancel := context.WithCancel(context.Background())
	failed := make(chan error, 1)
	// Ends with ctx.
	go func() { failed <- c.Ping(ctx) }()
	<-asked
	require.Equal(t, 1, c.pending())
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	require.Zero(t, c.pending())

	require.ErrorIs(t, c.Ping(ctx), context.Canceled, "a context that is done sends nothing")
	require.Zero(t, c.pending())

	require.ErrorIs(t, c.SetVCard(t.Context(), VCard{Status: strings.Repeat("x", frames.MaxFrame)}), ErrRequestSize)
	require.Zero(t, c.pending())
	require.NoError(t, c.Err(), "that was the request's fault")

	// Ends with the session.
	go func() { failed <- c.Ping(context.Background()) }()
	<-asked
	// The server hangs up after this one.
	require.NoError(t, c.LogOutQR(t.Context(), "x"))
	err := <-failed
	require.ErrorIs(t, err, ErrNotConnected)
	require.ErrorIs(t, err, c.Err())
	require.ErrorContains(t, c.ended(), "connection lost")
	require.Zero(t, c.pending())
}

// Many at once, answered out of order.
func TestConcurrentRequests(t *testing.T) {
	const n = 200
	eachTransport(t, func(t *testing.T, serve serverFunc) {
		c := dial(t, serve(t, func(p *peer) {
			p.Login()
			queries := make(chan xmltree.Node, n)
			// Answers the latest first; ends with the reads.
			go func() {
				var held []xmltree.Node
				for q := range queries {
					if held = append(held, q); len(held) == n/10 {
						for i := len(held) - 1; i >= 0; i-- {
							user, _, _ := strings.Cut(held[i].Attr("to"), "@")
							p.Send(fmt.Sprintf(`<iq from="%s" id="%s" type="result" xmlns="jabber:client">`+
								`<query seconds="%s" xmlns="jabber:iq:last"/></iq>`,
								held[i].Attr("to"), held[i].Attr("id"), strings.TrimPrefix(user, "u")))
						}
						held = held[:0]
					}
				}
			}()
			for range n {
				queries <- p.Recv()
			}
			close(queries)
			p.Drain()
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

// A request that is given up while its reply is coming returns at once, however much of that has
// come, and nothing that comes after it is lost.
func TestGivenUpWhileTheReplyComes(t *testing.T) {
	for quarters := range 4 {
		for name, serve := range map[string]serverFunc{
			"tcp": pipeServer, "tls": directTLSServer, "starttls": startTLSServer,
		} {
			t.Run(fmt.Sprint(name, quarters), func(t *testing.T) {
				proceed, half := make(chan struct{}), make(chan struct{})
				c := dial(t, serve(t, func(p *peer) {
					p.Login()
					for range 2 {
						reply := scripted.ReplyTo(scripted.Pong, p.Recv())
						at := len(reply) * quarters / 4
						p.Send(reply[:at])
						half <- struct{}{}
						<-proceed
						p.Send(reply[at:] + scripted.Online)
					}
					p.Answer(1)
					p.Drain()
				}))
				for range 2 {
					ctx, cancel := context.WithCancel(t.Context())
					failed := make(chan error, 1)
					// Ends with ctx.
					go func() { failed <- c.Ping(ctx) }()
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

// Callers who come, wait, and give up at random, with pushes in between: every stanza is handled,
// and counts, once.
func TestRequestStorm(t *testing.T) {
	const last = "last@xmpp.example.com"
	for name, serve := range map[string]serverFunc{"tcp": pipeServer, "tls": directTLSServer} {
		for _, callers := range []int{1, 2, 8} {
			t.Run(fmt.Sprint(name, callers), func(t *testing.T) {
				var sent, pushes atomic.Int64
				c := dial(t, serve(t, func(p *peer) {
					request := p.Managed()
					sent.Add(2)
					p.Send(scripted.ReplyTo(scripted.Pong, request) + scripted.Online)
					for {
						n, err := p.Read()
						switch {
						case err != nil:
							return
						case n.Name.Local != "iq":
							continue
						case n.Attr("to") == last:
							sent.Add(1)
							p.Send(scripted.ReplyTo(`<iq from="`+last+
								`" id="%s" type="result" xmlns="jabber:client"><query xmlns="jabber:iq:last"/></iq>`,
								n))
							continue
						}
						text := scripted.ReplyTo(scripted.Pong, n)
						sent.Add(1)
						if rand.N(8) == 0 {
							text = [...]string{text + scripted.Online, scripted.Online + text}[rand.N(2)]
							sent.Add(1)
							pushes.Add(1)
						}
						cut := rand.N(len(text))
						p.Send(text[:cut])
						p.Send(text[cut:])
					}
				}))
				require.NoError(t, c.Start(t.Context()))
				// The stream counts.
				c.event()
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
				received := c.sm.in.handled.Load()
				c.mu.Unlock()
				require.EqualValues(t, sent.Load(), received)
				require.EqualValues(t, pushes.Load(), len(c.events))
			})
		}
	}
}

// What a request needs to be told: nobody has seen it, or somebody may have.
func TestUnsentRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := pipeServer(t, func(p *peer) {
			p.Login()
			// The first request: written, and never answered.
			p.Recv()
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
