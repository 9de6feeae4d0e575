package xmpp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/frames"
	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
	"github.com/mirrorfly-go/sdk/internal/unsent"
)

// The same upward, where writes wait for the server: one that takes something in each 20 s may take
// as long as it does.
func TestLargeRequestOnASlowLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, pipeServer(t, func(p *peer) {
			p.Login()
			var all strings.Builder
			for buf := make([]byte, 1000); !strings.Contains(all.String(), "</iq>"); {
				n, err := p.Conn.Read(buf)
				if err != nil {
					t.Error("the client has left:", err)
					return
				}
				all.Write(buf[:n])
				// In the time of the bubble: more than four minutes in all.
				<-time.After(time.Second)
			}
			_, after, _ := strings.Cut(all.String(), ` id="`)
			id, _, _ := strings.Cut(after, `"`)
			p.Send(`<iq id="` + id + `" type="result" xmlns="jabber:client"/>`)
			_, _ = p.Conn.Read(make([]byte, 1))
		}))
		start := time.Now()
		require.NoError(t, c.SetVCard(context.Background(), VCard{Status: strings.Repeat("x", 256<<10)}))
		require.Greater(t, time.Since(start), 4*time.Minute)
		require.NoError(t, c.Close(done()))
		<-c.served
	})
}

// writeTimeout is how long a server may take to read something, as package frames has it.
const writeTimeout = 20 * time.Second

// A server that reads nothing: requests end with their contexts, the session
// after writeTimeout.
func TestServerThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		c := dial(t, pipeServer(t, func(p *peer) { p.Login(); <-stop }))
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
			p.Login()
			ping := `<iq id="` + strings.Repeat("x", maxEcho) +
				`" type="get" xmlns="jabber:client"><ping xmlns="urn:xmpp:ping"/></iq>`
			for range 2 * maxQueued / maxEcho {
				p.Send(ping)
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
			p.Login()
			p.Recv()
			// This is the time of the bubble.
			<-time.After(lastWordsTimeout / 2)
			p.Send(`<stream:error><conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error>` +
				`</stream:stream>`)
		})
		c := dialThrough(t, cfg, func(f frames.Conn) frames.Conn { return &failingWriter{Conn: f} })
		require.NoError(t, c.LogOutQR(t.Context(), "gets through"))
		synctest.Wait()
		require.NoError(t, c.LogOutQR(t.Context(), "does not"))
		stream := (*StreamError)(nil)
		require.ErrorAs(t, <-c.served, &stream)
		require.Equal(t, "conflict", stream.Condition)

		cfg = pipeServer(t, func(p *peer) { p.Login(); p.Drain() })
		c = dialThrough(t, cfg, func(f frames.Conn) frames.Conn { return &failingWriter{Conn: f, after: 1} })
		start := time.Now()
		err := c.Ping(t.Context())
		require.ErrorIs(t, err, errBroken)
		require.Equal(t, lastWordsTimeout, time.Since(start))
		require.ErrorIs(t, <-c.served, errBroken)
	})
}

var errBroken = errors.New("broken pipe")

// failingWriter is a transport whose second write fails.
type failingWriter struct {
	frames.Conn
	// Writes so far.
	after int
}

func (f *failingWriter) WriteFrames(frames ...[]byte) (late bool, err error) {
	if f.after++; f.after > 1 {
		return false, errBroken
	}
	return f.Conn.WriteFrames(frames...)
}

// A request that its caller has given up before it was written never is.
func TestGivenUpRequestsAreNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked, got := make(chan struct{}), make(chan string, 4)
		unblock := sync.OnceFunc(func() { close(blocked) })
		c := dial(t, pipeServer(t, func(p *peer) {
			p.Login()
			// Nothing is read until then.
			<-blocked
			for range 2 {
				got <- p.Recv().String()
			}
		}))
		t.Cleanup(unblock)
		require.NoError(t, c.LogOutQR(t.Context(), "fills the pipe"))
		// All that is queued is being written: what comes now is not part of that.
		synctest.Wait()
		err := c.Block(within(t, time.Second), "bob@xmpp.example.com")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.True(t, unsent.Is(err))
		require.NoError(t, c.LogOutQR(t.Context(), "comes next"))
		unblock()
		require.Contains(t, <-got, "fills the pipe")
		require.Contains(t, <-got, "comes next")
	})
}

