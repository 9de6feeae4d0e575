package sdk

import (
	"errors"
	"net/http"

	"github.com/mirrorfly-go/sdk/internal/rest"
	"github.com/mirrorfly-go/sdk/internal/unsent"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// Outcome says what became of a call that failed: whether it is safe to make it again.
type Outcome int

// The outcomes. A call of several requests, such as SetUserProfile with a file, tells that of the one that failed.
const (
	OutcomeUnknown Outcome = iota // it was sent, and nobody knows whether it took effect: the answer did not come, or told of a breakdown (5xx)
	OutcomeNotSent                // nothing was sent, nor will be: it is safe to make the call again
	OutcomeRefused                // the service answered no: it took no effect, and will not unless something changes
)

// String returns "unknown", "not sent" or "refused".
func (o Outcome) String() string {
	switch o {
	case OutcomeNotSent:
		return "not sent"
	case OutcomeRefused:
		return "refused"
	}
	return "unknown"
}

// outcomeOf reads the outcome off what a method ran into.
func outcomeOf(err error) Outcome {
	var (
		own     *Error
		stanza  *xmpp.StanzaError
		auth    *xmpp.AuthError
		service *rest.Error
	)
	switch {
	case unsent.Is(err):
		return OutcomeNotSent
	case errors.As(err, &stanza):
		return OutcomeRefused
	case errors.As(err, &auth) && auth.Err == nil:
		return OutcomeRefused
	case errors.As(err, &service):
		if service.Answered() && service.Status < http.StatusInternalServerError {
			return OutcomeRefused
		}
	case errors.As(err, &own):
		return own.Outcome
	}
	return OutcomeUnknown
}
