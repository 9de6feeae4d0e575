package faults

import (
	"errors"
	"fmt"
	"time"

	sdk "github.com/mirrorfly-go/sdk"
)

// want is what must come of a case.
type want struct {
	code    int   // 0: the call succeeds
	err     error // the sentinel; nil: there is none for it
	outcome sdk.Outcome
	limit   limit
	// regular expression of what is heard until all is well again: see letters; the pushes are P
	// and b
	trace string
}

// limit says by which of the configured timeouts a fault must have been noticed.
type limit struct {
	request, interval, timeout time.Duration // for the Config
	bound                      time.Duration // what the time is held against
}

// Four times the configured timeout is for machines that have other things to do.
const slack = 4

// callersTime is what a caller gives a call.
const callersTime = 3 * time.Second

// ofItself is what the library gives an address, or a TLS handshake, however much more a call has.
const ofItself = 15 * time.Second

var (
	// soon: what the other side shows is told at once, and not when the time is over.
	soon = limit{request: 30 * time.Second, bound: 30 * time.Second}
	// late: what the other side does not show is told when the time for the call is over.
	late = limit{request: 3 * time.Second, bound: ofItself - time.Second}
	// leftLate: the same, where the caller's context says how long that is.
	leftLate = limit{request: patience, bound: ofItself - time.Second}
	// thriceLate: each of three attempts stands still for that time, with up to 1.5 s between them.
	thriceLate = limit{request: 3 * time.Second, bound: slack * (3*3000 + 1500) * time.Millisecond}
	// unheard: a server that is silent is noticed by pings.
	unheard = limit{
		request: 30 * time.Second, interval: 250 * time.Millisecond, timeout: 3 * time.Second,
		bound: slack * 3250 * time.Millisecond,
	}
)

// The possible outcomes of a Connect that cannot reach XMPP. It is one call of several requests, of
// which the login has been made.
var (
	unreachable = want{err: sdk.ErrNotConnected, code: 500, outcome: sdk.OutcomeUnknown, limit: soon, trace: "FC"}
	timedOut    = want{err: sdk.ErrNetwork, code: 599, outcome: sdk.OutcomeUnknown, limit: late, trace: "FC"}
	denied      = want{err: sdk.ErrInvalidCredentials, code: 401, outcome: sdk.OutcomeRefused, limit: soon, trace: "AC"}
	connected   = want{limit: soon, trace: "C"}
)

// noLogin is what comes of a Connect whose login does not reach the service. There are no events:
// nothing was connected.
func noLogin(l limit) want {
	return want{err: sdk.ErrNetwork, code: 599, outcome: sdk.OutcomeNotSent, limit: l, trace: "C"}
}

// What may come of a call that leaves the connection alone.
var (
	works      = want{limit: soon, trace: "C"}
	unanswered = want{err: sdk.ErrNetwork, code: 599, outcome: sdk.OutcomeUnknown, limit: late, trace: "C"}
	left       = want{err: sdk.ErrNetwork, code: 599, outcome: sdk.OutcomeUnknown, limit: leftLate, trace: "C"}
	stuck      = want{err: sdk.ErrNetwork, code: 599, outcome: sdk.OutcomeUnknown, limit: thriceLate, trace: "C"}
	broken     = want{err: sdk.ErrNetwork, code: 599, outcome: sdk.OutcomeUnknown, limit: soon, trace: "C"}
	// readLost is broken for GetUserProfile, which has one code for all that is no profile
	// (protocol.md 5.1).
	readLost  = want{err: sdk.ErrNetwork, code: 500, outcome: sdk.OutcomeUnknown, limit: soon, trace: "C"}
	senseless = want{code: 500, outcome: sdk.OutcomeUnknown, limit: soon, trace: "C"}
)

// refusal is what the service has answered.
func refusal(code int, o sdk.Outcome) want {
	return want{code: code, outcome: o, limit: soon, trace: "C"}
}

// sent is w with another outcome.
func (w want) sent(o sdk.Outcome) want {
	w.outcome = o
	return w
}

// within is w with another limit: the answer to bind is all that a client waits for there, and
// short.
func (w want) within(l limit) want {
	w.limit = l
	return w
}

// What may come of a connection that works. kept: nothing.
var kept = want{limit: soon, trace: "Cb"}

// lost: it is made again, and what was pushed meanwhile is missed.
func lost(l limit) want { return want{limit: l, trace: "CD(RF)*RCG"} }

// taken: the stream is resumed and goes on, with what was pushed.
func taken(l limit, pushed string) want { return want{limit: l, trace: "CD(RF)*RCr" + pushed} }

// during is what comes of a call meanwhile.
func (w want) during(code int, err error, o sdk.Outcome) want {
	w.code, w.err, w.outcome = code, err, o
	return w
}

// sentinels are the names of what errors may stand for.
var sentinels = []struct {
	name string
	err  error
}{
	{"ErrNotConnected", sdk.ErrNotConnected},
	{"ErrNetwork", sdk.ErrNetwork},
	{"ErrInvalidCredentials", sdk.ErrInvalidCredentials},
	{"ErrInvalidArgument", sdk.ErrInvalidArgument},
	{"ErrRateLimited", sdk.ErrRateLimited},
	{"ErrClosed", sdk.ErrClosed},
	{"ErrInsecure", sdk.ErrInsecure},
	{"ErrQRExpired", sdk.ErrQRExpired},
}

func describe(err error) string {
	var e *sdk.Error
	if err == nil {
		return "ok"
	}
	if !errors.As(err, &e) {
		return err.Error()
	}
	out := fmt.Sprintf("%d", e.StatusCode)
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			out += " " + s.name
		}
	}
	return out + ", " + e.Outcome.String()
}

func (w want) String() string {
	if w.code == 0 {
		return "ok " + w.trace
	}
	out := fmt.Sprint(w.code)
	for _, s := range sentinels {
		if w.err != nil && errors.Is(w.err, s.err) {
			out += " " + s.name
		}
	}
	return out + ", " + w.outcome.String() + " " + w.trace
}
