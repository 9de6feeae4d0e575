package faults

import (
	"fmt"
	"hash/fnv"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/Shopify/toxiproxy/v2/stream"
	"github.com/Shopify/toxiproxy/v2/toxics"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// line is a stretch of network between the client and a server: a toxiproxy whose place in the
// process is always the same address, whatever happens to it. A fault is over when a fresh proxy
// listens there.
type line struct {
	t        testing.TB
	api      *toxiproxy.ApiServer
	upstream string
	address  string

	mu      sync.Mutex
	proxy   *toxiproxy.Proxy // nil while nothing listens
	resets  bool             // cuts by RST
	sick    bool             // heal has something to do
	toxics  int              // how many were added, for their names
	current string           // where this proxy goes
}

// newLine opens a line to upstream. Its address is nobody else's, so that nothing takes the port
// while it is free.
func newLine(t testing.TB, upstream, name string) *line {
	t.Helper()
	l := &line{
		t: t, upstream: upstream, current: upstream, address: net.JoinHostPort(ownIP(t.Name()+name), "0"),
		api: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()),
	}
	l.open()
	t.Cleanup(l.refuse)
	return l
}

// ownIP is a loopback address for a name.
func ownIP(name string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // it never fails
	sum := h.Sum32()
	return net.IPv4(127, byte(16+sum>>16%200), byte(sum>>8), byte(1+sum%254)).String()
}

// open makes the line work, as it was made, if nothing listens.
func (l *line) open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.proxy != nil {
		return
	}
	p := toxiproxy.NewProxy(l.api, "line", l.address, l.current)
	require.NoError(l.t, unlabelled(p.Start))
	l.address, l.proxy = p.Listen, p
	if l.resets {
		// never at work, but its connections are told to end by RST
		l.add(p, "reset_peer", "downstream", 0, "")
	}
}

// refuse cuts all connections and listens no more.
func (l *line) refuse() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.proxy == nil {
		return
	}
	l.proxy.Stop()
	l.proxy, l.sick = nil, true
}

// cut ends all connections; new ones work.
func (l *line) cut() {
	l.refuse()
	l.open()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sick = l.current != l.upstream
}

// heal ends every fault, and the connections that suffer from one.
func (l *line) heal() {
	l.mu.Lock()
	sick := l.sick
	l.current = l.upstream
	l.mu.Unlock()
	if sick {
		l.cut()
	}
}

// cutByReset makes refuse and cut end connections by RST, those from now on.
func (l *line) cutByReset() {
	l.mu.Lock()
	l.resets = true
	l.mu.Unlock()
	l.cut()
}

// leadTo makes the line lead somewhere else.
func (l *line) leadTo(upstream string) {
	l.mu.Lock()
	l.current = upstream
	l.mu.Unlock()
	l.cut()
}

// poison adds a toxic for all connections, present and future. attributes are JSON, without the
// braces.
func (l *line) poison(kind, direction, attributes string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sick = true
	l.add(l.proxy, kind, direction, 1, attributes)
}

func (l *line) add(p *toxiproxy.Proxy, kind, direction string, toxicity int, attributes string) {
	l.toxics++
	toxic := fmt.Sprintf(
		`{"name":"%d","type":%q,"stream":%q,"toxicity":%d,"attributes":{%s}}`, l.toxics, kind, direction, toxicity,
		attributes,
	)
	require.NoError(l.t, unlabelled(func() error {
		_, err := p.Toxics.AddToxicJson(strings.NewReader(toxic))
		return err
	}))
}

// The faults of a line, by the words of the table.

func (l *line) silence() { l.poison("timeout", "downstream", `"timeout":0`) }

func (l *line) halfOpen() {
	l.poison("timeout", "downstream", `"timeout":0`)
	l.poison("timeout", "upstream", `"timeout":0`)
}

// slow lets one byte a second through.
func (l *line) slow(direction string) {
	l.poison("slicer", direction, `"average_size":1,"delay":1000000`)
}

// cutAfter ends each connection when so many bytes have come from the server.
func (l *line) cutAfter(bytes int) {
	l.poison("limit_data", "downstream", fmt.Sprintf(`"bytes":%d`, bytes))
}

// resetAtAnswer ends each new connection by RST when the server says something.
func (l *line) resetAtAnswer() { l.poison("reset_peer", "downstream", `"timeout":0`) }

func (l *line) garble()      { l.poison("garble", "downstream", "") }
func (l *line) duplicate()   { l.poison("duplicate", "downstream", "") }
func (l *line) reorder()     { l.poison("reorder", "downstream", "") }
func (l *line) oversize()    { l.poison("oversize", "downstream", "") }
func (l *line) alert()       { l.poison("alert", "downstream", "") }
func (l *line) speakBanner() { l.poison("banner", "downstream", "") }

// The toxics that toxiproxy lacks: they change what is sent.
type (
	garble    struct{} // something else of the same length
	duplicate struct{} // everything twice
	reorder   struct{} // the second half first
	oversize  struct{} // a TLS record longer than TLS allows
	alert     struct{} // a TLS alert instead: handshake_failure
	banner    struct{} // another protocol's greeting instead
)

func registerToxics() {
	toxics.Register("garble", new(garble))
	toxics.Register("duplicate", new(duplicate))
	toxics.Register("reorder", new(reorder))
	toxics.Register("oversize", new(oversize))
	toxics.Register("alert", new(alert))
	toxics.Register("banner", new(banner))
}

func (*garble) Pipe(stub *toxics.ToxicStub) {
	change(stub, func(data []byte) []byte {
		for i := range data {
			data[i] ^= 0x5a
		}
		return data
	})
}

func (*duplicate) Pipe(stub *toxics.ToxicStub) {
	change(stub, func(data []byte) []byte { return append(data[:len(data):len(data)], data...) })
}

func (*reorder) Pipe(stub *toxics.ToxicStub) {
	change(stub, func(data []byte) []byte {
		half := len(data) / 2
		return append(data[half:len(data):len(data)], data[:half]...)
	})
}

func (*oversize) Pipe(stub *toxics.ToxicStub) {
	change(stub, func(data []byte) []byte { return append([]byte{22, 3, 3, 0xff, 0xff}, data...) })
}

func (*alert) Pipe(stub *toxics.ToxicStub) {
	change(stub, func([]byte) []byte { return []byte{21, 3, 3, 0, 2, 2, 40} })
}

func (*banner) Pipe(stub *toxics.ToxicStub) {
	change(stub, func([]byte) []byte { return []byte("SSH-2.0-OpenSSH_9.9\r\n") })
}

// change is a toxic that passes on what f makes of each chunk.
func change(stub *toxics.ToxicStub, f func([]byte) []byte) {
	for {
		select {
		case <-stub.Interrupt:
			return
		case c := <-stub.Input:
			if c == nil {
				stub.Close()
				return
			}
			stub.Output <- &stream.StreamChunk{Data: f(c.Data), Timestamp: time.Now()}
		}
	}
}

// toxiproxyLeaves are the goroutines that toxiproxy leaves behind when the other side of a link has
// gone while a toxic holds data back: it waits for ever to pass them on.
func toxiproxyLeaves() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).read"),
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).write"),
	}
}
