package xmpp

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
	"github.com/mirrorfly-go/sdk/internal/testing/xmltree"
	"github.com/mirrorfly-go/sdk/internal/unsent"
)

const bobJID = "bob@" + scripted.Domain

// toBob is a message without much in it.
func toBob(id string) Outgoing {
	return Content{ID: id, EditID: id, To: bobJID, Type: "text", Body: "sealed", Metadata: "{}"}.Outgoing()
}

// sendingOf sends in a goroutine, which ends with the call.
func (c *client) sendingOf(ctx context.Context, m Outgoing) <-chan sent {
	result := make(chan sent, 1)
	go func() {
		at, err := c.Send(ctx, m)
		result <- sent{at, err}
	}()
	return result
}

// managedAndTold takes the client to a stream that counts, and lets it know by a presence: until
// then its messages are between what that takes. It is for begin.
func managedAndTold(p *peer) {
	p.T.Helper()
	p.Managed()
	p.Send(scripted.Online)
}

// begin starts the session, on a stream of managedAndTold if so.
func (c *client) begin(managed bool) {
	c.t.Helper()
	require.NoError(c.t, c.Start(c.t.Context()))
	if managed {
		require.IsType(c.t, Presence{}, c.event())
	}
}

// expectMessage reads a message of that id.
func expectMessage(p *peer, id string) {
	p.T.Helper()
	if n := p.Recv(); n.Name.Local != "message" || n.Attr("id") != id {
		p.Fail("client sent %s, want message %s", n, id)
	}
}

// expectPing reads the request that has the server confirm what is before it.
func expectPing(p *peer) xmltree.Node {
	p.T.Helper()
	return p.Expect(`<iq id="ID" to="xmpp.example.com" type="get" xmlns="jabber:client">` +
		`<ping xmlns="urn:xmpp:ping"/></iq>`)
}

// from is a stanza of kind message with these attributes.
func messageFrom(from, attrs, content string) string {
	if from != "" {
		attrs += ` from="` + from + `"`
	}
	return `<message ` + attrs + ` to="` + scripted.Full + `" xmlns="jabber:client">` + content + `</message>`
}

func acknowledgeOf(id string) string {
	return `<acknowledge xmlns="urn:xmpp:receipts" id="` + id + `" sent_to="` + bobJID + `" type="acknowledge"/>` +
		`<timestamp xmlns="urn:xmpp:messagetime" time="1700000000123456"/>`
}

const refusal = `<error type="cancel"><service-unavailable xmlns="` + nsStanzas + `"/></error>`

// takenAt is what acknowledgeOf says.
var takenAt = time.UnixMicro(1700000000123456)

