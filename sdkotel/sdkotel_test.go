package sdkotel

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/internal/testing/patient"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The signature is a promise of docs and of other modules.
var _ func(oteltrace.TracerProvider, metric.MeterProvider) *sdk.Hooks = Hooks

// A client does all that is reported, and everything that is reported of it is as documented: see
// the tests below.
func TestClient(t *testing.T) {
	m := newTelemetry(t)
	s := begin(t, m.hooks)
	s.calls()
	require.EqualValues(t, 1, total(t, m.metrics(t)["mirrorfly.xmpp.session.active"]))
	s.losses()
	s.events()
	metrics, spans, page := m.metrics(t), m.spans.GetSpans(), m.scrape(t)
	t.Run("nesting", func(t *testing.T) { requireNested(t, spans) })
	t.Run("secrets", func(t *testing.T) { requireNoSecret(t, s, spans, page) })
	t.Run("documented", func(t *testing.T) { requireDocumented(t, spans, metrics) })
	t.Run("dashboard", func(t *testing.T) { requireDashboard(t, page) })
	require.NoError(t, s.Close())
	require.Zero(t, total(t, m.metrics(t)["mirrorfly.xmpp.session.active"]))
	require.NotContains(t, m.metrics(t), "mirrorfly.event.waiting", "no client is left")
}

// Requests and the first attempt to make a session are below their call. What has failed has the
// status Error.
func requireNested(t *testing.T, spans tracetest.SpanStubs) {
	calls := make(map[oteltrace.SpanID]string)
	for _, s := range spans {
		if s.SpanKind == oteltrace.SpanKindInternal {
			calls[s.SpanContext.SpanID()] = s.Name
		}
	}
	below := make(map[string][]string)
	for _, s := range spans {
		_, failed := valueOf(s.Attributes, "error.type")
		require.Equal(t, failed, s.Status.Code == codes.Error, s.Name)
		require.Empty(t, s.Status.Description)
		require.Empty(t, s.Events)
		if s.SpanKind == oteltrace.SpanKindInternal {
			require.False(t, s.Parent.IsValid(), s.Name)
			continue
		}
		call := calls[s.Parent.SpanID()]
		reconnects, is := valueOf(s.Attributes, keyReconnect)
		require.Equal(t, is && reconnects.AsBool(), call == "", s.Name)
		below[call] = append(below[call], s.Name)
	}
	require.Equal(t, []string{"POST /login", "xmpp connect", "POST /login"}, below["mirrorfly Connect"])
	require.Equal(t, []string{"xmpp message", "xmpp message"}, below["mirrorfly SendTextMessage"])
	require.Equal(t, []string{"GET /media/{token}"}, below["mirrorfly DownloadMedia"])
	require.Len(t, below["mirrorfly GetUserProfile"], 3, "one was sent twice")
}

func valueOf(attrs []attribute.KeyValue, key attribute.Key) (attribute.Value, bool) {
	for _, a := range attrs {
		if a.Key == key {
			return a.Value, true
		}
	}
	return attribute.Value{}, false
}

func requireNoSecret(t *testing.T, s *scenario, spans tracetest.SpanStubs, page string) {
	raw, err := json.Marshal(spans)
	require.NoError(t, err)
	require.NotEmpty(t, s.token)
	for _, text := range []string{string(raw), page} {
		for _, secret := range []string{
			"alice", "bob", "nobody", "no user", s.srv.Domain(), s.me.Username, s.me.Password,
			s.srv.LicenseKey(), s.token, "secret-name", wrongPassword, secretText, secretRefusal, "the listener panics",
		} {
			require.NotContains(t, text, secret)
		}
	}
}

// total adds up the points of a sum.
func total(t *testing.T, m metricdata.Metrics) (sum int64) {
	t.Helper()
	require.IsType(t, metricdata.Sum[int64]{}, m.Data, m.Name)
	for _, point := range m.Data.(metricdata.Sum[int64]).DataPoints {
		sum += point.Value
	}
	return sum
}

