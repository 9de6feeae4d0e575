package sdkotel

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// What must not reach an attribute, and is in what the clients of the scenario do.
const (
	wrongPassword = "pass-that-is-wrong"
	secretText    = "meet me at the old oak"
	secretRefusal = "alice was refused by the service"
)

// telemetry is the SDK of OpenTelemetry, which keeps all in memory, and a page for Prometheus.
type telemetry struct {
	hooks    *sdk.Hooks
	provider *metric.MeterProvider
	reader   *metric.ManualReader
	spans    *tracetest.InMemoryExporter
	page     *httptest.Server
}

func newTelemetry(t *testing.T) *telemetry {
	t.Helper()
	registry := prometheus.NewRegistry()
	scraped, err := exporter.New(exporter.WithRegisterer(registry))
	require.NoError(t, err)
	m := &telemetry{reader: metric.NewManualReader(), spans: tracetest.NewInMemoryExporter()}
	m.page = httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	t.Cleanup(m.page.Close)
	m.provider = metric.NewMeterProvider(metric.WithReader(m.reader), metric.WithReader(scraped))
	m.hooks = Hooks(trace.NewTracerProvider(trace.WithSyncer(m.spans)), m.provider)
	return m
}

// metrics are all metrics by their names.
func (m *telemetry) metrics(t *testing.T) map[string]metricdata.Metrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, m.reader.Collect(t.Context(), &all))
	named := make(map[string]metricdata.Metrics)
	for _, s := range all.ScopeMetrics {
		require.Equal(t, scope, s.Scope.Name)
		for _, one := range s.Metrics {
			named[one.Name] = one
		}
	}
	return named
}

// scrape is what Prometheus would get.
func (m *telemetry) scrape(t *testing.T) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, m.page.URL, nil)
	require.NoError(t, err)
	resp, err := m.page.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, string(text))
	return string(text)
}

// scenario is a client with hooks, and what it was asked for.
type scenario struct {
	t   *testing.T
	srv *sdktest.Server
	*sdk.Client
	cfg    sdk.Config
	states chan sdk.ConnectionEvent
	me     sdk.Credentials
	token  string // of a file
}

// patience ends a test that would wait for ever.
const patience = time.Minute

func await[T any](t *testing.T, from <-chan T, right func(T) bool) T {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case v := <-from:
			if right(v) {
				return v
			}
		case <-timeout:
			require.FailNow(t, "it never came")
		}
	}
}