// What the server says while a message is in flight, and before the answer to the request behind
// it: who is believed, and that either order of acknowledgement and refusal is understood.
func TestWhoConfirmsAndWhoRefuses(t *testing.T) {
	const mallory, phone = "mallory@" + scripted.Domain + "/x", scripted.Bare + "/phone"
	acknowledge := func(from string) string { return messageFrom(from, `id="s1"`, acknowledgeOf("m1")) }
	refuse := func(from string) string { return messageFrom(from, `id="m1" type="error"`, refusal) }
	acknowledged := Status{Kind: "acknowledge", Peer: bobJID, MessageID: "m1", At: takenAt}
	refused := func(peer string) Refused {
		return Refused{Peer: peer, MessageID: "m1", Err: &StanzaError{Type: "cancel", Condition: "service-unavailable"}}
	}
	for name, tc := range map[string]struct {
		said    []string
		at      time.Time
		refused bool
		events  []Event
		ignored int
	}{
		"nothing": {},
		"acknowledged by the server": {
			said:   []string{acknowledge(scripted.Domain)},
			at:     takenAt,
			events: []Event{acknowledged},
		},
		"acknowledged by the account": {
			said:   []string{acknowledge(scripted.Bare)},
			at:     takenAt,
			events: []Event{acknowledged},
		},
		"acknowledged by another device": {
			said:   []string{acknowledge(phone)},
			at:     takenAt,
			events: []Event{acknowledged},
		},
		"acknowledged by nobody": {
			said:   []string{acknowledge("")},
			at:     takenAt,
			events: []Event{acknowledged},
		},
		"acknowledged by the addressee": {said: []string{acknowledge(bobJID + "/x")}, ignored: 1},
		"acknowledged by somebody else": {said: []string{acknowledge(mallory)}, ignored: 1},
		"another acknowledged": {
			said:   []string{messageFrom(scripted.Domain, `id="s1"`, acknowledgeOf("m2"))},
			events: []Event{Status{Kind: "acknowledge", Peer: bobJID, MessageID: "m2", At: takenAt}},
		},
		"refused by the addressee":        {said: []string{refuse(bobJID)}, refused: true},
		"refused by a device of that":     {said: []string{refuse(bobJID + "/x")}, refused: true},
		"refused by the server":           {said: []string{refuse(scripted.Domain)}, refused: true},
		"refused by the account":          {said: []string{refuse(scripted.Bare)}, refused: true},
		"refused by another device":       {said: []string{refuse(phone)}, refused: true},
		"refused by nobody":               {said: []string{refuse("")}, refused: true},
		"refused by somebody else":        {said: []string{refuse(mallory)}, ignored: 1},
		"refused by somebody, then by it": {said: []string{refuse(mallory), refuse(bobJID)}, refused: true, ignored: 1},
		"acknowledged, then refused": {
			said: []string{acknowledge(scripted.Domain), refuse(bobJID)}, at: takenAt,
			events: []Event{acknowledged, refused(bobJID)},
		},
		"refused, then acknowledged": {
			said: []string{refuse(bobJID), acknowledge(scripted.Domain)}, refused: true, events: []Event{acknowledged},
		},
		"refused later by the server": {
			said: []string{acknowledge(scripted.Domain), refuse(scripted.Domain)}, at: takenAt,
			events: []Event{acknowledged, refused("")},
		},
		// It is told as what concerns the conversation with that user.
		"refused later by somebody else": {
			said: []string{acknowledge(scripted.Domain), refuse(mallory)}, at: takenAt,
			events: []Event{acknowledged, refused("mallory@" + scripted.Domain)},
		},
		"another refused": {
			said:   []string{messageFrom(bobJID, `id="m2" type="error"`, refusal)},
			events: []Event{Refused{Peer: bobJID, MessageID: "m2", Err: refused("").Err}},
		},
		"a refusal without id":  {said: []string{messageFrom(bobJID, `type="error"`, refusal)}},
		"a refusal of nobody's": {said: []string{messageFrom("@", `id="m1" type="error"`, refusal)}},
		"a receipt is refused": {
			said: []string{
				messageFrom(bobJID, `id="x" type="error"`, `<delivered xmlns="urn:xmpp:receipts" id="m1"/>`+refusal),
			},
		},
		"a chat state is refused": {
			said: []string{messageFrom(bobJID, `id="x" type="error"`, `<composing xmlns="`+nsChatStates+`"/>`+refusal)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := dial(t, pipeServer(t, func(p *peer) {
					p.Login()
					expectMessage(p, "m1")
					ping := expectPing(p)
					for _, said := range tc.said {
						p.Send(said)
					}
					p.Send(scripted.ReplyTo(scripted.Pong, ping))
					p.Send(scripted.Online)
					p.Drain()
				}))
				got := <-c.sendingOf(t.Context(), toBob("m1"))
				require.True(t, tc.at.Equal(got.at), "%s", got.at)
				if tc.refused {
					var stanza *StanzaError
					require.ErrorAs(t, got.err, &stanza)
					require.Equal(t, "service-unavailable", stanza.Condition)
					require.False(t, unsent.Is(got.err))
				} else {
					require.NoError(t, got.err)
				}
				var events []Event
				for {
					e := c.event()
					if _, last := e.(Presence); last {
						break
					}
					events = append(events, e)
				}
				require.Equal(t, tc.events, events)
				require.Equal(t, tc.ignored, c.Ignored())
			})
		})
	}
}

