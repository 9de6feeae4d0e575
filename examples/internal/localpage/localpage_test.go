package localpage

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHostAllowed(t *testing.T) {
	for host, allowed := range map[string]bool{
		"evil.example": false, "127.0.0.1.evil.example": false, "localhost.evil.example:80": false, "": false,
		"localhost": true, "LOCALHOST:1": true, "127.0.0.1:1": true, "[::1]:1": true,
		"[::1]": true, "192.0.2.1:80": true,
	} {
		require.Equal(t, allowed, HostAllowed(host, ""), host)
	}
	require.True(t, HostAllowed("Desk.example:80", "desk.example"))
}

func TestLimit(t *testing.T) {
	var inside *httptest.ResponseRecorder
	var h http.Handler
	h = Limit(1, func(w http.ResponseWriter, r *http.Request) {
		inside = httptest.NewRecorder()
		h.ServeHTTP(inside, r) // a second one at once
		w.WriteHeader(http.StatusNoContent)
	})
	for range 2 { // the place is free again
		outside := httptest.NewRecorder()
		h.ServeHTTP(outside, httptest.NewRequest(http.MethodGet, "/", nil))
		require.Equal(t, http.StatusNoContent, outside.Code)
		require.Equal(t, http.StatusServiceUnavailable, inside.Code)
	}
}
