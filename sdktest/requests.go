package sdktest

import (
	"net/http"
	"sync"
	"time"
)

const (
	maxRequests = 4096
	maxJournal  = 32 << 20 // bytes
)

// Request is one thing that a client sent.
type Request struct {
	Time time.Time // when the server had read it
	Kind string    // "rest", "xmpp" or "signal"
	User string    // id of the user that it came from; empty before a login

	Method string      // REST: "POST"
	Path   string      // REST: path below the API base URL, "contacts/vcard"
	Query  string      // REST: raw query
	Header http.Header // REST
	Body   string      // REST: JSON body with sealed parts opened, empty for media; signalling: the event
	Form   string      // REST: fields of a multipart/form-data body in their order, as JSON; of the file its name, contentType and size

	Resource string // XMPP: the session's resource
	Stanza   string // XMPP: the stanza
}

// size is about what r takes up.
func (r *Request) size() int {
	n := len(r.Body) + len(r.Form) + len(r.Stanza) + len(r.Path) + len(r.Query)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v)
		}
	}
	return n
}

// journal keeps the last requests, as many as maxRequests and maxJournal allow.
type journal struct {
	mu    sync.Mutex
	list  []Request
	bytes int
	added int // how many ever
}

// entryKey finds an HTTP request's number in the journal.
type entryKey struct{}

// add returns the entry's number.
func (j *journal) add(r Request) int {
	r.Time = time.Now()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.list = append(j.list, r)
	j.bytes += r.size()
	j.added++
	drop := 0
	for ; len(j.list)-drop > maxRequests || (j.bytes > maxJournal && len(j.list)-drop > 1); drop++ {
		j.bytes -= j.list[drop].size()
		j.list[drop] = Request{} // let go of what it holds
	}
	j.list = j.list[drop:]
	return j.added
}

// setForm adds the form to a request's entry: it is known only when the body is
// read, and the entry is made before, in its order.
func (j *journal) setForm(req *http.Request, form string) {
	entry, found := req.Context().Value(entryKey{}).(int)
	j.mu.Lock()
	defer j.mu.Unlock()
	i := len(j.list) - 1 - (j.added - entry)
	if !found || i < 0 {
		return // dropped meanwhile
	}
	j.list[i].Form = form
	j.bytes += len(form)
}

// Requests returns what the server saw, oldest first: REST requests with the
// sealed parts of their bodies opened, and stanzas after the resource binding.
// The oldest are dropped when they are more than a few thousand, or very big.
func (s *Server) Requests() []Request {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return append([]Request(nil), s.journal.list...)
}
