package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/fleet"
	"github.com/mirrorfly-go/sdk/fleet/fleettest"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// A member is ready when it has its accounts up, and not before it takes part or when it does not
// any more: then it has none, which is no reason to say that all of them are up.
func TestReady(t *testing.T) {
	srv := sdktest.New(t)
	client, err := sdk.New(srv.Config())
	require.NoError(t, err)
	defer client.Close()
	bot, err := client.Register(t.Context(), "bot")
	require.NoError(t, err)
	store := fleettest.NewStore()
	f, err := fleet.New(fleet.Config{
		Client: srv.Config(), Store: store, TTL: time.Second,
		Accounts: func(context.Context) ([]fleet.Account, error) {
			return []fleet.Account{{Username: bot.Data.Username, Password: bot.Data.Password}}, nil
		},
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	mux := handler(ctx, f)
	ready := func(code int, text string) bool {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		return w.Code == code && w.Body.String() == text+"\n"
	}
	const apart = "not in the fleet: the store or the accounts cannot be reached"
	require.True(t, ready(http.StatusServiceUnavailable, apart))
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }() // ends with stop
	require.Eventually(t, func() bool { return ready(http.StatusOK, "ok, 1 up") }, limit, pause)
	store.SetAway(true)
	require.Eventually(t, func() bool { return ready(http.StatusServiceUnavailable, apart) }, limit, pause)
	stop()
	require.True(t, ready(http.StatusServiceUnavailable, "ending"))
	require.NoError(t, <-ended)
}
