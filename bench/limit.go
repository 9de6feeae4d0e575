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

// wire moves bytes: a WebSocket message, or whatever TCP has.
type wire interface {
	// valid until the next call. Over TCP it begins with the last bytes of the one before, too few
	// for an answer
	read() ([]byte, error)
	write([]byte) error
	Close() error
}

// limit is the least that a client can do: it sends bytes that were prepared beforehand and counts
// the answers, without looking at anything else in them. It is no XMPP client: it believes whatever
// it is told.
type limit struct {
	wire
	request []byte
	// of the stream
	end    string
	domain string
	// one for each answer that has come and was not asked for yet
	answers chan struct{}
	// closed when nothing is read any more
	ended chan struct{}

	// the stream is managed (XEP-0198)
	managed bool

	// of a managed one
	mu sync.Mutex
	// runs tellRest
	timer *time.Timer
	come  int
	told  int
}

const (
	// answers that are acknowledged at a time, as in package sdk
	tellEvery = 32
	// the rest; ejabberd ends a stream on which it has waited for a minute
	tellLate = 20 * time.Second
)

// answer is in every result of jabber:iq:last, once, and in no refusal.
const answer = "seconds="

func dialLimit(ctx context.Context, at *place, who account) (session, error) {
	return dialAnyLimit(ctx, at, who, false)
}

// dialManagedLimit is the limit with what a client needs that loses nothing when its connection is
// cut: each side keeps what the other has not acknowledged, and a timer is there, or nobody would
// notice that the connection is dead.
func dialManagedLimit(ctx context.Context, at *place, who account) (session, error) {
	return dialAnyLimit(ctx, at, who, true)
}

func dialAnyLimit(ctx context.Context, at *place, who account, managed bool) (session, error) {
	l := &limit{
		managed: managed, domain: at.Domain, answers: make(chan struct{}, 1024), ended: make(chan struct{}),
		end: "</stream:stream>",
	}
	l.request = []byte(`<iq xmlns="jabber:client" id="7e2b9f4c-8d1a-4c53-9b6e-0f3a5d7c1e28" to="` + at.jid(who) +
		`" type="get"><query xmlns="jabber:iq:last"/></iq>`)
	var err error
	open := `<stream:stream xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams" to="` + at.Domain +
		`" version="1.0">`
	if at.webSocket() {
		l.end = `<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>`
		open = `<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="` + at.Domain + `" version="1.0"/>`
		l.wire, err = dialWebSocket(ctx, at)
	} else {
		l.wire, err = dialStream(ctx, at)
	}
	if err != nil {
		return nil, err
	}
	if err := l.login(open, who); err != nil {
		return nil, errors.Join(err, l.wire.Close())
	}
	if managed {
		// the timer sees it
		l.mu.Lock()
		l.timer = time.AfterFunc(tellLate, l.tellRest)
		l.mu.Unlock()
	}
	// ends with the connection
	go l.count()
	return l, nil
}

// Close ends the stream first: one that is managed would live on for a while.
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

// count reads until the connection ends. A ping is answered on the way, or the server would leave.
func (l *limit) count() {
	defer close(l.ended)
	for {
		b, err := l.read()
		if err == nil && bytes.Contains(b, []byte("urn:xmpp:ping")) {
			err = l.pong(b)
		}
		if err == nil && l.managed {
			err = l.acknowledge(b)
		}
		if err != nil {
			return
		}
		for range bytes.Count(b, []byte(answer)) {
			l.answers <- struct{}{}
		}
	}
}

// acknowledge tells the server how much has come, for many answers at a time. It always waits for
// that.
func (l *limit) acknowledge(b []byte) error {
	l.mu.Lock()
	l.come += bytes.Count(b, []byte(answer))
	enough := l.come-l.told >= tellEvery
	l.mu.Unlock()
	if !enough {
		return nil
	}
	return l.tell()
}

func (l *limit) tell() error {
	l.mu.Lock()
	l.told = l.come
	frame := `<a xmlns="urn:xmpp:sm:3" h="` + strconv.Itoa(l.come) + `"/>`
	l.mu.Unlock()
	return l.write([]byte(frame))
}

// tellRest is what the timer runs.
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

// askMany sends the requests one after the other, while the reading goroutine counts: nobody waits
// for an answer of his own.
func (l *limit) askMany(calls, inFlight int) error {
	for sent := range calls + inFlight {
		if sent >= inFlight {
			select {
			case <-l.answers:
			case <-l.ended:
				return errors.New("limit: connection lost")
			}
		}
		if sent < calls {
			if err := l.write(l.request); err != nil {
				return err
			}
		}
	}
	return nil
}

// webSocketWire works with a context that can end, as any client's does: that costs what it costs
// in the WebSocket library.
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

func (w webSocketWire) Close() error {
	w.end()
	return w.conn.CloseNow()
}

// streamWire is TCP.
type streamWire struct {
	net.Conn
	buf []byte
	// of what was read last
	end int
}

func dialStream(ctx context.Context, at *place) (wire, error) {
	conn, err := at.dialTCP(ctx)
	return &streamWire{Conn: conn, buf: make([]byte, 4<<10)}, err
}

func (w *streamWire) read() ([]byte, error) {
	kept := copy(w.buf, w.buf[max(0, w.end-len(answer)+1):w.end])
	n, err := w.Read(w.buf[kept:])
	w.end = kept + n
	return w.buf[:w.end], err
}

func (w *streamWire) write(b []byte) error {
	_, err := w.Write(b)
	return err
}
