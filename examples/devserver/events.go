package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk/sdktest"
)

const (
	// minPause is the least time between two looks at the state.
	minPause = 50 * time.Millisecond
	// lookAgain is the time after which the state is looked at also without new traffic.
	lookAgain = time.Second
	// heartbeat is the number of looks after which a comment is sent, which fails when the page was
	// closed.
	heartbeat = 15
)

// welcome is the first event.
type welcome struct {
	// Continued: the page has the traffic up to where it says, which is not sent again.
	Continued bool `json:"continued"`

	Page     string              `json:"page"`
	Domain   string              `json:"domain"`
	Kept     string              `json:"kept"`
	Go       string              `json:"go"`
	Browser  string              `json:"browser"`
	JS       string              `json:"js"`
	Steps    []sdktest.Step      `json:"steps"`
	Kinds    []sdktest.FaultKind `json:"kinds"`
	Features []string            `json:"features"`
}

func (p *page) welcome() welcome {
	return welcome{
		Page: p.reach.page, Domain: p.srv.Domain(), Kept: p.reach.kept,
		Go: p.reach.goCode, Browser: p.reach.browser, JS: p.reach.jsCode,
		Steps: sdktest.Steps(), Kinds: sdktest.FaultKinds(), Features: slices.Sorted(maps.Keys(p.srv.Features())),
	}
}

// fresh is traffic that a page was not sent yet.
type fresh struct {
	// Gone is how many pieces before List were dropped.
	Gone int       `json:"gone"`
	List []traffic `json:"list"`
}

const maxSearch = 200 // bytes of a search

// searched is what a request searches for among the users.
func searched(req *http.Request) string {
	text, _ := shorten(req.URL.Query().Get("search"), maxSearch)
	return text
}

// events is the stream of server-sent events for a page: "welcome", then "state" whenever the state
// has changed, and "traffic". A page that has had a stream before goes on from the id of its last
// event: the browser names that when it reconnects, and the page when it searches for other users.
func (p *page) events(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := &stream{w: w, rc: http.NewResponseController(w)}
	out.write("retry: 500\n\n")
	search := searched(req)
	newest, continued := p.history.from(cmp.Or(req.Header.Get("Last-Event-ID"), req.URL.Query().Get("last")))
	hello := p.welcome()
	hello.Continued = continued
	out.event("welcome", hello)
	var state []byte
	for looks := 1; out.err == nil; looks++ {
		list, gone, now, more := p.history.after(newest)
		if newest = now; len(list) > 0 {
			out.id = p.history.id(newest)
			out.event("traffic", fresh{Gone: gone, List: list})
		}
		began := time.Now()
		if view, err := json.Marshal(p.look(search)); err == nil && !bytes.Equal(view, state) {
			state = view
			out.event("state", json.RawMessage(view))
		}
		if looks%heartbeat == 0 {
			out.write(": still here\n\n")
		}
		// With many users a look takes long: so that looking stays a small part of the time, the
		// pause is longer then.
		if !pause(req.Context(), max(minPause, 10*time.Since(began)), more, nil) {
			return
		}
	}
}

// state serves what the event "state" has, once.
func (p *page) state(w http.ResponseWriter, req *http.Request) {
	raw, err := json.MarshalIndent(p.look(searched(req)), "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(raw, '\n')) // it fails when the client has gone
}

// pause waits for the time least, and then until more is closed, wake has an element, or lookAgain
// is over. It returns false when ctx has ended.
func pause(ctx context.Context, least time.Duration, more, wake <-chan struct{}) bool {
	t := time.NewTimer(least)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return false
	}
	t.Reset(lookAgain)
	select {
	case <-more:
	case <-wake:
	case <-t.C:
	case <-ctx.Done():
		return false
	}
	return true
}

// stream writes server-sent events. After the first failure it writes nothing.
type stream struct {
	w  http.ResponseWriter
	rc *http.ResponseController
	// id is that of the next events. Empty: they have none.
	id  string
	err error
}

func (s *stream) event(name string, v any) {
	data, err := json.Marshal(v) // it is one line
	if err != nil {
		s.err = err
		return
	}
	id := ""
	if s.id != "" {
		id = "id: " + s.id + "\n"
	}
	s.write(fmt.Sprintf("%sevent: %s\ndata: %s\n\n", id, name, data))
}

func (s *stream) write(text string) {
	if s.err == nil {
		s.err = s.rc.SetWriteDeadline(time.Now().Add(requestTimeout))
	}
	if s.err == nil {
		_, s.err = strings.NewReader(text).WriteTo(s.w)
	}
	if s.err == nil {
		s.err = s.rc.Flush()
	}
}
