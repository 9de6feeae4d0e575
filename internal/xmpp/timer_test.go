package xmpp

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/observe"
	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
	"github.com/mirrorfly-go/sdk/internal/testing/xmltree"
	"github.com/mirrorfly-go/sdk/internal/unsent"
)

// A silent server is pinged, and given up when it does not answer.
func TestKeepAlive(t *testing.T) {
	const interval, timeout = time.Minute, 20 * time.Second
	synctest.Test(t, func(t *testing.T) {
		pings := make(chan time.Time, 100)
		answers := 3
		cfg := pipeServer(t, func(p *peer) {
			p.Login()
			for {
				n, err := p.Read()
				if err != nil {
					return
				}
				if n.String() != canon(t, `<iq id="ID" to="xmpp.example.com" type="get" xmlns="jabber:client">`+
					`<ping xmlns="urn:xmpp:ping"/></iq>`) {
					t.Errorf("got %s", n)
				}
				pings <- time.Now()
				if answers--; answers >= 0 {
					// A refusal is a sign of life too.
					p.Send(scripted.ReplyTo(`<iq from="xmpp.example.com" id="%s" type="error" `+
						`xmlns="jabber:client"><error type="cancel"/></iq>`, n))
				}
			}
		})
		cfg.KeepAliveInterval, cfg.KeepAliveTimeout = interval, timeout
		start := time.Now()
		c := dial(t, cfg)
		require.ErrorIs(t, <-c.served, errNoAnswer)
		// The first three pings are answered and checked timeout later, when
		// the rest of the interval starts.
		require.Len(t, pings, 4)
		for i := range 4 {
			require.Equal(t, time.Duration(i+1)*interval, (<-pings).Sub(start))
		}
		require.Equal(t, 4*interval+timeout, time.Since(start))
		require.Zero(t, c.Ignored())
		require.ErrorIs(t, c.Ping(t.Context()), errNoAnswer)
	})
}

// The longest times there are do not come round to the shortest.
func TestKeepAliveForEver(t *testing.T) {
	const long = 10 * 365 * 24 * time.Hour
	for name, c := range map[string]struct {
		interval, timeout time.Duration
		pings             int
	}{"interval": {math.MaxInt64, time.Second, 1}, "timeout": {time.Minute, math.MaxInt64, 2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pings := make(chan string, 100)
				cfg := pipeServer(t, func(p *peer) {
					p.Login()
					// This is the time of the bubble.
					<-time.After(time.Second)
					n, err := p.Read()
					p.Send(scripted.ReplyTo(`<iq from="xmpp.example.com" id="%s" type="result" xmlns="jabber:client"/>`,
						n))
					for ; err == nil; n, err = p.Read() {
						pings <- n.String()
					}
				})
				cfg.KeepAliveInterval, cfg.KeepAliveTimeout = c.interval, c.timeout
				s := dial(t, cfg)
				// Its writing has the timer go off.
				require.NoError(t, s.Ping(t.Context()))
				<-time.After(long)
				require.NoError(t, s.Err())
				require.Len(t, pings, c.pings)
				require.NoError(t, s.Close(done()))
				require.ErrorIs(t, <-s.served, ErrClosed)
			})
		})
	}
}

// A server that talks is not pinged; with interval 0 nobody is.
func TestKeepAliveOfTheTalkative(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, interval := range []time.Duration{time.Minute, 0, -1} {
			silence := 50 * time.Second
			if interval <= 0 {
				silence = 24 * time.Hour
			}
			cfg := pipeServer(t, func(p *peer) {
				p.Login()
				// Ends with the connection.
				go func() {
					if n, err := p.Read(); err == nil {
						t.Errorf("pinged: %s", n)
					}
				}()
				for range 100 {
					// This is the time of the bubble.
					<-time.After(silence)
					p.Send(` <presence from="bob@xmpp.example.com" xmlns="jabber:client"/>`)
				}
			})
			cfg.KeepAliveInterval = interval
			c := dial(t, cfg)
			for range 100 {
				<-c.events
			}
			require.NoError(t, c.Close(done()))
			<-c.served
		}
	})
}

