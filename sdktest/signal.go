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

// Engine.IO's own numbers, as clients are told them (protocol.md 7.1).
const (
	pingInterval = 25 * time.Second
	pingTimeout  = 5 * time.Second
	maxSockets   = 10_000
	maxPackets   = 256 // that wait for one client; one that lets more pile up is closed
)

// signalHub is the signalling server of QR logins: Socket.IO 2 on Engine.IO 3.
type signalHub struct {
	srv     *Server
	timeout time.Duration // without a ping

	mu      sync.Mutex
	sockets map[string]*socket  // by Engine.IO sid
	waiting map[string]*waiter  // by the phone's socket id
	logins  map[string][]string // QR sessions: user to the codes' tokens, oldest first
}

// socket is one client. All fields are guarded by signalHub.mu but those that never change.
type socket struct {
	sid    string
	done   chan struct{} // closed when the socket is
	wake   chan struct{} // capacity 1: look at packets and state
	timer  *time.Timer
	closed bool

	packets   []string // Engine.IO packets on their way to the client
	polling   bool     // a poll is waiting
	upgrading bool     // a WebSocket has probed
	upgraded  bool     // packets go over a WebSocket

	token string // what the QR code says
	user  string // logged in by this code; "" before
}

// signalStatus is the loginStatus event (protocol.md 7.2).
type signalStatus struct {
	StatusCode int    `json:"statusCode"`
	Message    string `json:"message"`
	PublicKey  string `json:"public_key"`
}

// waiter is a phone that waits for the loginStatus of one client.
type waiter struct {
	web     *socket
	user    string // whose session it becomes; "" for none
	token   string // of the code that was scanned
	ended   bool   // the web side has logged out before its loginStatus came in
	got     chan signalStatus
	settled chan struct{} // closed when the phone does not wait any more
}

func newSignalHub(s *Server) *signalHub {
	return &signalHub{
		srv: s, timeout: s.opts.signalPing,
		sockets: map[string]*socket{}, waiting: map[string]*waiter{}, logins: map[string][]string{},
	}
}

var errSockets = errors.New("too many signalling clients")

// open makes a socket and queues what every client gets first: the namespace and its id.
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
	h.queue(k, "0"+string(hello))
	h.queue(k, "40")
	h.emit(k, "id", k.token)
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

func (h *signalHub) closeLocked(k *socket) {
	if k.closed {
		return
	}
	k.closed = true
	k.timer.Stop()
	close(k.done)
	delete(h.sockets, k.sid)
}

// closeAll ends every socket: their server is going.
func (h *signalHub) closeAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range h.sockets {
		h.closeLocked(k)
	}
}

// queue and emit need h.mu.
func (h *signalHub) queue(k *socket, packet string) {
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
	default: // a look is due already
	}
}

func (h *signalHub) emit(k *socket, event string, args ...any) {
	raw, err := json.Marshal(append([]any{event}, args...))
	if err != nil {
		return // only strings and maps of strings are sent
	}
	h.queue(k, "42"+string(raw))
}

// receive takes one Engine.IO packet; false: the client is done.
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
	case '2': // in EIO 3 the client pings
		h.queue(k, "3"+packet[1:])
	}
	h.mu.Unlock()
	if packet[0] == '4' {
		h.message(k, packet[1:])
	}
	return packet[0] != '1'
}

// message takes one Socket.IO packet. Only the event loginStatus means anything.
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
	if name != "loginStatus" || len(event) != 2 || json.Unmarshal(event[1], &text) != nil || json.Unmarshal([]byte(text), &st) != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	to := h.waiting[st.PublicKey]
	if to == nil || to.web != k {
		return
	}
	h.settle(st.PublicKey)
	// The session begins here and not where Scan returns: by then the web side may have ended it.
	if st.StatusCode == http.StatusOK && to.user != "" {
		h.loggedIn(to)
	}
	to.got <- st // capacity 1, and this is the only one
}

// loggedIn notes a new QR session; h.mu is held.
func (h *signalHub) loggedIn(to *waiter) {
	if to.ended {
		to.web.token = randomHex(12) // the old code has been used
		return
	}
	to.web.user, to.web.token = to.user, to.token
	list := append(h.logins[to.user], to.token)
	h.logins[to.user] = list[max(0, len(list)-maxTokens):]
}

// loggedOut notes that a web session has ended by itself (protocol.md 5.11).
func (h *signalHub) loggedOut(user, token string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, to := range h.waiting {
		to.ended = to.ended || (to.user == user && to.token == token)
	}
	h.endLogins(user, func(other string) bool { return other == token })
}

// forgetUser ends the QR sessions of an account that is gone.
func (h *signalHub) forgetUser(user string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.endLogins(user, func(string) bool { return true })
}

// endLogins forgets QR sessions and returns their tokens, and the clients among
// them that are still on the socket that they logged in by; h.mu is held.
func (h *signalHub) endLogins(user string, which func(token string) bool) (tokens []string, web []*socket) {
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

// ExpireQR makes every QR code that nobody has scanned yet invalid; their clients get new ones.
func (s *Server) ExpireQR() {
	h := s.signal
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range h.sockets {
		if k.user == "" {
			k.token = randomHex(12)
			h.emit(k, "id", k.token)
		}
	}
}
