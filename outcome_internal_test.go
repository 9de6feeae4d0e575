package sdk

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/unsent"
	"github.com/mirrorfly-go/sdk/internal/xmpp"
)

// Errors that came together, as when a file is closed after its upload has failed, or when several
// addresses were tried.
func TestOutcomeOfJoinedErrors(t *testing.T) {
	var (
		notSent = unsent.Mark(errors.New("not sent"))
		refused = &xmpp.StanzaError{Condition: "forbidden"}
		unknown = &xmpp.StanzaError{Condition: "internal-server-error"}
		silent  = errors.New("knows nothing of it")
	)
	for _, c := range []struct {
		err  error
		want Outcome
	}{
		{errors.Join(nil, notSent, nil), OutcomeNotSent},
		{errors.Join(refused), OutcomeRefused},
		{errors.Join(unknown), OutcomeUnknown},
		{errors.Join(notSent, notSent), OutcomeNotSent},
		{errors.Join(notSent, refused), OutcomeRefused},
		{errors.Join(refused, notSent), OutcomeRefused},
		{errors.Join(notSent, unknown), OutcomeUnknown},
		{errors.Join(unknown, refused), OutcomeUnknown},
		{errors.Join(refused, silent), OutcomeUnknown},
		{errors.Join(silent, notSent), OutcomeUnknown},
		{fmt.Errorf("dial: %w; %w", notSent, fmt.Errorf("dial: %w", refused)), OutcomeRefused},
		{fmt.Errorf("outer: %w", errors.Join(errors.Join(refused))), OutcomeRefused},
		{fmt.Errorf("%w: %w", context.Canceled, refused), OutcomeUnknown},
		{unsent.Mark(errors.Join(refused, silent)), OutcomeNotSent},
		{errors.Join(&Error{Outcome: OutcomeRefused}), OutcomeRefused},
	} {
		require.Equal(t, c.want.String(), outcomeOf(c.err).String(), "%v", c.err)
	}
}

// Whatever a call ran into, Retryable goes by what is known of it.
func TestRetryableOfErrors(t *testing.T) {
	for _, c := range []struct {
		err  Error
		want bool
	}{
		{Error{Op: "Connect"}, true},
		{Error{Op: "Connect", StatusCode: statusCancelled}, false},
		{Error{Op: "Connect", kind: errors.Join(ErrNotConnected, ErrNetwork)}, true},
		{Error{Op: "Connect", kind: errors.Join(ErrNotConnected, ErrReplaced)}, false},
		{Error{Op: "Connect", Outcome: OutcomeNotSent}, false},
		{Error{Op: "Connect", Outcome: OutcomeNotSent, kind: ErrNetwork}, true},
		{*errNotConnected, true},
		{*endedForGood(nil), false},
		{*endedForGood(errNotConnected), false},
	} {
		require.Equal(t, c.want, c.err.Retryable(), "%+v", c.err)
	}
}
