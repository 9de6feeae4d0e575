package sdk

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk/internal/frames"
	"github.com/mirrorfly-go/sdk/internal/httpguard"
	"github.com/mirrorfly-go/sdk/internal/plain"
	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/signal"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// What callers branch on. Match them with [errors.Is]: every error of this package is an [*Error],
// and most stand for one of these. A connection that cannot be made stands for both ErrNotConnected
// and ErrNetwork. A call that fails because its session was replaced stands for both
// ErrNotConnected and ErrReplaced.
var (
	// ErrInvalidArgument is 400, before any network call.
	ErrInvalidArgument = errors.New("invalid argument")
	// ErrNotRegistered is 400: Connect was not called, or the account is gone.
	ErrNotRegistered = errors.New("not registered")
	// ErrNotConnected is 500: there is no XMPP connection, or it went away.
	ErrNotConnected = errors.New("not connected")
	// ErrReplaced is 500: another session has taken this one's place. It does not come back.
	ErrReplaced = errors.New("replaced by another session")
	// ErrInvalidCredentials is 400 or 401: a wrong user name or password.
	ErrInvalidCredentials = errors.New("invalid credentials")
	// ErrBlockedByAdmin is 403 from Connect and Register.
	ErrBlockedByAdmin = errors.New("blocked by admin")
	// ErrFeatureUnavailable is 403: the plan lacks the feature.
	ErrFeatureUnavailable = errors.New("feature not in plan")
	// ErrMaxSessions is 405 or 403 from Register.
	ErrMaxSessions = errors.New("maximum sessions reached")
	// ErrAlreadyLoggedIn is 409 from Connect.
	ErrAlreadyLoggedIn = errors.New("already logged in")
	// ErrUserNotFound is 400 from GetUserProfile.
	ErrUserNotFound = errors.New("user not found")
	// ErrRateLimited is 429, see Error.RetryAfter.
	ErrRateLimited = errors.New("rate limited")
	// ErrNetwork is 599 for what was not reached in time, or the code of a gateway.
	ErrNetwork = errors.New("network failure")
	// ErrInsecure is 400: set Config.AllowInsecure to permit an unencrypted connection.
	ErrInsecure = errors.New("unencrypted connection")
	// ErrForeignURL is 400: a file is at a URL that another user has chosen. Set
	// Config.FetchForeignURLs to fetch it all the same.
	ErrForeignURL = errors.New("URL of another user")
	// ErrQRExpired is 410: nobody has scanned the code in time.
	ErrQRExpired = errors.New("QR code expired")
	// ErrClosed is 500, after Close.
	ErrClosed = errors.New("client is closed")

	// What goes wrong at the first connect, mostly.

	// ErrInvalidLicense is 400: the service does not accept Config.LicenseKey; 500: its answer is
	// not sealed with that key.
	ErrInvalidLicense = errors.New("invalid licence key")
	// ErrLicenseMode is 400 from Register: Config.TrialLicense does not fit the licence key.
	ErrLicenseMode = errors.New("trial mode and licence key do not fit")
	// ErrNotService comes with ErrNetwork: something else answers in place of the service or the
	// XMPP server, such as another site or the login page of a network.
	ErrNotService = errors.New("not the service that answers")
	// ErrCertificate comes with ErrNetwork: the server's certificate is not trusted, not valid now,
	// or that of another name.
	ErrCertificate = errors.New("certificate is not valid")
	// ErrProxy comes with ErrNetwork: a proxy was not reached, or refused to connect.
	ErrProxy = errors.New("proxy refused")
	// ErrClock comes with ErrNetwork: a licensed login was refused while the clock here is off
	// (protocol.md 4.2), so the password may be right.
	ErrClock = errors.New("clock is off")
)

