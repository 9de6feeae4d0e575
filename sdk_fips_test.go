package sdk_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mirrorfly-go/sdk"
	"github.com/mirrorfly-go/sdk/sdktest"
)

// In FIPS 140-only mode a Connect over WebSocket fails, which would end the process else, and one
// over TCP works. The mode is that of a whole process: the test runs itself in another one.
func TestFIPS140Only(t *testing.T) {
	const only = "fips140=only"
	if os.Getenv("GODEBUG") != only {
		again := exec.Command(os.Args[0], "-test.run=^TestFIPS140Only$")
		again.Env = append(os.Environ(), "GODEBUG="+only)
		said, err := again.CombinedOutput()
		require.NoError(t, err, string(said))
		return
	}
	forEachMode(t, func(t *testing.T, srv *sdktest.Server, cfg sdk.Config) {
		client, credentials := register(t, cfg, "alice")
		_, err := client.Connect(t.Context(), credentials.Username, credentials.Password)
		if cfg.Transport == sdk.TransportWebSocket {
			require.ErrorIs(t, err, sdk.ErrNetwork)
			require.ErrorContains(t, err, "SHA-1")
			return
		}
		require.NoError(t, err)
		_, err = client.SetUserProfile(t.Context(), sdk.ProfileUpdate{Name: "Alice Smith", Email: "alice@example.com"})
		require.NoError(t, err)
		_, err = client.GetUserProfile(t.Context(), "alice")
		require.NoError(t, err)
	})
}
