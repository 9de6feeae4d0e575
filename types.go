package sdk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk/internal/plain"
	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// Result is what every method answers: the envelope of the JavaScript SDK.
// Result and error always agree: err is nil exactly when StatusCode is 200, and
// on failure the error is an [*Error] with the same StatusCode and Message.
type Result[T any] struct {
	StatusCode int    `json:"statusCode"`    // 200: it worked
	Message    string `json:"message"`       // "Success", "Login Success", or what went wrong
	Data       T      `json:"data,omitzero"` // lists are never nil: no entries is []
}

// None is the Data of a method that answers with nothing but its status.
type None = struct{}

// ChatType says what kind of conversation a JID stands for.
type ChatType string

// The chat types of the service (protocol.md 5.10).
const (
	ChatTypeChat  ChatType = "chat"
	ChatTypeGroup ChatType = "groupchat"
)

// What callers branch on. Match them with [errors.Is]: every error of this package is an
// [*Error], and most stand for one of these; a connection that cannot be made stands for both ErrNotConnected and ErrNetwork.
// A call that fails because its session was replaced stands for both ErrNotConnected and ErrReplaced.
var (
	ErrInvalidArgument    = errors.New("invalid argument")            // 400, before any network call
	ErrNotRegistered      = errors.New("not registered")              // 400, Connect was not called or the account is gone
	ErrNotConnected       = errors.New("not connected")               // 500, no XMPP connection, or it went away
	ErrReplaced           = errors.New("replaced by another session") // 500, another session has taken this one's place; it does not come back
	ErrInvalidCredentials = errors.New("invalid credentials")         // 400 or 401, wrong user name or password
	ErrBlockedByAdmin     = errors.New("blocked by admin")            // 403 from Connect and Register
	ErrFeatureUnavailable = errors.New("feature not in plan")         // 403, the plan lacks the feature
	ErrMaxSessions        = errors.New("maximum sessions reached")    // 405 or 403 from Register
	ErrAlreadyLoggedIn    = errors.New("already logged in")           // 409 from Connect
	ErrUserNotFound       = errors.New("user not found")              // 400 from GetUserProfile
	ErrRateLimited        = errors.New("rate limited")                // 429, see Error.RetryAfter
	ErrNetwork            = errors.New("network failure")             // 599, not reached in time; or the code of a gateway
	ErrInsecure           = errors.New("unencrypted connection")      // 400, set Config.AllowInsecure to permit it
	ErrQRExpired          = errors.New("QR code expired")             // 410, not scanned in time
	ErrClosed             = errors.New("client is closed")            // 500, after Close
)

// Error is what went wrong, with the code and the text that the JavaScript SDK
// would have returned.
type Error struct {
	Op         string        // the method, e.g. "GetLastSeen"
	StatusCode int           // the same number the JavaScript SDK would return
	Message    string        // the same text
	Condition  string        // XMPP error condition, e.g. "item-not-found"; empty for REST
	Outcome    Outcome       // what became of the call; see also Retryable
	RetryAfter time.Duration // how long to wait before the next try, when the service said so
	Err        error         // cause

	kind  error // the sentinel or sentinels that this error matches
	spent bool  // the call cannot be made as it was: its context has ended, or its writer has a part
}

// Error reads "sdk: Op: Message (StatusCode): condition: cause; what to do about it", as one printable line whatever a server has written.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "sdk: %s: %s (%d)", e.Op, e.Message, e.StatusCode)
	cause := ""
	if e.Err != nil {
		cause = e.Err.Error()
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
// whose non-zero Op, StatusCode, Message and Condition all equal e's.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	if !ok {
		return e.kind != nil && errors.Is(e.kind, target)
	}
	return (t.Op == "" || t.Op == e.Op) &&
		(t.StatusCode == 0 || t.StatusCode == e.StatusCode) &&
		(t.Message == "" || t.Message == e.Message) &&
		(t.Condition == "" || t.Condition == e.Condition)
}

func invalid(format string, args ...any) error {
	return &Error{StatusCode: http.StatusBadRequest, Message: fmt.Sprintf(format, args...), Outcome: OutcomeNotSent, kind: ErrInvalidArgument}
}

// insecure refuses what would not be encrypted; err says where that is.
func insecure(err error) *Error {
	return &Error{
		StatusCode: http.StatusBadRequest, Outcome: OutcomeNotSent, kind: ErrInsecure, Err: err,
		Message: "Unencrypted connection refused, set Config.AllowInsecure to permit it",
	}
}

// The fixed answers of protocol.md 1.6, and those of a closed client.
var (
	errNotRegistered = &Error{
		StatusCode: http.StatusBadRequest, Outcome: OutcomeNotSent, kind: ErrNotRegistered,
		Message: "Not registered with MirrorFly SDK, Please call SDK.register() or SDK.connect() method before call this function",
	}
	errNotConnected = &Error{StatusCode: http.StatusInternalServerError, Message: "Connection Error", Outcome: OutcomeNotSent, kind: ErrNotConnected}
	errFeature      = &Error{StatusCode: http.StatusForbidden, Message: "Feature unavailable for your plan", Outcome: OutcomeRefused, kind: ErrFeatureUnavailable}
	errClosed       = &Error{StatusCode: http.StatusInternalServerError, Message: "Client is closed", Outcome: OutcomeNotSent, kind: ErrClosed}
)

