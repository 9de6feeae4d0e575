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

// outcomeOf reads the outcome off what a method ran into: off the first error in it that knows. What that one wraps is
// its cause, which may be an error of another call: of the context's cause, or of the caller's reader.
func outcomeOf(err error) Outcome {
	for err != nil {
		if unsent.Marked(err) {
			return OutcomeNotSent
		}
		switch e := err.(type) {
		case *xmpp.StanzaError:
			return refusal(!e.Breakdown())
		case *xmpp.AuthError:
			return refusal(e.Err == nil)
		case *rest.Error:
			return refusal(e.Answered() && e.Status/100 == 4 && e.Status != http.StatusRequestTimeout)
		case *Error:
			return e.Outcome
		}
		err = errors.Unwrap(err)
	}
	return OutcomeUnknown
}

func refusal(refused bool) Outcome {
	if refused {
		return OutcomeRefused
	}
	return OutcomeUnknown
}