// Error is what went wrong, with the code and the text that the JavaScript SDK would have returned.
type Error struct {
	// Op is the method, such as "GetLastSeen".
	Op string
	// StatusCode is the number that the JavaScript SDK would return.
	StatusCode int
	// Message is the text that it would return.
	Message string
	// Condition is the XMPP error condition, such as "item-not-found"; empty for REST.
	Condition string
	// Argument is what ErrInvalidArgument is about, under its name in Go: an argument such as
	// "userJID", a field of one such as "Email", or an option such as "WithTopic". Message has the
	// JavaScript SDK's name for it where the text is that SDK's. Empty: it is not known.
	Argument string
	// Outcome says what became of the call; see also Retryable.
	Outcome Outcome
	// RetryAfter is how long to wait until the next try, when the service said so.
	RetryAfter time.Duration
	// Err is the cause.
	Err error

	kind error // the sentinel or sentinels that this error matches
	// httpStatus is that of the answer; 0: there was none. overREST: it was a REST call. Both are
	// for advice.
	httpStatus int
	overREST   bool
	// spent: the call cannot be made as it was. Its context has ended, or its writer has a part.
	spent bool
}

// Error reads "sdk: Op: Message (StatusCode): argument: condition: cause; what to do about it", as
// one printable line whatever a server has written. What Message or the cause name already is left
// out.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "sdk: %s: %s (%d)", e.Op, e.Message, e.StatusCode)
	cause := ""
	if e.Err != nil {
		cause = e.Err.Error()
	}
	if !strings.Contains(e.Message+" "+cause, e.Argument) {
		b.WriteString(": argument " + e.Argument)
	}
	if !strings.Contains(cause, e.Condition) {
		b.WriteString(": " + e.Condition)
	}
	if cause != "" {
		b.WriteString(": " + cause)
	}
	if text := e.advice(); text != "" {
		b.WriteString("; " + text)
	}
	return plain.Text(b.String())
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is a sentinel of this package that e stands for, or an *Error
// whose non-zero Op, StatusCode, Message, Condition and Argument all equal e's.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	if !ok {
		return e.is(target)
	}
	return (t.Op == "" || t.Op == e.Op) &&
		(t.StatusCode == 0 || t.StatusCode == e.StatusCode) &&
		(t.Message == "" || t.Message == e.Message) &&
		(t.Condition == "" || t.Condition == e.Condition) &&
		(t.Argument == "" || t.Argument == e.Argument)
}

func (e *Error) is(kind error) bool { return e.kind != nil && errors.Is(e.kind, kind) }

// sentinel is the error of this package that e stands for, of several the one that says most; nil:
// none.
func (e *Error) sentinel() error {
	if joined, several := e.kind.(interface{ Unwrap() []error }); several {
		kinds := joined.Unwrap()
		return kinds[len(kinds)-1]
	}
	return e.kind
}

// Codes of the JavaScript SDK that are not HTTP's (protocol.md 1.4).
const (
	statusOK        = http.StatusOK
	statusCancelled = 499
	statusNetwork   = 599
)

const (
	textConnection = "Connection Error"
	textInsecure   = "Unencrypted connection refused, set Config.AllowInsecure to permit it"
	textForeign    = "File is not at a URL of the service, set Config.FetchForeignURLs to fetch it"
)

// The fixed answers of protocol.md 1.6, of a closed client and of a client that is connected.
var (
	errNotRegistered = notSent(http.StatusBadRequest, ErrNotRegistered, "Not registered with MirrorFly SDK, "+
		"Please call SDK.register() or SDK.connect() method before call this function")
	errNotConnected    = notSent(http.StatusInternalServerError, ErrNotConnected, textConnection)
	errClosed          = notSent(http.StatusInternalServerError, ErrClosed, "Client is closed")
	errFeature         = refused(http.StatusForbidden, ErrFeatureUnavailable, "Feature unavailable for your plan")
	errAlreadyLoggedIn = refused(http.StatusConflict, ErrAlreadyLoggedIn, "Already Logged In")
	errQRExpired       = refused(http.StatusGone, ErrQRExpired, "QR code expired")
	// errQRClosed ends the waiting for a phone: QRLogin.Close was called.
	errQRClosed = &Error{StatusCode: http.StatusInternalServerError, Message: "QR login is closed", kind: ErrClosed}
)

func notSent(code int, kind error, text string) *Error {
	return &Error{StatusCode: code, Message: text, Outcome: OutcomeNotSent, kind: kind}
}

func refused(code int, kind error, text string) *Error {
	return &Error{StatusCode: code, Message: text, Outcome: OutcomeRefused, kind: kind}
}

// invalid refuses the argument of that name.
func invalid(argument, format string, args ...any) *Error {
	e := notSent(http.StatusBadRequest, ErrInvalidArgument, fmt.Sprintf(format, args...))
	e.Argument = argument
	return e
}