// Events wait while a listener is stuck, and are added up over clients, whether they share hooks or
// not.
func TestEventsWaiting(t *testing.T) {
	m := newTelemetry(t)
	provider := m.provider
	release := make(chan struct{})
	var clients []*sdk.Client
	for _, hooks := range []*sdk.Hooks{m.hooks, m.hooks, Hooks(nooptrace.NewTracerProvider(), provider)} {
		s := begin(t, hooks)
		stuck := make(chan struct{})
		s.OnPresence(func(sdk.PresenceEvent) {
			stuck <- struct{}{}
			<-release
		})
		presence := `<presence xmlns="jabber:client" from="` + s.bob() + `/phone"/>`
		s.push(presence)
		patient.Receive(t, stuck)
		s.push(presence)
		s.push(`<presence xmlns="jabber:client" from="` + s.bob() + `/phone" type="unavailable"/>`)
		require.Eventually(t, func() bool { return s.Stats().EventsWaiting == 2 }, patience, time.Millisecond)
		clients = append(clients, s.Client)
		go func() { // ends with the listener's last event
			<-stuck
			<-stuck
		}()
	}
	require.EqualValues(t, 6, total(t, m.metrics(t)["mirrorfly.event.waiting"]))
	close(release)
	for _, c := range clients {
		require.Eventually(t, func() bool { return c.Stats().EventsWaiting == 0 }, patience, time.Millisecond)
	}
	require.Zero(t, total(t, m.metrics(t)["mirrorfly.event.waiting"]))
}

// Providers can be set once for hooks that were made before.
var (
	early = Hooks(nil, nil)
	late  *telemetry
)

// Without providers the global ones count, also those that are set later.
func TestGlobalProviders(t *testing.T) {
	if late == nil {
		late = newTelemetry(t)
		otel.SetTracerProvider(trace.NewTracerProvider(trace.WithSyncer(late.spans)))
		otel.SetMeterProvider(late.provider)
	}
	late.spans.Reset()
	s := begin(t, early)
	require.NotEmpty(t, late.spans.GetSpans())
	metrics := late.metrics(t)
	require.Contains(t, metrics, "mirrorfly.call.duration")
	require.Contains(t, metrics, "mirrorfly.event.waiting")
	require.NoError(t, s.Close())
	require.NotContains(t, late.metrics(t), "mirrorfly.event.waiting")
}

// A provider that makes nothing is a reason to tell, and not to fail.
func TestRefusedInstruments(t *testing.T) {
	var told []error
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { told = append(told, err) }))
	t.Cleanup(func() { otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {})) })
	hooks := Hooks(nooptrace.NewTracerProvider(), refusing{})
	hooks.Client(sdk.ClientInfo{Client: new(sdk.Client)})
	hooks.Client(sdk.ClientInfo{Client: new(sdk.Client), Closed: true})
	require.Equal(t, []error{errRefused, errRefused}, told)
}

var errRefused = errors.New("refused")

type refusing struct{ noopmetric.MeterProvider }

func (refusing) Meter(string, ...metric.MeterOption) metric.Meter { return refusingMeter{} }

type refusingMeter struct{ noopmetric.Meter }

func (refusingMeter) Int64UpDownCounter(
	string, ...metric.Int64UpDownCounterOption,
) (metric.Int64UpDownCounter, error) {
	return noopmetric.Int64UpDownCounter{}, errRefused
}

func (refusingMeter) RegisterCallback(metric.Callback, ...metric.Observable) (metric.Registration, error) {
	return nil, errRefused
}

// Every error of package sdk that callers branch on has its name as error.type.
func TestSentinels(t *testing.T) {
	files, err := filepath.Glob("../*.go")
	require.NoError(t, err)
	var want, have []string
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		for line := range strings.Lines(string(raw)) {
			name, _, is := strings.Cut(line, "= errors.New(")
			name = strings.TrimSpace(strings.TrimPrefix(name, "var "))
			if is && strings.HasPrefix(name, "Err") && !strings.HasSuffix(file, "_test.go") {
				want = append(want, name)
			}
		}
	}
	for _, s := range sentinels {
		have = append(have, s.name)
		require.Equal(t, s.name, failure(s.err, s.err, 0).Value.AsString())
	}
	require.Greater(t, len(want), 10)
	require.ElementsMatch(t, want, have)
}