// errEnded is what a call fails with whose session does not come back by itself.
var errEnded = errors.New("the session has ended for good")

// ended is the error of such a call; why is what the last ConnectionEvent told, nil: nothing.
func ended(why *Error) *Error {
	e := *errNotConnected
	if e.Err = errEnded; why == nil {
		return &e
	}
	e.Condition = why.Condition
	if why.Err != nil {
		// The text alone: what ended an attempt then, a deadline for example, has not ended this call.
		e.Err = fmt.Errorf("%w: %v", errEnded, why.Err)
	}
	for _, kind := range []error{ErrReplaced, ErrInvalidCredentials} {
		if why.is(kind) {
			e.kind = errors.Join(ErrNotConnected, kind)
		}
	}
	return &e
}

// explain turns what a method ran into into the one error type of this package.
// ctx is the method's own context, which ends with the caller's and with Close.
func explain(ctx context.Context, op string, err error) *Error {
	e := classify(ctx, err)
	e.Op = op
	if _, own := err.(*Error); !own {
		e.Outcome = outcomeOf(err)
	}
	return &e
}

func classify(ctx context.Context, err error) Error {
	var (
		refused *xmpp.StanzaError
		answer  *rest.Error
	)
	own, isOwn := err.(*Error) // not one deeper down: that is a cause, of the caller's context or reader
	switch {
	case isOwn:
		return *own
	case errors.Is(err, rest.ErrInsecure) && errors.As(err, &answer):
		return *insecure(answer.Err)
	case errors.Is(err, xmpp.ErrInsecure):
		return *insecure(err)
	case errors.Is(err, rest.ErrSource):
		return Error{StatusCode: http.StatusBadRequest, Message: rest.ErrSource.Error(), Err: err, kind: ErrInvalidArgument}
	case errors.Is(err, xmpp.ErrRequestSize):
		return Error{
			StatusCode: http.StatusBadRequest, Message: "Request is larger than 1 MiB",
			Err: err, kind: ErrInvalidArgument,
		}
	case errors.As(err, &refused) && !errors.As(err, &answer): // one below an answer is a cause
		return Error{StatusCode: http.StatusInternalServerError, Message: "Request Failed", Condition: refused.Condition, Err: err}
	case errors.As(err, &answer) && answer.Status != statusNetwork && answer.Status != statusCancelled:
		return fromService(answer)
	case context.Cause(ctx) == error(errClosed):
		return *errClosed
	case errors.Is(err, xmpp.ErrNoReply):
		return fromContext(context.DeadlineExceeded, err)
	case ctx.Err() != nil && answer != nil:
		return fromContext(ctx.Err(), answer.Err)
	case ctx.Err() != nil:
		return fromContext(ctx.Err(), err)
	case answer != nil:
		return Error{StatusCode: answer.Status, Message: answer.Message, Err: answer.Err, kind: ErrNetwork}
	case errors.Is(err, xmpp.ErrNotConnected):
		e := Error{StatusCode: errNotConnected.StatusCode, Message: errNotConnected.Message, Err: err, kind: ErrNotConnected}
		if replaced(err) {
			e.kind = errors.Join(ErrNotConnected, ErrReplaced)
		}
		return e
	default:
		return Error{StatusCode: http.StatusInternalServerError, Message: plain.Text(err.Error())}
	}
}

const (
	statusOK        = http.StatusOK
	statusCancelled = 499 // protocol.md 1.4
	statusNetwork   = 599
)

// loginOver is for what goes on after its login has ended, also when somebody else has logged in since.
func loginOver() *Error {
	e := *errNotRegistered
	e.Err = rest.ErrLoginOver
	return &e
}

func fromService(answer *rest.Error) Error {
	if answer.Err == rest.ErrLoginOver {
		return *loginOver()
	}
	e := Error{StatusCode: answer.Status, Message: answer.Message, RetryAfter: answer.RetryAfter, Err: answer.Err}
	switch {
	case answer.Status == http.StatusTooManyRequests:
		e.kind = ErrRateLimited
	case answer.Away():
		e.kind = ErrNetwork
	}
	return e
}

func fromContext(end, err error) Error {
	if err == nil {
		err = end
	} else if !errors.Is(err, end) {
		err = fmt.Errorf("%w: %w", end, err)
	}
	if errors.Is(end, context.Canceled) {
		return Error{StatusCode: statusCancelled, Message: "API cancelled by user", Err: err}
	}
	return Error{StatusCode: statusNetwork, Message: "Request timed out", Err: err, kind: ErrNetwork}
}
