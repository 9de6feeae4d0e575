package sdktest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// tap is a transport whose elements are also told to those who watch.
type tap struct {
	transport
	st *stream
}

func (t tap) read() (*element, error) {
	e, err := t.transport.read()
	if err != nil || !t.st.srv.feed.watched() {
		return e, err
	}
	if raw := e.String(); t.st.user == "" {
		t.tell(false, redactLogin(raw))
	} else {
		t.tell(false, redactXML(raw))
	}
	return e, nil
}

// write tells first: the client's answer must not be told before it.
func (t tap) write(raw string) error {
	if t.st.srv.feed.watched() {
		t.tell(true, redactXML(raw))
	}
	return t.transport.write(raw)
}

func (t tap) tell(toClient bool, text string) {
	t.st.srv.feed.tell(Traffic{Kind: "xmpp", ToClient: toClient, User: t.st.user, Resource: t.st.resource, Text: text})
}

// tellSession tells that a stream has a resource now, or has gone.
func (st *stream) tellSession(text string) {
	st.srv.feed.tell(Traffic{Kind: "session", User: st.user, Resource: st.resource, Text: text})
}

// tellEvent tells of a signalling event. What the server sends in one lets
// somebody in, so its name is all that is shown.
func (f *feed) tellEvent(name string, toClient bool, text string) {
	if toClient {
		text = fmt.Sprintf("[%q, %q]", name, hiddenText)
	}
	f.tell(Traffic{Kind: "signal", ToClient: toClient, Text: text})
}

// answerTap is a REST answer on its way, of which those who watch are told.
type answerTap struct {
	http.ResponseWriter
	feed *feed
	t    Traffic
	size int64  // of the body
	json []byte // the body, as long as it may be JSON that can be shown
}

// tapREST tells of a request, whose body has been read and opened, and returns
// what tells of its answer when done is called.
func (s *Server) tapREST(w http.ResponseWriter, r Request) (_ http.ResponseWriter, done func()) {
	if !s.feed.watched() {
		return w, func() {}
	}
	t := Traffic{Kind: "rest", User: r.User, Method: r.Method, Path: r.Path, Query: redactQuery(r.Query)}
	answer := &answerTap{ResponseWriter: w, feed: s.feed, t: t}
	answer.t.ToClient = true
	t.Text = redactJSON(r.Body)
	s.feed.tell(t)
	return answer, answer.tell
}

// Unwrap is for http.ResponseController.
func (a *answerTap) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answerTap) WriteHeader(status int) {
	if a.t.Status == 0 {
		a.t.Status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answerTap) Write(p []byte) (int, error) {
	if a.t.Status == 0 {
		a.t.Status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(p)
	if a.size += int64(n); a.size <= maxBody && strings.HasPrefix(a.Header().Get("Content-Type"), "application/json") {
		a.json = append(a.json, p[:n]...)
	} else {
		a.json = nil
	}
	return n, err
}

func (a *answerTap) tell() {
	switch {
	case a.t.Status == 0:
		a.t.Text = "(no answer)"
	case a.size == 0:
	case json.Valid(a.json):
		a.t.Text = redactJSON(string(a.json))
	default:
		a.t.Text = fmt.Sprintf("(%d bytes of %s)", a.size, a.Header().Get("Content-Type"))
	}
	a.feed.tell(a.t)
}
