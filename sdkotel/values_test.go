package sdkotel

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/mirrorfly-go/sdk"
)

func TestValues(t *testing.T) {
	var v values
	for _, wrong := range []string{"", "two\nlines", "caf\xe9", "na\u00efve", strings.Repeat("x", maxLength+1)} {
		require.Equal(t, other, v.of(wrong))
	}
	for i := range maxValues {
		name := fmt.Sprint("name ", i)
		require.Equal(t, name, v.of(name))
	}
	require.Equal(t, other, v.of("one more"))
	require.Equal(t, "name 0", v.of("name 0"))
	require.Equal(t, other, v.of(""))
}

// tell tells hooks all there is, with hostile values that are different for each i.
func tell(h *sdk.Hooks, i int) {
	status := i%80*10 - 100
	ctx, name, err := context.Background(), fmt.Sprintf("hostile %d", i), fmt.Errorf("failure %d", i)
	_, called := h.StartCall(ctx, sdk.CallInfo{Op: name})
	called(sdk.CallDone{StatusCode: status, Outcome: sdk.Outcome(i), Sentinel: err, Err: err})
	for _, kind := range []sdk.RequestKind{sdk.RequestHTTP, sdk.RequestIQ, sdk.RequestKind(name)} {
		_, asked := h.StartRequest(ctx, sdk.RequestInfo{
			Kind: kind, Name: name, Method: name, Host: fmt.Sprintf("host%d:%d", i, i), Template: "/" + name,
			Attempt: i,
		})
		asked(sdk.RequestDone{Status: status, Condition: name, Err: err})
	}
	_, connected := h.StartConnect(ctx, sdk.ConnectInfo{Transport: sdk.Transport(name), Attempt: i})
	connected(sdk.ConnectDone{Sentinel: err, Err: err})
	h.Disconnected(sdk.DisconnectInfo{Sentinel: err, Err: err})
	h.Ignored(sdk.IgnoredInfo{Why: name})
	h.Message(sdk.MessageInfo{Stage: sdk.MessageStage(name)})
	h.Event(sdk.EventInfo{Listener: name})
	h.Dropped(sdk.DroppedInfo{Events: 2, Messages: 1})
}

// However many values others make up, the series are few, and at some point there are no new ones.
func TestSeriesAreFew(t *testing.T) {
	m := newTelemetry(t)
	counts := func() map[string]int {
		count := make(map[string]int)
		for name, one := range m.metrics(t) {
			switch d := one.Data.(type) {
			case metricdata.Histogram[float64]:
				count[name] = len(d.DataPoints)
			case metricdata.Sum[int64]:
				count[name] = len(d.DataPoints)
			}
		}
		return count
	}
	for i := range 160 {
		tell(m.hooks, i)
	}
	before := counts()
	for name, n := range before {
		// A name with each of three kinds, or with one status, and "_OTHER" with every status.
		require.LessOrEqual(t, n, 3*(maxValues+1), name)
	}
	require.Len(t, before, 12)
	for i := range 160 {
		tell(m.hooks, 160+i)
	}
	require.Equal(t, before, counts())
	// As the names of spans they are few, too.
	names := make(set)
	for _, s := range m.spans.GetSpans() {
		names[s.Name] = true
	}
	require.LessOrEqual(t, len(names), 3*(maxValues+1)+1)
}

func TestServer(t *testing.T) {
	for address, want := range map[string]string{
		"api.example":      "api.example 443",
		"api.example:8443": "api.example 8443",
		"[::1]":            "::1 443",
		"[::1]:80":         "::1 80",
		"":                 other,
		"host:99999":       "host:99999 443",
	} {
		o := new(observer)
		var have []string
		for _, a := range o.server(address) {
			have = append(have, a.Value.String())
		}
		require.Equal(t, want, strings.Join(have, " "))
	}
}

func TestStatusOf(t *testing.T) {
	for status, want := range map[int]int{
		200: 200, 404: 404, 499: 499, 599: 599, 299: 200, 498: 400, 555: 500, 0: 0, 99: 0, 600: 0, -5: 0, 123456: 0,
	} {
		require.Equal(t, want, statusOf(status), status)
	}
}

func TestFailure(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("sdk: GetLastSeen: %w", err) }
	for name, c := range map[string]struct {
		sentinel, err error
		status        int
		want          string
	}{
		"sentinel":    {sdk.ErrReplaced, context.Canceled, 500, "ErrReplaced"},
		"canceled":    {nil, context.Canceled, 499, "canceled"},
		"deadline":    {nil, context.DeadlineExceeded, 599, "timeout"},
		"network":     {nil, &net.OpError{Op: "read", Err: errors.New("reset")}, 0, "network"},
		"timeout":     {nil, &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, 0, "timeout"},
		"end":         {nil, io.ErrUnexpectedEOF, 0, "network"},
		"dns":         {nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host"}}, 0, "dns"},
		"certificate": {nil, x509.UnknownAuthorityError{}, 0, "certificate"},
		"status":      {nil, errors.New("alice@example is refused"), http.StatusForbidden, "403"},
		"nothing":     {nil, errors.New("alice@example is refused"), 0, other},
		"unknown":     {errors.New("of somebody else"), errors.New("x"), 0, other},
	} {
		t.Run(name, func(t *testing.T) {
			have := failure(c.sentinel, wrap(c.err), c.status)
			require.Equal(t, "error.type", string(have.Key))
			require.Equal(t, c.want, have.Value.AsString())
		})
	}
}
