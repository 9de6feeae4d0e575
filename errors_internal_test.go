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

// What ends in AUTHFAIL (protocol.md 4.3), and what is tried again.
func TestExplainDial(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
	}{
		{&xmpp.AuthError{Step: "sasl", Condition: "not-authorized"}, 401},
		{&xmpp.AuthError{Step: "sasl", Condition: "account-disabled"}, 401},
		{&xmpp.AuthError{Step: "sasl", Condition: "temporary-auth-failure"}, 500},
		{&xmpp.AuthError{Step: "sasl", Err: errors.New("server did not prove that it knows the password")}, 500},
		{&xmpp.AuthError{Step: "bind", Condition: "not-allowed"}, 401},
		{&xmpp.AuthError{Step: "bind", Err: errors.New("server offers no resource binding")}, 401},
		{&xmpp.StreamError{Condition: "policy-violation"}, 500},
		{errors.New("connection refused"), 500},
	} {
		e := explain(t.Context(), "Connect", in(stepConnect, c.err))
		require.Equal(t, c.code, e.StatusCode, "%v", c.err)
		require.Equal(t, c.code == 401, errors.Is(e, ErrInvalidCredentials), "%v", c.err)
		require.Equal(t, c.code == 500, errors.Is(e, ErrNetwork) && errors.Is(e, ErrNotConnected), "%v", c.err)
	}
}

// What fails because the client was closed says so, also when it fails before its context has
// ended.
func TestFailureAtTheEndOfLife(t *testing.T) {
	client, err := New(Config{LicenseKey: "key", APIBaseURL: "https://api.example.com"})
	require.NoError(t, err)
	_, err = unbounded(t.Context(), client, "Connect", "", func(ctx context.Context) (None, error) {
		require.NoError(t, client.Close())
		event := client.failure(ctx, errors.New("connection refused"))
		require.ErrorIs(t, event.Err, ErrClosed)
		return None{}, errors.New("connection refused")
	})
	require.ErrorIs(t, err, ErrClosed)
}

// The cause that somebody else gave the caller's context is not ours.
func TestForeignCause(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&Error{StatusCode: 500, Message: "Client is closed", kind: ErrClosed})
	e := explain(ctx, "GetUserProfile", ctx.Err())
	require.Equal(t, 499, e.StatusCode)
	require.ErrorIs(t, e, context.Canceled)
	require.NotErrorIs(t, e, ErrClosed)
}

// A request that is larger than a stanza may be is the caller's mistake, whoever notices it.
func TestRequestLargerThanAStanza(t *testing.T) {
	err := unsent.Mark(fmt.Errorf("set vCard: %w", xmpp.ErrRequestSize))
	e := explain(t.Context(), "SetUserProfile", err)
	require.ErrorIs(t, e, ErrInvalidArgument)
	require.Equal(t, 400, e.StatusCode)
	require.Equal(t, OutcomeNotSent, e.Outcome)
	require.False(t, e.Retryable())
}
