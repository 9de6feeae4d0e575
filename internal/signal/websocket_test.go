package signal

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk/internal/testing/fipsmode"
	"github.com/mirrorfly-go/sdk/internal/testing/fuzz"
)

// SECURITY.md: a small polling answer that unpacks to a huge one is read up to the bound of the
// unpacked.
func TestDecompressionBomb(t *testing.T) {
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	for range 16 {
		_, err := io.WriteString(w, strings.Repeat("x", 1<<20))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("transport") == "websocket" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	}))
	defer hs.Close()
	// 16 MiB: reading all of it would cost several times that
	fuzz.Bounded(t, maxBody, 16*maxBody, func() {
		_, err := Dial(t.Context(), client(t, hs))
		require.ErrorContains(t, err, "more than 1048576 bytes")
	})
}

// SECURITY.md: a WebSocket is never compressed, so that nothing in it can unpack itself.
func TestNoCompression(t *testing.T) {
	srv := &server{}
	hs := srv.start(t)
	dial(t, client(t, hs))
	require.NotContains(t, take(t, srv.peers).headers, "Sec-Websocket-Extensions")
}

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
