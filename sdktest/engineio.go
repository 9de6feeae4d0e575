package sdktest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/coder/websocket"
)

const maxSignal = 64 << 10 // bytes of one POST or frame

// Engine.IO's refusals, as its own server words them.
const (
	refuseTransport = `{"code":0,"message":"Transport unknown"}`
	refuseSession   = `{"code":1,"message":"Session ID unknown"}`
	refuseRequest   = `{"code":3,"message":"Bad request"}`
	refuseVersion   = `{"code":5,"message":"Unsupported protocol version"}`
)

func (h *signalHub) routes(mux *http.ServeMux, r *run) {
	mux.HandleFunc("/socket.io/", func(w http.ResponseWriter, req *http.Request) { h.serve(r, w, req) })
	mux.HandleFunc("POST "+testRoot+"qr/scan", h.srv.scanRequest)
}

// serve is Engine.IO 3: polling, WebSocket, and the upgrade from one to the other.
func (h *signalHub) serve(r *run, w http.ResponseWriter, req *http.Request) {
	if h.misbehave(w, req) {
		return
	}
	q := req.URL.Query()
	sid := q.Get("sid")
	k := h.find(sid)
	switch {
	case q.Get("EIO") != "3":
		engineError(w, refuseVersion)
	case sid != "" && k == nil:
		engineError(w, refuseSession)
	case q.Get("transport") == "websocket":
		h.serveWebSocket(r, w, req, k)
	case q.Get("transport") != "polling":
		engineError(w, refuseTransport)
	case req.Method == http.MethodPost && k != nil:
		h.post(w, req, k)
	case req.Method == http.MethodGet:
		h.poll(w, req, k)
	default:
		engineError(w, refuseRequest)
	}
}

func (h *signalHub) misbehave(w http.ResponseWriter, req *http.Request) bool {
	switch h.srv.fault(StepSignal, subject{}) {
	case FaultSilent:
		<-req.Context().Done()
		panic(http.ErrAbortHandler) // a return would answer 200
	case FaultClose:
		panic(http.ErrAbortHandler)
	case FaultError:
		http.Error(w, "Service Unavailable", http.StatusServiceUnavailable)
		return true
	case FaultMalformed:
		_, _ = io.WriteString(w, garbage)
		return true
	case FaultHuge:
		_, _ = fmt.Fprintf(w, "%d:4%s", hugeStanza, strings.Repeat("a", hugeStanza))
		return true
	}
	return false
}

func engineError(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = io.WriteString(w, body)
}

// poll waits for packets; the first one, without a session, opens it.
func (h *signalHub) poll(w http.ResponseWriter, req *http.Request, k *socket) {
	if k == nil {
		var err error
		if k, err = h.open([]string{"websocket"}); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	if !h.beginPoll(k) {
		engineError(w, refuseRequest)
		return
	}
	defer h.endPoll(k)
	for {
		if packets := h.takePolled(k); packets != nil {
			h.srv.tellEvents(packets)
			w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
			_, _ = io.WriteString(w, encodePayload(packets))
			return
		}
		select {
		case <-k.wake:
		case <-k.done:
			_, _ = io.WriteString(w, encodePayload([]string{"1"}))
			return
		case <-req.Context().Done():
			return
		}
	}
}

// beginPoll: there is one poll at a time, and none after the upgrade.
func (h *signalHub) beginPoll(k *socket) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k.polling || k.upgraded {
		return false
	}
	k.polling = true
	return true
}

func (h *signalHub) endPoll(k *socket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k.polling = false
	k.poke()
}

// takePolled takes the packets for a poll. While the client upgrades there is at
// least a noop, so that its poll ends.
func (h *signalHub) takePolled(k *socket) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := k.packets
	k.packets = nil
	if out == nil && (k.upgrading || k.upgraded) {
		return []string{"6"}
	}
	return out
}

func (h *signalHub) post(w http.ResponseWriter, req *http.Request, k *socket) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxSignal))
	if err != nil {
		http.Error(w, "Payload too large", http.StatusRequestEntityTooLarge)
		h.close(k)
		return
	}
	packets, err := decodePayload(string(raw))
	if err != nil {
		engineError(w, refuseRequest)
		h.close(k)
		return
	}
	for _, p := range packets {
		if !h.receive(k, p) {
			break
		}
	}
	w.Header().Set("Content-Type", "text/html")
	_, _ = io.WriteString(w, "ok")
}

