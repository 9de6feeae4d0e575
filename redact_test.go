package sdk_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// spy remembers every secret that goes over the wire.
type spy struct {
	next    http.RoundTripper
	mu      sync.Mutex
	secrets map[string]string // value to where it was seen
}

func (s *spy) RoundTrip(req *http.Request) (*http.Response, error) {
	s.note("authorization header", req.Header.Get("Authorization"))
	s.note("licence parameter", req.URL.Query().Get("licenseKey"))
	_, encoded, _ := strings.Cut(req.URL.RawQuery, "licenseKey=")
	s.note("encoded licence parameter", encoded)
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		raw, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		var fields map[string]any
		if json.Unmarshal(raw, &fields) == nil {
			for _, name := range []string{"password", "registerData", "licenseKey"} {
				value, _ := fields[name].(string)
				s.note(name, value)
			}
		}
	}
	return s.next.RoundTrip(req)
}

func (s *spy) note(where, value string) {
	if value == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[value] = where
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.String()
}

// Nothing secret is in a log line of any level, in an error, in what %+v shows of one, in what
// hooks are told, or in Stats.
func TestNoSecretIsShown(t *testing.T) {
	const licence = "MARKED-licence-0123456789"
	forEachMode(t, func(t *testing.T, plain *sdktest.Server, cfg sdk.Config) {
		srv := sdktest.New(t, sdktest.Options{Trial: cfg.TrialLicense, LicenseKey: licence})
		transport := cfg.Transport
		cfg = quick(srv.Config())
		cfg.Transport = transport
		base := &http.Transport{DialContext: cfg.DialContext, TLSClientConfig: cfg.TLSConfig}
		defer base.CloseIdleConnections()
		watch := &spy{next: base, secrets: map[string]string{licence: "licence key"}}
		cfg.HTTPClient = &http.Client{Transport: watch}
		var out lockedBuffer
		cfg.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: lowestLevel}))
		hooks := new(hookLog)
		cfg.Hooks = hooksThat(hooks.note)
		shown := &strings.Builder{}
		note := func(_ any, err error) {
			if err != nil {
				fmt.Fprintf(shown, "%v\n%+v\n%#v\n", err, err, err)
			}
		}

		cfg.APIBaseURL = "" // the licence travels in a query
		client := newClient(t, cfg)
		connection := collect(client.OnConnection)
		srv.FailNext("license/details", 400, "unknown licence")
		note(client.Register(t.Context(), "alice"))
		registered, err := client.Register(t.Context(), "alice")
		require.NoError(t, err)
		credentials := registered.Data
		watch.note("password", credentials.Password)
		note(client.Connect(t.Context(), "alice", "MARKED-wrong-password"))
		watch.note("wrong password", "MARKED-wrong-password")
		for _, step := range []sdktest.Step{
			sdktest.StepUpgrade, sdktest.StepTLS, sdktest.StepStream, sdktest.StepAuth,
			sdktest.StepBind,
		} {
			for _, kind := range []sdktest.FaultKind{sdktest.FaultError, sdktest.FaultMalformed, sdktest.FaultClose} {
				srv.SetFault(step, kind)
				note(client.Connect(t.Context(), credentials.Username, credentials.Password))
				srv.ClearFaults()
				note(client.Logout(t.Context()))
			}
		}
		note(client.Connect(t.Context(), credentials.Username, credentials.Password))
		srv.ExpireTokens()
		note(client.GetUserProfile(t.Context(), "alice"))
		srv.ExpireTokens()
		srv.FailNext("login", 500, "no")
		note(client.GetUserProfile(t.Context(), "alice"))
		for _, op := range []string{"contacts/vcard", "moderation/feedback", "logout"} {
			srv.FailNext(op, 503, "later")
			srv.FailNext(op, 503, "later")
			srv.FailNext(op, 503, "later")
		}
		note(client.GetUserProfile(t.Context(), "alice"))
		note(client.SendFeedback(t.Context(), "title", "description"))
		note(client.Logout(t.Context()))
		srv.DropConnections()
		connection.until(t, func(e sdk.ConnectionEvent) bool {
			return e.Status == sdk.StatusConnected && e.Attempt > 0
		})
		for _, e := range connection.list() {
			note(nil, e.Err)
		}
		require.NoError(t, client.Close())

		fmt.Fprintf(shown, "%+v\n", client.Stats())
		hooks.requireNoNames(t, "alice", credentials.Username)
		require.Contains(t, hooks.String(), "Name:license")
		require.Contains(t, out.text(), "level=DEBUG")
		require.Contains(t, out.text(), "xmpp frame")
		require.Greater(t, len(watch.secrets), 5)
		for secret, where := range watch.secrets {
			require.NotContains(t, out.text(), secret, "log shows the %s", where)
			require.NotContains(t, shown.String(), secret, "an error shows the %s", where)
			require.NotContains(t, hooks.String(), secret, "a hook shows the %s", where)
		}
	})
}