// promptWebSocketServer is webSocketServer for a client that dials as package sdk does.
func promptWebSocketServer(t testing.TB, s script) Config {
	cfg := webSocketServer(t, s)
	transport := cfg.HTTPClient.Transport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		// As in narrow.
		if err := conn.(*net.TCPConn).SetWriteBuffer(64 << 10); err != nil {
			return nil, err
		}
		return frames.Wrap(conn), nil
	}
	t.Cleanup(transport.CloseIdleConnections)
	cfg.HTTPClient = &http.Client{Transport: transport}
	return cfg
}

// latecomer is a connection that knows whether something is late.
type latecomer struct {
	frames.Conn
	late atomic.Bool
}

func (l *latecomer) WriteFrames(frames ...[]byte) (late bool, err error) {
	late, err = l.Conn.WriteFrames(frames...)
	l.late.Store(late)
	return late, err
}

func (l *latecomer) CatchUp() error {
	err := l.Conn.CatchUp()
	l.late.Store(false)
	return err
}

// dialLatecomer is dial over a latecomer.
func dialLatecomer(t testing.TB, cfg Config) (c *client, l *latecomer) {
	t.Helper()
	c = dialThrough(t, cfg, func(f frames.Conn) frames.Conn {
		l = &latecomer{Conn: f}
		return l
	})
	return c, l
}

// awaitPosted waits until the only request there is has been written, or has to wait for what is
// late.
func (l *latecomer) awaitPosted(c *client) {
	for posted := false; !posted; runtime.Gosched() {
		late := l.late.Load()
		c.mu.Lock()
		for _, w := range c.waiters {
			posted = w.written || late
		}
		c.mu.Unlock()
	}
}

// A server that does not read for a while holds up no caller longer than its context says. What was
// written arrives once it reads, in order; what was not never does, and says so.
func TestServerThatReadsLater(t *testing.T) {
	for name, server := range map[string]serverFunc{
		"tls": directTLSServer, "starttls": startTLSServer, "wss": promptWebSocketServer,
	} {
		t.Run(name, func(t *testing.T) {
			begin, seen := make(chan struct{}), make(chan string, 1000)
			proceed := sync.OnceFunc(func() { close(begin) })
			defer proceed()
			c, conn := dialLatecomer(t, narrow(server(t, func(p *peer) {
				p.Login()
				<-begin
				for {
					n, err := p.Read()
					if err != nil {
						return
					}
					if iq := n.String(); strings.Contains(iq, "vCard") {
						nick, _, _ := strings.Cut(iq[strings.Index(iq, "nickName")+len("nickName"):], "</")
						seen <- nick[strings.LastIndex(nick, ">")+1:]
					}
					p.Send(`<iq xmlns="jabber:client" type="result" id="` + n.Attr("id") + `"/>`)
				}
			})))
			large := strings.Repeat("x", frames.MaxFrame/16)
			ask := func(ctx context.Context, i int) error {
				return c.SetVCard(ctx, VCard{NickName: fmt.Sprint("n", i), Status: large})
			}
			var want []string
			i, unwritten := 0, 0
			// Until something else goes first.
			for ; unwritten < 3; i++ {
				require.Less(t, len(want), 100, "nothing is ever late")
				ctx, cancel := context.WithCancel(t.Context())
				given := make(chan error, 1)
				// Ends with ctx.
				go func() { given <- ask(ctx, i) }()
				conn.awaitPosted(c)
				cancel()
				err := <-given
				require.ErrorIs(t, err, context.Canceled)
				if unsent.Is(err) {
					unwritten++
				} else {
					want, unwritten = append(want, fmt.Sprint("n", i)), 0
				}
			}
			require.NotEmpty(t, want)
			proceed()
			require.NoError(t, ask(soon(t), i))
			for _, nick := range append(want, fmt.Sprint("n", i)) {
				require.Equal(t, nick, <-seen)
			}
			require.Empty(t, seen)
			require.False(t, conn.late.Load())
			require.NoError(t, c.Close(soon(t)))
		})
	}
}

// narrow makes little room on the way to the server, so that little fills it.
func narrow(cfg Config) Config {
	cfg.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			err = conn.(*net.TCPConn).SetWriteBuffer(64 << 10)
		}
		return conn, err
	}
	return cfg
}

