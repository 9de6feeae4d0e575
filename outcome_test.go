package sdk_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
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
		{"bad argument", nil, func(ctx context.Context, c *sdk.Client) error {
			_, err := c.BlockUser(ctx, "b ob")
			return err
		}, sdk.OutcomeNotSent},
		{"context over", nil, func(_ context.Context, c *sdk.Client) error {
			_, err := c.BlockUser(ended, bobJID)
			return err
		}, sdk.OutcomeNotSent},
		{"context over, REST", nil, func(_ context.Context, c *sdk.Client) error {
			_, err := c.GetUserProfile(ended, bobJID)
			return err
		}, sdk.OutcomeNotSent},
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
		{"IQ refused", nil, func(ctx context.Context, c *sdk.Client) error {
			_, err := c.BlockUser(ctx, "alice@xmpp.mirrorfly.test") // herself
			return err
		}, sdk.OutcomeRefused},
		// the server has blocked all the same
		{"IQ breakdown", fault(sdktest.StepIQ, sdktest.FaultError), block, sdk.OutcomeUnknown},
		{"IQ unanswered", fault(sdktest.StepIQ, sdktest.FaultSilent), block, sdk.OutcomeUnknown},
		{"IQ cut", fault(sdktest.StepIQ, sdktest.FaultClose), block, sdk.OutcomeUnknown},
		{"IQ garbage", fault(sdktest.StepIQ, sdktest.FaultMalformed), block, sdk.OutcomeUnknown},
		{"REST refused", failNext("moderation/feedback", 400), feedback, sdk.OutcomeRefused},
		{"REST rate limit", failNext("moderation/feedback", 429), feedback, sdk.OutcomeRefused},
		{"REST breakdown", failNext("moderation/feedback", 500), feedback, sdk.OutcomeUnknown},
		{"REST proxy breakdown", failNext("moderation/feedback", 502), feedback, sdk.OutcomeUnknown},
		{"REST unanswered", fault(sdktest.StepREST, sdktest.FaultSilent), feedback, sdk.OutcomeUnknown},
		{"REST cut", fault(sdktest.StepREST, sdktest.FaultClose), feedback, sdk.OutcomeUnknown},
		{"feature off", func(srv *sdktest.Server) {
			srv.SetFeature("report", false)
		}, func(ctx context.Context, c *sdk.Client) error {
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
			cfg.Reconnect.Disabled = true
			client := login(t, cfg, "alice")
			login(t, cfg, "bob")
			if tc.fault != nil {
				tc.fault(srv)
			}
			limit := patience
			if strings.HasSuffix(tc.name, "unanswered") {
				limit = 500 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			got := outcomeTold(t, tc.call(ctx, client))
			// the machine was too busy to send it in this time
			for limit < patience && got == sdk.OutcomeNotSent {
				limit *= 2
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				got = outcomeTold(t, tc.call(ctx, client))
			}
			require.Equal(t, tc.want.String(), got.String())
		})
	}
}

// New does no I/O: what it refuses was not sent. What is refused is said once.
func TestOutcomeOfNew(t *testing.T) {
	for text, change := range map[string]func(*sdk.Config){
		"APIBaseURL begins with http://":       func(c *sdk.Config) { c.APIBaseURL = "http://api.example.com" },
		"APIConfigURL begins with http://":     func(c *sdk.Config) { c.APIConfigURL = "http://api.example.com" },
		"XMPPAddress has ws://x.example:80/ws": func(c *sdk.Config) { c.XMPPAddress = "ws://x.example:80/ws" },
		"HTTPClient permits TLS before 1.2, set MinVersion in its TLSClientConfig": func(c *sdk.Config) {
			old := &tls.Config{MinVersion: tls.VersionTLS10}
			c.HTTPClient = &http.Client{Transport: &http.Transport{TLSClientConfig: old}}
		},
	} {
		cfg := sdk.Config{LicenseKey: "key"}
		change(&cfg)
		_, err := sdk.New(cfg)
		require.ErrorIs(t, err, sdk.ErrInsecure)
		require.Equal(t, sdk.OutcomeNotSent.String(), outcomeTold(t, err).String())
		const said = "sdk: New: Unencrypted connection refused, set Config.AllowInsecure to permit it (400): "
		require.EqualError(t, err, said+text)
	}
	_, err := sdk.New(sdk.Config{})
	require.Equal(t, sdk.OutcomeNotSent.String(), outcomeTold(t, err).String())
}

