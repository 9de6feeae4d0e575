package rest

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// The host that hooks are told has a port where that is not 443, and is not told where a user has
// chosen it.
func TestHostThatIsTold(t *testing.T) {
	for url, want := range map[string]string{
		"https://api.example/x":      "api.example",
		"https://api.example:8443/x": "api.example:8443",
		"http://api.example/x":       "api.example:80",
		"http://api.example:8080/x":  "api.example:8080",
		"http://[::1]/x":             "[::1]:80",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		require.NoError(t, err)
		require.Equal(t, want, (&request{}).host(req))
		require.Empty(t, (&request{foreign: true}).host(req))
	}
}
