package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// wire moves bytes: a WebSocket message, or the bytes that TCP has.
type wire interface {
	// read returns bytes that are valid until the next call. Over TCP they begin with the last
	// bytes of the call before, which were too few for an answer.
	read() ([]byte, error)
	write([]byte) error
	// writeAll writes frames: over TCP in one go.
	writeAll(frames [][]byte) error
	Close() error
}

// limit is the least that a client can do: it sends bytes that were prepared beforehand and counts
// the answers, without looking at anything else in them. It is no XMPP client: it checks nothing.
type limit struct {
	wire
	// requests are sent one after the other, and then from the first on again. sent is how many
	// were.
	requests [][]byte
	sent     int
	// mark is once in every answer.
	mark string
	// end closes the stream.
	end    string
	domain string
	// talk is what it does with messages. nil: nothing.
	talk *limitTalk
	// answers has an element for each answer that askMany has not taken yet.
	answers chan struct{}
	// ended is closed when count has ended.
	ended chan struct{}

	// managed: the stream is managed (XEP-0198).
	managed bool

	// The rest is for a managed stream.
	mu sync.Mutex
	// timer calls tellRest.
	timer *time.Timer
	// handled is how many answers have come, told how many of them the server knows of.
	handled int
	told    int
}

const (
	// tellEvery is how many answers are acknowledged at a time, as in package sdk.
	tellEvery = 32
	// tellLate is when fewer are acknowledged: ejabberd ends a stream that lets it wait for a
	// minute.
	tellLate = 20 * time.Second
)

// answer is once in every result of jabber:iq:last, and in no refusal.
const answer = "seconds="

func dialLimit(ctx context.Context, at *place, who account) (session, error) {
	return dialAnyLimit(ctx, at, who, false)
}

// dialManagedLimit is the limit with what a client needs to lose nothing when its connection is
// cut: each side keeps what the other has not acknowledged, and a timer finds out that the
// connection is dead.
func dialManagedLimit(ctx context.Context, at *place, who account) (session, error) {
	return dialAnyLimit(ctx, at, who, true)
}

func dialAnyLimit(ctx context.Context, at *place, who account, managed bool) (session, error) {
	l := &limit{
		managed: managed, domain: at.Domain, mark: answer, end: "</stream:stream>",
		requests: [][]byte{[]byte(`<iq xmlns="jabber:client" id="7e2b9f4c-8d1a-4c53-9b6e-0f3a5d7c1e28" to="` +
			at.jid(who) + `" type="get"><query xmlns="jabber:iq:last"/></iq>`)},
	}
	if err := l.prepare(at.talk); err != nil {
		return nil, err
	}
	return l, l.dial(ctx, at, who)
}

// dial connects a limit of which everything else is set.
func (l *limit) dial(ctx context.Context, at *place, who account) (err error) {
	l.answers, l.ended = make(chan struct{}, 1024), make(chan struct{})
	open := `<stream:stream xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams" to="` + at.Domain +
		`" version="1.0">`
	if at.webSocket() {
		l.end = `<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`
		open = `<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="` + at.Domain + `" version="1.0"/>`
		l.wire, err = dialWebSocket(ctx, at)
	} else {
		l.wire, err = dialStream(ctx, at, len(l.mark)-1)
	}
	if err != nil {
		return err
	}
	if err := l.login(open, who); err != nil {
		return errors.Join(err, l.wire.Close())
	}
	if l.managed {
		// The timer uses the lock, too.
		l.mu.Lock()
		l.timer = time.AfterFunc(tellLate, l.tellRest)
		l.mu.Unlock()
	}
	// Close owns it. It ends with the connection.
	go l.count()
	return nil
}

// Close ends the stream first, since the server keeps a managed stream for a while otherwise.
func (l *limit) Close() error {
	l.mu.Lock()
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	l.mu.Unlock()
	return errors.Join(l.write([]byte(l.end)), l.wire.Close())
}

func (l *limit) login(open string, who account) error {
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + who.Username + "\x00" + who.Password))
	steps := []struct{ send, await string }{
		{open, "mechanism>PLAIN<"},
		{`<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="PLAIN">` + plain + `</auth>`, "<success"},
		{open, "xmpp-bind"},
		{
			`<iq xmlns="jabber:client" id="bind" type="set"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>`,
			"<jid>",
		},
		{`<presence xmlns="jabber:client"/>`, "<presence"},
		{`<enable xmlns="urn:xmpp:sm:3" resume="true"/>`, "<enabled"},
	}
	if !l.managed {
		steps = steps[:len(steps)-1]
	}
	for _, step := range steps {
		if err := l.write([]byte(step.send)); err != nil {
			return err
		}
		if err := l.await(step.await); err != nil {
			return err
		}
	}
	return nil
}

func (l *limit) await(what string) error {
	var seen []byte
	for {
		b, err := l.read()
		if err != nil {
			return fmt.Errorf("waiting for %q after %q: %w", what, seen, err)
		}
		seen = append(seen, b...)
		switch {
		case bytes.Contains(seen, []byte(what)):
			return nil
		case bytes.Contains(seen, []byte("<failure")):
			return fmt.Errorf("refused: %q", seen)
		}
	}
}