// A service that hands out an address without TLS is not asked.
func TestOutcomeOfAnUnencryptedService(t *testing.T) {
	cfg := sdktest.New(t).Config()
	cfg.APIBaseURL = ""
	g := behindGateway(t, &cfg)
	g.answers("", func(*http.Request) *http.Response {
		return told(200, `{"status":200,"data":{"apiBaseUrl":"http://api.example.com"}}`)
	})
	_, err := newClient(t, cfg).Register(t.Context(), "alice")
	require.ErrorIs(t, err, sdk.ErrInsecure)
	require.Equal(t, sdk.OutcomeNotSent.String(), outcomeTold(t, err).String())
	require.ErrorContains(t, err, "permit it (400): the base URL begins with http://")
}

// What came of the upload is what came of the call: the picture's file was closed as well.
func TestOutcomeOfAProfilePicture(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.png")
	require.NoError(t, os.WriteFile(file, []byte("\x89PNG\r\n\x1a\n"), 0o600))
	pictures := map[string]func() sdk.Image{
		"file": func() sdk.Image { return sdk.ImageFile(file) },
		"reader": func() sdk.Image {
			return sdk.ImageReader("a.png", "image/png", strings.NewReader("x"), 1)
		},
	}
	for kind, picture := range pictures {
		for _, tc := range []struct {
			name  string
			fault func(g *gateway)
			want  sdk.Outcome
		}{
			{"refused", func(g *gateway) { g.answers("media/", always(413)) }, sdk.OutcomeRefused},
			{"breakdown", func(g *gateway) { g.answers("media/", always(500)) }, sdk.OutcomeUnknown},
			{"unreachable", (*gateway).vanish, sdk.OutcomeNotSent},
		} {
			t.Run(kind+" "+tc.name, func(t *testing.T) {
				t.Parallel()
				cfg := quick(sdktest.New(t).Config())
				g := behindGateway(t, &cfg)
				client := login(t, cfg, "alice")
				tc.fault(g)
				_, err := client.SetUserProfile(t.Context(),
					sdk.ProfileUpdate{Email: "a@example.com", Image: picture()})
				require.Equal(t, tc.want.String(), outcomeTold(t, err).String(), "%v", err)
			})
		}
	}
}

// A profile that is larger than a stanza is the caller's mistake, and told before its picture is
// stored.
func TestOutcomeOfALargeProfile(t *testing.T) {
	srv := sdktest.New(t)
	client := login(t, quick(srv.Config()), "alice")
	for field, p := range map[string]sdk.ProfileUpdate{
		"Status": {Status: strings.Repeat("x", 1<<20)},
		"Name":   {Name: strings.Repeat("<", 400<<10), Status: "here"},
		"Image":  {Image: sdk.ImageURL("https://example.com/" + strings.Repeat("x", 1<<20))},
	} {
		p.Email = "a@example.com"
		if field != "Image" {
			p.Image = sdk.ImageReader("a.png", "image/png", strings.NewReader("x"), 1)
		}
		res, err := client.SetUserProfile(t.Context(), p)
		answered(t, 400, res.Message, sdk.ErrInvalidArgument, res, err)
		require.Contains(t, res.Message, field+" is too large")
		require.Equal(t, sdk.OutcomeNotSent.String(), outcomeTold(t, err).String())
	}
	require.False(t, seen(srv, "media/"))
	_, err := client.SetUserProfile(t.Context(), sdk.ProfileUpdate{
		Email: "a@example.com", Status: strings.Repeat("x", 100<<10),
	})
	require.NoError(t, err, "the session is still up")
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
	client := login(t, quick(srv.Config()), "alice")
	connection := collect(client.OnConnection)
	srv.Close()
	connection.until(t, hasStatus(sdk.StatusDisconnected))
	// it may be written to a connection whose end has not been noticed yet
	require.Error(t, feedback(t.Context(), client))
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

// A call that was sent is ended by a context whose cause is the error of another call, as errgroup
// does it: that error says nothing about this one.
func TestCauseOfAnotherCall(t *testing.T) {
	ended, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	for name, other := range map[string]func(*sdktest.Server, *sdk.Client) error{
		"not sent": func(_ *sdktest.Server, c *sdk.Client) error { return block(ended, c) },
		"refused": func(srv *sdktest.Server, c *sdk.Client) error {
			srv.SetFault(sdktest.StepIQ, sdktest.FaultError)
			return block(t.Context(), c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := sdktest.New(t)
			client := login(t, quick(srv.Config()), "alice")
			cause := other(srv, client)
			require.Error(t, cause)
			// errgroup.WithContext does the same
			group, fail := context.WithCancelCause(t.Context())
			told := make(chan error, 1)
			srv.SetFault(sdktest.StepRESTAfter, sdktest.FaultSilent)
			go func() { told <- feedback(group, client) }()
			took := func() bool { return len(srv.Feedback()) == 1 }
			require.NoError(t, srv.Wait(t.Context(), "the feedback has taken effect", took))
			fail(cause)
			err := patient.Receive(t, told)
			require.Equal(t, sdk.OutcomeUnknown.String(), outcomeTold(t, err).String())
		})
	}
}

// The service says that it did it, with another number than 200.
func TestAcceptedIsNotRefused(t *testing.T) {
	for _, status := range []int{201, 202, 204, 408} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			srv := sdktest.New(t)
			client := login(t, quick(srv.Config()), "alice")
			failNext("moderation/feedback", status)(srv)
			err := feedback(t.Context(), client)
			require.Equal(t, sdk.OutcomeUnknown.String(), outcomeTold(t, err).String())
		})
	}
}

