package xmpp

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/prompt"
	"github.com/mirrorfly-go/sdk/internal/unsent"
)

// promptWebSocketServer is webSocketServer for a client that dials as package sdk does.
func promptWebSocketServer(t testing.TB, s script) Config {
	cfg := webSocketServer(t, s)
	transport := cfg.HTTPClient.Transport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if err := conn.(*net.TCPConn).SetWriteBuffer(64 << 10); err != nil { // as narrow does
			return nil, err
		}
		return prompt.Wrap(conn), nil
	}
	t.Cleanup(transport.CloseIdleConnections)
	cfg.HTTPClient = &http.Client{Transport: transport}
	return cfg
}

// requirePrompt sees to it that writes do not wait, on systems where that can be.
func requirePrompt(t *testing.T, c *client) {
	t.Helper()
	if runtime.GOOS == "windows" {
		require.Nil(t, c.prompt)
		t.Skip("this system has no way to write without waiting")
	}
	require.NotNil(t, c.prompt)
}

// A server that does not read for a while holds up nobody longer than the context says. What was written arrives once it reads, in
// order; what was not never does, and says so.
func TestServerThatReadsLater(t *testing.T) {
	for name, server := range map[string]func(testing.TB, script) Config{
		"tls": directTLSServer, "starttls": startTLSServer, "wss": promptWebSocketServer,
	} {
		t.Run(name, func(t *testing.T) {
			begin, seen := make(chan struct{}), make(chan string, 1000)
			proceed := sync.OnceFunc(func() { close(begin) })
			defer proceed()
			c := dial(t, narrow(server(t, func(p *peer) {
				p.login()
				<-begin
				for {
					n, err := p.read()
					if err != nil {
						return
					}
					if iq := n.String(); strings.Contains(iq, "vCard") {
						nick, _, _ := strings.Cut(iq[strings.Index(iq, "nickName")+len("nickName"):], "</")
						seen <- nick[strings.LastIndex(nick, ">")+1:]
					}
					p.send(`<iq xmlns="jabber:client" type="result" id="` + n.attr("id") + `"/>`)
				}
			})))
			requirePrompt(t, c)
			prompt.Below(c.prompt, patience) // once it reads, a busy machine may be slow at it
			large := strings.Repeat("x", maxFrame/16)
			ask := func(ctx context.Context, i int) error {
				return c.SetVCard(ctx, VCard{NickName: fmt.Sprint("n", i), Status: large})
			}
			var want []string
			i, unwritten := 0, 0
			for ; unwritten < 3; i++ { // something else goes first
				require.Less(t, len(want), 100, "nothing is ever late")
				ctx, cancel := context.WithCancel(t.Context())
				given := make(chan error, 1)
				go func() { given <- ask(ctx, i) }() // ends with ctx
				c.awaitPosted()
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
			require.False(t, c.prompt.Behind())
			require.NoError(t, c.Close(soon(t)))
		})
	}
}

// awaitPosted waits until the only request there is has been written, or has to wait for what is late.
func (c *client) awaitPosted() {
	for posted := false; !posted; runtime.Gosched() {
		late := c.prompt.Behind()
		c.mu.Lock()
		for w := range c.waiters.all() {
			posted = w.written || late
		}
		c.mu.Unlock()
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

// fill writes until something is late, below what counts requests.
func fill(t *testing.T, c *client, w io.Writer) {
	t.Helper()
	for n := 0; !c.prompt.Behind(); n++ {
		require.Less(t, n, 1000, "nothing is ever late")
		_, err := w.Write(bytes.Repeat([]byte{' '}, 10_000)) // a keepalive (RFC 6120 4.6.1)
		require.NoError(t, err)
	}
}

// A server that never reads again ends the session, and is named for it. It has answered nothing.
func TestServerThatStopsReading(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	c := dial(t, narrow(directTLSServer(t, func(p *peer) { p.login(); <-stop })))
	requirePrompt(t, c)
	prompt.Below(c.prompt, 50*time.Millisecond) // for the 20 s of writeTimeout
	fill(t, c, c.f.(*tcpFramer).conn)
	_, _ = c.f.(*tcpFramer).conn.Write(bytes.Repeat([]byte{' '}, 4<<20)) // more than the system has room for, a moment later
	err := c.Ping(t.Context())
	require.ErrorIs(t, err, ErrNotConnected)
	require.ErrorIs(t, err, errWriteStuck)
	require.ErrorIs(t, <-c.served, errWriteStuck)
}

// The end of the stream comes after what is late, for which it waits lastWords at most.
func TestEndOfTheStreamComesLast(t *testing.T) {
	still(t, func(t *testing.T) {
		late, ended, seen := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		proceed := sync.OnceFunc(func() { close(late) })
		read := sync.OnceFunc(func() { close(ended) })
		defer proceed()
		defer read()
		c := dial(t, narrow(directTLSServer(t, func(p *peer) {
			p.login()
			<-late
			p.send("<a></b>") // we end the stream
			<-ended
			for {
				if _, err := p.read(); err != nil {
					seen <- err
					return
				}
			}
		})))
		requirePrompt(t, c)
		fill(t, c, c.f.(*tcpFramer).conn)
		proceed()
		require.ErrorIs(t, c.Ping(t.Context()), ErrNotConnected) // it has seen that the stream is over
		read()
		require.ErrorIs(t, c.ended(), errMalformed)
		require.ErrorIs(t, <-seen, errStreamEnd)
	})
}

// Nothing of a session runs when Close and Serve have returned, however much is late.
func TestNothingRunsAfterServe(t *testing.T) {
	cut := make(chan struct{})
	defer close(cut)
	server := narrow(directTLSServer(t, func(p *peer) { p.login(); <-cut }))
	stacks := make([]byte, 1<<20)
	for range 100 {
		c := dial(t, server)
		requirePrompt(t, c)
		fill(t, c, c.f.(*tcpFramer).conn)
		require.NoError(t, c.Close(done()))
		require.ErrorIs(t, c.ended(), ErrClosed)
		// Looked at once: what ends a moment later is too late, but for its very last step, of which nobody can wait for the end.
		for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			if strings.Contains(stack, "prompt.(*Conn).catchUp(") {
				for _, busy := range []string{").SetWriteDeadline(", ").Write(", ").Lock("} {
					require.NotContains(t, stack, busy)
				}
			}
		}
	}
}

// A Logger that panics in the goroutine of who asks ends the session, as it would in one of ours: nobody could write any more.
func TestLoggerThatPanics(t *testing.T) {
	cfg := directTLSServer(t, func(p *peer) { p.login(); p.drain() })
	log := &panicking{Handler: slog.DiscardHandler}
	cfg.Logger = slog.New(log)
	c := dial(t, cfg)
	requirePrompt(t, c)
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
	cfg := promptWebSocketServer(t, func(p *peer) { p.impatient = true; p.login(); p.drain() })
	cfg.HTTPClient.Transport = twice{cfg.HTTPClient.Transport}
	for range 5 {
		c := dial(t, cfg)
		require.Nil(t, c.prompt, "nobody can say which of the two it is")
		require.NoError(t, c.Close(done()))
		require.ErrorIs(t, c.ended(), ErrClosed)
	}
}
