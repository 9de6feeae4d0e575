package sdktest

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mellium.im/sasl"
)

const (
	handshakeTimeout = 30 * time.Second // from the TCP connection to the resource binding
	writeTimeout     = 20 * time.Second // one frame to a client that does not read
	maxAuthFailures  = 5
	maxResource      = 1023 // bytes, RFC 7622
)

// transport carries elements: a WebSocket or a TCP connection.
type transport interface {
	// read returns the next top-level element. A stream header is an <open>
	// of the framing namespace on both transports. io.EOF is the orderly end. A
	// *streamError has to be sent to the client.
	read() (*element, error)
	write(raw string) error
	// header is a stream header in the form of this transport.
	header(id, from string) string
	// restart is called after SASL: the next element is a new stream header.
	restart()
	// finish is the orderly end: <close/> and a close frame, or </stream:stream>.
	finish()
	secure() bool
	// framed is true when each element is a message of its own, so that a client may send what
	// follows a new stream header ahead (XEP-0305).
	framed() bool
	startTLS() error
}

// streamError ends a stream (RFC 6120 4.9).
type streamError struct{ condition, text string }

func (e *streamError) Error() string { return e.condition + ": " + e.text }

func (e *streamError) element() *element {
	out := el(nsStreams, "error").add(el(nsStreamErr, e.condition))
	if e.text != "" {
		out.add(el(nsStreamErr, "text").txt(e.text))
	}
	return out
}

// errCut ends a stream without an error to the client.
var errCut = errors.New("connection cut")

// stream is one XMPP connection. Its reader is the goroutine that called serve;
// after the resource binding a writer goroutine sends what is queued.
type stream struct {
	srv *Server
	t   transport
	// conn is the connection below t. It may be nil.
	conn   *conn
	ctx    context.Context
	cancel context.CancelFunc

	// Owned by the reader.
	opened   bool
	sasl     *sasl.Negotiator
	failures int
	// claimed is the user of the SASL exchange that is under way.
	claimed string
	// refused is why PLAIN was refused.
	refused error

	// Set by the reader before bind, never changed afterwards.
	user, resource, jid string

	// out is nil before bind.
	out *outbox

	// sending is held while a stanza is queued. Only the ledger's lock is taken while it is held.
	sending sync.Mutex
	// ledger is nil without stream management. It is set while sending is held.
	ledger atomic.Pointer[ledger]

	// Guarded by hub.mu.
	// available is the last broadcast presence. nil: none, or unavailable.
	available *element
	// left is true after unavailable presence.
	left    bool
	carbons bool
	since   time.Time
	// pinged is true when nothing has come since the last ping.
	pinged bool
}

// serve runs a stream to its end.
func (r *run) serve(t transport, c *conn) {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	st := &stream{srv: r.srv, conn: c, ctx: ctx, cancel: cancel}
	if st.t = t; r.srv.opts.OnTraffic != nil {
		st.t = tap{t, st}
	}
	if c != nil {
		// It unblocks reads and writes when the stream is cancelled.
		stop := context.AfterFunc(ctx, func() { _ = c.Close() })
		defer stop()
		defer c.Close()
	}
	timer := time.AfterFunc(r.srv.opts.handshake, cancel)
	err := st.negotiate()
	if !timer.Stop() || err != nil {
		st.giveUp(err)
		return
	}
	st.tellSession("connected")
	st.converse(r.ctx)
	st.tellSession("disconnected")
	_ = r.srv.commit() // the time of last seen; a failure is logged
}

// giveUp ends a stream that was not bound.
func (st *stream) giveUp(err error) {
	st.srv.hub.unbind(st) // it may have been bound just when the time was over
	var se *streamError
	if errors.As(err, &se) {
		if !st.opened { // RFC 6120 4.9.1: the error comes inside a stream
			_ = st.t.write(st.t.header(randomHex(8), st.srv.domain))
		}
		_ = st.t.write(se.element().String())
	}
	if se != nil || errors.Is(err, io.EOF) {
		st.t.finish()
	}
}