// insecure refuses what would not be encrypted; err says where that is.
func insecure(err error) *Error {
	return because(notSent(http.StatusBadRequest, ErrInsecure, textInsecure), err)
}

// because is e with a cause.
func because(e *Error, err error) *Error {
	with := *e
	with.Err = err
	return &with
}

// loginOver is for what goes on after its login has ended, also when somebody else has logged in
// since.
func loginOver() *Error { return because(errNotRegistered, rest.ErrLoginOver) }

// errEnded is the cause of a call that fails because the session does not come back by itself.
var errEnded = errors.New("the session has ended for good")

// endedForGood is the error of such a call; why is what the last ConnectionEvent told, nil:
// nothing.
func endedForGood(why *Error) *Error {
	if why == nil {
		return because(errNotConnected, errEnded)
	}
	e := because(errNotConnected, errEnded)
	e.Condition = why.Condition
	if why.Err != nil {
		// The text alone: what ended an attempt then, a deadline for example, has not ended this
		// call.
		e.Err = fmt.Errorf("%w: %v", errEnded, why.Err)
	}
	for _, kind := range []error{ErrReplaced, ErrInvalidCredentials} {
		if why.is(kind) {
			e.kind = errors.Join(ErrNotConnected, kind)
		}
	}
	return e
}

var errNoXMPPHost = errors.New("the service has told no XMPP host; set Config.XMPPHost")

// clockError is a login that was refused while our clock is off. In licensed mode the password
// carries the time (protocol.md 4.2), so the refusal says nothing about the password: it may be
// taken when the clock is right again.
type clockError struct {
	refusal error // nil: the answer of the service
	off     time.Duration
}

func (e *clockError) Error() string {
	off := e.off.Round(time.Minute) // the service tells whole seconds, some time ago
	text := fmt.Sprintf("the clock here is off by %v, as the service tells the time: that may be why", off)
	if e.refusal != nil {
		text = e.refusal.Error() + "; " + text
	}
	return text
}

func (e *clockError) Unwrap() error { return e.refusal }

// step is the part of a call that has failed: the same failure means other things in other steps.
type step int

const (
	stepAny     step = iota
	stepConfig       // GET /users/config
	stepConnect      // dialling, SASL and bind, and the life of a session
	stepSignal       // the signalling server
	stepRequest      // a REST call whose every refusal is 500 in the JavaScript SDK
)

type stepError struct {
	step step
	error
}

func (e *stepError) Unwrap() error { return e.error }

// in says in which step err was met. An *Error says all that is to be said already.
func in(s step, err error) error {
	if _, own := err.(*Error); own || err == nil {
		return err
	}
	return &stepError{s, err}
}

// failure is what a call has run into, taken apart for the table.
type failure struct {
	step   step
	err    error
	ended  error             // why the call's context has ended; nil: it has not
	closed bool              // it has ended by Close
	answer *rest.Error       // nil: none
	stanza *xmpp.StanzaError // likewise
	auth   *xmpp.AuthError
	stream *xmpp.StreamError
}

func takeApart(ctx context.Context, err error) *failure {
	f := &failure{err: err, ended: ctx.Err(), closed: context.Cause(ctx) == error(errClosed)}
	if e, ok := err.(*stepError); ok {
		f.step, f.err = e.step, e.error
	}
	errors.As(err, &f.answer)
	errors.As(err, &f.stanza)
	errors.As(err, &f.auth)
	errors.As(err, &f.stream)
	return f
}

func (f *failure) is(target error) bool { return errors.Is(f.err, target) }

// httpStatus is that of an answer which is not what was asked for; 0: there is none.
func (f *failure) httpStatus() int {
	var upgrade *frames.UpgradeError
	switch {
	case f.answer != nil:
		return f.answer.AnsweredWith()
	case errors.As(f.err, &upgrade):
		return upgrade.Status
	}
	return 0
}

// condition is that of the XMPP error.
func (f *failure) condition() string {
	switch {
	case f.stream != nil:
		return f.stream.Condition
	case f.auth != nil:
		return f.auth.Condition
	}
	return ""
}

