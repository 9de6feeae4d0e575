package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk"
)

// serveHealth serves /healthz, /readyz and /stats until stop is called.
func (f *fleet) serveHealth(ctx context.Context, address string, log *slog.Logger) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w; choose another address with -listen", err)
	}
	srv := &http.Server{
		Handler: f.health(ctx), ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, MaxHeaderBytes: 16 << 10,
	}
	done := make(chan struct{})
	go func() { // owner: the caller; ends with stop
		defer close(done)
		_ = srv.Serve(listener) // it only ends when stop is called
	}()
	log.InfoContext(ctx, "listening", "ready", "http://"+listener.Addr().String()+"/readyz")
	return func() {
		_ = srv.Close() // nobody needs the last answer
		<-done
	}, nil
}

// health answers /healthz with 200 while the program runs, /readyz with 200 while every account is
// connected and the program was not told to end, and /stats with the counters of every account.
func (f *fleet) health(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		stats := make(map[string]sdk.Stats)
		for _, b := range f.bots {
			stats[b.Username] = b.client.Stats()
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(stats) // whoever asks may be gone
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		var missing []string
		for _, b := range f.bots {
			if !b.ready() {
				missing = append(missing, b.Username)
			}
		}
		switch {
		case ctx.Err() != nil:
			http.Error(w, "ending", http.StatusServiceUnavailable)
		case len(missing) > 0:
			http.Error(w, "not connected: "+strings.Join(missing, ", "), http.StatusServiceUnavailable)
		default:
			fmt.Fprintf(w, "ok, %d connected\n", len(f.bots))
		}
	})
	return mux
}