// Each way to be confirmed, over each transport.
func TestConfirmed(t *testing.T) {
	for name, tc := range map[string]struct {
		managed bool
		confirm func(p *peer, asked xmltree.Node)
		at      time.Time
	}{
		"acknowledged": {
			at: takenAt,
			confirm: func(p *peer, _ xmltree.Node) {
				p.Send(messageFrom(scripted.Domain, `id="s"`, acknowledgeOf("m1")))
			},
		},
		"the request behind it is answered": {confirm: func(p *peer, asked xmltree.Node) {
			p.Send(scripted.ReplyTo(scripted.Pong, asked))
		}},
		"the request behind it is refused": {confirm: func(p *peer, asked xmltree.Node) {
			p.Send(scripted.ReplyTo(`<iq id="%s" from="`+scripted.Domain+`" type="error" xmlns="jabber:client">`+
				refusal+`</iq>`, asked))
		}},
		"counted": {managed: true, confirm: func(p *peer, _ xmltree.Node) {
			p.Send(`<a h="2" xmlns="urn:xmpp:sm:3"/>`)
			p.Send(`<a h="3" xmlns="urn:xmpp:sm:3"/>`)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, serve serverFunc) {
				c := dial(t, serve(t, func(p *peer) {
					if tc.managed {
						managedAndTold(p)
						expectMessage(p, "m1")
						tc.confirm(p, p.Expect(scripted.Request))
					} else {
						p.Login()
						p.Expect(scripted.Hello)
						p.Expect(scripted.Carbons)
						expectMessage(p, "m1")
						tc.confirm(p, expectPing(p))
					}
					p.Drain()
				}))
				c.begin(tc.managed)
				at, err := c.Send(soon(t), toBob("m1"))
				require.NoError(t, err)
				require.True(t, tc.at.Equal(at))
				require.Zero(t, c.outbox().waiting())
			})
		})
	}
}

// A server that offers to count, and then does not, is asked the other way, also for what was
// written meanwhile.
func TestConfirmedWhereCountingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		written := make(chan struct{})
		c := dial(t, pipeServer(t, func(p *peer) {
			p.Enabling("")
			expectMessage(p, "m1")
			<-written
			p.Send(`<failed xmlns="urn:xmpp:sm:3"/>`)
			p.Send(scripted.ReplyTo(scripted.Pong, expectPing(p)))
			expectMessage(p, "m2")
			p.Send(scripted.ReplyTo(scripted.Pong, expectPing(p)))
			p.Drain()
		}))
		require.NoError(t, c.Start(t.Context()))
		first := c.sendingOf(t.Context(), toBob("m1"))
		synctest.Wait()
		require.Empty(t, first)
		close(written)
		require.NoError(t, (<-first).err)
		_, err := c.Send(t.Context(), toBob("m2"))
		require.NoError(t, err)
	})
}

// A message, and its edit: what is said of the first says nothing of the second.
func TestSameIDTwiceInFlight(t *testing.T) {
	for _, refused := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var second <-chan sent
			both, told := make(chan struct{}), make(chan struct{})
			c := dial(t, pipeServer(t, func(p *peer) {
				p.Login()
				expectMessage(p, "m1")
				expectPing(p)
				close(both)
				expectMessage(p, "m1")
				ping := expectPing(p)
				if refused {
					p.Send(messageFrom(bobJID, `id="m1" type="error"`, refusal))
				} else {
					p.Send(messageFrom(scripted.Domain, `id="s"`, acknowledgeOf("m1")))
				}
				<-told
				p.Send(scripted.ReplyTo(scripted.Pong, ping))
				p.Drain()
			}))
			first := c.sendingOf(t.Context(), toBob("m1"))
			<-both
			second = c.sendingOf(t.Context(), toBob("m1"))
			got := <-first
			require.Equal(t, refused, got.err != nil)
			require.Equal(t, !refused, got.at.Equal(takenAt))
			synctest.Wait()
			require.Empty(t, second)
			close(told)
			require.Equal(t, sent{}, <-second)
			require.Zero(t, c.outbox().waiting())
		})
	}
}