// row says what callers are told of one kind of failure.
type row struct {
	step step
	fits func(*failure) bool
	code int    // 0: that of the answer
	text string // "": that of the answer
	kind error
	more func(*failure, *Error) // what the columns do not say; nil: nothing
}

var errUnreachable = errors.Join(ErrNotConnected, ErrNetwork)

// table is how every failure becomes the one error type of this package: the first row that fits
// wins. The codes are those of protocol.md 1.4, 1.6, 3, 4.1 and 11.
var table = []row{
	// Refused on this side.
	{stepSignal, running(matches(signal.ErrURL)), 400, "", ErrInvalidArgument, signalURL},
	{stepSignal, running(matches(signal.ErrInsecure)), 400, textInsecure, ErrInsecure, wasNotSent},
	{stepAny, isInsecureXMPP, 400, textInsecure, ErrInsecure, nil},

	// The XMPP session. Where the server has decided, it is not the network that has failed.
	{stepConnect, isLoginRefused, 401, "Invalid Credentials", ErrInvalidCredentials, withCondition},
	{stepConnect, running(isReplaced), 500, textConnection, ErrReplaced, withCondition},
	{stepConnect, running(isFinal), 500, textConnection, ErrNotConnected, withCondition},
	{stepConnect, running(always), 500, textConnection, errUnreachable, withCondition},

	// Refused on this side by the REST half.
	{stepAny, isKind(rest.KindClosed), 500, errClosed.Message, ErrClosed, withoutCause},
	{stepAny, isKind(rest.KindInsecure), 400, textInsecure, ErrInsecure, nil},
	{stepAny, isKind(rest.KindForeign), 400, textForeign, ErrForeignURL, nil},
	{stepAny, isKind(rest.KindToken), 400, "", ErrInvalidArgument, tokenNotSent},
	{stepAny, matches(rest.ErrSource), 400, rest.ErrSource.Error(), ErrInvalidArgument, sourceFailed},
	{stepAny, matches(xmpp.ErrRequestSize), 400, "Request is larger than 1 MiB", ErrInvalidArgument, nil},
	{stepAny, isKind(rest.KindLoginOver), 400, errNotRegistered.Message, ErrNotRegistered, nil},

	// What the REST half of the service says in so many words.
	{stepAny, isKind(rest.KindRateLimited), 0, "", ErrRateLimited, nil},
	{stepAny, isMaxSessionsAs403, 403, "", ErrMaxSessions, nil},
	{stepAny, isKind(rest.KindMaxSessions), 405, "", ErrMaxSessions, nil},
	{stepAny, isKind(rest.KindBlocked), 0, "", ErrBlockedByAdmin, nil},
	{stepAny, isKind(rest.KindLicense), 0, "", ErrInvalidLicense, nil},
	{stepAny, isKind(rest.KindLicenseMode), 0, "", ErrLicenseMode, nil},
	{stepAny, isKind(rest.KindClock), 0, "", ErrNetwork, clockIsOff},
	{stepAny, isKind(rest.KindInvalidCredentials), 0, "", ErrInvalidCredentials, nil},
	{stepAny, isKind(rest.KindNoUser), 400, "User not available", ErrUserNotFound, wasRefused},
	{stepAny, isKind(rest.KindNoMessage), 400, "Invalid msgId", nil, wasRefused},

	// What it says instead of its configuration.
	{stepConfig, answered(away), 500, textConnection, errUnreachable, causeIsAll},
	{stepConfig, answered(always), 500, textConnection, ErrNotConnected, causeIsAll},
	{stepConfig, matches(errNoXMPPHost), 500, textConnection, ErrNotConnected, nil},

	// The signalling server.
	{stepSignal, running(always), statusNetwork, "Network Error", ErrNetwork, nil},

	// REST calls that have one code for all refusals.
	{stepRequest, uninterrupted(away), 500, "", ErrNetwork, nil},
	{stepRequest, uninterrupted(isKind(rest.KindNetwork)), 500, "", ErrNetwork, nil},
	{stepRequest, uninterrupted(isKind(rest.KindTimeout)), 500, "", ErrNetwork, nil},
	{stepRequest, uninterrupted(always), 500, "", nil, nil},

	// Other refusals.
	{stepAny, isStanzaError, 500, "Request Failed", nil, stanzaCondition},
	{stepAny, answered(away), 0, "", ErrNetwork, nil},
	{stepAny, answered(always), 0, "", nil, nil},

	// The end of the call.
	{stepAny, isClosed, 500, errClosed.Message, ErrClosed, withoutCause},
	{stepAny, isTimeout, statusNetwork, "Request timed out", ErrNetwork, causeIsEnd},
	{stepAny, isEnded, statusCancelled, "API cancelled by user", nil, causeIsEnd},

	// Nobody has answered.
	{stepAny, isUnanswered, 0, "", ErrNetwork, nil},
	{stepAny, isLostTo(isReplaced), 500, textConnection, errors.Join(ErrNotConnected, ErrReplaced), nil},
	{stepAny, isLostTo(always), 500, textConnection, ErrNotConnected, nil},
	{stepAny, always, 500, "", nil, textIsAll},
}

