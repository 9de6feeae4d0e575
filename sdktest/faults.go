package sdktest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Step is a point of an exchange at which the server can be told to misbehave.
//
// What a client has asked for has taken effect before the fault at some steps, and not at others:
// the comment of each says it. By that a test can tell what became of a call whose outcome the
// client does not know. [FaultSlow], and every fault that does nothing at a step, changes nothing
// of what takes effect.
type Step string

// The steps, in the order in which a client meets them.
const (
	// StepHTTPAccept is a TCP connection to the HTTPS port (REST, WebSocket, signalling). Nothing
	// was asked yet.
	StepHTTPAccept Step = "http-accept"
	// StepHTTPTLS is the TLS handshake of such a connection. Nothing was asked yet.
	StepHTTPTLS Step = "http-tls"
	// StepREST is the answer to a REST request that is not carried out: with every fault it has no
	// effect.
	StepREST Step = "rest"
	// StepRESTAfter is the answer to a REST request that is carried out first: its change has taken
	// effect and is saved, also when the answer is FaultError. Requests that FailNext fails do not
	// come here.
	StepRESTAfter Step = "rest-after"
	// StepUpgrade is the answer to the WebSocket upgrade of /websocket. Nothing has taken effect.
	StepUpgrade Step = "upgrade"
	// StepAccept is a TCP connection to an XMPP port. Nothing was asked yet.
	StepAccept Step = "accept"
	// StepTLS is the TLS handshake of such a connection, by STARTTLS or direct. Nothing was asked
	// yet.
	StepTLS Step = "tls"
	// StepStream is the answer to every stream header, over WebSocket and TCP. Nothing has taken
	// effect.
	StepStream Step = "stream"
	// StepStartTLS is the answer to <starttls/>. Nothing has taken effect.
	StepStartTLS Step = "starttls"
	// StepAuth is the answer to <auth/> and <response/>. The user is not logged in.
	StepAuth Step = "auth"
	// StepBind is the answer to the resource binding. There is no session, so that
	// Server.Resources does not have it, unless with FaultWrongSender.
	StepBind Step = "bind"
	// StepResume is the answer to a resumption (Options.ResumeTimeout). The stream is not resumed,
	// and can still be.
	StepResume Step = "resume"
	// StepIQBefore is an IQ request, before the server has carried it out. With FaultClose,
	// FaultSilent and FaultError it has no effect; with FaultSilent the server reads nothing more
	// from this connection. Other faults do nothing here.
	StepIQBefore Step = "iq-before"
	// StepIQ is the answer to every IQ after the binding. A change has taken effect and is saved,
	// and contacts are told of it. But with FaultError the request is refused and has no effect.
	StepIQ Step = "iq"
	// StepMessageBefore is a message with a body, before the server has taken it. All is as at
	// StepIQBefore.
	StepMessageBefore Step = "message-before"
	// StepMessage is the answer to a message with a body: the acknowledgement. The server has taken
	// the message and delivers it. But FaultError refuses the message instead: then nobody gets it.
	// FaultSilent loses the acknowledgement.
	StepMessage Step = "message"
	// StepDelivery is a message with a body on its way to its receiver, after the server has taken
	// and acknowledged it: Server.Messages has it. FaultSilent loses it. With FaultError its sender
	// gets an error after the acknowledgement, as when the receiver's server cannot deliver it.
	// With FaultTwice, FaultHeld, FaultReordered and FaultWrongSender the receiver gets it. Other
	// faults do nothing here.
	StepDelivery Step = "delivery"
	// StepSignal is the answer to every request to /socket.io/, WebSocket upgrades among them. What
	// the request has brought does not count.
	StepSignal Step = "signal"
)

// FaultKind is how the server misbehaves.
type FaultKind string

