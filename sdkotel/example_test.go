package sdkotel_test

import (
	"context"
	"log"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdkotel"
)

func Example() {
	exporter, err := prometheus.New()
	if err != nil {
		log.Fatal(err)
	}
	metrics := metric.NewMeterProvider(metric.WithReader(exporter))
	defer metrics.Shutdown(context.Background())
	cfg := sdk.Config{
		LicenseKey: "...",
		Hooks:      sdkotel.Hooks(nil, metrics), // spans go to the global provider
	}
	client, err := sdk.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	http.Handle("GET /metrics", promhttp.Handler())
	// Output:
}
