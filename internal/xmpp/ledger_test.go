package xmpp

import (
	"bytes"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
)

// The server is told how many stanzas are handled without a gap, in whatever order they were.
func TestLedgerOutOfOrder(t *testing.T) {
	// The second run wraps.
	for _, begin := range []uint32{0, math.MaxUint32 - 3} {
		l := &ledger{received: begin}
		l.handled.Store(begin)
		var open []ticket
		for range 4 {
			taken, full := l.receive(true)
			require.False(t, full)
			open = append(open, taken)
		}
		_, _ = l.receive(false)
		for _, step := range []struct {
			done int
			want uint32
		}{{1, 0}, {3, 0}, {0, 2}, {0, 2}, {2, 5}, {2, 5}} {
			open[step.done].done()
			require.Equal(t, begin+step.want, l.handled.Load())
		}
		handled, again := l.position()
		require.Equal(t, begin+5, handled)
		require.Zero(t, again)
		_, _ = l.receive(false)
		require.Equal(t, begin+6, l.handled.Load(), "nothing is open")
	}
	ticket{}.done() // of a stream that does not count
}

// Only so many stay unacknowledged; that the oldest is handled later changes nothing.
func TestLedgerIsBounded(t *testing.T) {
	for _, begin := range []uint32{0, math.MaxUint32 - maxOpen/2} {
		l := &ledger{received: begin}
		l.handled.Store(begin)
		first, full := l.receive(true)
		require.False(t, full)
		for range maxOpen - 1 {
			_, full = l.receive(false)
			require.False(t, full)
		}
		require.Equal(t, begin, l.handled.Load())
		second, full := l.receive(true)
		require.True(t, full)
		require.Equal(t, begin+maxOpen, l.handled.Load())
		first.done()
		require.Equal(t, begin+maxOpen, l.handled.Load())
		second.done()
		require.Equal(t, begin+maxOpen+1, l.handled.Load())

		for range 10 * maxOpen {
			_, _ = l.receive(true)
		}
		require.Len(t, l.open, maxOpen)
		handled, again := l.position()
		require.Equal(t, begin+1+10*maxOpen, handled)
		require.EqualValues(t, maxOpen, again)
	}
}

func chatOfBob(id string) string {
	return messageFrom(bobJID+"/x", `id="`+id+`" type="chat"`, `<body>hi</body>`)
}

// Messages that nobody handles hold acknowledgements up, but not for ever: that is told once.
func TestUnhandledMessagesAreAcknowledgedInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		cfg := pipeServer(t, func(p *peer) {
			p.Managed()
			p.Send(chatOfBob("m0"))
			p.Send(scripted.Request)
			p.Expect(`<a h="0" xmlns="urn:xmpp:sm:3"/>`)
			for range maxOpen + 9 {
				p.Send(chatOfBob("m"))
			}
			// Unasked.
			p.Expect(`<a h="10" xmlns="urn:xmpp:sm:3"/>`)
			p.Drain()
		})
		cfg.Logger = slog.New(slog.NewTextHandler(&out, nil))
		c := dial(t, cfg)
		require.NoError(t, c.Start(t.Context()))
		for range maxOpen + 10 {
			require.IsType(t, &Message{}, c.event())
		}
		time.Sleep(time.Minute)
		require.Equal(t, 1, strings.Count(out.String(), "messages are not handled"), out.String())
		require.NoError(t, c.Close(done()))
	})
}

// What is handled moves what the server is told, unasked; what comes behind an open message waits
// for it.
func TestHandledThenAcknowledged(t *testing.T) {
	eachTransport(t, func(t *testing.T, serve serverFunc) {
		handled, told := make(chan struct{}), make(chan struct{})
		c := dial(t, serve(t, func(p *peer) {
			p.Managed()
			for i := range ackEvery + 2 {
				p.Send(chatOfBob(fmt.Sprint("m", i)))
			}
			p.Send(scripted.Online)
			<-handled
			// At once, because it is much: in the bubble no time passes.
			p.Expect(fmt.Sprintf(`<a h="%d" xmlns="urn:xmpp:sm:3"/>`, ackEvery+3))
			close(told)
			p.Drain()
		}))
		require.NoError(t, c.Start(t.Context()))
		var all []*Message
		for range ackEvery + 2 {
			all = append(all, c.event().(*Message))
		}
		require.IsType(t, Presence{}, c.event())
		for _, m := range all[1:] {
			m.Handled()
		}
		c.mu.Lock()
		require.Zero(t, c.sm.told)
		require.True(t, c.ackDeadline.IsZero())
		c.mu.Unlock()
		close(handled)
		all[0].Handled()
		all[0].Handled()
		<-told
	})
}

// What had come and was not handled comes again after a resumption, and is skipped by count. What
// is handled later counts in the stream that goes on.
func TestOpenMessagesOverAResumption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handled := make(chan struct{})
		cfg := pipeServer(t, scripted.InTurn(
			func(p *peer) {
				p.Managed()
				for i := range 3 {
					p.Send(chatOfBob(fmt.Sprint("m", i)))
				}
				p.Send(scripted.Online)
			},
			func(p *peer) {
				p.Authenticated(scripted.ManagedFeatures)
				p.Expect(`<resume h="1" previd="one" xmlns="urn:xmpp:sm:3"/>`)
				p.Send(`<resumed h="2" previd="one" xmlns="urn:xmpp:sm:3"/>`)
				p.Expect(scripted.Request)
				// One of three: the stream breaks again.
				p.Send(chatOfBob("m1"))
			},
			func(p *peer) {
				p.Authenticated(scripted.ManagedFeatures)
				p.Expect(`<resume h="1" previd="one" xmlns="urn:xmpp:sm:3"/>`)
				p.Send(`<resumed h="2" previd="one" xmlns="urn:xmpp:sm:3"/>`)
				p.Send(chatOfBob("m1"))
				p.Send(chatOfBob("m2"))
				p.Send(scripted.Online)
				p.Send(chatOfBob("m3"))
				p.Expect(scripted.Request)
				<-handled
				p.Expect(`<presence type="unavailable" xmlns="jabber:client"/>`)
				p.Expect(`<a h="5" xmlns="urn:xmpp:sm:3"/>`)
				p.Drain()
			},
		))
		c := dial(t, cfg)
		require.NoError(t, c.Start(t.Context()))
		var all []*Message
		for range 3 {
			all = append(all, c.event().(*Message))
		}
		all[0].Handled()
		require.IsType(t, Presence{}, c.event())
		_ = c.ended()
		cfg.Resume = c.Resumption()
		second := dial(t, cfg)
		require.NoError(t, second.Start(t.Context()))
		_ = second.ended()
		require.Empty(t, second.events)
		cfg.Resume = second.Resumption()
		require.NotNil(t, cfg.Resume)

		third := dial(t, cfg)
		require.NoError(t, third.Start(t.Context()))
		last := third.event().(*Message)
		require.Equal(t, "m3", last.ID)
		for _, m := range []*Message{all[2], last, all[1]} {
			m.Handled()
		}
		close(handled)
		_ = third.Close(soon(t))
	})
}
