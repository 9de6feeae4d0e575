package main

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestHealthEndpoint(t *testing.T) {
	srv := sdktest.New(t)
	p := start(t, srv, testSettings(), "weather")
	p.await(t, "status=CONNECTED")
	log := newJournal()
	stop, err := p.serveHealth(p.ctx, "127.0.0.1:0", slog.New(slog.NewJSONHandler(log, nil)))
	require.NoError(t, err)
	defer stop()
	line, _, _ := log.next()
	var said struct{ Ready string }
	require.NoError(t, json.Unmarshal([]byte(line), &said))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]int{"/readyz": 200, "/healthz": 200, "/stats": 200, "/": 404} {
		resp, err := client.Get(strings.TrimSuffix(said.Ready, "/readyz") + path)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, want, resp.StatusCode, path)
	}
	resp, err := client.Post(said.Ready, "", nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 405, resp.StatusCode)
	taken := strings.TrimSuffix(strings.TrimPrefix(said.Ready, "http://"), "/readyz")
	_, err = p.serveHealth(p.ctx, taken, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "-listen", "the address is taken")
}

func TestStatsEndpoint(t *testing.T) {
	srv := sdktest.New(t)
	p := start(t, srv, testSettings(), "weather", "news")
	p.await(t, "profile updated")
	p.await(t, "profile updated")
	code, body := p.get("/stats")
	require.Equal(t, 200, code)
	var stats map[string]sdk.Stats
	require.NoError(t, json.Unmarshal([]byte(body), &stats))
	require.Len(t, stats, 2)
	require.EqualValues(t, 1, stats["weather"].Connects)
	require.Positive(t, stats["news"].BytesReceived)
}