// The kinds of misbehaviour. A kind that makes no sense at a step does nothing there. What has
// taken effect before a fault depends on the [Step].
const (
	// FaultNone: the server behaves.
	FaultNone FaultKind = ""
	// FaultSilent: it never answers, and keeps the connection open.
	FaultSilent FaultKind = "silent"
	// FaultClose: it cuts the connection instead of answering.
	FaultClose FaultKind = "close"
	// FaultError: it answers with the error of that step (HTTP 503, SASL failure, IQ error, stream
	// error).
	FaultError FaultKind = "error"
	// FaultMalformed: it answers with something that is not TLS, JSON, an HTTP upgrade or XML.
	FaultMalformed FaultKind = "malformed"
	// FaultHuge: it answers with far more than a client should accept: endless JSON, a stanza of
	// 10 MiB.
	FaultHuge FaultKind = "huge"
	// FaultSlow: from here on it writes one byte every few milliseconds.
	FaultSlow FaultKind = "slow"
	// FaultWrongSender: it answers in the name of somebody else. At the TLS steps it has the
	// certificate of an authority that the client does not trust.
	FaultWrongSender FaultKind = "wrong-sender"
	// FaultTwice: it sends every message, or every acknowledgement, twice.
	FaultTwice FaultKind = "twice"
	// FaultHeld: it sends messages, or acknowledgements, only when SetFault is called again for
	// their step, or ClearFaults, in their order. It holds up to 1,000 of them.
	FaultHeld FaultKind = "held"
	// FaultReordered: it holds a message to a user until it has delivered the next one to that
	// user: every other message, or with Match.Nth one.
	FaultReordered FaultKind = "reordered"
)

const (
	hugeStanza   = 10 << 20
	slowInterval = 5 * time.Millisecond
	strangerJID  = "mallory@stranger.example/evil"
	garbage      = "<<<not what you hoped for>>>\r\n"
)

// Steps are all steps, in the order in which a client meets them.
func Steps() []Step {
	return []Step{
		StepHTTPAccept, StepHTTPTLS, StepREST, StepRESTAfter, StepUpgrade, StepAccept, StepTLS,
		StepStream, StepStartTLS, StepAuth, StepBind, StepResume, StepIQBefore, StepIQ,
		StepMessageBefore, StepMessage, StepDelivery, StepSignal,
	}
}

// FaultKinds are all kinds of misbehaviour, without FaultNone.
func FaultKinds() []FaultKind {
	return []FaultKind{
		FaultSilent, FaultClose, FaultError, FaultMalformed, FaultHuge, FaultSlow, FaultWrongSender,
		FaultTwice, FaultHeld, FaultReordered,
	}
}

// SetFault makes the server misbehave at step from now on; [FaultNone] ends it. Faults at different
// steps add up.
//
// With a [Match] only what fits it meets the fault; with several, what fits one of them. Then there
// may be several faults at one step: a request meets the one that was set last, of those that it
// fits. A fault takes the place of one with the same Match. FaultNone with a Match ends the fault
// with that Match, and without one all faults at the step.
//
//	srv.SetFault(sdktest.StepREST, sdktest.FaultClose) // every REST request
//	// the requests of alice over XMPP
//	srv.SetFault(sdktest.StepIQ, sdktest.FaultSilent, sdktest.Match{User: "alice"})
//	// the third message
//	srv.SetFault(sdktest.StepMessage, sdktest.FaultClose, sdktest.Match{Nth: 3})
//	// the next two blocks
//	srv.SetFault(sdktest.StepIQ, sdktest.FaultError, sdktest.Match{Op: "block", Times: 2})
//
// SetFault panics, and sets nothing, when the step, the kind or the form of a Match cannot be:
// otherwise a test with a slip of the pen would prove nothing. Examples are a User at StepAccept or
// of another domain, an Op "POST" without a path, and the type "Text" of a message.
func (s *Server) SetFault(step Step, kind FaultKind, only ...Match) {
	matches, err := s.wellFormed(step, kind, only)
	if err != nil {
		panic(fmt.Sprintf("sdktest: set fault %q at %s: %v", kind, step, err))
	}
	if len(only) == 0 && kind == FaultNone {
		s.ctl.endFaults(step)
	}
	for _, m := range matches {
		s.ctl.setFault(step, kind, m)
	}
	s.hub.release(step)
}

