package sdktest

import (
	"strings"
	"time"
)

// Step is a point of an exchange at which the server can be told to misbehave.
type Step string

// The steps, in the order in which a client meets them.
const (
	StepHTTPAccept Step = "http-accept" // a TCP connection to the HTTPS port (REST, WebSocket, signalling)
	StepHTTPTLS    Step = "http-tls"    // its TLS handshake
	StepREST       Step = "rest"        // the answer to a REST request
	StepUpgrade    Step = "upgrade"     // the answer to the WebSocket upgrade of /websocket
	StepAccept     Step = "accept"      // a TCP connection to an XMPP port
	StepTLS        Step = "tls"         // its TLS handshake, by STARTTLS or direct
	StepStream     Step = "stream"      // the answer to every stream header, WebSocket and TCP
	StepStartTLS   Step = "starttls"    // the answer to <starttls/>
	StepAuth       Step = "auth"        // the answer to <auth/> and <response/>
	StepBind       Step = "bind"        // the answer to the resource binding
	StepResume     Step = "resume"      // the answer to a resumption (Options.ResumeTimeout)
	StepIQ         Step = "iq"          // the answer to every later IQ
	StepSignal     Step = "signal"      // the answer to every request to /socket.io/, WebSocket upgrades among them
)

// FaultKind is how the server misbehaves.
type FaultKind string

// The kinds of misbehaviour. One that makes no sense at a step does nothing there.
const (
	FaultNone        FaultKind = ""             // behave
	FaultSilent      FaultKind = "silent"       // never answer, keep the connection
	FaultClose       FaultKind = "close"        // cut the connection instead of answering
	FaultError       FaultKind = "error"        // answer with the error of that step (HTTP 503, SASL failure, IQ error, stream error)
	FaultMalformed   FaultKind = "malformed"    // answer with what is not TLS, JSON, HTTP upgrade or XML
	FaultHuge        FaultKind = "huge"         // answer with far more than any client should take in: JSON without end, a 10 MiB stanza
	FaultSlow        FaultKind = "slow"         // from here on, write one byte every few milliseconds
	FaultWrongSender FaultKind = "wrong-sender" // answer in the name of somebody else; at the TLS steps: a stranger's certificate
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
		StepStartTLS, StepAuth, StepBind, StepResume, StepIQ, StepSignal,
	}
}

// FaultKinds are all kinds of misbehaviour, without FaultNone.
func FaultKinds() []FaultKind {
	return []FaultKind{FaultSilent, FaultClose, FaultError, FaultMalformed, FaultHuge, FaultSlow, FaultWrongSender}
}

// SetFault makes the server misbehave at step from now on; [FaultNone] ends it.
// Faults at different steps add up.
func (s *Server) SetFault(step Step, kind FaultKind) {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	if kind == FaultNone {
		delete(s.ctl.faults, step)
		return
	}
	s.ctl.faults[step] = kind
}

// ClearFaults ends every SetFault and FailNext, and the Delay.
func (s *Server) ClearFaults() {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	clear(s.ctl.faults)
	s.ctl.failures = nil
	s.ctl.delay = 0
}

// Delay makes the server wait d before it answers a REST request or a stanza.
func (s *Server) Delay(d time.Duration) {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	s.ctl.delay = d
}

// FailNext makes the next HTTP request to op fail with a status and a message.
// op is the path below the API base URL ("contacts/vcard", "login"), or
// "license/details", or "storage" for the parts and commits of chunked media.
// Downloads and storage fail with that HTTP status. Elsewhere 401, 429 and 5xx above 500 are HTTP statuses too (429 and
// 503 with Retry-After: 1); all others come the way the service sends business
// errors, as HTTP 200 with the status in the body (protocol.md 1.4). Called
// several times, it fails as many requests, in order.
func (s *Server) FailNext(op string, status int, message string) {
	s.ctl.mu.Lock()
	defer s.ctl.mu.Unlock()
	s.ctl.failures = append(s.ctl.failures, failure{op: strings.Trim(op, "/"), reply: reply{Status: status, Message: message}})
}

// failure is one FailNext that waits for its request.
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
