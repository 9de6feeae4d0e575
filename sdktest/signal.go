package sdktest

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"
	"unicode/utf8"
)

// The times that clients are told are those of the Engine.IO server (protocol.md 7.1).
const (
	pingInterval = 25 * time.Second
	pingTimeout  = 5 * time.Second
	maxSockets   = 10_000
	maxPackets   = 256 // packets that wait for one client. With more of them it is closed
)

// signalHub is the signalling server of QR logins: Socket.IO 2 on Engine.IO 3.
type signalHub struct {
	srv *Server
	// timeout is how long a client may be silent.
	timeout time.Duration

	mu sync.Mutex
	// sockets are by Engine.IO sid.
	sockets map[string]*socket
	// waiting are by the phone's socket id.
	waiting map[string]*waiter
	// logins are the QR sessions: by user, the tokens of the codes, oldest first.
	logins map[string][]string
}

// socket is one client. signalHub.mu guards the fields that change.
type socket struct {
	sid string
	// done is closed when the socket is closed.
	done chan struct{}
	// wake has an element when packets or state have changed. Its capacity is 1.
	wake   chan struct{}
	timer  *time.Timer
	closed bool

	// packets are Engine.IO packets for the client.
	packets []string
	// polling is true while a poll waits.
	polling bool
	// upgrading is true after the probe of a WebSocket.
	upgrading bool
	// upgraded is true when packets are sent over a WebSocket.
	upgraded bool

	// token is the content of the QR code.
	token string
	// user has logged in by this code. Empty before that.
	user string
}

// signalStatus is the loginStatus event (protocol.md 7.2).
type signalStatus struct {
	StatusCode int    `json:"statusCode"`
	Message    string `json:"message"`
	PublicKey  string `json:"public_key"`
}

// waiter is a phone that waits for the loginStatus of one client.
type waiter struct {
	web *socket
	// user will have the session. Empty: there will be none.
	user string
	// token is that of the code that was scanned.
	token string
	// ended is true when the web side has logged out before its loginStatus came.
	ended bool
	got   chan signalStatus
	// settled is closed when the phone has stopped waiting.
	settled chan struct{}
}

func newSignalHub(s *Server) *signalHub {
	return &signalHub{
		srv: s, timeout: s.opts.signalPing,
		sockets: map[string]*socket{}, waiting: map[string]*waiter{}, logins: map[string][]string{},
	}
}

var errSockets = errors.New("too many signalling clients")

// open makes a socket and queues the first packets: the handshake, the namespace and the id.
func (h *signalHub) open(upgrades []string) (*socket, error) {
	k := &socket{sid: randomHex(10), token: randomHex(12), done: make(chan struct{}), wake: make(chan struct{}, 1)}
	hello, err := json.Marshal(map[string]any{
		"sid": k.sid, "upgrades": upgrades,
		"pingInterval": pingInterval.Milliseconds(), "pingTimeout": pingTimeout.Milliseconds(),
	})
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.sockets) >= maxSockets {
		return nil, errSockets
	}
	h.sockets[k.sid] = k
	k.timer = time.AfterFunc(h.timeout, func() { h.close(k) })
	h.queueLocked(k, "0"+string(hello))
	h.queueLocked(k, "40")
	h.emitLocked(k, "id", k.token)
	return k, nil
}

func (h *signalHub) find(sid string) *socket {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sockets[sid]
}

func (h *signalHub) close(k *socket) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closeLocked(k)
}

// closeLocked closes a socket. h.mu must be held.
func (h *signalHub) closeLocked(k *socket) {
	if k.closed {
		return
	}
	k.closed = true
	k.timer.Stop()
	close(k.done)
	delete(h.sockets, k.sid)
}

// closeAll closes every socket, because the server stops.
func (h *signalHub) closeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range h.sockets {
		h.closeLocked(k)
	}
}

// queueLocked queues a packet for a client. h.mu must be held.
func (h *signalHub) queueLocked(k *socket, packet string) {
	if len(k.packets) >= maxPackets {
		h.closeLocked(k)
		return
	}
	k.packets = append(k.packets, packet)
	k.poke()
}

