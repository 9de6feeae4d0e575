package main

import (
	"bytes"
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

// events is the stream of server-sent events for a page: "welcome", then "state" whenever the state
// has changed, and "traffic".
func (p *page) events(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := &stream{w: w, rc: http.NewResponseController(w)}
	out.write("retry: 500\n\n")
	out.event("welcome", p.welcome())
	var state []byte
	_, _, newest, _ := p.history.after(0)
	newest = max(0, newest-maxHistory) // a new page gets all that is kept
	for looks := 1; out.err == nil; looks++ {
		list, gone, now, more := p.history.after(newest)
		if newest = now; len(list) > 0 {
			out.event("traffic", fresh{Gone: gone, List: list})
		}
		began := time.Now()
		if view, err := json.Marshal(p.look()); err == nil && !bytes.Equal(view, state) {
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
	w   http.ResponseWriter
	rc  *http.ResponseController
	err error
}

func (s *stream) event(name string, v any) {
	data, err := json.Marshal(v) // it is one line
	if err != nil {
		s.err = err
		return
	}
	s.write(fmt.Sprintf("event: %s\ndata: %s\n\n", name, data))
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
