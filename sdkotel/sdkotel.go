// Package sdkotel reports what clients of package sdk do to OpenTelemetry, as spans and metrics:
//
//	cfg.Hooks = sdkotel.Hooks(nil, nil)
//
// README.md lists every span, metric and attribute. Where there is a semantic convention of
// OpenTelemetry (version 1.43.0), the names are those of it. No attribute has the id of a user, a
// JID, a token, a URL with a query, the text of an error, or what a message says.
package sdkotel

import (
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/mirrorfly-go/sdk"
)

const scope = "github.com/mirrorfly-go/sdk/sdkotel"

// Hooks returns hooks for Config.Hooks that report spans to tp and metrics to mp. nil is the global
// provider, also one that is set later. Many clients may share what it returns, and one call for a
// whole program is enough: metrics are sums over all clients. To use hooks of your own as well, see
// sdk.JoinHooks. mp keeps a client in memory until its Close.
//
// The number of series that a client can make is bounded, whatever a service answers: an attribute
// has at most 64 values, and what comes then is "_OTHER". What mp refuses, and it should refuse
// nothing, is told to the error handler of package otel.
func Hooks(tp trace.TracerProvider, mp metric.MeterProvider) *sdk.Hooks {
	if tp == nil {
		tp = otel.GetTracerProvider()
	}
	if mp == nil {
		mp = otel.GetMeterProvider()
	}
	o := &observer{
		tracer: tp.Tracer(scope,
			trace.WithInstrumentationVersion(sdk.Version), trace.WithSchemaURL(semconv.SchemaURL)),
		instruments: newInstruments(mp.Meter(scope,
			metric.WithInstrumentationVersion(sdk.Version), metric.WithSchemaURL(semconv.SchemaURL))),
	}
	return &sdk.Hooks{
		StartCall:    o.startCall,
		StartRequest: o.startRequest,
		StartConnect: o.startConnect,
		Disconnected: o.disconnected,
		Frame:        o.frame,
		Ignored:      o.ignored,
		Message:      o.message,
		Event:        o.event,
		Dropped:      o.dropped,
		Client:       o.client,
	}
}

// observer reports what hooks are told.
type observer struct {
	tracer trace.Tracer
	instruments

	// The values that attributes have had.
	operations, names, templates, hosts, conditions, reasons, listeners values

	// watched maps a *sdk.Client to its metric.Registration.
	watched sync.Map
}