// causes are what a network failure may come from, beside what the table says of it.
var causes = []struct {
	fits func(*failure) bool
	kind error
}{
	{isProxy, ErrProxy},
	{isCertificate, ErrCertificate},
	{isClock, ErrClock},
	{isForeign, ErrNotService},
}

// Conditions of the tables.

func always(*failure) bool { return true }

func isKind(k rest.Kind) func(*failure) bool {
	return func(f *failure) bool { return f.answer != nil && f.answer.Kind() == k }
}

// isMaxSessionsAs403: so says the code of one of the service's own clients.
func isMaxSessionsAs403(f *failure) bool {
	return isKind(rest.KindMaxSessions)(f) && f.answer.Status == http.StatusForbidden
}

func matches(target error) func(*failure) bool {
	return func(f *failure) bool { return f.is(target) }
}

// running holds while nothing but the failure has ended the call.
func running(fits func(*failure) bool) func(*failure) bool {
	return func(f *failure) bool { return f.ended == nil && fits(f) }
}

// answered holds for what the service has answered, or who stands before it.
func answered(fits func(*failure) bool) func(*failure) bool {
	return func(f *failure) bool {
		return f.answer != nil && f.answer.Status != statusNetwork && f.answer.Status != statusCancelled && fits(f)
	}
}

// away: this is no answer of the service, or the answer that it is not there now.
func away(f *failure) bool { return f.answer.Away() }

// uninterrupted holds for a REST call that no context has ended.
func uninterrupted(fits func(*failure) bool) func(*failure) bool {
	return func(f *failure) bool {
		return f.answer != nil && !f.is(context.Canceled) && !f.is(context.DeadlineExceeded) && fits(f)
	}
}

func isInsecureXMPP(f *failure) bool { return f.is(xmpp.ErrInsecure) && !loginRefused(f.err) }
func isLoginRefused(f *failure) bool { return loginRefused(f.err) }
func isReplaced(f *failure) bool     { return replaced(f.err) }
func isFinal(f *failure) bool        { return !isTransient(f.err) }

// isStanzaError: below an answer a stanza error is the cause of that.
func isStanzaError(f *failure) bool { return f.stanza != nil && f.answer == nil }

// isUnanswered: a REST call that is not answered; those that are have rows above.
func isUnanswered(f *failure) bool { return f.answer != nil }

func isClosed(f *failure) bool { return f.closed }
func isEnded(f *failure) bool  { return f.ended != nil }

func isTimeout(f *failure) bool {
	return f.is(xmpp.ErrNoReply) || f.ended != nil && !errors.Is(f.ended, context.Canceled)
}

func isProxy(f *failure) bool {
	_, is := httpguard.ByProxy(f.err)
	return is || f.httpStatus() == http.StatusProxyAuthRequired
}

func isCertificate(f *failure) bool {
	var (
		wrong     *tls.CertificateVerificationError
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		name      x509.HostnameError
	)
	return errors.As(f.err, &wrong) || errors.As(f.err, &authority) || errors.As(f.err, &invalid) ||
		errors.As(f.err, &name)
}

func isClock(f *failure) bool {
	var clock *clockError
	return isKind(rest.KindClock)(f) || errors.As(f.err, &clock)
}

func isForeign(f *failure) bool {
	if f.answer != nil {
		return f.answer.Foreign()
	}
	return rest.IsForeign(f.httpStatus())
}

func isLostTo(fits func(*failure) bool) func(*failure) bool {
	return func(f *failure) bool { return f.is(xmpp.ErrNotConnected) && fits(f) }
}

