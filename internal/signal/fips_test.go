package signal

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/fipsmode"
)

// In FIPS 140-only mode there is no WebSocket, because its handshake needs SHA-1. Polling remains.
func TestFIPS140Only(t *testing.T) {
	fipsmode.Run(t, func() {
		polls := (&server{}).prepare()
		t.Cleanup(polls.stop)
		hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("transport") != "websocket" {
				polls.ServeHTTP(w, r)
				return
			}
			// A server that agrees to the upgrade has the client compute the answer that it
			// expects.
			w.Header().Set("Upgrade", "websocket")
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Sec-WebSocket-Accept", "x")
			w.WriteHeader(http.StatusSwitchingProtocols)
		}))
		t.Cleanup(hs.Close)
		c := dial(t, client(t, hs))
		require.IsType(t, &polling{}, c.session.t)
	})
}