func (k *socket) poke() {
	select {
	case k.wake <- struct{}{}:
	default: // it has an element already
	}
}

// emitLocked queues an event for a client. h.mu must be held.
func (h *signalHub) emitLocked(k *socket, event string, args ...any) {
	raw, err := json.Marshal(append([]any{event}, args...))
	if err != nil {
		return // only strings and maps of strings are sent
	}
	h.queueLocked(k, "42"+string(raw))
}

// receive takes one Engine.IO packet. It returns false when the client has ended the connection.
func (h *signalHub) receive(k *socket, packet string) bool {
	if packet == "" || !utf8.ValidString(packet) {
		return false
	}
	h.mu.Lock()
	if k.closed {
		h.mu.Unlock()
		return false
	}
	k.timer.Reset(h.timeout)
	switch packet[0] {
	case '1':
		h.closeLocked(k)
	case '2': // in Engine.IO 3 the client pings
		h.queueLocked(k, "3"+packet[1:])
	}
	h.mu.Unlock()
	if packet[0] == '4' {
		h.message(k, packet[1:])
	}
	return packet[0] != '1'
}

// message takes one Socket.IO packet. The event loginStatus is the only one with an effect.
func (h *signalHub) message(k *socket, packet string) {
	if packet == "" || packet[0] != '2' {
		return
	}
	var event []json.RawMessage
	var name, text string
	if json.Unmarshal([]byte(packet[1:]), &event) != nil || len(event) == 0 || json.Unmarshal(event[0], &name) != nil {
		return
	}
	h.srv.journal.add(Request{Kind: "signal", Body: packet[1:]})
	h.srv.tell(Traffic{Kind: "signal", Text: packet[1:]})
	var st signalStatus
	// protocol.md 7.2: JSON inside a string.
	if name != "loginStatus" || len(event) != 2 ||
		json.Unmarshal(event[1], &text) != nil || json.Unmarshal([]byte(text), &st) != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	to := h.waiting[st.PublicKey]
	if to == nil || to.web != k {
		return
	}
	h.settleLocked(st.PublicKey)
	// The session begins here and not when Scan returns: the web side may have ended it by then.
	if st.StatusCode == http.StatusOK && to.user != "" {
		h.loggedInLocked(to)
	}
	to.got <- st // it cannot block: the capacity is 1, and this is the only element
}

// loggedInLocked notes a new QR session. h.mu must be held.
func (h *signalHub) loggedInLocked(to *waiter) {
	if to.ended {
		to.web.token = randomHex(12) // the old code has been used
		return
	}
	to.web.user, to.web.token = to.user, to.token
	list := append(h.logins[to.user], to.token)
	h.logins[to.user] = list[max(0, len(list)-maxTokens):]
}

// loggedOut notes that the web side has ended its session (protocol.md 5.11).
func (h *signalHub) loggedOut(user, token string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, to := range h.waiting {
		to.ended = to.ended || (to.user == user && to.token == token)
	}
	h.endLoginsLocked(user, func(other string) bool { return other == token })
}

// forgetUser ends the QR sessions of a deleted account.
func (h *signalHub) forgetUser(user string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.endLoginsLocked(user, func(string) bool { return true })
}

// endLoginsLocked forgets QR sessions and returns their tokens, and the sockets by which they
// logged in, as far as these are still open. h.mu must be held.
func (h *signalHub) endLoginsLocked(user string, which func(token string) bool) (tokens []string, web []*socket) {
	var left []string
	for _, token := range h.logins[user] {
		if which(token) {
			tokens = append(tokens, token)
		} else {
			left = append(left, token)
		}
	}
	if h.logins[user] = left; left == nil {
		delete(h.logins, user)
	}
	for _, k := range h.sockets {
		if k.user == user && slices.Contains(tokens, k.token) {
			k.user, k.token = "", randomHex(12) // the old code has been used
			web = append(web, k)
		}
	}
	return tokens, web
}

// ExpireQR ends all QR codes that nobody has scanned yet. Their clients get new codes.
func (s *Server) ExpireQR() {
	h := s.signal
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range h.sockets {
		if k.user == "" {
			k.token = randomHex(12)
			h.emitLocked(k, "id", k.token)
		}
	}
}