// What the columns of the table do not say.

func signalURL(f *failure, e *Error)  { *e = *invalid("SignalServerURL", "SignalServerURL: %v", f.err) }
func wasNotSent(_ *failure, e *Error) { e.Outcome = OutcomeNotSent }
func tokenNotSent(_ *failure, e *Error) {
	e.Outcome, e.Argument, e.Err = OutcomeNotSent, "FileToken", nil
}
func wasRefused(_ *failure, e *Error)   { e.Outcome, e.Err = OutcomeRefused, nil }
func withoutCause(_ *failure, e *Error) { e.Err = nil }
func clockIsOff(f *failure, e *Error)   { e.Err = &clockError{off: f.answer.ClockOff()} }

func stanzaCondition(f *failure, e *Error) { e.Condition = f.stanza.Condition }

// textIsAll: nothing is known of the failure but its text.
func textIsAll(f *failure, e *Error) { e.Message, e.Err = plain.Text(f.err.Error()), nil }

// causeIsAll: the cause is the whole of what was met, where the answer has one of its own.
func causeIsAll(f *failure, e *Error) { e.Err = f.err }

// sourceFailed: the content of the file does not come as announced.
func sourceFailed(f *failure, e *Error) {
	e.Err, e.Argument = f.err, "Reader"
	if e.Op == "SetUserProfile" {
		e.Argument = "Image"
	}
}

func withCondition(f *failure, e *Error) { e.Err, e.Condition = f.err, f.condition() }

// causeIsEnd: the cause matches the context's own error.
func causeIsEnd(f *failure, e *Error) {
	end := f.ended
	if f.is(xmpp.ErrNoReply) {
		end = context.DeadlineExceeded
	}
	switch {
	case e.Err == nil:
		e.Err = end
	case !errors.Is(e.Err, end):
		e.Err = fmt.Errorf("%w: %w", end, e.Err)
	}
}

// explain turns what a method ran into into the one error type of this package. ctx is the method's
// own context, which ends with the caller's and with Close.
func explain(ctx context.Context, op string, err error) *Error {
	// One deeper down is a cause, of the caller's context or reader.
	if own, ok := err.(*Error); ok {
		e := *own
		e.Op = op
		return &e
	}
	f := takeApart(ctx, err)
	e := &Error{Op: op, Err: f.err, Outcome: outcomeOf(f.err)}
	if f.answer != nil {
		e.StatusCode, e.Message, e.Err = f.answer.Status, f.answer.Message, f.answer.Err
		e.RetryAfter = f.answer.RetryAfter
	}
	for _, r := range table {
		if (r.step == stepAny || r.step == f.step) && r.fits(f) {
			r.apply(f, e)
			break
		}
	}
	if e.is(ErrNetwork) && f.ended == nil {
		for _, c := range causes {
			if c.fits(f) {
				e.kind = errors.Join(e.kind, c.kind)
			}
		}
	}
	e.httpStatus, e.overREST = f.httpStatus(), f.answer != nil
	e.Op = op
	return e
}

func (r *row) apply(f *failure, e *Error) {
	if r.code != 0 {
		e.StatusCode = r.code
	}
	if r.text != "" {
		e.Message = r.text
	}
	e.kind = r.kind
	if r.more != nil {
		r.more(f, e)
	}
}

// loginRefused reports whether err is that the server does not accept the credentials (protocol.md
// 4.3, 13).
func loginRefused(err error) bool {
	var auth *xmpp.AuthError
	var clock *clockError
	return !errors.As(err, &clock) && errors.As(err, &auth) && auth.Final()
}

// userRemoved is what ejabberd says with the conflict that ends the sessions of an account that is
// gone.
const userRemoved = "User removed"

// replaced reports whether another session has taken the place of the one that ended with err (RFC
// 6120 4.9.3.3).
func replaced(err error) bool {
	var stream *xmpp.StreamError
	return errors.As(err, &stream) && stream.Condition == "conflict" && stream.Text != userRemoved
}

// isTransient is false for what trying again cannot mend. That a server offers no TLS is not among
// it: anybody on the way can say so.
func isTransient(err error) bool {
	var stream *xmpp.StreamError
	return !errors.As(err, &stream) || !stream.Final()
}
