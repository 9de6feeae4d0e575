package sdktest

import (
	"cmp"
	"slices"
	"sort"
	"sync"
	"time"
)

// hub knows the bound streams and carries stanzas between them. While mu is held
// frames are only queued, which never blocks. The store's lock may be taken while
// mu is held, but not mu while the store's lock is held.
type hub struct {
	srv   *Server
	store *store
	start time.Time

	mu sync.Mutex
	// streams are by user and resource.
	streams map[string]map[string]*stream
	// held are the deliveries that FaultHeld and FaultReordered hold up.
	held []heldDelivery
	// late are the acknowledgements that FaultHeld holds up.
	late []lateReply
	// stamped is the time of the last message, in microseconds.
	stamped int64
}

func newHub(s *Server) *hub {
	return &hub{srv: s, store: s.store, start: time.Now(), streams: map[string]map[string]*stream{}}
}

// bind makes st reachable. It ends an older stream with the same full JID
// (RFC 6120 7.7.2.2). It returns false when the account was deleted meanwhile.
func (h *hub) bind(st *stream) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.store.exists(st.user) {
		return false
	}
	mine := h.streams[st.user]
	if mine == nil {
		mine = map[string]*stream{}
		h.streams[st.user] = mine
	}
	if old := mine[st.resource]; old != nil {
		h.dropLocked(old, "conflict", "Replaced by new connection")
		h.streams[st.user] = mine
	}
	st.since = time.Now()
	mine[st.resource] = st
	h.srv.changes.tell()
	return true
}

// unbind removes st and tells its contacts. It may be called several times.
func (h *hub) unbind(st *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams[st.user][st.resource] != st {
		return
	}
	h.removeLocked(st)
}

// removeLocked makes st unreachable, and gives back the messages that its client has not got. h.mu
// must be held.
func (h *hub) removeLocked(st *stream) {
	h.goneLocked(st)
	delete(h.streams[st.user], st.resource)
	if len(h.streams[st.user]) == 0 {
		delete(h.streams, st.user)
	}
	h.srv.changes.tell()
	h.giveBackLocked(st)
}

// endAll removes all streams, those among them that wait for another connection.
func (h *hub) endAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for user := range h.streams {
		for _, st := range h.ofLocked(user) {
			h.removeLocked(st)
			st.cancel()
		}
	}
}

// goneLocked makes st unavailable. h.mu must be held.
func (h *hub) goneLocked(st *stream) {
	if st.available == nil {
		return
	}
	h.broadcastLocked(st, el(nsClient, "presence", "type", "unavailable"))
	st.available = nil
	h.store.seen(st.user)
}

// expel ends all streams of a user with a stream error.
func (h *hub) expel(user, condition, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, st := range h.ofLocked(user) {
		h.dropLocked(st, condition, text)
	}
}

// keepNewest ends the oldest streams of a user until n are left.
func (h *hub) keepNewest(user string, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.ofLocked(user)
	slices.SortFunc(list, func(a, b *stream) int {
		return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.resource, b.resource))
	})
	for len(list) > n {
		h.dropLocked(list[0], "conflict", "Replaced by new connection")
		list = list[1:]
	}
}

// dropLocked removes a stream and ends it with a stream error. h.mu must be held.
func (h *hub) dropLocked(st *stream, condition, text string) {
	h.removeLocked(st)
	st.end((&streamError{condition, text}).element().String())
}

// ofLocked lists the streams of a user in the order of their resources. h.mu must be held.
func (h *hub) ofLocked(user string) []*stream {
	list := make([]*stream, 0, len(h.streams[user]))
	for _, st := range h.streams[user] {
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b *stream) int { return cmp.Compare(a.resource, b.resource) })
	return list
}

// onlineLocked lists the streams of a user that have sent presence. h.mu must be held.
func (h *hub) onlineLocked(user string) []*stream {
	return slices.DeleteFunc(h.ofLocked(user), func(st *stream) bool { return st.available == nil })
}

// related reports whether presence and pushes pass between two users.
func (h *hub) related(a, b string) bool {
	return h.contacts(a, b) && !h.blockedEither(a, b)
}

func (h *hub) blockedEither(a, b string) bool {
	return h.store.hasBlocked(a, b) || h.store.hasBlocked(b, a)
}

// othersLocked lists the users who are connected and related to user, sorted. h.mu must be held.
func (h *hub) othersLocked(user string) []string {
	var out []string
	for other := range h.streams {
		if h.related(user, other) {
			out = append(out, other)
		}
	}
	sort.Strings(out)
	return out
}

// audience are the connected users who are told what happens to a user: the user and all contacts,
// also those who are blocked.
func (h *hub) audience(about string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var users []string
	for user := range h.streams {
		if user == about || h.contacts(user, about) {
			users = append(users, user)
		}
	}
	return users
}

// announce sends users a message of the service with that child (protocol.md 6.4), and returns the
// streams that got it.
func (h *hub) announce(users []string, child *element) (reached []*stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, user := range users {
		reached = append(reached, h.notifyLocked(user, child)...)
	}
	return reached
}

// notifyLocked sends a message of the service to all streams of a user, and returns them. h.mu must
// be held.
func (h *hub) notifyLocked(user string, child *element) []*stream {
	list := h.ofLocked(user)
	for _, st := range list {
		m := el(nsClient, "message", "from", h.srv.domain, "to", st.jid, "id", randomHex(8), "type", "headline")
		st.send(m.add(child).String())
	}
	return list
}

// push sends raw XML to all streams of a user, and returns them.
func (h *hub) push(user, raw string) []*stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.ofLocked(user)
	for _, st := range list {
		st.send(raw)
	}
	return list
}

func (h *hub) resources(user string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := []string{}
	for _, st := range h.ofLocked(user) {
		out = append(out, st.resource)
	}
	return out
}

// mayPing notes that st is pinged now. It returns false when nothing has come since the last ping.
func (h *hub) mayPing(st *stream) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if st.pinged {
		return false
	}
	st.pinged = true
	return true
}

// alive notes that something has come from st.
func (h *hub) alive(st *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	st.pinged = false
}

func (h *hub) isOnline(user string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.ofLocked(user), func(st *stream) bool { return !st.left })
}
