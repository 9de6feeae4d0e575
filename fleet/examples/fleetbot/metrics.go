package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/prometheus"
	api "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/trace/noop"

	client "github.com/prometheus/client_golang/prometheus"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/fleet"
	"github.com/mirrorfly-go/sdk/sdkotel"
)

// metrics are what /metrics tells: sums over the clients of this member, and its accounts.
type metrics struct {
	provider *metric.MeterProvider
	registry *client.Registry
}

func newMetrics() (*metrics, error) {
	registry := client.NewRegistry()
	scraped, err := prometheus.New(prometheus.WithRegisterer(registry))
	if err != nil {
		return nil, err
	}
	return &metrics{metric.NewMeterProvider(metric.WithReader(scraped)), registry}, nil
}

// hooks are for all clients. There are no spans: nothing here collects them.
func (m *metrics) hooks() *sdk.Hooks {
	return sdkotel.Hooks(noop.NewTracerProvider(), m.provider)
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// watch adds the gauges of the fleet.
func (m *metrics) watch(f *fleet.Fleet) error {
	meter := m.provider.Meter("fleetbot")
	_, err := meter.Int64ObservableGauge("fleet.accounts",
		api.WithDescription("Accounts of this member, by state."),
		api.WithInt64Callback(func(_ context.Context, o api.Int64Observer) error {
			// A state without accounts is 0, so that an alert has something to compare.
			n := map[fleet.State]int64{fleet.StateUp: 0, fleet.StateDown: 0, fleet.StateParked: 0}
			for _, s := range f.Accounts() {
				n[s.State]++
			}
			for state, accounts := range n {
				o.Observe(accounts, api.WithAttributes(attribute.String("state", string(state))))
			}
			return nil
		}))
	_, err2 := meter.Int64ObservableGauge("fleet.nobodys",
		api.WithDescription("Accounts of the whole fleet for which no member has room."),
		api.WithInt64Callback(func(_ context.Context, o api.Int64Observer) error {
			o.Observe(int64(f.Nobodys()))
			return nil
		}))
	return errors.Join(err, err2)
}