// fill writes until something is late, below what counts requests. Over TCP white space is a
// keepalive (RFC 6120 4.6.1).
func fill(t *testing.T, c *client) {
	t.Helper()
	for n, late := 0, false; !late; n++ {
		require.Less(t, n, 1000, "nothing is ever late")
		var err error
		late, err = c.conn.WriteFrames(bytes.Repeat([]byte{' '}, 10_000))
		require.NoError(t, err)
	}
}

// The end of the stream comes after what is late, for which it waits lastWordsTimeout at most.
func TestEndOfTheStreamComesLast(t *testing.T) {
	still(t, func(t *testing.T) {
		late, ended, seen := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		proceed := sync.OnceFunc(func() { close(late) })
		read := sync.OnceFunc(func() { close(ended) })
		defer proceed()
		defer read()
		c := dial(t, narrow(directTLSServer(t, func(p *peer) {
			p.Login()
			<-late
			// We end the stream.
			p.Send("<a></b>")
			<-ended
			for {
				if _, err := p.Read(); err != nil {
					seen <- err
					return
				}
			}
		})))
		fill(t, c)
		proceed()
		// It has seen that the stream is over.
		require.ErrorIs(t, c.Ping(t.Context()), ErrNotConnected)
		read()
		require.ErrorIs(t, c.ended(), errMalformed)
		require.ErrorIs(t, <-seen, scripted.ErrStreamEnd)
	})
}

// Nothing of a session runs when Close and Serve have returned, however much is late.
func TestNothingRunsAfterServe(t *testing.T) {
	cut := make(chan struct{})
	defer close(cut)
	server := narrow(directTLSServer(t, func(p *peer) { p.Login(); <-cut }))
	stacks := make([]byte, 1<<20)
	for range 100 {
		c := dial(t, server)
		fill(t, c)
		require.NoError(t, c.Close(done()))
		require.ErrorIs(t, c.ended(), ErrClosed)
		// It is looked at once: what ends a moment later ends too late. The very last step of
		// a goroutine is an exception, since there is no way to wait for its end.
		for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			if strings.Contains(stack, "frames.(*promptWriter).writeLate(") {
				for _, busy := range []string{").SetWriteDeadline(", ").Write(", ").Lock("} {
					require.NotContains(t, stack, busy)
				}
			}
		}
	}
}

// A Logger that panics in the goroutine of a caller ends the session, as it would in one of ours:
// nothing could be written any more.
func TestLoggerThatPanics(t *testing.T) {
	cfg := directTLSServer(t, func(p *peer) { p.Login(); p.Drain() })
	log := &panicking{Handler: slog.DiscardHandler}
	cfg.Logger = slog.New(log)
	c := dial(t, cfg)
	log.now.Store(true)
	require.Panics(t, func() { _ = c.Ping(soon(t)) })
	require.ErrorIs(t, c.ended(), errWriteBroken)
	require.ErrorIs(t, c.Ping(soon(t)), ErrNotConnected)
}

type panicking struct {
	slog.Handler
	now atomic.Bool
}

func (*panicking) Enabled(context.Context, slog.Level) bool { return true }

func (p *panicking) Handle(context.Context, slog.Record) error {
	if p.now.Swap(false) {
		panic("no space left on device")
	}
	return nil
}

// twice makes every request two times at once, as a RoundTripper that hedges does.
type twice struct{ http.RoundTripper }

func (h twice) RoundTrip(r *http.Request) (*http.Response, error) {
	type answer struct {
		*http.Response
		error
	}
	answers := make(chan answer, 2)
	for range 2 {
		go func() {
			resp, err := h.RoundTripper.RoundTrip(r.Clone(r.Context()))
			answers <- answer{resp, err}
		}()
	}
	first := <-answers
	go func() {
		if second := <-answers; second.error == nil {
			_ = second.Body.Close()
		}
	}()
	return first.Response, first.error
}

func TestRoundTripperThatHedges(t *testing.T) {
	cfg := promptWebSocketServer(t, func(p *peer) { p.Impatient = true; p.Login(); p.Drain() })
	cfg.HTTPClient.Transport = twice{cfg.HTTPClient.Transport}
	for range 5 {
		c := dial(t, cfg)
		require.NoError(t, c.Close(done()))
		require.ErrorIs(t, c.ended(), ErrClosed)
	}
}