// negotiate goes from the first byte to the bound resource (protocol.md 4.3).
func (st *stream) negotiate() error {
	for st.out == nil {
		e, err := st.t.read()
		if err != nil {
			return err
		}
		if err := st.srv.pause(st.ctx); err != nil {
			return errCut
		}
		switch {
		case e.is(nsFraming, "open"):
			err = st.open(e)
		case !st.opened:
			err = &streamError{"bad-format", "no stream header"}
		case e.is(nsTLS, "starttls") && !st.t.secure():
			err = st.startTLS()
		case e.name.Space == nsSASL && st.t.secure() && st.user == "":
			err = st.authenticate(e)
		case e.is(nsClient, "iq") && st.user != "":
			err = st.bind(e)
		case e.is(nsManagement, "resume") && st.user != "" && st.srv.opts.ResumeTimeout > 0:
			err = st.resume(e)
		default:
			err = &streamError{"not-authorized", ""}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// open answers a stream header with one of ours and the features.
func (st *stream) open(e *element) error {
	if st.opened {
		return &streamError{"bad-format", "stream header inside a stream"}
	}
	from := st.srv.domain
	kind := st.srv.fault(StepStream, subject{user: st.user})
	if kind == FaultWrongSender {
		from = "stranger.example"
	} else if handled, err := st.misbehave(kind); handled {
		return err
	}
	if err := st.t.write(st.t.header(randomHex(8), from)); err != nil {
		return err
	}
	st.opened = true
	if to := e.attr("to"); !strings.EqualFold(to, st.srv.domain) {
		return &streamError{"host-unknown", "no host " + to + " here"}
	}
	if e.attr("version") != "1.0" {
		return &streamError{"unsupported-version", ""}
	}
	if kind == FaultError {
		return &streamError{"internal-server-error", "fault"}
	}
	return st.t.write(st.features().String())
}

func (st *stream) features() *element {
	f := el(nsStreams, "features")
	switch {
	case !st.t.secure():
		return f.add(el(nsTLS, "starttls").add(el(nsTLS, "required")))
	case st.user == "":
		m := el(nsSASL, "mechanisms")
		for _, name := range st.srv.ctl.offered() {
			m.add(el(nsSASL, "mechanism").txt(name))
		}
		if f.add(m); st.t.framed() {
			f.add(el(nsPipelining, "pipelining"))
		}
		return f
	}
	f.add(el(nsBind, "bind"), el(nsSession, "session").add(el(nsSession, "optional")))
	if st.srv.opts.ResumeTimeout > 0 {
		f.add(el(nsManagement, "sm"))
	}
	return f
}

func (st *stream) startTLS() error {
	kind := st.srv.fault(StepStartTLS, subject{})
	if kind == FaultError {
		if err := st.t.write(el(nsTLS, "failure").String()); err != nil {
			return err
		}
		return io.EOF
	}
	if handled, err := st.misbehave(kind); handled {
		return err
	}
	if err := st.t.write(el(nsTLS, "proceed").String()); err != nil {
		return err
	}
	if st.conn != nil {
		st.conn.misbehave(st.srv.fault(StepTLS, subject{}))
	}
	st.opened = false
	return st.t.startTLS()
}

// bind binds the resource (RFC 6120 7). From here on the stream is in the hub.
func (st *stream) bind(iq *element) error {
	req := iq.child("bind")
	if req == nil || req.name.Space != nsBind || iq.attr("type") != "set" {
		return &streamError{"not-authorized", "resource binding comes first"}
	}
	id := iq.attr("id")
	resource := strings.TrimSpace(childText(req, "resource"))
	if resource == "" {
		resource = randomHex(8)
	}
	if len(resource) > maxResource || id == "" {
		return st.t.write(iqError(iq, "modify", "bad-request", "").String())
	}
	full := st.srv.jid(st.user) + "/" + resource
	kind := st.srv.fault(StepBind, subject{user: st.user})
	if kind == FaultError {
		return st.t.write(iqError(iq, "cancel", "conflict", "").String())
	}
	if handled, err := st.misbehave(kind); handled {
		return err
	}
	answer := el(nsClient, "iq", "type", "result", "id", id).add(el(nsBind, "bind").add(el(nsBind, "jid").txt(full)))
	if kind == FaultWrongSender {
		answer.set("from", strangerJID)
	}
	st.resource, st.jid = resource, full
	st.out = newOutbox()
	st.send(answer.String())
	if !st.srv.hub.bind(st) {
		return &streamError{"not-authorized", "account is gone"}
	}
	return nil
}

// converse serves a bound stream until it ends. run ends with the server.
func (st *stream) converse(run context.Context) {
	written := make(chan struct{})
	go func() { // owner: converse. It ends with st.ctx, or after the last frame
		defer close(written)
		st.writer()
	}()
	err := st.reader()
	var se *streamError
	switch {
	case errors.As(err, &se):
		st.srv.hub.unbind(st)
		st.end(se.element().String())
	case errors.Is(err, io.EOF):
		st.srv.hub.unbind(st)
		st.end("")
	case st.ledger.Load().lose(st):
		st.cancel()
		st.await(run)
	default:
		st.cancel() // first: a client that is cut off does not get its own unavailable presence
		st.srv.hub.unbind(st)
	}
	<-written
	st.cancel()
}

func (st *stream) reader() error {
	for {
		e, err := st.t.read()
		if err != nil {
			return err
		}
		if err := st.srv.pause(st.ctx); err != nil {
			return errCut
		}
		if e.name.Space == nsManagement && st.srv.opts.ResumeTimeout > 0 {
			if err := st.manage(e); err != nil {
				return err
			}
			continue
		}
		if e.name.Space != nsClient {
			return &streamError{"unsupported-stanza-type", ""}
		}
		st.srv.hub.alive(st)
		st.srv.journal.add(Request{Kind: "xmpp", User: st.user, Resource: st.resource, Stanza: e.String()})
		switch e.name.Local {
		case "iq":
			err = st.iq(e)
		case "presence":
			st.srv.hub.presence(st, e)
		case "message":
			err = st.message(e)
		default:
			err = &streamError{"unsupported-stanza-type", ""}
		}
		if err != nil {
			return err
		}
		if l := st.ledger.Load(); l != nil {
			l.count(st)
		}
	}
}

// writer sends the queued frames, and pings.
func (st *stream) writer() {
	tick := st.srv.opts.tick
	if d := st.srv.opts.PingInterval; d > 0 {
		t := time.NewTicker(d)
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case <-st.ctx.Done():
			return
		case <-tick:
			if !st.srv.hub.mayPing(st) {
				st.cancel()
				return
			}
			ping := el(nsClient, "iq", "type", "get", "id", "ping-"+randomHex(4), "from", st.srv.domain, "to", st.jid)
			st.send(ping.add(el(nsPing, "ping")).String())
		case <-st.out.ready:
			if !st.flush() {
				st.cancel()
				return
			}
		}
	}
}

// flush writes what is queued. It returns false when the stream has ended.
func (st *stream) flush() bool {
	for f, some := st.out.take(); some; f, some = st.out.take() {
		if st.ctx.Err() != nil || f.raw != "" && st.t.write(f.raw) != nil {
			return false
		}
		if f.end {
			st.t.finish()
			return false
		}
	}
	return true
}

// send queues raw XML for the client. It never blocks: a client for which more than
// queueLength frames or queueBytes wait is cut off.
func (st *stream) send(raw string) { st.deliver(frame{raw: raw}) }

// deliver queues a stanza.
func (st *stream) deliver(f frame) {
	st.sending.Lock()
	defer st.sending.Unlock()
	if l := st.ledger.Load(); l != nil {
		l.send(st, f)
		return
	}
	st.queue(f)
}

// end queues the last frame.
func (st *stream) end(raw string) { st.queue(frame{raw: raw, end: true}) }

func (st *stream) queue(f frame) {
	if !st.out.put(f) {
		st.cancel()
	}
}

// yield waits until streams have written most of what waits for their clients, so that a burst
// comes no faster than its receivers read it. Who takes longer than writeTimeout is cut
// off.
func yield(ctx context.Context, streams []*stream) {
	for _, st := range streams {
		room := st.out.crowded()
		if room == nil {
			continue
		}
		timer := time.NewTimer(writeTimeout)
		select {
		case <-room:
		case <-st.ctx.Done():
		case <-ctx.Done():
		case <-timer.C:
			st.cancel()
		}
		timer.Stop()
	}
}

// misbehave applies the faults that are the same at all steps of the handshake. It
// returns false for those that each step applies in its own way.
func (st *stream) misbehave(kind FaultKind) (handled bool, err error) {
	write := st.t.write
	if st.out != nil {
		write = func(raw string) error { st.send(raw); return nil }
	}
	switch kind {
	case FaultSilent:
		return true, nil
	case FaultClose:
		return true, errCut
	case FaultMalformed:
		return true, write("<iq type='result'" + garbage)
	case FaultHuge:
		body := strings.Repeat("a", hugeStanza)
		return true, write("<message xmlns='" + nsClient + "'><body>" + body + "</body></message>")
	case FaultSlow:
		if st.conn != nil {
			st.conn.mode.Store(FaultSlow)
		}
	}
	return false, nil
}

func childText(e *element, local string) string {
	if c := e.child(local); c != nil {
		return c.text()
	}
	return ""
}
