// Observedbot is a bot that answers every text, and that can be watched: /metrics is for
// Prometheus, and its traces are written to standard output, one span after the other.
//
//	go run ./examples/observedbot
//		on a test server (sdktest), where a visitor writes to it every few seconds
//	go run ./examples/observedbot -listen :9464 -user parrot
//		another address for /metrics, another user than echo
//
// The service is named by MIRRORFLY_API_BASE_URL, MIRRORFLY_LICENSE_KEY and MIRRORFLY_TRIAL (true
// or false). MIRRORFLY_CA_FILE (PEM) is the authority of its certificate, if the system does not
// trust it. dashboard.json in ../.. is a dashboard for Grafana over these metrics.
//
// telemetry.go sets up OpenTelemetry, bot.go answers, and service.go finds the service.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl+C ends the program at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "observedbot:", err)
		os.Exit(1)
	}
}

// run answers until ctx ends, or until the client does not reconnect any more.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("observedbot", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "127.0.0.1:9464", "`address` of /metrics")
	user := flags.String("user", "echo", "`user identifier` of the bot")
	every := flags.Duration("every", 5*time.Second, "on the test server, the `time` between the visitor's messages")
	if err := flags.Parse(args); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	place, err := findService()
	if err != nil {
		return err
	}
	defer place.close()
	watch, err := startTelemetry(ctx, *listen, stdout)
	if err != nil {
		return err
	}
	// Last, so that it has the spans of what ends before.
	defer func() { err = errors.Join(err, watch.close()) }()
	log.InfoContext(ctx, "listening", "metrics", watch.url)
	place.cfg.Hooks, place.cfg.Logger = watch.hooks, log
	return answer(ctx, place, watch.tracer, *user, max(*every, time.Millisecond))
}