// encodePayload writes packets as <length>:<packet>. Lengths are in UTF-16 units, as in JavaScript.
func encodePayload(packets []string) string {
	var b strings.Builder
	for _, p := range packets {
		b.WriteString(strconv.Itoa(len(utf16.Encode([]rune(p)))) + ":" + p)
	}
	return b.String()
}

var errPayload = errors.New("payload is not <length>:<packet>")

func decodePayload(s string) ([]string, error) {
	var out []string
	for s != "" {
		length, rest, found := strings.Cut(s, ":")
		n, err := strconv.Atoi(length)
		if !found || err != nil || n < 1 || len(length) > 6 {
			return nil, errPayload
		}
		end := 0
		for n > 0 {
			c, size := utf8.DecodeRuneInString(rest[end:])
			if size == 0 || (c == utf8.RuneError && size == 1) {
				return nil, errPayload
			}
			n -= utf16.RuneLen(c)
			end += size
		}
		if n < 0 {
			return nil, errPayload
		}
		out = append(out, rest[:end])
		s = rest[end:]
	}
	return out, nil
}

// serveWebSocket is a session of its own (k is nil), or the upgrade of a polling one.
func (h *signalHub) serveWebSocket(r *run, w http.ResponseWriter, req *http.Request, k *socket) {
	c, err := websocket.Accept(w, req, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // Accept has answered
	}
	defer c.CloseNow()
	c.SetReadLimit(maxSignal)
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	if k == nil {
		if k, err = h.open([]string{}); err != nil {
			return
		}
		h.setUpgrade(k, false, true)
	} else if !h.upgrade(ctx, c, k) {
		return
	}
	defer h.close(k)
	written := make(chan struct{})
	go func() { // owner: this function. It ends with ctx, or when the socket is closed
		defer close(written)
		defer cancel()
		h.writePackets(ctx, c, k)
	}()
	for {
		kind, raw, err := c.Read(ctx)
		if err != nil || kind != websocket.MessageText || !h.receive(k, string(raw)) {
			break
		}
	}
	h.close(k)
	cancel()
	<-written
}

// upgrade is the probe: 2probe, 3probe, and 5 when the client has stopped polling.
func (h *signalHub) upgrade(ctx context.Context, c *websocket.Conn, k *socket) bool {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	for {
		kind, raw, err := c.Read(ctx)
		if err != nil || kind != websocket.MessageText {
			h.setUpgrade(k, false, false)
			return false
		}
		switch string(raw) {
		case "2probe":
			if !h.mayUpgrade(k) {
				return false // another probe is under way, and owns the state
			}
			if c.Write(ctx, websocket.MessageText, []byte("3probe")) != nil {
				h.setUpgrade(k, false, false)
				return false
			}
		case "5":
			return h.setUpgrade(k, false, true)
		default:
			h.setUpgrade(k, false, false)
			return false
		}
	}
}

func (h *signalHub) mayUpgrade(k *socket) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k.upgraded || k.upgrading || k.closed {
		return false
	}
	k.upgrading = true
	k.poke()
	return true
}

// setUpgrade ends the probing; false: the socket went over to a WebSocket before.
func (h *signalHub) setUpgrade(k *socket, upgrading, upgraded bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if k.upgraded {
		return false
	}
	k.upgrading, k.upgraded = upgrading, upgraded
	k.poke()
	return true
}

func (h *signalHub) writePackets(ctx context.Context, c *websocket.Conn, k *socket) {
	for {
		h.mu.Lock()
		var packets []string
		if !k.polling { // the last poll still takes its packets
			packets, k.packets = k.packets, nil
		}
		h.mu.Unlock()
		h.srv.tellEvents(packets)
		for _, p := range packets {
			wctx, cancel := context.WithTimeout(ctx, writeTimeout)
			err := c.Write(wctx, websocket.MessageText, []byte(p))
			cancel()
			if err != nil {
				return
			}
		}
		select {
		case <-k.wake:
		case <-k.done:
			return
		case <-ctx.Done():
			return
		}
	}
}
