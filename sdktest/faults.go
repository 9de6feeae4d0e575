package sdktest

import (
	"strings"
	"time"
)

// Step is a point of an exchange at which the server can be told to misbehave.
type Step string

// The steps, in the order in which a client meets them.
const (
	// StepHTTPAccept is a TCP connection to the HTTPS port (REST, WebSocket, signalling).
	StepHTTPAccept Step = "http-accept"
	// StepHTTPTLS is the TLS handshake of such a connection.
	StepHTTPTLS Step = "http-tls"
	// StepREST is the answer to a REST request.
	StepREST Step = "rest"
	// StepUpgrade is the answer to the WebSocket upgrade of /websocket.
	StepUpgrade Step = "upgrade"
	// StepAccept is a TCP connection to an XMPP port.
	StepAccept Step = "accept"
	// StepTLS is the TLS handshake of such a connection, by STARTTLS or direct.
	StepTLS Step = "tls"
	// StepStream is the answer to every stream header, over WebSocket and TCP.
	StepStream Step = "stream"
	// StepStartTLS is the answer to <starttls/>.
	StepStartTLS Step = "starttls"
	// StepAuth is the answer to <auth/> and <response/>.
	StepAuth Step = "auth"
	// StepBind is the answer to the resource binding.
	StepBind Step = "bind"
	// StepResume is the answer to a resumption (Options.ResumeTimeout).
	StepResume Step = "resume"
	// StepIQ is the answer to every later IQ.
	StepIQ Step = "iq"
	// StepMessage is the answer to a message with a body, which the server has taken: the
	// acknowledgement. FaultSilent loses it, FaultError refuses the message instead.
	StepMessage Step = "message"
	// StepDelivery is a message with a body on its way to its receiver, after the server has taken
	// it. FaultSilent loses it. With FaultError its sender gets an error after the
	// acknowledgement, as when the receiver's server cannot deliver it.
	StepDelivery Step = "delivery"
	// StepSignal is the answer to every request to /socket.io/, WebSocket upgrades among them.
	StepSignal Step = "signal"
)

// FaultKind is how the server misbehaves.
type FaultKind string

// The kinds of misbehaviour. A kind that makes no sense at a step does nothing there.
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
	// FaultHeld: it sends messages, or acknowledgements, only when the fault ends, in their order.
	// It holds up to 1,000 of them.
	FaultHeld FaultKind = "held"
	// FaultReordered: it holds every other message to a user until it has delivered the next one.
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
		StepHTTPAccept, StepHTTPTLS, StepREST, StepUpgrade, StepAccept, StepTLS, StepStream,
		StepStartTLS, StepAuth, StepBind, StepResume, StepIQ, StepMessage, StepDelivery, StepSignal,
	}
}

// FaultKinds are all kinds of misbehaviour, without FaultNone.
func FaultKinds() []FaultKind {
	return []FaultKind{
		FaultSilent, FaultClose, FaultError, FaultMalformed, FaultHuge, FaultSlow, FaultWrongSender,
		FaultTwice, FaultHeld, FaultReordered,
	}
}

// SetFault makes the server misbehave at step from now on; [FaultNone] ends it.
// Faults at different steps add up.
func (s *Server) SetFault(step Step, kind FaultKind) {
	s.ctl.setFault(step, kind)
	s.hub.release(step)
}

func (c *control) setFault(step Step, kind FaultKind) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if kind == FaultNone {
		delete(c.faults, step)
		return
	}
	c.faults[step] = kind
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
}

// RefuseNextMessage makes the server refuse the next message with a body: its sender gets an error
// with that condition (RFC 6120 8.3.3), such as "policy-violation". After several calls as many
// messages are refused, in the order of the calls.
func (s *Server) RefuseNextMessage(condition string) {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	s.ctl.refusals = append(s.ctl.refusals, condition)
}

// takeRefusal uses up the first RefuseNextMessage. Empty: there is none.
func (s *Server) takeRefusal() (condition string) {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	if len(s.ctl.refusals) > 0 {
		condition, s.ctl.refusals = s.ctl.refusals[0], s.ctl.refusals[1:]
	}
	return condition
}

// Delay makes the server wait d before it answers a REST request or a stanza.
func (s *Server) Delay(d time.Duration) {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	s.ctl.delay = d
}

// FailNext makes the next HTTP request to op fail with a status and a message. After several calls
// as many requests fail, in the order of the calls.
//
// op is the path below the API base URL ("contacts/vcard", "login"), or "license/details", or
// "storage" for the parts and commits of chunked media. Downloads and storage fail with that HTTP
// status. For other requests 401, 429 and 5xx above 500 are HTTP statuses too (429 and 503 with
// Retry-After: 1). All other statuses are sent as the service sends business errors: HTTP 200 with
// the status in the body (protocol.md 1.4).
func (s *Server) FailNext(op string, status int, message string) {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	f := failure{op: strings.Trim(op, "/"), reply: reply{Status: status, Message: message}}
	s.ctl.failures = append(s.ctl.failures, f)
}

// failure is a FailNext that waits for its request.
type failure struct {
	op    string
	reply reply
}

func (s *Server) fault(step Step) FaultKind {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	return s.ctl.faults[step]
}

// takeFailure finds and uses up the first failure that waits for op.
func (s *Server) takeFailure(op string) (reply, bool) {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	for i, f := range s.ctl.failures {
		if op == f.op || strings.HasPrefix(op, f.op+"/") {
			s.ctl.failures = append(s.ctl.failures[:i:i], s.ctl.failures[i+1:]...)
			return f.reply, true
		}
	}
	return reply{}, false
}

func (s *Server) currentDelay() time.Duration {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	return s.ctl.delay
}
