package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	client "github.com/prometheus/client_golang/prometheus"
	api "go.opentelemetry.io/otel/trace"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdkotel"
)

// telemetry is what watches the bot.
type telemetry struct {
	hooks  *sdk.Hooks
	tracer api.Tracer
	url    string
	// close writes what is left, and ends everything.
	close func() error
}

// startTelemetry serves /metrics and writes spans to stdout. Another exporter, such as the one for
// OTLP, takes the place of stdouttrace without any other change.
func startTelemetry(ctx context.Context, listen string, stdout io.Writer) (*telemetry, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("%w; choose another address with -listen", err)
	}
	registry := client.NewRegistry()
	scraped, err := prometheus.New(prometheus.WithRegisterer(registry))
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	written, err := stdouttrace.New(stdouttrace.WithWriter(stdout))
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	about := resource.NewWithAttributes(semconv.SchemaURL, semconv.ServiceName("observedbot"))
	metrics := metric.NewMeterProvider(metric.WithReader(scraped), metric.WithResource(about))
	traces := trace.NewTracerProvider(trace.WithBatcher(written), trace.WithResource(about))

	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	srv := &http.Server{
		Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
	}
	done := make(chan struct{})
	go func() { // owner: the caller; ends with close
		defer close(done)
		_ = srv.Serve(listener) // it only ends when close is called
	}()
	return &telemetry{
		hooks:  sdkotel.Hooks(traces, metrics),
		tracer: traces.Tracer("observedbot"),
		url:    "http://" + listener.Addr().String() + "/metrics",
		close: func() error {
			_ = srv.Close() // nobody needs the last answer
			<-done
			// ctx has ended when the program was told to end, but the last spans shall be written.
			soon, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return errors.Join(traces.Shutdown(soon), metrics.Shutdown(soon))
		},
	}, nil
}