// wellFormed are the matches of a SetFault, in the form in which they are compared. It fails when
// one of them, the step or the kind cannot be.
func (s *Server) wellFormed(step Step, kind FaultKind, only []Match) (all []Match, err error) {
	if kind != FaultNone && !slices.Contains(FaultKinds(), kind) {
		return nil, errors.New("there is no such kind")
	}
	if len(only) == 0 {
		only = []Match{{}}
	}
	for _, m := range only {
		if m, err = m.normal(step, s.domain); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// fault is a SetFault that has not ended.
type fault struct {
	kind  FaultKind
	match Match
	// fit is how many requests have fit match since the fault was set.
	fit int
}

func (c *control) setFault(step Step, kind FaultKind, m Match) {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := slices.DeleteFunc(c.faults[step], func(f *fault) bool { return f.match == m })
	if kind != FaultNone {
		list = append(list, &fault{kind: kind, match: m})
	}
	c.keepFaultsLocked(step, list)
}

func (c *control) endFaults(step Step) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keepFaultsLocked(step, nil)
}

// keepFaultsLocked notes the faults at a step, the latest last. c.mu must be held.
func (c *control) keepFaultsLocked(step Step, list []*fault) {
	if len(list) == 0 {
		delete(c.faults, step)
	} else {
		c.faults[step] = list
	}
	c.changes.tell()
}

// ClearFaults ends every SetFault, FailNext and RefuseNextMessage, and the Delay.
func (s *Server) ClearFaults() {
	s.ctl.clearFaults()
	s.hub.release(StepMessage)
	s.hub.release(StepDelivery)
}

func (c *control) clearFaults() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.faults)
	c.failures, c.refusals = nil, nil
	c.delay = 0
	c.changes.tell()
}

// RefuseNextMessage makes the server refuse the next message with a body: its sender gets an error
// with that condition (RFC 6120 8.3.3), such as "policy-violation". After several calls as many
// messages are refused, in the order of the calls.
func (s *Server) RefuseNextMessage(condition string) {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	s.ctl.refusals = append(s.ctl.refusals, condition)
	s.changes.tell()
}

// takeRefusal uses up the first RefuseNextMessage. Empty: there is none.
func (s *Server) takeRefusal() (condition string) {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	if len(s.ctl.refusals) > 0 {
		condition, s.ctl.refusals = s.ctl.refusals[0], s.ctl.refusals[1:]
		s.changes.tell()
	}
	return condition
}

// Delay makes the server wait d before it answers a REST request or a stanza.
func (s *Server) Delay(d time.Duration) {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	s.ctl.delay = d
	s.changes.tell()
}

// FailNext makes the next HTTP request to op fail with a status and a message. After several calls
// as many requests fail, in the order of the calls.
//
// op is the path below the API base URL ("contacts/vcard", "login"), or "license/details", or
// "storage" for the parts and commits of chunked media. Downloads and storage fail with that HTTP
// status. For other requests 401, 429 and 5xx above 500 are HTTP statuses too. All other statuses
// are sent as the service sends business errors: HTTP 200 with the status in the body (protocol.md
// 1.4).
//
// The answer has the header that is given. Without a Retry-After in it, 429 and 503 have
// "Retry-After: 1"; a Retry-After without a value leaves it out:
//
//	srv.FailNext("login", 429, "Slow down", http.Header{"Retry-After": {"120"}})
//	srv.FailNext("login", 503, "", http.Header{"Retry-After": {"Fri, 31 Dec 2049 23:59:59 GMT"}})
//	srv.FailNext("login", 429, "Slow down", http.Header{"Retry-After": nil})
//
// The request is not carried out: it has no effect.
func (s *Server) FailNext(op string, status int, message string, header ...http.Header) {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	f := failure{op: strings.Trim(op, "/"), reply: reply{Status: status, Message: message}, header: http.Header{}}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		f.header.Set("Retry-After", "1")
	}
	for _, h := range header {
		for name, values := range h {
			f.header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
		}
	}
	s.ctl.failures = append(s.ctl.failures, f)
	s.changes.tell()
}

// failure is a FailNext that waits for its request.
type failure struct {
	op     string
	reply  reply
	header http.Header
}

// fault is the fault that something meets at a step. It has to be asked once for each thing,
// because it counts them.
func (s *Server) fault(step Step, about subject) (kind FaultKind) {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	list := s.ctl.faults[step]
	if len(list) == 0 {
		return FaultNone
	}
	var left []*fault
	for _, f := range list {
		if about.fits(f.match) {
			f.fit++
			if f.match.meets(f.fit) {
				kind = f.kind // that of the last one stays
			}
		}
		if !f.match.usedUp(f.fit) {
			left = append(left, f)
		}
	}
	if len(left) < len(list) {
		s.ctl.keepFaultsLocked(step, left)
	}
	return kind
}

// takeFailure finds and uses up the first failure that waits for op.
func (s *Server) takeFailure(op string) (failure, bool) {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	for i, f := range s.ctl.failures {
		if underPath(op, f.op) {
			s.ctl.failures = append(s.ctl.failures[:i:i], s.ctl.failures[i+1:]...)
			s.changes.tell()
			return f, true
		}
	}
	return failure{}, false
}

func (s *Server) currentDelay() time.Duration {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	return s.ctl.delay
}
