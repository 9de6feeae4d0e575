package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/mirrorfly-go/sdk/fleet"
)

// status is how /accounts tells of an account.
type status struct {
	Account string      `json:"account"`
	Epoch   uint64      `json:"epoch"`
	State   fleet.State `json:"state"`
	Since   time.Time   `json:"since"`
	Reason  string      `json:"reason,omitempty"`
}

// serve serves /readyz, /accounts and /metrics until stop is called.
func serve(ctx context.Context, address string, f *fleet.Fleet, m *metrics, log *slog.Logger) (func(), error) {
	if address == "" {
		return func() {}, nil
	}
	if err := m.watch(f); err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w; choose another address with -listen", err)
	}
	mux := handler(ctx, f)
	mux.Handle("GET /metrics", m.handler())
	srv := &http.Server{
		Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second,
		MaxHeaderBytes: 16 << 10,
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

// handler answers /readyz with 200 while this member takes part, every account of it is up, no
// account is left over and the program was not told to end, and /accounts with those of this
// member.
func handler(ctx context.Context, f *fleet.Fleet) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		all, missing := f.Accounts(), 0
		for _, s := range all {
			if s.State != fleet.StateUp {
				missing++
			}
		}
		switch nobodys := f.Nobodys(); {
		case ctx.Err() != nil:
			http.Error(w, "ending", http.StatusServiceUnavailable)
		case !f.Joined():
			text := "not in the fleet: the store or the accounts cannot be reached"
			http.Error(w, text, http.StatusServiceUnavailable)
		case missing > 0 || nobodys > 0:
			text := fmt.Sprintf("%d of %d not up, %d for which no member has room", missing, len(all), nobodys)
			http.Error(w, text, http.StatusServiceUnavailable)
		default:
			fmt.Fprintf(w, "ok, %d up\n", len(all))
		}
	})
	mux.HandleFunc("GET /accounts", func(w http.ResponseWriter, _ *http.Request) {
		list := []status{}
		for _, s := range f.Accounts() {
			one := status{s.Username, s.Epoch, s.State, s.Since, ""}
			if s.Reason != nil {
				one.Reason = s.Reason.Error()
			}
			list = append(list, one)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list) // who asks may have gone
	})
	return mux
}
