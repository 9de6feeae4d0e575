package sdk_test

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/backend"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func profileOf(ctx context.Context, c *sdk.Client) error {
	_, err := c.GetUserProfile(ctx, "bob")
	return err
}

// What a loop that knows nothing of the call may make again.
func TestRetryable(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	late, stop := context.WithTimeout(t.Context(), 0)
	defer stop()
	answers := func(path string, status int) func(*sdktest.Server, *gateway) {
		return func(_ *sdktest.Server, g *gateway) { g.answers(path, always(status)) }
	}
	iq := func(kind sdktest.FaultKind) func(*sdktest.Server, *gateway) {
		return func(srv *sdktest.Server, _ *gateway) { srv.SetFault(sdktest.StepIQ, kind) }
	}
	vanish := func(_ *sdktest.Server, g *gateway) { g.vanish() }
	for _, tc := range []struct {
		name   string
		before func(*sdktest.Server, *gateway)
		call   func(context.Context, *sdk.Client) error
		want   bool
	}{
		{"bad argument", nil, func(ctx context.Context, c *sdk.Client) error {
			_, err := c.BlockUser(ctx, "b ob")
			return err
		}, false},
		{"closed", nil, func(ctx context.Context, c *sdk.Client) error {
			require.NoError(t, c.Close())
			return block(ctx, c)
		}, false},
		{"logged out", nil, func(ctx context.Context, c *sdk.Client) error {
			_, err := c.Logout(ctx)
			require.NoError(t, err)
			return block(ctx, c)
		}, false},
		{"cancelled", nil, func(_ context.Context, c *sdk.Client) error { return block(ended, c) }, false},
		{"cancelled, REST", nil, func(_ context.Context, c *sdk.Client) error { return profileOf(ended, c) }, false},
		{"too late", nil, func(_ context.Context, c *sdk.Client) error { return block(late, c) }, false},
		{"too late, REST", nil, func(_ context.Context, c *sdk.Client) error { return profileOf(late, c) }, false},
		{"no such user", nil, profileOf, false},
		{"wrong password", nil, func(ctx context.Context, c *sdk.Client) error {
			_, err := c.Connect(ctx, "alice", "wrong")
			return err
		}, false},
		{"already connected", nil, func(ctx context.Context, c *sdk.Client) error {
			res, err := c.Register(ctx, "alice")
			require.NoError(t, err)
			_, err = c.Connect(ctx, res.Data.Username, res.Data.Password)
			return err
		}, false},
		{"refused IQ", nil, func(ctx context.Context, c *sdk.Client) error {
			_, err := c.BlockUser(ctx, "alice@xmpp.mirrorfly.test")
			return err
		}, false},
		{"refused write", answers("feedback", 400), feedback, false},
		{"unreachable write", vanish, feedback, true},
		{"unreachable question", vanish, profileOf, true},
		{"rate limit", answers("feedback", 429), feedback, true},
		{"write into a breakdown", answers("feedback", 503), feedback, false},
		{"question into a breakdown", answers("vcard", 503), profileOf, true},
		{"IQ into a breakdown", iq(sdktest.FaultError), block, true},
		{"IQ unanswered", iq(sdktest.FaultSilent), block, true},
		{"IQ cut", iq(sdktest.FaultClose), block, true},
		{"half a file", func(_ *sdktest.Server, g *gateway) {
			g.answers("media/token", func(*http.Request) *http.Response {
				resp := reply(200, "half", "Content-Type", "image/png")
				resp.ContentLength = 8
				return resp
			})
		}, func(ctx context.Context, c *sdk.Client) error {
			_, err := c.DownloadMedia(ctx, sdk.MediaFile{FileToken: "token", Size: 8}, new(bytes.Buffer))
			return err
		}, false},
		{"unreachable rest of a file", func(_ *sdktest.Server, g *gateway) {
			g.answers("", func(req *http.Request) *http.Response {
				if req.URL.Path != "/large" {
					return told(200, `{"status":200,"data":"https://storage.test/large"}`)
				}
				g.vanish()
				return reply(http.StatusPartialContent, "half", "Content-Range", "bytes 0-3/8")
			})
		}, func(ctx context.Context, c *sdk.Client) error {
			var got bytes.Buffer
			file := sdk.MediaFile{FileToken: "token", Size: 8, Large: true}
			_, err := c.DownloadMedia(ctx, file, &got)
			require.Equal(t, "half", got.String())
			require.Equal(t, sdk.OutcomeNotSent, outcomeTold(t, err), "the request for the rest")
			return err
		}, false},
		{"file into a breakdown", answers("media/token", 503), func(ctx context.Context, c *sdk.Client) error {
			_, err := c.DownloadMedia(ctx, sdk.MediaFile{FileToken: "token"}, new(bytes.Buffer))
			return err
		}, true},
		{"open a file into a breakdown", answers("media/token", 503), func(ctx context.Context, c *sdk.Client) error {
			_, _, err := c.OpenMedia(ctx, sdk.MediaFile{FileToken: "token"})
			return err
		}, true},
		{"damaged file", func(_ *sdktest.Server, g *gateway) {
			g.answers("media/token", func(*http.Request) *http.Response {
				return reply(200, "", "Content-Type", "a/b")
			})
		}, func(ctx context.Context, c *sdk.Client) error {
			_, err := c.DownloadMedia(ctx, sdk.MediaFile{FileToken: "token", Size: 8}, new(bytes.Buffer))
			return err
		}, false},
		{"file of somebody else", nil, func(ctx context.Context, c *sdk.Client) error {
			_, err := c.DownloadMedia(ctx, sdk.MediaFile{FileToken: "https://evil.example"}, new(bytes.Buffer))
			return err
		}, false},
		{"unreachable file", vanish, func(ctx context.Context, c *sdk.Client) error {
			_, err := c.DownloadMedia(ctx, sdk.MediaFile{FileToken: "token"}, new(bytes.Buffer))
			return err
		}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := sdktest.New(t)
			cfg := quick(srv.Config())
			if tc.name == "IQ unanswered" { // which ends only when its time is over
				cfg.RequestTimeout = time.Second
			}
			g := behindGateway(t, &cfg)
			client := login(t, cfg, "alice")
			if tc.before != nil {
				tc.before(srv, g)
			}
			err := tc.call(t.Context(), client)
			var failure *sdk.Error
			require.ErrorAs(t, err, &failure)
			require.Equal(t, tc.want, failure.Retryable(), "%v: %v", failure.Outcome, err)
		})
	}
}

// A refusal passes when its type says so (RFC 6120 8.3.2).
func TestRetryableRefusal(t *testing.T) {
	for kind, want := range map[string]bool{"wait": true, "cancel": false} {
		b := backend.New(t)
		b.OnIQ = func(v *backend.Visitor, id, to, frame string) bool {
			v.Send(`<iq ` + backend.NSClient + ` type="error" id="` + id + `"` + backend.FromAttribute(to) + `>` +
				`<error type="` + kind + `"><resource-constraint ` + backend.NSStanzas + `/></error></iq>`)
			return true
		}
		_, err := b.Connected(b.Config(sdk.TransportWebSocket), "alice").GetUsersIBlocked(t.Context())
		var failure *sdk.Error
		require.ErrorAs(t, err, &failure)
		require.Equal(t, sdk.OutcomeRefused, failure.Outcome)
		require.Equal(t, want, failure.Retryable(), kind)
	}
}

// An error that was made by somebody else says nothing.
func TestRetryableZeroError(t *testing.T) {
	require.False(t, new(sdk.Error).Retryable())
}