// A program may have replaced the default transport.
func TestReplacedDefaultTransport(t *testing.T) {
	srv := sdktest.New(t)
	cfg := quick(srv.Config())
	real := &http.Transport{TLSClientConfig: cfg.TLSConfig, DialContext: cfg.DialContext}
	t.Cleanup(real.CloseIdleConnections)
	opaque := &opaqueTransport{real: real}
	before := http.DefaultTransport
	http.DefaultTransport = opaque
	t.Cleanup(func() { http.DefaultTransport = before })
	cfg.HTTPClient = &http.Client{}
	client := login(t, cfg, "alice")
	opaque.err = errors.New("broke at some point")
	require.Equal(t, sdk.OutcomeUnknown.String(), outcomeTold(t, feedback(t.Context(), client)).String())
}

// A protocol of its own inside an *http.Transport calls no hooks.
func TestRegisteredProtocol(t *testing.T) {
	srv := sdktest.New(t)
	cfg := quick(srv.Config())
	cfg.Transport = sdk.TransportTCP
	real := &http.Transport{TLSClientConfig: cfg.TLSConfig.Clone(), DialContext: cfg.DialContext}
	t.Cleanup(real.CloseIdleConnections)
	front := &http.Transport{TLSClientConfig: cfg.TLSConfig.Clone()}
	front.RegisterProtocol("https", untracing{real})
	cfg.HTTPClient = &http.Client{Transport: front}
	client := login(t, cfg, "alice")
	err := feedback(t.Context(), client)
	require.Len(t, srv.Feedback(), 1)
	require.Equal(t, sdk.OutcomeUnknown.String(), outcomeTold(t, err).String())
}

// A QR login that Close breaks off after the credentials were sent.
func TestQRClose(t *testing.T) {
	srv := sdktest.New(t)
	_, _ = register(t, srv.Config(), "alice")
	client := newClient(t, srv.Config())
	login, code := offerQR(t, srv, client, sdk.QROptions{})
	srv.SetFault(sdktest.StepBind, sdktest.FaultSilent)
	go func() { _ = srv.Phone("alice").Scan(t.Context(), code.Content()) }()
	awaitSeen(t, srv, "users/config") // which comes behind the login
	require.NoError(t, client.Close())
	_, err := login.Wait(t.Context())
	require.Equal(t, sdk.OutcomeUnknown.String(), outcomeTold(t, err).String())
}

func seen(srv *sdktest.Server, part string) bool {
	for _, r := range srv.Requests() {
		if strings.Contains(r.Path+r.Stanza, part) {
			return true
		}
	}
	return false
}

func awaitSeen(t *testing.T, srv *sdktest.Server, part string) {
	t.Helper()
	require.NoError(t, srv.Wait(t.Context(), part+" has come", func() bool { return seen(srv, part) }))
}

type untracing struct{ real http.RoundTripper } // as a transport for HTTP/3 may be

func (u untracing) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := u.real.RoundTrip(r.Clone(context.WithoutCancel(context.Background())))
	if err == nil && strings.Contains(r.URL.Path, "feedback") {
		resp.Body.Close()
		return nil, errors.New("broke while the answer was read")
	}
	return resp, err
}

type failingReader struct {
	left int
	err  error
}

func (f *failingReader) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, f.err
	}
	n := min(len(p), f.left)
	f.left -= n
	return n, nil
}

// The error of the reader is that of another call, as with a pipe from DownloadMedia.
func TestUploadReader(t *testing.T) {
	srv := sdktest.New(t)
	client := login(t, quick(srv.Config()), "alice")
	ended, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	other := block(ended, client)
	_, err := client.UploadMedia(t.Context(),
		sdk.MediaUpload{
			To: bobJID, Name: "a", ContentType: "a/b", Reader: &failingReader{6 << 20, other},
			Size: 11 << 20,
		})
	require.True(t, seen(srv, "media/upload"), "the upload was announced")
	require.Equal(t, sdk.OutcomeUnknown.String(), outcomeTold(t, err).String())
}
