package sdk_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func outcomeTold(t *testing.T, err error) sdk.Outcome {
	t.Helper()
	var failure *sdk.Error
	require.ErrorAs(t, err, &failure)
	return failure.Outcome
}

// What callers are told about a call that failed, against what the server holds.
func TestOutcomes(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		name  string
		fault func(srv *sdktest.Server)
		call  func(ctx context.Context, c *sdk.Client) error
		want  sdk.Outcome
	}{
		{"bad argument", nil, func(ctx context.Context, c *sdk.Client) error { _, err := c.BlockUser(ctx, "?"); return err }, sdk.OutcomeNotSent},
		{"context over", nil, func(_ context.Context, c *sdk.Client) error { _, err := c.BlockUser(ended, bobJID); return err }, sdk.OutcomeNotSent},
		{"context over, REST", nil, func(_ context.Context, c *sdk.Client) error { _, err := c.GetUserProfile(ended, bobJID); return err }, sdk.OutcomeNotSent},
		{"closed", nil, func(ctx context.Context, c *sdk.Client) error {
			require.NoError(t, c.Close())
			_, err := c.BlockUser(ctx, bobJID)
			return err
		}, sdk.OutcomeNotSent},
		{"logged out", nil, func(ctx context.Context, c *sdk.Client) error {
			_, err := c.Logout(ctx)
			require.NoError(t, err)
			_, err = c.BlockUser(ctx, bobJID)
			return err
		}, sdk.OutcomeNotSent},
		{"IQ refused", fault(sdktest.StepIQ, sdktest.FaultError), block, sdk.OutcomeRefused},
		{"IQ unanswered", fault(sdktest.StepIQ, sdktest.FaultSilent), block, sdk.OutcomeUnknown},
		{"IQ cut", fault(sdktest.StepIQ, sdktest.FaultClose), block, sdk.OutcomeUnknown},
		{"IQ garbage", fault(sdktest.StepIQ, sdktest.FaultMalformed), block, sdk.OutcomeUnknown},
		{"REST refused", failNext("moderation/feedback", 400), feedback, sdk.OutcomeRefused},
		{"REST rate limit", failNext("moderation/feedback", 429), feedback, sdk.OutcomeRefused},
		{"REST breakdown", failNext("moderation/feedback", 500), feedback, sdk.OutcomeUnknown},
		{"REST proxy breakdown", failNext("moderation/feedback", 502), feedback, sdk.OutcomeUnknown},
		{"REST unanswered", fault(sdktest.StepREST, sdktest.FaultSilent), feedback, sdk.OutcomeUnknown},
		{"REST cut", fault(sdktest.StepREST, sdktest.FaultClose), feedback, sdk.OutcomeUnknown},
		{"feature off", func(srv *sdktest.Server) { srv.SetFeature("report", false) }, func(ctx context.Context, c *sdk.Client) error {
			me, err := c.GetCurrentUserJID()
			require.NoError(t, err)
			user, _, _ := strings.Cut(me.Data, "@")
			_, err = c.Register(ctx, user) // the plan is told anew
			require.NoError(t, err)
			_, err = c.ReportUserOrGroup(ctx, bobJID, sdk.ChatTypeChat, nil)
			return err
		}, sdk.OutcomeRefused},
		{"no such user", nil, func(ctx context.Context, c *sdk.Client) error {
			_, err := c.GetUserProfile(ctx, "nobody@xmpp.mirrorfly.test")
			return err
		}, sdk.OutcomeRefused},
		{"wrong password", nil, func(ctx context.Context, c *sdk.Client) error {
			_, err := c.Logout(ctx)
			require.NoError(t, err)
			_, err = c.Connect(ctx, "alice", "wrong")
			return err
		}, sdk.OutcomeRefused},
		{"twice connected", nil, func(ctx context.Context, c *sdk.Client) error {
			res, err := c.Register(ctx, "alice")
			require.NoError(t, err)
			_, err = c.Connect(ctx, res.Data.Username, res.Data.Password)
			return err
		}, sdk.OutcomeRefused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := sdktest.New(t)
			cfg := quick(srv.Config())
			cfg.RequestTimeout = 2 * time.Second
			cfg.Reconnect.Disabled = true
			client := login(t, cfg, "alice")
			login(t, cfg, "bob")
			if tc.fault != nil {
				tc.fault(srv)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			require.Equal(t, tc.want.String(), outcomeTold(t, tc.call(ctx, client)).String())
		})
	}
}

const bobJID = "bob@xmpp.mirrorfly.test"

func fault(step sdktest.Step, kind sdktest.FaultKind) func(*sdktest.Server) {
	return func(srv *sdktest.Server) { srv.SetFault(step, kind) }
}

func failNext(op string, status int) func(*sdktest.Server) {
	return func(srv *sdktest.Server) {
		for range 3 { // as often as a call is repeated
			srv.FailNext(op, status, "no")
		}
	}
}

func block(ctx context.Context, c *sdk.Client) error {
	_, err := c.BlockUser(ctx, bobJID)
	return err
}

func feedback(ctx context.Context, c *sdk.Client) error {
	_, err := c.SendFeedback(ctx, "title", "text")
	return err
}

func TestOutcomeOfAServiceThatIsAway(t *testing.T) {
	srv := sdktest.New(t)
	cfg := quick(srv.Config())
	cfg.RequestTimeout = 2 * time.Second
	client := login(t, cfg, "alice")
	connection := collect(client.OnConnection)
	srv.Close()
	connection.until(t, hasStatus(sdk.StatusDisconnected))
	require.Equal(t, sdk.OutcomeNotSent, outcomeTold(t, feedback(t.Context(), client)))
	require.Equal(t, sdk.OutcomeNotSent, outcomeTold(t, block(t.Context(), client)))
}

// A transport that does not tell when it writes leaves the outcome open.
func TestOutcomeOfAnUnknownTransport(t *testing.T) {
	srv := sdktest.New(t)
	cfg := srv.Config()
	real := &http.Transport{TLSClientConfig: cfg.TLSConfig, DialContext: cfg.DialContext}
	t.Cleanup(real.CloseIdleConnections)
	opaque := &opaqueTransport{real: real}
	cfg.HTTPClient = &http.Client{Transport: opaque}
	client := login(t, cfg, "alice")
	opaque.err = errors.New("broke at some point")
	require.Equal(t, sdk.OutcomeUnknown, outcomeTold(t, feedback(t.Context(), client)))
}

type opaqueTransport struct {
	real http.RoundTripper
	err  error
}

func (o *opaqueTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if o.err != nil {
		return nil, o.err
	}
	return o.real.RoundTrip(r)
}