// A word that comes late on a message that the server has confirmed without one says nothing of its
// edit, which is in flight by then.
func TestLateWordIsNotOnTheEdit(t *testing.T) {
	for name, late := range map[string]string{
		"acknowledged": messageFrom(scripted.Domain, `id="s"`, acknowledgeOf("m1")),
		"refused":      messageFrom(bobJID, `id="m1" type="error"`, refusal),
	} {
		for _, counted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, counted=%v", name, counted), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					told := make(chan struct{})
					// each reads a message, and returns what confirms it.
					each := func(p *peer, handled int) (confirm func()) {
						expectMessage(p, "m1")
						if counted {
							p.Expect(scripted.Request)
							return func() { p.Send(fmt.Sprintf(`<a h="%d" xmlns="urn:xmpp:sm:3"/>`, handled)) }
						}
						ping := expectPing(p)
						return func() { p.Send(scripted.ReplyTo(scripted.Pong, ping)) }
					}
					c := dial(t, pipeServer(t, func(p *peer) {
						if counted {
							managedAndTold(p)
						} else {
							p.Login()
							p.Expect(scripted.Hello)
							p.Expect(scripted.Carbons)
						}
						each(p, 3)()
						confirm := each(p, 4)
						p.Send(late)
						<-told
						confirm()
						p.Drain()
					}))
					c.begin(counted)
					_, err := c.Send(t.Context(), toBob("m1"))
					require.NoError(t, err)
					edit := c.sendingOf(t.Context(), toBob("m1"))
					c.event() // what came late is told
					synctest.Wait()
					require.Empty(t, edit)
					close(told)
					require.Equal(t, sent{}, <-edit)
				})
			})
		}
	}
}

// What is given up before it is written never will be. What is given up later may have arrived.
func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := make(chan struct{})
		c := dial(t, pipeServer(t, func(p *peer) {
			p.Login()
			<-read
			expectMessage(p, "m1")
			expectPing(p)
			expectMessage(p, "m3")
			p.Send(scripted.ReplyTo(scripted.Pong, expectPing(p)))
			p.Drain()
		}))
		ctx, cancel := context.WithCancel(t.Context())
		first := c.sendingOf(ctx, toBob("m1"))
		synctest.Wait() // it is being written
		second, third := c.sendingOf(ctx, toBob("m2")), c.sendingOf(t.Context(), toBob("m3"))
		synctest.Wait()
		cancel()
		got := <-first
		require.ErrorIs(t, got.err, context.Canceled)
		require.False(t, unsent.Is(got.err))
		got = <-second
		require.ErrorIs(t, got.err, context.Canceled)
		require.True(t, unsent.Is(got.err))
		close(read)
		require.NoError(t, (<-third).err)

		_, err := c.Send(ctx, toBob("m4"))
		require.ErrorIs(t, err, context.Canceled)
		require.True(t, unsent.Is(err), "it had ended before")
		require.Zero(t, c.outbox().waiting())
	})
}

// What is written in one go is confirmed in one go.
func TestConfirmationsAreShared(t *testing.T) {
	const many = 500
	for _, managed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			read := make(chan struct{})
			asked := 0
			c := dial(t, pipeServer(t, func(p *peer) {
				if managed {
					managedAndTold(p)
				} else {
					p.Login()
					p.Expect(scripted.Hello)
					p.Expect(scripted.Carbons)
				}
				<-read
				for messages, confirmed := 0, 0; confirmed <= many; {
					last := p.Recv()
					if last.Name.Local == "message" {
						messages++
						continue
					}
					asked++
					confirmed = messages
					if managed {
						p.Send(fmt.Sprintf(`<a h="%d" xmlns="urn:xmpp:sm:3"/>`, 2+messages))
					} else {
						p.Send(scripted.ReplyTo(scripted.Pong, last))
					}
				}
				p.Drain()
			}))
			c.begin(managed)
			var all []<-chan sent
			for i := range many + 1 {
				all = append(all, c.sendingOf(t.Context(), toBob(fmt.Sprint("m", i))))
			}
			synctest.Wait()
			close(read)
			for _, each := range all {
				require.Equal(t, sent{}, <-each)
			}
			require.Less(t, asked, many/20)
			require.Zero(t, c.outbox().waiting())
		})
	}
}

