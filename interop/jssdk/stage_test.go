package jssdk_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// stage is where a script is played: the parties, and the record of what their calls answered.
type stage struct {
	*testing.T
	svc     *service
	parties map[string]party
	browser *chromium // nil when no test needs it
	answers []callRecord
	pauses  []pause
}

// callRecord is what one call answered.
type callRecord struct {
	Who, Method string
	Result      object
	Deliberate  string // why the two SDKs answer differently; empty: they must not
}

// call makes a call; what it has to answer is said behind it.
func (s *stage) call(who, method string, args ...any) expectation {
	s.Helper()
	result := s.parties[who].call(s.T, method, append([]any(nil), args...)...)
	s.answers = append(s.answers, callRecord{Who: who, Method: method, Result: result})
	return expectation{s, result, who + "." + method}
}

type expectation struct {
	s      *stage
	result object
	what   string
}

// is checks status and message, and returns the rest.
func (e expectation) is(status int, message string) object {
	e.s.Helper()
	require.Equal(e.s, float64(status), e.result["statusCode"], "%s: %v", e.what, e.result)
	require.Equal(e.s, message, e.result["message"], e.what)
	rest := object{}
	for name, value := range e.result {
		if name != "statusCode" && name != "message" {
			rest[name] = value
		}
	}
	return rest
}

// succeeds is is(200, "Success") with that beside it, as JSON.
func (e expectation) succeeds(rest string) {
	e.s.Helper()
	require.JSONEq(e.s, rest, marshal(e.is(200, "Success")), e.what)
}

// bare is is with nothing beside it.
func (e expectation) bare(status int, message string) {
	e.s.Helper()
	require.Empty(e.s, e.is(status, message), e.what)
}

// done is the answer of a method without data.
func (e expectation) done() { e.s.Helper(); e.bare(200, "Success") }

// differs: the JavaScript SDK answers so, package sdk otherwise, for a reason of protocol.md 11.
func (s *stage) differs(why, who, method, js, gopherSays string, args ...any) {
	s.Helper()
	e := s.call(who, method, args...)
	want := js
	if s.inGo(who) {
		want = gopherSays
	}
	require.JSONEq(s, want, marshal(e.result), e.what)
	s.answers[len(s.answers)-1].Deliberate = why
}

func (s *stage) await(who, listener, want string) any {
	s.Helper()
	return s.parties[who].told().await(s.T, who, listener, want)
}

// pause is a part of a script in which what happens depends on the moment: it is not compared.
type pause struct {
	from, to map[string]int // positions in the parties' events
	requests [2]int         // positions in what the server saw
}

// offTheRecord plays a part that is not compared. When it returns everybody has been told all that
// it has led to.
func (s *stage) offTheRecord(part func()) {
	p := pause{from: s.positions()}
	p.requests[0] = s.seen()
	part()
	p.to, p.requests[1] = s.positions(), s.seen()
	s.pauses = append(s.pauses, p)
}

func (s *stage) positions() map[string]int {
	at := map[string]int{}
	for who, p := range s.parties {
		at[who] = len(p.told().all())
	}
	return at
}

func (s *stage) seen() int {
	if s.svc.srv == nil {
		return 0
	}
	return len(s.svc.srv.Requests())
}

func (s *stage) inGo(who string) bool {
	_, isGo := s.parties[who].(*gopher)
	return isGo
}

// meet waits until who and all others have been told that the other is there.
func (s *stage) meet(who string, others ...string) {
	s.Helper()
	for _, other := range others {
		s.await(other, "presenceListener", `{"fromUserJid": "`+who+"@"+host+`", "status": "online"}`)
		s.await(who, "presenceListener", `{"fromUserJid": "`+other+"@"+host+`", "status": "online"}`)
	}
}

// part waits until all others have been told that who has gone.
func (s *stage) part(who string, others ...string) {
	s.Helper()
	for _, other := range others {
		s.await(other, "presenceListener", `{"fromUserJid": "`+who+"@"+host+`", "status": "unavailable"}`)
	}
}