// While bytes come the connection is alive, also when they are all of one stanza: on a slow link a
// large one takes longer than the keepalive waits, and the answer to the ping comes behind it.
func TestLargeStanzaOnASlowLink(t *testing.T) {
	const big = `<presence from="big@xmpp.example.com" xmlns="jabber:client"><status></status></presence>`
	stanza := strings.Replace(big, "<status>", "<status>"+strings.Repeat("x", 60_000), 1)
	slowly := func(c net.Conn, text []byte, over <-chan struct{}) {
		for i := 0; i < len(text); i += 100 {
			// In the time of the bubble: ten minutes in all.
			<-time.After(time.Second)
			_, _ = c.Write(text[i:min(i+100, len(text))])
		}
		<-over
	}
	for name, serve := range map[string]func(t *testing.T, f func(net.Conn)) Config{
		"websocket": func(t *testing.T, f func(net.Conn)) Config { return configOf(scripted.RawWebSocket(t, f)) },
		"tcp": func(t *testing.T, f func(net.Conn)) Config {
			return pipeServer(t, func(p *peer) {
				p.Login()
				// Ends with the connection.
				go p.Drain()
				f(p.Conn)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				text := []byte(stanza)
				if name == "websocket" {
					text = scripted.Message(0x81, stanza)
				}
				over := make(chan struct{})
				defer close(over)
				cfg := serve(t, func(c net.Conn) { slowly(c, text, over) })
				cfg.KeepAliveInterval, cfg.KeepAliveTimeout = 45*time.Second, 20*time.Second
				c := dial(t, cfg)
				require.Equal(t, "big", (<-c.events).(Presence).From.Local)
				require.NoError(t, c.Err())
				// From then on there is nothing any more, and that is noticed.
				start := time.Now()
				require.ErrorIs(t, <-c.served, errNoAnswer)
				require.LessOrEqual(t, time.Since(start), cfg.KeepAliveInterval+cfg.KeepAliveTimeout)
			})
		})
	}
}

// A request whose context has no deadline is given up by the session, each in its time; it and the
// session go on.
func TestRequestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 30 * time.Second
		var requests []xmltree.Node
		late := make(chan struct{})
		cfg := pipeServer(t, func(p *peer) {
			p.Login()
			for range 5 {
				requests = append(requests, p.Recv())
			}
			<-late
			p.Send(scripted.ReplyTo(`<iq id="%s" type="result" xmlns="jabber:client"/>`, requests[0]))
			p.Send(scripted.ReplyTo(`<iq id="%s" type="result" xmlns="jabber:client"/>`, p.Recv()))
			p.Drain()
		})
		cfg.RequestTimeout = timeout
		c := dial(t, cfg)
		start := time.Now()
		var asking sync.WaitGroup
		for i := range 4 {
			asking.Go(func() {
				after := time.Duration(i) * time.Second
				// This is the time of the bubble.
				<-time.After(after)
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
		cfg := pipeServer(t, func(p *peer) { p.Login(); <-stop })
		cfg.RequestTimeout = writeTimeout / 4
		c := dial(t, cfg)
		require.ErrorIs(t, c.Ping(t.Context()), ErrNoReply)
		err := c.Ping(t.Context())
		require.ErrorIs(t, err, ErrNoReply)
		require.True(t, unsent.Is(err))
		close(stop)
	})
}

// exits is a handler of log lines that ends the goroutine of who writes a frame, once on is set.
type exits struct {
	slog.Handler
	on *atomic.Bool
}

func (e exits) Enabled(_ context.Context, l slog.Level) bool {
	return l == observe.LevelFrame && e.on.Load()
}

func (exits) Handle(context.Context, slog.Record) error {
	runtime.Goexit()
	return nil
}

// The timer tells requests that they are late before it writes what has waited: a Logger, or a
// hook, may take its time there, or not come back.
func TestLateRequestsGoBeforeWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := new(atomic.Bool)
		cfg := pipeServer(t, func(p *peer) {
			p.Managed()
			p.Drain()
		})
		cfg.Logger, cfg.RequestTimeout = slog.New(exits{slog.DiscardHandler, on}), 10*time.Second
		c := dial(t, cfg)
		require.NoError(t, c.Start(t.Context()))
		synctest.Wait()
		ended := make(chan error, 1)
		go func() { // ends with its request
			_, _, err := c.LastActivity(context.Background(), bobJID)
			ended <- err
		}()
		synctest.Wait()
		time.Sleep(cfg.RequestTimeout - time.Millisecond)
		on.Store(true)
		require.NoError(t, c.Tell(Receipt("delivered", bobJID, "m"), true))
		time.Sleep(time.Second)
		select {
		case err := <-ended:
			require.ErrorIs(t, err, ErrNoReply)
		default:
			require.Fail(t, "it hangs")
		}
	})
}
