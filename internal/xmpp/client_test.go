package xmpp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/mirrorfly-go/sdk/internal/frames"
	"github.com/mirrorfly-go/sdk/internal/testing/scripted"
	"github.com/mirrorfly-go/sdk/internal/testing/xmltree"
)

// answerAll answers every iq with an empty result, and the end of the stream, until the client is
// gone.
func answerAll(p *peer) {
	for {
		n, err := p.Read()
		if errors.Is(err, scripted.ErrStreamEnd) || n.Name.Local == "close" {
			p.SendEnd()
			p.Drain()
			return
		}
		if err != nil {
			return
		}
		if n.Name.Local == "iq" {
			from := n.Attr("to")
			if from == "" {
				from = scripted.Bare
			}
			p.Send(fmt.Sprintf(`<iq from="%s" id="%s" type="result" xmlns="jabber:client"/>`, from, n.Attr("id")))
		}
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come: for one that would hang. Nothing takes so
// long, however busy the machine.
const patience = 2 * time.Minute

func canon(t testing.TB, s string) string {
	t.Helper()
	form, err := xmltree.Canonical(s)
	require.NoError(t, err, s)
	return form
}

type (
	peer   = scripted.Peer
	script = scripted.Script
)

// serverFunc begins to serve, and returns what to dial it with.
type serverFunc = func(t testing.TB, s script) Config

// configOf returns what dials a server.
func configOf(at scripted.Endpoint) Config {
	cfg := testConfig(at.Address)
	cfg.AllowInsecure, cfg.HTTPClient, cfg.TLSConfig, cfg.DialContext = at.AllowInsecure, at.HTTPClient, at.TLSConfig,
		at.DialContext
	return cfg
}

func testConfig(addr string) Config {
	addrs, err := ParseAddresses(addr, true)
	if err != nil {
		panic(err)
	}
	return Config{
		Addresses: addrs, Domain: scripted.Domain, Username: scripted.User, Password: scripted.Password,
		Resource:  scripted.Resource,
		UserAgent: scripted.UserAgent, DialTimeout: patience,
	}
}

func pipeServer(t testing.TB, s script) Config      { return configOf(scripted.Pipe(t, s)) }
func directTLSServer(t testing.TB, s script) Config { return configOf(scripted.DirectTLS(t, s)) }
func startTLSServer(t testing.TB, s script) Config  { return configOf(scripted.StartTLS(t, s)) }
func webSocketServer(t testing.TB, s script) Config { return configOf(scripted.WebSocket(t, s)) }

// transports are the ways to reach a scripted server.
var transports = map[string]serverFunc{
	"websocket": webSocketServer, "starttls": startTLSServer, "directtls": directTLSServer, "tcp": pipeServer,
}

// eachTransport runs f on every transport, in a bubble: see still.
func eachTransport(t *testing.T, f func(t *testing.T, serve serverFunc)) {
	for name, serve := range transports {
		t.Run(name, func(t *testing.T) { still(t, func(t *testing.T) { f(t, serve) }) })
	}
}

// still runs f in a bubble. Beside a listener on a real socket no time passes there, so that none
// of the times that a session gives a server, some of them a second, is over before a busy machine
// has got to it. Over a pipe time passes only when all wait.
func still(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

// client is a session under test with its read loop running.
type client struct {
	*Session
	t      testing.TB
	served chan error
	events chan Event
}

// dial dials and serves; the test ends with the session closed and Serve back.
func dial(t testing.TB, cfg Config) *client {
	t.Helper()
	return dialThrough(t, cfg, nil)
}

// dialThrough is dial with something around the transport.
func dialThrough(t testing.TB, cfg Config, wrap func(frames.Conn) frames.Conn) *client {
	t.Helper()
	c := &client{t: t, served: make(chan error, 1), events: make(chan Event, 1024)}
	if cfg.Handle == nil {
		cfg.Handle = func(e Event) { c.events <- e }
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := Dial(ctx, cfg)
	require.NoError(t, err)
	if wrap != nil {
		s.conn = wrap(s.conn)
	}
	c.Session = s
	returned := make(chan struct{})
	// Ends with the session.
	go func() {
		defer close(returned)
		c.served <- serveToEnd(s)
	}()
	t.Cleanup(func() {
		_ = s.Close(done())
		<-returned
	})
	return c
}

// serveToEnd serves in one goroutine, however often the session would go on in another.
func serveToEnd(s *Session) error {
	for {
		if err := s.Serve(); err != ErrHandOver {
			return err
		}
	}
}

// done is a context that has ended.
func done() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// soon is for what ends by itself.
func soon(t testing.TB) context.Context { return within(t, patience) }

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// ended waits for Serve to return.
func (c *client) ended() error {
	c.t.Helper()
	select {
	case err := <-c.served:
		return err
	case <-time.After(patience):
		require.FailNow(c.t, "Serve did not return")
		return nil
	}
}

func (c *client) event() Event {
	c.t.Helper()
	select {
	case e := <-c.events:
		return e
	case <-time.After(patience):
		require.FailNow(c.t, "no event")
		return nil
	}
}

// pending returns how many requests wait for a reply.
func (c *client) pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waiters)
}

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// nowhere is a connection that swallows everything.
type nowhere struct{}

func (nowhere) Header(string) []byte                      { return nil }
func (nowhere) Footer() []byte                            { return nil }
func (nowhere) StartTLS(context.Context) error            { return nil }
func (nowhere) ReadFrame(context.Context) (string, error) { return "", io.EOF }
func (nowhere) Heard() time.Time                          { return time.Time{} }
func (nowhere) WriteFrames(...[]byte) (bool, error)       { return false, nil }
func (nowhere) CatchUp() error                            { return nil }
func (nowhere) Await()                                    {}
func (nowhere) Close(context.Context) error               { return nil }
func (nowhere) Cut()                                      {}

// Ignored returns how many stanzas the session, and those that it shares the count with, have
// dropped.
func (s *Session) Ignored() int { return int(s.observer.Ignored.Load()) }
