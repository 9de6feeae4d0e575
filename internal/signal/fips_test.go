package signal

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// In FIPS 140-only mode there is no WebSocket, whose handshake needs SHA-1: polling remains. The mode is that of a whole process:
// the test runs itself in another one.
func TestFIPS140Only(t *testing.T) {
	const only = "fips140=only"
	if os.Getenv("GODEBUG") != only {
		again := exec.Command(os.Args[0], "-test.run=^TestFIPS140Only$")
		again.Env = append(os.Environ(), "GODEBUG="+only)
		said, err := again.CombinedOutput()
		require.NoError(t, err, string(said))
		return
	}
	polls := (&server{}).prepare()
	t.Cleanup(polls.stop)
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("transport") != "websocket" {
			polls.ServeHTTP(w, r)
			return
		}
		// One that agrees has the client compute what it should have said.
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Sec-WebSocket-Accept", "x")
		w.WriteHeader(http.StatusSwitchingProtocols)
	}))
	t.Cleanup(hs.Close)
	c := dial(t, client(t, hs))
	require.IsType(t, &polling{}, c.session.t)
}