// Counters wrap: see XEP-0198 4.
func TestOutboxCountersWrap(t *testing.T) {
	o := new(outbox)
	var all []*sending
	number := uint32(math.MaxUint32 - 1)
	for i := range 4 {
		m := &sending{id: fmt.Sprint(i), result: make(chan sent, 1)}
		o.add(m)
		require.True(t, o.wrote(m))
		o.number(m, number)
		number++
		all = append(all, m)
	}
	over := func() (n int) {
		for _, m := range all {
			if m.over {
				n++
			}
		}
		return n
	}
	for n, handled := range []uint32{math.MaxUint32 - 2, math.MaxUint32 - 1, math.MaxUint32, 0, 1} {
		o.confirmCounted(handled)
		require.Equal(t, n, over(), "%d are handled", handled)
	}
	require.Empty(t, o.byID)
	require.Empty(t, o.written)
}

// However messages of one id end, the others stay known.
func TestOutboxForgetsEachOfAnID(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}, {0, 2, 1}, {2, 0, 1}} {
		o := new(outbox)
		var all []*sending
		for range 3 {
			m := &sending{id: "m", result: make(chan sent, 1)}
			o.add(m)
			all = append(all, m)
		}
		for i, which := range order {
			require.True(t, o.knows("m"))
			o.giveUp(all[which], context.Canceled)
			for _, other := range order[i+1:] {
				require.False(t, all[other].over)
			}
		}
		require.False(t, o.knows("m"), order)
		require.Zero(t, o.waiting())
	}
}

// A stream that ends for good fails what is not confirmed: what was not written can be sent again.
func TestStreamEndsWithMessages(t *testing.T) {
	for name, end := range map[string]func(c *client, p *peer){
		"closed":           func(c *client, _ *peer) { _ = c.Close(done()) },
		"lost":             func(_ *client, p *peer) { _ = p.Conn.Close() },
		"ended":            func(_ *client, p *peer) { p.Send("</stream:stream>") },
		"somebody else is": func(_ *client, p *peer) { p.Send(scripted.StreamError("conflict", "")) },
	} {
		for _, managed := range []bool{false, true} {
			if managed && name == "lost" {
				continue // see TestMessagesOverALoss
			}
			t.Run(fmt.Sprintf("%s, managed=%v", name, managed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ready, proceed, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
					var c *client
					c = dial(t, pipeServer(t, func(p *peer) {
						p.Impatient = true
						if managed {
							managedAndTold(p)
						} else {
							p.Login()
							p.Expect(scripted.Hello)
							p.Expect(scripted.Carbons)
						}
						expectMessage(p, "m1")
						p.Recv()
						close(ready)
						<-proceed
						end(c, p)
						// Nothing more is read before that.
						<-over
						p.Drain()
					}))
					c.begin(managed)
					first := c.sendingOf(t.Context(), toBob("m1"))
					<-ready
					// It is being written; what comes behind it is not.
					blocker := c.sendingOf(t.Context(), toBob("m2"))
					synctest.Wait()
					third := c.sendingOf(t.Context(), toBob("m3"))
					synctest.Wait()
					close(proceed)
					for _, written := range []<-chan sent{first, blocker} {
						got := <-written
						require.ErrorIs(t, got.err, ErrNotConnected)
						require.False(t, unsent.Is(got.err))
					}
					got := <-third
					require.ErrorIs(t, got.err, ErrNotConnected)
					require.True(t, unsent.Is(got.err))
					close(over)
					_ = c.ended()
					require.Nil(t, c.Resumption())
					_, err := c.Send(t.Context(), toBob("m4"))
					require.ErrorIs(t, err, ErrNotConnected)
					require.True(t, unsent.Is(err))
					require.Zero(t, c.outbox().waiting())
				})
			})
		}
	}
}

// counted is a server's side of a stream that counts: the ids of the messages that it has taken.
type counted struct {
	mu  sync.Mutex
	ids []string
}

func (s *counted) take(p *peer, stanzas int, upTo int) (taken int) {
	for {
		n, err := p.Read()
		if err != nil {
			return stanzas
		}
		switch n.Name.Local {
		case "r":
			p.Send(fmt.Sprintf(`<a h="%d" xmlns="urn:xmpp:sm:3"/>`, stanzas))
		case "message":
			stanzas++
			s.mu.Lock()
			s.ids = append(s.ids, n.Attr("id"))
			enough := len(s.ids) == upTo
			s.mu.Unlock()
			if enough {
				return stanzas
			}
		default:
			stanzas++
		}
	}
}

