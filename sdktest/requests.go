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

// Request is one thing that a client sent: a REST request, a stanza or a signalling event.
type Request struct {
	// Time is when the server had read it.
	Time time.Time
	// Kind is "rest", "xmpp" or "signal".
	Kind string
	// User is the id of the user who sent it. Empty before a login.
	User string

	// Method is that of a REST request, for example "POST".
	Method string
	// Path is that of a REST request below the API base URL, for example "contacts/vcard".
	Path string
	// Query is that of a REST request, not decoded.
	Query string
	// Header is that of a REST request.
	Header http.Header
	// Body is the JSON body of a REST request with its sealed parts opened, or a signalling event.
	// Empty for media.
	Body string
	// Form are the fields of a multipart/form-data body in their order, as JSON. Of the file it has
	// name, contentType and size.
	Form string

	// Resource is the resource of an XMPP session.
	Resource string
	// Stanza is the stanza that came over XMPP.
	Stanza string
}

// size is about how many bytes r needs in memory.
func (r *Request) size() int {
	n := len(r.Body) + len(r.Form) + len(r.Stanza) + len(r.Path) + len(r.Query)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v)
		}
	}
	return n
}

// journal keeps the latest requests, as many as maxRequests and maxJournal allow.
type journal struct {
	changes *changes

	mu    sync.Mutex
	list  []Request
	bytes int
	// added is how many were ever added.
	added int
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
	j.changes.tell()
	return j.added
}

// setForm adds the form to the entry of a request. The form is only known when the body was read,
// while the entry is made earlier, so that the entries are in the order of the requests.
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
	j.changes.tell()
}

// Requests returns what clients sent, oldest first: REST requests with the sealed parts of their
// bodies opened, stanzas after the resource binding, and signalling events. The oldest are dropped
// when there are more than a few thousand, or when they are very big.
func (s *Server) Requests() []Request {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return append([]Request(nil), s.journal.list...)
}
