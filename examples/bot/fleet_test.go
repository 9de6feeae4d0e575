package main

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/sdktest"
)

func TestManyAccounts(t *testing.T) {
	srv := sdktest.New(t)
	place := &service{cfg: config(srv)}
	for i := range 12 {
		place.accounts = append(place.accounts, credentials(t, srv, "bot-"+string(rune('a'+i))))
	}
	transport := &http.Transport{
		TLSClientConfig: place.cfg.TLSConfig, DialContext: place.cfg.DialContext, TLSHandshakeTimeout: patience,
	}
	t.Cleanup(transport.CloseIdleConnections)
	logins := &busiest{next: transport}
	place.cfg.HTTPClient = &http.Client{Transport: logins}
	srv.Delay(20 * time.Millisecond)
	s := testSettings()
	s.starts = 3
	p := startAt(t, place, s)
	for range place.accounts {
		p.await(t, "profile updated")
	}
	require.LessOrEqual(t, int(logins.most.Load()), s.starts)
	require.Positive(t, logins.most.Load())
	p.requireReady(t)
	p.end(t)
}

// busiest is an http.RoundTripper that remembers how many logins were under way at once, at most.
type busiest struct {
	next      http.RoundTripper
	now, most atomic.Int32
}

func (b *busiest) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPost {
		return b.next.RoundTrip(r)
	}
	now := b.now.Add(1)
	defer b.now.Add(-1)
	for most := b.most.Load(); now > most && !b.most.CompareAndSwap(most, now); most = b.most.Load() {
	}
	return b.next.RoundTrip(r)
}