// Cut in the middle of many messages, and resumed: all are confirmed, and the server gets each
// once. Not resumed: those that were written may have arrived.
func TestMessagesOverALoss(t *testing.T) {
	for _, resumed := range []bool{true, false} {
		t.Run(fmt.Sprintf("resumed=%v", resumed), func(t *testing.T) {
			eachTransport(t, func(t *testing.T, serve serverFunc) { messagesOverALoss(t, serve, resumed) })
		})
	}
}

func messagesOverALoss(t *testing.T, serve serverFunc, resumed bool) {
	const many = 1000
	server := new(counted)
	var stanzas atomic.Int32
	cfg := serve(t, scripted.InTurn(
		func(p *peer) {
			managedAndTold(p)
			stanzas.Store(int32(server.take(p, 2, many/2)))
			// And hangs up, without a word on the last.
		},
		func(p *peer) {
			p.Impatient = true
			p.Authenticated(scripted.ManagedFeatures)
			p.Expect(`<resume h="1" previd="one" xmlns="urn:xmpp:sm:3"/>`)
			if !resumed {
				p.Send(`<failed xmlns="urn:xmpp:sm:3"/>`)
				p.Expect(scripted.BindRequest)
				p.Send(scripted.BindResult)
				p.Drain()
				return
			}
			p.Send(fmt.Sprintf(`<resumed h="%d" previd="one" xmlns="urn:xmpp:sm:3"/>`, stanzas.Load()))
			server.take(p, int(stanzas.Load()), -1)
		},
	))
	c := dial(t, cfg)
	c.begin(true)
	var all []<-chan sent
	for i := range many {
		all = append(all, c.sendingOf(soon(t), toBob(fmt.Sprint("m", i))))
	}
	_ = c.ended()
	cfg.Resume = c.Resumption()
	require.NotNil(t, cfg.Resume)
	again := dial(t, cfg)
	require.Equal(t, resumed, again.Resumed())
	if resumed {
		require.NoError(t, again.Start(t.Context()))
	}
	errs := map[string]error{}
	for i, each := range all {
		// Some calls may have come after the loss.
		if got := <-each; got.err != nil {
			errs[fmt.Sprint("m", i)] = got.err
		}
	}
	server.mu.Lock()
	defer server.mu.Unlock()
	got := slices.Clone(server.ids)
	slices.Sort(got)
	require.Equal(t, got, slices.Compact(slices.Clone(got)), "the server got one twice")
	for id, err := range errs {
		require.ErrorIs(t, err, ErrNotConnected)
		if resumed {
			require.True(t, unsent.Is(err), "%s: %v", id, err)
			require.NotContains(t, got, id)
		} else if unsent.Is(err) {
			require.NotContains(t, got, id)
		}
	}
	if resumed {
		require.Len(t, got, many-len(errs))
	} else {
		require.NotEmpty(t, errs)
	}
	require.Zero(t, again.outbox().waiting())
}

// A call whose context ends while the stream is down ends, and the message is not written again.
func TestContextEndsWhileTheStreamIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := make(chan struct{})
		cfg := pipeServer(t, scripted.InTurn(
			func(p *peer) {
				managedAndTold(p)
				expectMessage(p, "m1")
				p.Expect(scripted.Request)
				expectMessage(p, "m2")
				<-read
			},
			func(p *peer) {
				p.Authenticated(scripted.ManagedFeatures)
				p.Recv()
				p.Send(`<resumed h="2" previd="one" xmlns="urn:xmpp:sm:3"/>`)
				expectMessage(p, "m2")
				p.Expect(scripted.Request)
				p.Send(`<a h="3" xmlns="urn:xmpp:sm:3"/>`)
				p.Drain()
			},
		))
		c := dial(t, cfg)
		c.begin(true)
		ctx, cancel := context.WithCancel(t.Context())
		first := c.sendingOf(ctx, toBob("m1"))
		synctest.Wait()
		second := c.sendingOf(t.Context(), toBob("m2"))
		synctest.Wait()
		// Being written, when the connection breaks; and behind that.
		blocker := c.sendingOf(ctx, toBob(strings.Repeat("x", 100)))
		synctest.Wait()
		third := c.sendingOf(ctx, toBob("m3"))
		synctest.Wait()
		close(read)
		_ = c.ended()
		lost := c.Resumption()
		require.NotNil(t, lost)
		require.Empty(t, first, "it goes on waiting")
		cancel()
		for _, written := range []<-chan sent{first, blocker} {
			got := <-written
			require.ErrorIs(t, got.err, context.Canceled)
			require.False(t, unsent.Is(got.err))
		}
		got := <-third
		require.ErrorIs(t, got.err, context.Canceled)
		require.True(t, unsent.Is(got.err))

		cfg.Resume = lost
		again := dial(t, cfg)
		require.NoError(t, again.Start(t.Context()))
		require.Equal(t, sent{}, <-second)
	})
}

