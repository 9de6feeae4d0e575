package xmpp

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/observe"
	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
)

func TestCloseFromHandler(t *testing.T) {
	eachTransport(t, func(t *testing.T, serve serverFunc) {
		cfg := serve(t, func(p *peer) {
			p.Login()
			p.Expect(`<presence xmlns="jabber:client"><priority>1</priority></presence>`)
			p.Recv()
			p.Send(`<presence from="bob@xmpp.example.com" xmlns="jabber:client"/>`)
			p.Expect(`<presence type="unavailable" xmlns="jabber:client"/>`)
			p.ExpectEnd()
			p.SendEnd()
			p.Drain()
		})
		var c *client
		ready := make(chan struct{})
		closed := make(chan time.Duration, 1)
		cfg.Handle = func(Event) {
			<-ready
			start := time.Now()
			if err := c.Close(context.Background()); err != nil {
				t.Error(err)
			}
			closed <- time.Since(start)
		}
		c = dial(t, cfg)
		require.NoError(t, c.Start(t.Context()))
		close(ready)
		require.ErrorIs(t, c.ended(), ErrClosed)
		require.Zero(t, <-closed, "the server ended its side at once")
	})
}

// Close is bounded by its context and by closeTimeout, whatever the server does.
func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, s := range map[string]script{
			"reads and is silent": func(p *peer) { p.Login(); p.Drain() },
			"does not read":       func(p *peer) { p.Login(); <-t.Context().Done() },
		} {
			ctx, cancel := context.WithCancel(t.Context())
			blocked := func(p *peer) {
				if name == "does not read" {
					p.Login()
					<-ctx.Done()
					return
				}
				s(p)
			}
			for _, bound := range []time.Duration{0, time.Second, time.Hour} {
				c := dial(t, pipeServer(t, blocked))
				closing := done()
				if bound > 0 {
					var stop context.CancelFunc
					closing, stop = context.WithTimeout(t.Context(), bound)
					defer stop()
				}
				start := time.Now()
				twice := make(chan error, 1)
				// Ends with the other.
				go func() { twice <- c.Close(context.Background()) }()
				_ = c.Close(closing)
				require.LessOrEqual(t, time.Since(start), min(bound, closeTimeout), name)
				require.ErrorIs(t, <-c.served, ErrClosed)
				require.NoError(t, <-twice)
			}
			cancel()
		}
	})
}

// A polite end closes the WebSocket with status 1000, whoever began.
func TestWebSocketStatus(t *testing.T) {
	for name, clientFirst := range map[string]bool{"client": true, "server": false} {
		still(t, func(t *testing.T) {
			status := make(chan websocket.StatusCode, 1)
			c := dial(t, webSocketServer(t, func(p *peer) {
				p.Login()
				if clientFirst {
					p.Recv()
				} else {
					p.SendEnd()
				}
				p.ExpectEnd()
				if clientFirst {
					p.SendEnd()
				}
				_, err := p.Read()
				status <- websocket.CloseStatus(err)
			}))
			if clientFirst {
				require.NoError(t, c.Close(t.Context()))
			}
			c.ended()
			require.Equal(t, websocket.StatusNormalClosure, <-status, name)
		})
	}
}

// Close before Serve, and Serve after Close.
func TestCloseWithoutServe(t *testing.T) {
	eachTransport(t, func(t *testing.T, serve serverFunc) {
		cfg := serve(t, func(p *peer) {
			p.Login()
			p.Expect(`<presence type="unavailable" xmlns="jabber:client"/>`)
			p.ExpectEnd()
			p.SendEnd()
			p.Drain()
		})
		s, err := Dial(soon(t), cfg)
		require.NoError(t, err)
		require.NoError(t, s.Close(context.Background()))
		require.ErrorIs(t, serveToEnd(s), ErrClosed)
		require.ErrorIs(t, s.Ping(t.Context()), ErrClosed)
	})
}

// With a context that is done, Close says nothing to the server.
func TestCloseAtOnce(t *testing.T) {
	said := make(chan error, 1)
	c := dial(t, pipeServer(t, func(p *peer) {
		p.Login()
		_, err := p.Read()
		said <- err
	}))
	require.NoError(t, c.Close(done()))
	require.Error(t, <-said)
}

// Beginning and end of our stream are frames as others are, whoever ends it.
func TestEndsOfStreamsAreFrames(t *testing.T) {
	for name, end := range map[string]func(c *client, p *peer){
		// The goroutine ends with c.
		"Close":          func(c *client, _ *peer) { go c.Close(context.Background()) },
		"the server":     func(_ *client, p *peer) { p.SendEnd() },
		"a stream error": func(_ *client, p *peer) { p.Send(scripted.StreamError("conflict", "")) },
	} {
		t.Run(name, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, serve serverFunc) {
				ready := make(chan *client, 1)
				cfg := serve(t, func(p *peer) {
					p.Login()
					end(<-ready, p)
					for {
						if n, err := p.Read(); err != nil || n.Name.Local == "close" {
							break
						}
					}
					p.SendEnd()
					p.Drain()
				})
				var mu sync.Mutex
				var out []int
				cfg.Observer = &observe.Observer{Hooks: &observe.Hooks{Frame: func(sent bool, size int) {
					mu.Lock()
					defer mu.Unlock()
					if sent {
						out = append(out, size)
					}
				}}}
				c := dial(t, cfg)
				ready <- c
				require.Error(t, c.ended())
				mu.Lock()
				defer mu.Unlock()
				require.Equal(t, len(c.conn.Header(scripted.Domain)), out[0])
				require.Equal(t, len(c.conn.Footer()), out[len(out)-1])
			})
		})
	}
}