func begin(t *testing.T, hooks *sdk.Hooks) *scenario {
	t.Helper()
	s := &scenario{t: t, states: make(chan sdk.ConnectionEvent, 1000)}
	s.srv = sdktest.New(t, sdktest.Options{ResumeTimeout: time.Minute})
	s.cfg = s.srv.Config()
	s.cfg.Hooks, s.cfg.Transport = hooks, sdk.TransportTCP
	s.cfg.Reconnect.MinDelay, s.cfg.Reconnect.MaxDelay = 10*time.Millisecond, 20*time.Millisecond
	var err error
	s.Client, err = sdk.New(s.cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	s.OnConnection(func(e sdk.ConnectionEvent) { s.states <- e })
	_, err = s.Register(t.Context(), "bob")
	require.NoError(t, err)
	me, err := s.Register(t.Context(), "alice")
	require.NoError(t, err)
	s.me = me.Data
	_, err = s.Connect(t.Context(), s.me.Username, s.me.Password)
	require.NoError(t, err)
	return s
}

func (s *scenario) bob() string { return "bob@" + s.srv.Domain() }

// calls makes calls that succeed, and calls that fail in every way.
func (s *scenario) calls() {
	t, ctx := s.t, s.t.Context()
	t.Helper()
	_, err := s.GetLastSeen(ctx, s.bob())
	require.NoError(t, err)
	_, err = s.SendTextMessage(ctx, s.bob(), secretText)
	require.NoError(t, err)
	file, err := s.UploadMedia(ctx, sdk.MediaUpload{
		To: s.bob(), Name: "secret-name.txt", Reader: strings.NewReader(secretText), Size: int64(len(secretText)),
	})
	require.NoError(t, err)
	s.token = file.Data.FileToken
	var content bytes.Buffer
	_, err = s.DownloadMedia(ctx, file.Data, &content)
	require.NoError(t, err)
	require.Equal(t, secretText, content.String())

	s.srv.FailNext("contacts/vcard", http.StatusServiceUnavailable, secretRefusal)
	_, err = s.GetUserProfile(ctx, s.bob())
	require.NoError(t, err, "the second attempt succeeds")
	_, err = s.GetUserProfile(ctx, "nobody@"+s.srv.Domain())
	require.ErrorIs(t, err, sdk.ErrUserNotFound)
	_, err = s.BlockUser(ctx, "no user")
	require.ErrorIs(t, err, sdk.ErrInvalidArgument)
	s.srv.RefuseNextMessage("policy-violation")
	_, err = s.SendTextMessage(ctx, s.bob(), secretText)
	require.Error(t, err)
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = s.GetLastSeen(canceled, s.bob())
	require.ErrorIs(t, err, context.Canceled)
	stranger, err := sdk.New(s.cfg)
	require.NoError(t, err)
	_, err = stranger.Connect(ctx, s.me.Username, wrongPassword)
	require.ErrorIs(t, err, sdk.ErrInvalidCredentials)
	require.NoError(t, stranger.Close())
}

// events lets messages and other things come, one after the other.
func (s *scenario) events() {
	t := s.t
	t.Helper()
	came := make(chan string, 10)
	s.OnMessage(func(m sdk.Message) { came <- m.Text })
	s.OnTyping(func(sdk.TypingEvent) {
		defer func() { came <- "typing" }()
		panic("the listener panics")
	})
	s.push(`<iq xmlns="jabber:client" type="result" id="never asked"/>`)
	s.push(`<message xmlns="jabber:client" from="` + s.bob() + `/phone" to="` + s.me.UserJID + `" type="chat">` +
		`<composing xmlns="http://jabber.org/protocol/chatstates"/></message>`)
	require.Equal(t, "typing", patient.Receive(t, came))
	_, err := s.srv.SendMessage(t.Context(), "bob", "alice", secretText)
	require.NoError(t, err)
	require.Equal(t, secretText, patient.Receive(t, came))

	release, missed := make(chan struct{}), make(chan sdk.MissedEvent, 10)
	s.OnMissed(func(e sdk.MissedEvent) { missed <- e })
	s.OnUserDeleted(func(sdk.UserDeletedEvent) { <-release })
	var burst strings.Builder
	for i := range 1200 {
		fmt.Fprintf(&burst, `<message xmlns="jabber:client" from="%s"><user_deleted user="%d@%[1]s"/></message>`,
			s.srv.Domain(), i)
	}
	s.push(burst.String())
	require.Eventually(t, func() bool { return s.Stats().EventsDropped > 0 }, patience, 10*time.Millisecond)
	close(release)
	await(t, missed, func(e sdk.MissedEvent) bool { return e.Dropped > 0 })
}

func (s *scenario) push(stanzas string) {
	s.t.Helper()
	require.Equal(s.t, 1, s.srv.Push("alice", stanzas))
}

// losses loses the connection: once it is resumed, once the server refuses for a while.
func (s *scenario) losses() {
	s.t.Helper()
	status := func(status sdk.ConnectionStatus) sdk.ConnectionEvent {
		s.t.Helper()
		return await(s.t, s.states, func(e sdk.ConnectionEvent) bool { return e.Status == status })
	}
	status(sdk.StatusConnected)
	s.srv.DropConnections()
	status(sdk.StatusDisconnected)
	require.True(s.t, status(sdk.StatusConnected).Resumed)
	s.srv.SetFault(sdktest.StepStream, sdktest.FaultClose)
	s.srv.DropConnections()
	status(sdk.StatusDisconnected)
	failed := func() bool { return s.Stats().ConnectsFailed > 0 }
	require.Eventually(s.t, failed, patience, 10*time.Millisecond)
	s.srv.ClearFaults()
	status(sdk.StatusConnected)
}
