package sdktest

import (
	"cmp"
	"slices"
	"sort"
	"sync"
	"time"
)

// hub knows the bound streams and carries stanzas between them. Under its lock
// frames are only queued, which never blocks; the store's lock may be taken
// under it, never the other way round.
type hub struct {
	srv   *Server
	store *store
	start time.Time

	mu      sync.Mutex
	streams map[string]map[string]*stream // by user and resource
}

func newHub(s *Server) *hub {
	return &hub{srv: s, store: s.store, start: time.Now(), streams: map[string]map[string]*stream{}}
}

// bind makes st reachable. An older stream with the same full JID has to go
// (RFC 6120 7.7.2.2). False: the account was deleted meanwhile.
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
		h.gone(old)
		old.end((&streamError{"conflict", "Replaced by new connection"}).element().String())
	}
	st.since = time.Now()
	mine[st.resource] = st
	return true
}

// unbind takes st out and tells its contacts. It may be called several times.
func (h *hub) unbind(st *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams[st.user][st.resource] != st {
		return
	}
	h.gone(st)
	delete(h.streams[st.user], st.resource)
	if len(h.streams[st.user]) == 0 {
		delete(h.streams, st.user)
	}
}

// gone makes st unavailable.
func (h *hub) gone(st *stream) {
	if st.available == nil {
		return
	}
	h.broadcast(st, el(nsClient, "presence", "type", "unavailable"))
	st.available = nil
	h.store.seen(st.user)
}

// expel ends all streams of a user with a stream error.
func (h *hub) expel(user, condition, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, st := range h.of(user) {
		h.drop(st, condition, text)
	}
}

// keepNewest ends the oldest streams of a user until n are left.
func (h *hub) keepNewest(user string, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.of(user)
	slices.SortFunc(list, func(a, b *stream) int { return cmp.Or(a.since.Compare(b.since), cmp.Compare(a.resource, b.resource)) })
	for len(list) > n {
		h.drop(list[0], "conflict", "Replaced by new connection")
		list = list[1:]
	}
}

func (h *hub) drop(st *stream, condition, text string) {
	h.gone(st)
	delete(h.streams[st.user], st.resource)
	if len(h.streams[st.user]) == 0 {
		delete(h.streams, st.user)
	}
	st.end((&streamError{condition, text}).element().String())
}

// of lists a user's streams in the order of their resources.
func (h *hub) of(user string) []*stream {
	list := make([]*stream, 0, len(h.streams[user]))
	for _, st := range h.streams[user] {
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b *stream) int { return cmp.Compare(a.resource, b.resource) })
	return list
}

// online lists a user's streams that have sent presence.
func (h *hub) online(user string) []*stream {
	return slices.DeleteFunc(h.of(user), func(st *stream) bool { return st.available == nil })
}

// related reports whether presence and pushes pass between two users.
func (h *hub) related(a, b string) bool {
	return h.contacts(a, b) && !h.blockedEither(a, b)
}

func (h *hub) blockedEither(a, b string) bool {
	return h.store.hasBlocked(a, b) || h.store.hasBlocked(b, a)
}

// others lists the users that are connected and related to user, sorted.
func (h *hub) others(user string) []string {
	var out []string
	for other := range h.streams {
		if h.related(user, other) {
			out = append(out, other)
		}
	}
	sort.Strings(out)
	return out
}

// audience are those who are connected and hear of what happens to a user: the user and the
// contacts, blocks or not.
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

// announce sends users a message from the service with that child: what the service tells of its
// own accord (protocol.md 6.4).
func (h *hub) announce(users []string, child *element) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, user := range users {
		h.notify(user, child)
	}
}

// notify sends a message from the service to all streams of a user.
func (h *hub) notify(user string, child *element) {
	for _, st := range h.of(user) {
		m := el(nsClient, "message", "from", h.srv.domain, "to", st.jid, "id", randomHex(8), "type", "headline").add(child)
		st.send(m.String())
	}
}

// push sends raw XML to all streams of a user.
func (h *hub) push(user, raw string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := h.of(user)
	for _, st := range list {
		st.send(raw)
	}
	return len(list)
}

func (h *hub) resources(user string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := []string{}
	for _, st := range h.of(user) {
		out = append(out, st.resource)
	}
	return out
}

// mayPing notes that st is pinged now; false: nothing has come since the last ping.
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
	return slices.ContainsFunc(h.of(user), func(st *stream) bool { return !st.left })
}