// count reads until the connection ends. It answers pings, since the server would leave otherwise.
func (l *limit) count() {
	defer close(l.ended)
	for {
		b, err := l.read()
		if err == nil && bytes.Contains(b, []byte("urn:xmpp:ping")) {
			err = l.pong(b)
		}
		n := 0
		if err == nil {
			n, err = l.come(b)
		}
		if err != nil {
			return
		}
		for range n {
			l.answers <- struct{}{}
		}
	}
}

// come returns how many answers are in what was read.
func (l *limit) come(b []byte) (answers int, err error) {
	if l.talk != nil && l.talk.sends {
		return l.talk.confirmed(b), nil
	}
	n := bytes.Count(b, []byte(l.mark))
	if l.managed {
		if err := l.acknowledge(n); err != nil {
			return 0, err
		}
	}
	if l.talk != nil {
		return 0, l.reply(n)
	}
	return n, nil
}

// acknowledge tells the server how many answers have come, for many at a time. It always waits
// until that is written.
func (l *limit) acknowledge(answers int) error {
	l.mu.Lock()
	l.handled += answers
	enough := l.handled-l.told >= tellEvery
	l.mu.Unlock()
	if !enough {
		return nil
	}
	return l.tell()
}

func (l *limit) tell() error {
	l.mu.Lock()
	l.told = l.handled
	frame := `<a xmlns="urn:xmpp:sm:3" h="` + strconv.Itoa(l.handled) + `"/>`
	l.mu.Unlock()
	return l.write([]byte(frame))
}

// tellRest acknowledges what is left. The timer calls it.
func (l *limit) tellRest() {
	err := l.tell()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil && err == nil {
		l.timer.Reset(tellLate)
	}
}

var pingID = regexp.MustCompile(`<iq [^>]*\bid=['"]([^'"]*)`)

func (l *limit) pong(ping []byte) error {
	id := pingID.FindSubmatch(ping)
	if id == nil {
		return fmt.Errorf("ping without id: %q", ping)
	}
	return l.write([]byte(`<iq xmlns="jabber:client" type="result" to="` + l.domain + `" id="` + string(id[1]) + `"/>`))
}

// Ask is a single request. Only one goroutine may call it at a time.
func (l *limit) Ask(context.Context) error { return l.askMany(1, 1) }

// askMany sends the requests one after the other, while the reading goroutine counts the answers.
// No caller waits for its own answer.
func (l *limit) askMany(calls, inFlight int) error {
	for sent := range calls + inFlight {
		if sent >= inFlight {
			if err := l.take(1); err != nil {
				return err
			}
		}
		if sent < calls {
			if err := l.send(sent == calls-1, inFlight); err != nil {
				return err
			}
		}
	}
	return nil
}

// take waits for so many answers.
func (l *limit) take(n int) error {
	for range n {
		select {
		case <-l.answers:
		case <-l.ended:
			return errors.New("limit: connection lost")
		}
	}
	return nil
}

// send sends the next request.
func (l *limit) send(last bool, inFlight int) error {
	request := l.requests[l.sent%len(l.requests)]
	l.sent++
	// Half of those in flight are confirmed while the other half is written.
	if l.talk != nil && l.talk.sends && (last || l.sent%max(1, inFlight/2) == 0) {
		return l.writeAll(l.talk.asking)
	}
	return l.write(request)
}

// webSocketWire uses a context that can end, as every client does, since that has a cost in the
// WebSocket library.
type webSocketWire struct {
	conn *websocket.Conn
	life context.Context
	end  context.CancelFunc
}

func dialWebSocket(ctx context.Context, at *place) (wire, error) {
	conn, _, err := websocket.Dial(
		ctx, at.address(), &websocket.DialOptions{HTTPClient: at.http, Subprotocols: []string{"xmpp"}},
	)
	life, end := context.WithCancel(context.Background())
	return webSocketWire{conn, life, end}, err
}

func (w webSocketWire) read() ([]byte, error) {
	_, b, err := w.conn.Read(w.life)
	return b, err
}

func (w webSocketWire) write(b []byte) error { return w.conn.Write(w.life, websocket.MessageText, b) }

func (w webSocketWire) writeAll(frames [][]byte) error {
	for _, frame := range frames {
		if err := w.write(frame); err != nil {
			return err
		}
	}
	return nil
}

// Close takes a connection that the server has closed first as closed: that is how a server may
// answer the end of the stream.
func (w webSocketWire) Close() error {
	w.end()
	if err := w.conn.CloseNow(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// streamWire is TCP.
type streamWire struct {
	net.Conn
	buf []byte
	// end is where the bytes of the last read end, of which keep may be the begin of an answer.
	end, keep int
	// out is for what is written in one go.
	out []byte
}

func dialStream(ctx context.Context, at *place, keep int) (wire, error) {
	conn, err := at.dialTCP(ctx)
	return &streamWire{Conn: conn, buf: make([]byte, 4<<10), keep: keep}, err
}

func (w *streamWire) read() ([]byte, error) {
	kept := copy(w.buf, w.buf[max(0, w.end-w.keep):w.end])
	n, err := w.Read(w.buf[kept:])
	w.end = kept + n
	return w.buf[:w.end], err
}

func (w *streamWire) write(b []byte) error {
	_, err := w.Write(b)
	return err
}

func (w *streamWire) writeAll(frames [][]byte) error {
	w.out = w.out[:0]
	for _, frame := range frames {
		w.out = append(w.out, frame...)
	}
	return w.write(w.out)
}
