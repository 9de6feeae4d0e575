package sdktest

import (
	"net/http"
	"strings"
	"time"
)

// Traffic is one thing that a client or the server has sent, for [Options.OnTraffic]. Passwords
// and tokens are in it as they are.
type Traffic struct {
	// Time is when the server had read it, or was about to write it.
	Time time.Time
	// Kind is "rest", "xmpp" or "signal"; or "session", when an XMPP client has bound its resource
	// or has gone.
	Kind string
	// ToClient is true for what the server has sent.
	ToClient bool
	// User is the id of the user, as far as the server knows it.
	User string
	// Resource is the resource of an XMPP client, once it is bound.
	Resource string

	// Method, Path and Query are those of a REST request; its answer has them too. Path is below
	// the API base URL, and Query is not decoded.
	Method, Path, Query string
	// Status is the HTTP status of a REST answer; 0 when the connection was cut instead.
	Status int
	// ContentType is that of a REST answer.
	ContentType string
	// Size is how many bytes the body of a REST answer has.
	Size int64

	// Text is the body of a REST request with its sealed parts opened, the body of a REST answer
	// when it is JSON of at most 1 MiB, the XMPP element, or the Socket.IO event as a JSON array.
	// For the kind "session" it is "connected" or "disconnected".
	Text string
}

// tell hands t to Options.OnTraffic, if that is set.
func (s *Server) tell(t Traffic) {
	if s.opts.OnTraffic != nil {
		t.Time = time.Now()
		s.opts.OnTraffic(t)
	}
}

// tellSession tells that a stream has bound its resource, or has gone.
func (st *stream) tellSession(text string) {
	st.srv.tell(Traffic{Kind: "session", User: st.user, Resource: st.resource, Text: text})
}

// tellEvents tells of the Socket.IO events among the packets that are about to be written.
func (s *Server) tellEvents(packets []string) {
	for _, packet := range packets {
		if event, found := strings.CutPrefix(packet, "42"); found {
			s.tell(Traffic{Kind: "signal", ToClient: true, Text: event})
		}
	}
}

// tap is a transport that tells of every element.
type tap struct {
	transport
	st *stream
}

func (t tap) read() (*element, error) {
	e, err := t.transport.read()
	if err == nil {
		t.tell(false, e.String())
	}
	return e, err
}

// write tells of an element before it writes it: the client's answer must not come first.
func (t tap) write(raw string) error {
	t.tell(true, raw)
	return t.transport.write(raw)
}

func (t tap) tell(toClient bool, text string) {
	st := t.st
	st.srv.tell(Traffic{Kind: "xmpp", ToClient: toClient, User: st.user, Resource: st.resource, Text: text})
}

// answerTap is a REST answer that is also told.
type answerTap struct {
	http.ResponseWriter
	told Traffic
	// the body, while it may be JSON of at most maxBody
	json []byte
}

// tapREST tells of a REST request. The handler has to write its answer to the ResponseWriter that
// tapREST returns; done tells of that answer.
func (s *Server) tapREST(w http.ResponseWriter, r Request) (_ http.ResponseWriter, done func()) {
	if s.opts.OnTraffic == nil {
		return w, func() {}
	}
	told := Traffic{Kind: "rest", User: r.User, Method: r.Method, Path: r.Path, Query: r.Query}
	answer := &answerTap{ResponseWriter: w, told: told}
	answer.told.ToClient = true
	told.Text = r.Body
	s.tell(told)
	return answer, func() {
		answer.told.ContentType, answer.told.Text = answer.Header().Get("Content-Type"), string(answer.json)
		s.tell(answer.told)
	}
}

// Unwrap is for http.ResponseController.
func (a *answerTap) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answerTap) WriteHeader(status int) {
	if a.told.Status == 0 {
		a.told.Status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answerTap) Write(p []byte) (int, error) {
	if a.told.Status == 0 {
		a.told.Status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(p)
	a.told.Size += int64(n)
	if a.told.Size <= maxBody && strings.HasPrefix(a.Header().Get("Content-Type"), "application/json") {
		a.json = append(a.json, p[:n]...)
	} else {
		a.json = nil
	}
	return n, err
}