// A stream that nobody takes up again fails what waits for it.
func TestAbandonedStreamFailsMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := pipeServer(t, func(p *peer) {
			managedAndTold(p)
			expectMessage(p, "m1")
			p.Expect(scripted.Request)
		})
		c := dial(t, cfg)
		c.begin(true)
		first := c.sendingOf(t.Context(), toBob("m1"))
		_ = c.ended()
		lost := c.Resumption()
		require.NotNil(t, lost)
		synctest.Wait()
		require.Empty(t, first)
		lost.Abandon()
		got := <-first
		require.ErrorIs(t, got.err, ErrNotConnected)
		require.False(t, unsent.Is(got.err))
		(*Resumption)(nil).Abandon()
	})
}

// Many large messages at once, and a server that reads slowly: they wait, and the session lives.
// Who does not wait any longer has sent nothing.
func TestMessagesWaitForRoom(t *testing.T) {
	const many, size = 100, 100 << 10
	synctest.Test(t, func(t *testing.T) {
		read := make(chan struct{})
		c := dial(t, pipeServer(t, func(p *peer) {
			p.Login()
			<-read
			answerAll(p)
		}))
		large := func(id string) Outgoing {
			return Content{ID: id, To: bobJID, Body: strings.Repeat("x", size)}.Outgoing()
		}
		var all []<-chan sent
		for i := range many {
			all = append(all, c.sendingOf(t.Context(), large(fmt.Sprint("m", i))))
			synctest.Wait()
		}
		ctx, cancel := context.WithCancel(t.Context())
		impatient := c.sendingOf(ctx, large("impatient"))
		synctest.Wait()
		c.mu.Lock()
		require.LessOrEqual(t, c.queued, maxMessages)
		c.mu.Unlock()
		cancel()
		got := <-impatient
		require.ErrorIs(t, got.err, context.Canceled)
		require.True(t, unsent.Is(got.err))
		close(read)
		for _, each := range all {
			require.Equal(t, sent{}, <-each)
		}
	})
}

// What waits for room ends with the session, and with those before it that are given up.
func TestMessagesThatWaitForRoomEnd(t *testing.T) {
	for _, closed := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			read := make(chan struct{})
			c := dial(t, pipeServer(t, func(p *peer) {
				p.Impatient = true
				p.Login()
				<-read
				answerAll(p)
			}))
			ctx, cancel := context.WithCancel(t.Context())
			var before []<-chan sent
			for i := range maxMessages/(200<<10) + 1 {
				before = append(before, c.sendingOf(ctx,
					Content{ID: fmt.Sprint("m", i), To: bobJID, Body: strings.Repeat("x", 200<<10)}.Outgoing()))
				synctest.Wait()
			}
			last := c.sendingOf(
				t.Context(),
				Content{ID: "last", To: bobJID, Body: strings.Repeat("x", 200<<10)}.Outgoing(),
			)
			synctest.Wait()
			if closed {
				_ = c.Close(done())
				got := <-last
				require.ErrorIs(t, got.err, ErrNotConnected)
				require.True(t, unsent.Is(got.err))
			}
			cancel()
			for _, each := range before {
				require.Error(t, (<-each).err)
			}
			close(read)
			if !closed {
				require.Equal(t, sent{}, <-last)
			}
		})
	}
}
