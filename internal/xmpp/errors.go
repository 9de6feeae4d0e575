package xmpp

import (
	"errors"
	"slices"
	"strings"

	"github.com/mirrorfly-go/sdk/internal/frames"
	"github.com/mirrorfly-go/sdk/internal/plain"
	"github.com/mirrorfly-go/sdk/internal/xmltext"
)

// What callers branch on. Match them with [errors.Is].
var (
	// ErrClosed ends a session that was ended by [Session.Close].
	ErrClosed = errors.New("session closed")
	// ErrNotConnected fails what is asked of a session that has ended. The same
	// error matches the reason for which it ended.
	ErrNotConnected = errors.New("not connected")
	// ErrRequestSize refuses a request that is larger than a stanza may be.
	ErrRequestSize = errors.New("request larger than 1 MiB")
	// ErrInsecure refuses a connection without TLS; see Config.AllowInsecure.
	ErrInsecure = errors.New("connection without TLS")
)

var (
	errMalformed    = xmltext.ErrMalformed
	errTooLarge     = frames.ErrTooLarge
	errWriteStuck   = frames.ErrStuck
	errServerClosed = errors.New("server closed the stream")
	errNoAnswer     = errors.New("server does not answer pings")
	errWriteBroken  = errors.New("writing was broken off")
	errServedTwice  = errors.New("Serve called twice")
	errNoRoom       = errors.New("much is to be written")
)

// maxErrorText is how much of a server's own words an error repeats, in bytes.
const maxErrorText = 256

// StanzaError is a refused request (RFC 6120 8.3).
type StanzaError struct {
	// Type is cancel, auth, modify, wait or continue.
	Type string
	// Condition is e.g. "item-not-found", and "undefined-condition" when the server gave none.
	Condition string
	// Text is the server's own, and often empty.
	Text string
}

// Error reads "condition (type): text".
func (e *StanzaError) Error() string {
	return describe(e.Condition+" ("+e.Type+")", e.Text)
}

// Breakdown reports whether the server failed, instead of refusing: the request may have taken
// effect.
func (e *StanzaError) Breakdown() bool {
	return e.Condition == "internal-server-error" || e.Condition == "remote-server-timeout" ||
		e.Condition == "undefined-condition"
}

// Known reports whether the condition is one of RFC 6120 8.3.3.
func (e *StanzaError) Known() bool { return slices.Contains(stanzaConditions, e.Condition) }

var stanzaConditions = []string{
	"bad-request", "conflict", "feature-not-implemented", "forbidden", "gone", "internal-server-error",
	"item-not-found", "jid-malformed", "not-acceptable", "not-allowed", "not-authorized", "policy-violation",
	"recipient-unavailable", "redirect", "registration-required", "remote-server-not-found",
	"remote-server-timeout", "resource-constraint", "service-unavailable", "subscription-required",
	"undefined-condition", "unexpected-request",
}

// MessageRefused is the refusal of a message: whatever its condition, the message has not arrived.
type MessageRefused struct{ *StanzaError }

// Unwrap returns the [*StanzaError].
func (e *MessageRefused) Unwrap() error { return e.StanzaError }

// StreamError is why the server gave up the stream (RFC 6120 4.9), e.g.
// "conflict" when the same resource logged in again.
type StreamError struct {
	Condition string
	Text      string
}

// Error reads "stream error: condition: text".
func (e *StreamError) Error() string {
	return describe("stream error: "+e.Condition, e.Text)
}

// Final reports whether trying again cannot mend it: the server has replaced this session by
// another of the same user, or removed the account (RFC 6120 4.9.3.3 and 4.9.3.12).
func (e *StreamError) Final() bool {
	return e.Condition == "conflict" || e.Condition == "not-authorized"
}

// AuthError is a login that was refused, by the server (then Condition is its
// condition) or by this side (then Err says why the server is not trusted).
type AuthError struct {
	// Step is "sasl", "bind" or "session".
	Step string
	// Condition is e.g. "not-authorized", and empty when Err is set.
	Condition string
	// Text is the server's own, and often empty.
	Text string
	// Err is why this side gave up. nil: the server did.
	Err error

	// wait: it is a bind or session error of type "wait".
	wait bool
}

// Error reads "step refused: condition: text".
func (e *AuthError) Error() string {
	if e.Err != nil {
		return e.Step + " failed: " + e.Err.Error()
	}
	return describe(e.Step+" refused: "+e.Condition, e.Text)
}

// Unwrap returns why this side gave up, or nil.
func (e *AuthError) Unwrap() error { return e.Err }

// Final reports whether the same credentials will be refused again, at every address. A server
// that cannot say now, or that did not prove who it is, leaves that open. If it refuses the
// resource because an older session holds that (RFC 6120 7.7.2.2), it does so until it has noticed
// that the older session is dead.
func (e *AuthError) Final() bool {
	held := e.Step == "bind" && e.Condition == "conflict"
	return !e.wait && !held && e.Condition != "temporary-auth-failure" && (e.Err == nil || e.Step == "bind")
}

// streamError reads a stream error. One that only names another host is a redirect.
func streamError(st *stanza) error {
	c := conditionIn(st.Element, nsStreams)
	if c.name == "see-other-host" && c.content != "" {
		return &redirect{to: c.content}
	}
	return &StreamError{Condition: c.name, Text: c.text}
}

// redirect is a server's wish, while the session is being set up, that we go elsewhere:
// see-other-uri of <close/> (RFC 7395 3.6.1), or the host of a see-other-host stream error (RFC
// 6120 4.9.3.19).
type redirect struct{ to string }

func (r *redirect) Error() string { return "server sends us elsewhere too often" }

func describe(what, text string) string {
	if text == "" {
		return what
	}
	return what + ": " + text
}

// clip makes a text of the server fit for a log line.
func clip(text string) string { return strings.Clone(plain.Clip(text, maxErrorText)) }

// failures are why there is no session with any address. One of them stands for all: what a server
// says about the account is true for all addresses, and what is wrong with one address is not.
type failures struct {
	texts   []string
	telling error
}

func (f *failures) add(err error) {
	f.texts = append(f.texts, err.Error())
	if f.telling == nil || weight(err) > weight(f.telling) {
		f.telling = err
	}
}

// Error has the texts of all, in their order.
func (f *failures) Error() string { return strings.Join(f.texts, "; ") }

// Unwrap returns the one that stands for all.
func (f *failures) Unwrap() error { return f.telling }

// weight is how much a failure at one address says.
func weight(err error) int {
	var auth *AuthError
	var stream *StreamError
	switch {
	case errors.As(err, &auth) && auth.Final():
		return 4
	case errors.As(err, &stream) && stream.Final():
		return 3
	case auth != nil, stream != nil:
		return 2
	case errors.Is(err, ErrInsecure):
		// It comes from before TLS, so from anybody.
		return 0
	}
	return 1
}
